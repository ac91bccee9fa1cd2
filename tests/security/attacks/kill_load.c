/* NAME PORT DENIED_HOST DENIED_PORT: a tree that is hard to end. Relatives that ignore SIGTERM,
 * left their parents and sessions, or have threads; one that asks for a refused address without
 * end; and the first process, which prints one line for each request that was answered. */
#include "attack.h"

#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

static void rest(void)
{
    for (;;) {
        pause();
    }
}

static void *rest_thread(void *arg)
{
    (void)arg;
    rest();
    return NULL;
}

static void knock(const char *host, const char *port)
{
    place to = place_of(host, port);
    for (;;) {
        int fd = socket(family_of(&to), SOCK_STREAM, 0);
        if (connect(fd, place_sa(&to), to.len) == 0 && write(fd, "open", 4) < 0) {
            perror("write");
        }
        close(fd);
        poll(NULL, 0, 1);
    }
}

/* Double fork, with a session of its own where `session` says so. */
static void leave(bool session)
{
    pid_t pid = fork();
    if (pid == 0) {
        if (session) {
            setsid();
        }
        pid_t second = fork();
        if (second == 0) {
            pthread_t thread;
            pthread_create(&thread, NULL, rest_thread, NULL);
            rest();
        }
        _exit(second < 0);
    }
    waitpid(pid, NULL, 0);
}

static int dial(const char *name, const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    if (getaddrinfo(name, port, &hints, &found) != 0) {
        return -1;
    }
    int fd = socket(found->ai_family, SOCK_STREAM, 0);
    int r = connect(fd, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    if (r < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static bool ask(int fd, const char *name)
{
    char text[4096];
    int n = snprintf(text, sizeof(text), "GET /bytes/5 HTTP/1.1\r\nHost: %s\r\n\r\n", name);
    if (write(fd, text, (size_t)n) != n) {
        return false;
    }
    size_t len = 0;
    for (ssize_t got; (got = read(fd, text + len, sizeof(text) - 1 - len)) > 0;) {
        len += (size_t)got;
        text[len] = '\0';
        char *end = strstr(text, "\r\n\r\n");
        if (end != NULL && len >= (size_t)(end - text) + 4 + 5) {
            return strncmp(text, "HTTP/1.1 200", 12) == 0;
        }
    }
    return false;
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        return 2;
    }
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    if (fork() == 0) {
        rest();
    }
    leave(false);
    leave(true);
    if (fork() == 0) {
        knock(argv[3], argv[4]);
    }
    for (;;) {
        int fd = dial(argv[1], argv[2]);
        while (fd >= 0 && ask(fd, argv[1])) {
            report("answered", 0);
        }
        close(fd);
    }
}
