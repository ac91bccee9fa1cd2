/* VERB ARGS...: makes the supervisor wait on a socket of ours.
 *   limit PATH   takes back the time limit of a socket while its connect is made on behalf, to a
 *                backlog that is full
 *   last         closes its descriptor of a socket that lingers while the supervisor holds one
 * Ends when it could not. */
#include "attack.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>

#define TRIES 600

static int sock;
static atomic_bool over, up, go;
static atomic_long rounds;
static atomic_int theirs;
static int delay_us;

static void *take_back(void *arg)
{
    struct timeval none = {0, 0};
    while (!atomic_load(&over)) {
        setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof(none));
        atomic_fetch_add(&rounds, 1);
    }
    return arg;
}

static int limit(char **args)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    pthread_t thread;
    snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", args[0]);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    report("bind", bind(listener, (struct sockaddr *)&sa, sizeof(sa)));
    report("listen", listen(listener, 0));
    for (int i = 0; i < 2; i++) { /* fills the backlog */
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(fd, (struct sockaddr *)&sa, sizeof(sa));
    }
    sock = socket(AF_UNIX, SOCK_STREAM, 0);
    pthread_create(&thread, NULL, take_back, NULL);
    while (atomic_load(&rounds) < 10000) {
    }
    report("connect", connect(sock, (struct sockaddr *)&sa, sizeof(sa)));
    atomic_store(&over, true);
    pthread_join(thread, NULL);
    return 0;
}

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* Ends a close that lingers, whose ever. */
static void reset(void)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    int fd = atomic_exchange(&theirs, -1);
    if (fd >= 0) {
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
        close(fd);
    }
}

static void *close_it(void *arg)
{
    atomic_store(&up, true);
    while (!atomic_load(&go)) {
    }
    for (double until = now_us() + delay_us; now_us() < until;) {
    }
    close(sock);
    listen(-1, 1); /* the supervisor answers others */
    reset();
    return arg;
}

static int last(char **args)
{
    static char block[65536];
    place p = place_of("127.0.0.1", "0");
    struct linger on = {.l_onoff = 1, .l_linger = 30000};
    int listener = socket(AF_INET, SOCK_STREAM, 0), small = 2048;
    (void)args;
    setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    bind(listener, (struct sockaddr *)&p.addr, p.len);
    getsockname(listener, (struct sockaddr *)&p.addr, &p.len);
    report("listen", listen(listener, TRIES));
    for (int i = 0; i < TRIES; i++) {
        pthread_t thread;
        atomic_store(&go, false);
        atomic_store(&up, false);
        delay_us = i % 60;
        sock = socket(AF_INET, SOCK_STREAM, 0);
        setsockopt(sock, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
        if (connect(sock, (struct sockaddr *)&p.addr, p.len) < 0) {
            report("connect", -1);
            return 1;
        }
        setsockopt(sock, SOL_SOCKET, SO_LINGER, &on, sizeof(on));
        while (send(sock, block, sizeof(block), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
        }
        atomic_store(&theirs, accept(listener, NULL, NULL));
        pthread_create(&thread, NULL, close_it, NULL);
        while (!atomic_load(&up)) {
        }
        atomic_store(&go, true);
        listen(sock, 1); /* the supervisor has a descriptor of it meanwhile */
        reset();
        pthread_join(thread, NULL);
    }
    report("last", 0);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "limit") == 0) {
        return limit(argv + 2);
    }
    return argc == 2 && strcmp(argv[1], "last") == 0 ? last(argv + 2) : 2;
}
