/* What single system calls cost. Prints "NAME NANOSECONDS" for each: the fastest of the batches.
 * Owns: what `./dev bench syscalls` measures. Never: measures a call that failed.
 *
 *   calls DIRECTORY PORT      PORT: something on 127.0.0.1 that accepts; 0 leaves connect out
 *   calls -p                  what --port-remap has a hand in, on 127.0.0.1:6379 and a port of its
 * own calls -s                  such a something: prints its port, accepts and closes until killed
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BATCHES 7

extern char **environ;
static char file_path[4096];
static struct sockaddr_in peer = {.sin_family = AF_INET};
static int pair[2];
static int listener;

static int do_getppid(void)
{
    return syscall(SYS_getppid) < 0;
}

/* Inside, the shortest way to the supervisor and back: it looks whether the number is one of ours.
 */
static int do_kill(void)
{
    return kill(getpid(), 0);
}

static int do_open(void)
{
    int fd = open(file_path, O_RDONLY | O_CLOEXEC);
    return fd < 0 || close(fd);
}

static int do_stat(void)
{
    struct stat st;
    return stat(file_path, &st);
}

static int do_access(void)
{
    return access(file_path, R_OK);
}

static int do_socket(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd < 0 || close(fd);
}

static int do_connect(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int bad = fd < 0 || (connect(fd, (struct sockaddr *)&peer, sizeof(peer)) &&
                         errno != ECONNRESET); /* the peer was quick to close */
    return close(fd) || bad;
}

static int do_send(void)
{
    char c = 'x';
    return send(pair[0], &c, 1, 0) != 1 || recv(pair[1], &c, 1, 0) != 1;
}

static void *nothing(void *arg)
{
    return arg;
}

static int do_thread(void)
{
    pthread_t thread;
    return pthread_create(&thread, NULL, nothing, NULL) || pthread_join(thread, NULL);
}

static int reap(pid_t pid)
{
    int status = 0;
    return pid < 0 || waitpid(pid, &status, 0) != pid || status;
}

static int do_fork(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        _exit(0);
    }
    return reap(pid);
}

static int do_spawn(void)
{
    char *argv[] = {"/bin/true", NULL};
    pid_t pid;
    return posix_spawn(&pid, argv[0], NULL, NULL, argv, environ) || reap(pid);
}

static int do_listen(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)(ntohs(peer.sin_port) + 1))};
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
           bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 16) || close(fd);
}

static int do_name(void)
{
    struct sockaddr_in a;
    socklen_t len = sizeof(a);
    return getsockname(listener, (struct sockaddr *)&a, &len) || a.sin_port != peer.sin_port;
}

static int do_meet(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct linger reset = {.l_onoff = 1};
    if (fd < 0 || connect(fd, (struct sockaddr *)&peer, sizeof(peer))) {
        return 1;
    }
    int got = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    setsockopt(got, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    return close(got) || close(fd);
}

struct measured {
    const char *name;
    int (*call)(void);
    unsigned count; /* a batch */
};

static const struct measured calls[] = {
    {"getppid", do_getppid, 50000},    {"open+close", do_open, 5000},
    {"stat", do_stat, 10000},          {"access", do_access, 10000},
    {"socket+close", do_socket, 5000}, {"connect+close", do_connect, 400},
    {"send+recv", do_send, 10000},     {"thread+join", do_thread, 400},
    {"fork+wait", do_fork, 100},       {"spawn true+wait", do_spawn, 40},
    {"kill 0", do_kill, 5000},
};

static const struct measured port_calls[] = {
    {"bind+listen", do_listen, 1000},
    {"getsockname", do_name, 10000},
    {"connect+accept", do_meet, 400},
};

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int measure(const struct measured *m)
{
    double best = 0;
    for (int batch = 0; batch <= BATCHES; batch++) {
        uint64_t start = now_ns();
        for (unsigned i = 0; i < m->count; i++) {
            if (m->call()) {
                fprintf(stderr, "calls: %s: %s\n", m->name, strerror(errno));
                return 1;
            }
        }
        double each = (double)(now_ns() - start) / m->count;
        if (batch == 1 || (batch > 1 && each < best)) {
            best = each; /* batch 0 warms up */
        }
    }
    printf("%s\t%.0f\n", m->name, best);
    fflush(stdout);
    return 0;
}

/* `peer` is where it listens. */
static int begin_listener(void)
{
    socklen_t len = sizeof(peer);
    int one = 1;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&peer, sizeof(peer)) || listen(listener, 4096) ||
        getsockname(listener, (struct sockaddr *)&peer, &len)) {
        perror("calls");
        return 1;
    }
    return 0;
}

static int sink(void)
{
    if (begin_listener()) {
        return 1;
    }
    printf("%u\n", ntohs(peer.sin_port));
    fflush(stdout);
    for (;;) {
        int got = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (got >= 0) {
            struct linger reset = {.l_onoff = 1}; /* no TIME-WAIT: ports would run out */
            setsockopt(got, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
            close(got);
        }
    }
}

static int ports(const char *port)
{
    peer.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
    int bad = begin_listener();
    for (size_t i = 0; !bad && i < sizeof(port_calls) / sizeof(port_calls[0]); i++) {
        bad = measure(&port_calls[i]);
    }
    return bad;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "-p") == 0) {
        return ports(argv[2]);
    }
    if (argc == 2 && strcmp(argv[1], "-s") == 0) {
        return sink();
    }
    if (argc != 3) {
        fprintf(stderr, "usage: calls DIRECTORY PORT | calls -p PORT | calls -s\n");
        return 2;
    }
    unsigned long port = strtoul(argv[2], NULL, 10);
    peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    peer.sin_port = htons((uint16_t)port);
    snprintf(file_path, sizeof(file_path), "%s/file", argv[1]);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) {
        perror("calls");
        return 1;
    }
    int bad = 0;
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        if (calls[i].call != do_connect || port != 0) {
            bad |= measure(&calls[i]);
        }
    }
    return bad;
}
