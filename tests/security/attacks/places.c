/* VERB ARGS...: what a socket still does after the engine had a hand in it.
 *   closes HOST PORT      connects, sends "x", closes, and lives on until its input ends
 *   rebinds PORT          binds, listens or not, closes; each time a child binds anew
 *   fd_sends HOST PORT    connect and sendto on descriptor 0, whoever made it
 *   accepted              a thread beside: sendmsg with an address on an accepted socket of our own
 *   pairs PATH            the ends of Unix pairs send to a socket by its path
 *   floods COUNT          as many sockets at once, and then one that connects nowhere
 *   watches COUNT         asks for a watch while another thread waits in the kernel, as often
 *   lays TRIES OPEN SECRET  the kernel lays the second name over the first while a watch is asked
 *   flies HOST PORT       sends by sockets that nobody had meanwhile: they lay in a message */
#include "attack.h"

#include <fcntl.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
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

/* Fetches what came, or sends it off and keeps nothing. */
static int pass(int by, int fd)
{
    char byte = 'x', room[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec iov = {&byte, 1};
    struct msghdr m = {NULL, 0, &iov, 1, room, sizeof(room), 0};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    if (fd < 0) {
        if (recvmsg(by, &m, 0) == 1 && (c = CMSG_FIRSTHDR(&m)) != NULL) {
            memcpy(&fd, CMSG_DATA(c), sizeof(fd));
        }
        return fd;
    }
    *c = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
    memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    long r = sendmsg(by, &m, 0);
    close(fd);
    return (int)r;
}

/* The two ends of a way: a pair, or a connection to a listener that has not accepted it. */
static void open_way(int type, int *ends)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    socklen_t len = sizeof(sa);
    if (type != 0) {
        socketpair(AF_UNIX, type, 0, ends);
        return;
    }
    ends[0] = socket(AF_UNIX, SOCK_STREAM, 0);
    ends[1] = socket(AF_UNIX, SOCK_STREAM, 0);
    bind(ends[1], (struct sockaddr *)&sa, sizeof(sa_family_t));
    getsockname(ends[1], (struct sockaddr *)&sa, &len);
    listen(ends[1], 1);
    connect(ends[0], (struct sockaddr *)&sa, len);
}

static int flies(char **args)
{
    place p = place_of(args[0], args[1]), any = place_of("127.0.0.1", "0");
    int types[] = {SOCK_DGRAM, SOCK_STREAM, SOCK_SEQPACKET, 0, SOCK_STREAM, SOCK_SEQPACKET, 0};
    for (int i = 0; i < 7; i++) {
        int way[2], inner[2];
        int fd = socket(p.addr.ss_family, SOCK_DGRAM, 0);
        open_way(types[i], way);
        if (i >= 4) { /* in a message in a message */
            socketpair(AF_UNIX, SOCK_STREAM, 0, inner);
            pass(inner[0], fd);
            fd = inner[1];
        }
        report("pass", pass(way[0], fd));
        int other = socket(AF_INET, SOCK_DGRAM, 0); /* bind(2) looks for what nobody has */
        report("bind", bind(other, (struct sockaddr *)&any.addr, any.len));
        close(other);
        fd = types[i] == 0 ? accept(way[1], NULL, NULL) : way[1];
        fd = pass(fd, -1);
        fd = i >= 4 ? pass(fd, -1) : fd;
        report("sendto", sendto(fd, "x", 1, MSG_NOSIGNAL, (struct sockaddr *)&p.addr, p.len));
    }
    return 0;
}

static int way[2], gate[2];
static _Atomic int blocked_tid;

static void *send_until_blocked(void *arg)
{
    struct iovec iov = {"x", 1};
    struct msghdr m = {NULL, 0, &iov, 1, NULL, 0, 0};
    blocked_tid = gettid();
    while (sendmsg(way[0], &m, MSG_NOSIGNAL) == 1) { /* until the other end is closed */
    }
    return arg;
}

static void *wait_for_child(void *arg)
{
    blocked_tid = gettid();
    if (vfork() == 0) {
        char byte;
        _exit(read(gate[0], &byte, 1) == 1 ? 0 : 1);
    }
    return arg;
}

static char child_stack[65536];

static int wait_in_child(void *arg)
{
    char byte;
    (void)arg;
    _exit(read(gate[0], &byte, 1) == 1 ? 0 : 1);
}

static void *wait_for_cloned_child(void *arg)
{
    int pidfd = -1;
    blocked_tid = gettid();
    clone(wait_in_child, child_stack + sizeof(child_stack),
          CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, NULL, &pidfd);
    close(pidfd);
    return arg;
}

static char state_of(int tid)
{
    char path[64], text[256] = "";
    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
    FILE *f = fopen(path, "r");
    if (f != NULL && fgets(text, sizeof(text), f) != NULL) {
        char *end = strrchr(text, ')');
        fclose(f);
        return end == NULL ? 0 : end[2];
    }
    return 0;
}

