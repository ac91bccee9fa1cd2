/* VERB ARGS...: what a socket still does after the engine had a hand in it.
 *   closes HOST PORT      connects, sends "x", closes, and lives on until its input ends
 *   rebinds PORT          binds, listens or not, closes; each time a child binds anew
 *   fd_sends HOST PORT    connect and sendto on descriptor 0, whoever made it
 *   accepted              a thread beside: sendmsg with an address on an accepted socket of our own
 *   pairs PATH            the ends of Unix pairs send to a socket by its path
 *   floods COUNT          as many sockets at once, and then one that connects nowhere */
#include "attack.h"

#include <pthread.h>
#include <sys/un.h>
#include <sys/wait.h>

static void wait_for_end(void)
{
    char byte;
    while (read(0, &byte, 1) > 0) {
    }
}

static int closes(char **args)
{
    place p = place_of(args[0], args[1]);
    int fd = socket(p.addr.ss_family, SOCK_STREAM, 0);
    if (report("connect", connect(fd, (struct sockaddr *)&p.addr, p.len))) {
        return 1;
    }
    report("send", send(fd, "x", 1, 0));
    report("close", close(fd));
    wait_for_end();
    return 0;
}

static long bind_in_child(const place *p, int type)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        int fd = socket(p->addr.ss_family, type, 0);
        _exit(bind(fd, (struct sockaddr *)&p->addr, p->len) < 0 ? errno : 0);
    }
    waitpid(pid, &status, 0);
    errno = WEXITSTATUS(status);
    return errno == 0 ? 0 : -1;
}

static int rebinds(char **args)
{
    place p = place_of("127.0.0.1", args[0]);
    for (int i = 0; i < 3; i++) {
        int type = i == 2 ? SOCK_DGRAM : SOCK_STREAM;
        int fd = socket(AF_INET, type, 0);
        report("bind", bind(fd, (struct sockaddr *)&p.addr, p.len));
        if (i == 1) {
            report("listen", listen(fd, 4));
        }
        close(fd);
        report("again", bind_in_child(&p, type));
    }
    return 0;
}

static int fd_sends(char **args)
{
    place p = place_of(args[0], args[1]);
    struct iovec iov = {"x", 1};
    struct msghdr message = {&p.addr, p.len, &iov, 1, NULL, 0, 0};
    struct mmsghdr many = {message, 0};
    report("sendto", sendto(0, "x", 1, MSG_NOSIGNAL, (struct sockaddr *)&p.addr, p.len));
    report("sendmsg", sendmsg(0, &message, MSG_NOSIGNAL));
    report("sendmmsg", sendmmsg(0, &many, 1, MSG_NOSIGNAL));
    report("connect", connect(0, (struct sockaddr *)&p.addr, p.len));
    return 0;
}

static void *idle(void *arg)
{
    pause();
    return arg;
}

static int accepted(char **args)
{
    place p = place_of("127.0.0.1", "0");
    pthread_t thread;
    (void)args;
    int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
    bind(listener, (struct sockaddr *)&p.addr, p.len);
    getsockname(listener, (struct sockaddr *)&p.addr, &p.len);
    report("listen", listen(listener, 4));
    report("connect", connect(client, (struct sockaddr *)&p.addr, p.len));
    int server = accept(listener, NULL, NULL);
    pthread_create(&thread, NULL, idle, NULL);
    struct iovec iov = {"hello", 5};
    struct msghdr message = {&p.addr, p.len, &iov, 1, NULL, 0, 0};
    for (int i = 0; i < 50; i++) {
        char text[8];
        if (sendmsg(server, &message, 0) != 5 || recv(client, text, 5, MSG_WAITALL) != 5) {
            return report("sendmsg", -1);
        }
    }
    report("sendmsg", 0);
    close(server);
    report("end", recv(client, &(char){0}, 1, 0));
    return 0;
}

static int pairs(char **args)
{
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    pthread_t thread;
    snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", args[0]);
    for (int i = 0; i < 6; i++) {
        int pair[2];
        struct iovec iov = {"x", 1};
        struct msghdr message = {&sa, sizeof(sa), &iov, 1, NULL, 0, 0};
        if (i == 3) {
            pthread_create(&thread, NULL, idle, NULL);
        }
        socketpair(AF_UNIX, types[i % 3], 0, pair);
        report("sendmsg", sendmsg(pair[0], &message, MSG_NOSIGNAL));
        report("sendto", sendto(pair[0], "x", 1, MSG_NOSIGNAL, (struct sockaddr *)&sa, sizeof(sa)));
    }
    return 0;
}

static int floods(char **args)
{
    long made = 0, count = strtol(args[0], NULL, 10);
    place p = place_of("127.0.0.1", "1");
    while (made < count && socket(AF_INET, SOCK_DGRAM, 0) >= 0) {
        made++;
    }
    printf("made %ld\n", made);
    for (long i = 3; i < made; i++) {
        close((int)i);
    }
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    report("socket", fd);
    report("connect", connect(fd, (struct sockaddr *)&p.addr, p.len));
    return 0;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *verb;
        int args;
        int (*run)(char **args);
    } verbs[] = {{"closes", 2, closes},     {"rebinds", 1, rebinds}, {"fd_sends", 2, fd_sends},
                 {"accepted", 0, accepted}, {"pairs", 1, pairs},     {"floods", 1, floods}};
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (argc == 2 + verbs[i].args && strcmp(argv[1], verbs[i].verb) == 0) {
            return verbs[i].run(argv + 2);
        }
    }
    return 2;
}