/* Starts the thread and returns when it waits in the kernel for long. */
static pthread_t begin(void *(*run)(void *))
{
    pthread_t thread;
    struct pollfd p = {way[0], POLLOUT, 0};
    blocked_tid = 0;
    pthread_create(&thread, NULL, run, NULL);
    while (blocked_tid == 0 || strchr("SD", state_of(blocked_tid)) == NULL ||
           (run == send_until_blocked && poll(&p, 1, 0) > 0)) {
        sched_yield();
    }
    return thread;
}

static int watches(char **args)
{
    int group = inotify_init1(0);
    socketpair(AF_UNIX, SOCK_SEQPACKET, 0, way);
    pipe(gate);
    pthread_t thread = begin(send_until_blocked);
    report("send", inotify_add_watch(group, ".", IN_CREATE));
    close(way[1]);
    pthread_join(thread, NULL);
    thread = begin(wait_for_child);
    report("vfork", inotify_add_watch(group, ".", IN_CREATE));
    write(gate[1], "x", 1);
    pthread_join(thread, NULL);
    thread = begin(wait_for_cloned_child);
    report("clone", inotify_add_watch(group, ".", IN_CREATE));
    write(gate[1], "x", 1);
    pthread_join(thread, NULL);
    long bad = 0;
    for (long i = strtol(args[0], NULL, 10); i > 0; i--) {
        bad += inotify_add_watch(group, ".", IN_CREATE) < 0;
    }
    printf("bad %ld\n", bad);
    return 0;
}

/* How many watches the group has that are not of this object. */
static long strangers(int group, const char *path)
{
    char name[64], line[512];
    long found = 0;
    struct stat st = {0};
    unsigned long ino;
    snprintf(name, sizeof(name), "/proc/self/fdinfo/%d", group);
    FILE *f = fopen(name, "r");
    stat(path, &st);
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        found += sscanf(line, "inotify wd:%*x ino:%lx", &ino) == 1 && ino != st.st_ino;
    }
    if (f != NULL) {
        fclose(f);
    }
    return found;
}

/* io_event.data, the first eight bytes of a slot of the ring (io_getevents(2)), is the path's last
 * name: the slot of an event that comes within 800 us. */
static void lay_over(int group, long tries, const char *open_path, const char *secret_path)
{
    size_t head = (size_t)(strrchr(open_path, '/') + 1 - open_path);
    aio_context_t ctx = 0;
    int timer = timerfd_create(CLOCK_MONOTONIC, 0);
    syscall(SYS_io_setup, 64, &ctx);
    unsigned *ring = (unsigned *)ctx; /* id, nr, head, tail, ... 32 bytes */
    for (long i = 0; i < tries && ring != NULL; i++) {
        struct iocb cb = {.aio_lio_opcode = IOCB_CMD_POLL, .aio_buf = POLLIN};
        struct iocb *list = &cb;
        struct itimerspec soon = {.it_value = {0, 1 + i % 400 * 2000}};
        struct io_event event;
        unsigned tail = ring[3];
        char *slot = (char *)ring + 32 + 32 * (size_t)tail;
        bool room = 32 * (size_t)tail >= head;
        if (room) {
            memset(slot, 0, 32);
            memcpy(slot - head, open_path, head);
            memcpy(slot, open_path + head, strlen(open_path + head));
        }
        memcpy(&cb.aio_data, secret_path + head, strlen(secret_path + head));
        cb.aio_fildes = (unsigned)timer;
        timerfd_settime(timer, 0, &soon, NULL);
        syscall(SYS_io_submit, ctx, 1, &list);
        int wd = room ? inotify_add_watch(group, slot - head, IN_CREATE) : -1;
        if (wd >= 0 && strangers(group, open_path) > 0) {
            return;
        }
        if (wd >= 0) {
            inotify_rm_watch(group, wd);
        }
        syscall(SYS_io_getevents, ctx, 1L, 1L, &event, NULL);
        read(timer, &(uint64_t){0}, sizeof(uint64_t));
    }
}

/* By a child, which leaves what it got to its parent. */
static int lays(char **args)
{
    int group = inotify_init1(0);
    pid_t pid = fork();
    if (pid == 0) {
        lay_over(group, strtol(args[0], NULL, 10), args[1], args[2]);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    printf("strangers %ld\n", strangers(group, args[1]));
    return 0;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *verb;
        int args;
        int (*run)(char **args);
    } verbs[] = {{"closes", 2, closes},     {"rebinds", 1, rebinds}, {"fd_sends", 2, fd_sends},
                 {"accepted", 0, accepted}, {"pairs", 1, pairs},     {"floods", 1, floods},
                 {"flies", 2, flies},       {"watches", 1, watches}, {"lays", 3, lays}};
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (argc == 2 + verbs[i].args && strcmp(argv[1], verbs[i].verb) == 0) {
            return verbs[i].run(argv + 2);
        }
    }
    return 2;
}
