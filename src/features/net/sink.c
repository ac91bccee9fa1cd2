/* Owns the sink: a socket that hears the first datagram of each denied one, and a thread that waits
 * for it. The sender is told as by a peer that is not there (udp(7): ECONNREFUSED). What comes is
 * thrown away unread. */
#include "features/net/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/util.h"
#include "kernel/thread.h"

#define STACK (128u * 1024u)

/* A socket that leads here. */
struct kept {
    int fd;        /* ours of it; -1: it has a port of its own choice, which it must get back */
    uint16_t port; /* its local one; 0: the place is free */
    uint64_t cookie;
    pid_t pid;
    sl_dest dest;
    sl_net_verdict verdict; /* its texts are the policy's, or constants */
    char name[SL_HOST_NAME_MAX];
};

struct sl_sink {
    sl_supervisor *sv;
    int fd;
    uint16_t port;
    int deaf; /* hears one impossible peer only: a datagram to it comes back as an error */
    uint16_t deaf_port;
    int stop; /* eventfd */
    pthread_t thread;
    bool running; /* dispatcher, and whoever stops: under lock */
    bool stopped;
    pthread_mutex_t lock;
    size_t next;
    struct kept kept[SL_SINK_KEPT_MAX];
};

static int open_ends(struct sl_sink *s)
{
    sl_addr any = {.family = 4};
    sl_addr addr;
    struct sockaddr_storage sa;
    s->fd = sl_sock_loopback(&any, SOCK_DGRAM, &addr, &s->port);
    s->deaf = s->fd < 0 ? -1 : sl_sock_loopback(&any, SOCK_DGRAM, &addr, &s->deaf_port);
    s->stop = eventfd(0, EFD_CLOEXEC);
    if (s->fd < 0 || s->deaf < 0 || s->stop < 0) {
        return s->fd < 0 ? s->fd : s->deaf < 0 ? s->deaf : -errno;
    }
    socklen_t len = sl_addr_to_sockaddr(&addr, s->deaf_port, AF_INET, &sa);
    return connect(s->deaf, (struct sockaddr *)&sa, len) < 0 ? -errno : 0;
}

int sl_sink_new(sl_supervisor *sv, struct sl_sink **ret_sink)
{
    struct sl_sink *s = calloc(1, sizeof(*s));
    if (s == NULL) {
        return -ENOMEM;
    }
    s->sv = sv;
    s->fd = s->deaf = s->stop = -1;
    pthread_mutex_init(&s->lock, NULL);
    int r = open_ends(s);
    if (r < 0) {
        sl_sink_free(s);
        return r;
    }
    *ret_sink = s;
    return 0;
}

static void drop(struct kept *k)
{
    if (k->port != 0) {
        sl_close(k->fd);
        k->port = 0;
    }
}

void sl_sink_free(struct sl_sink *s)
{
    if (s == NULL) {
        return;
    }
    sl_sink_stop(s);
    for (size_t i = 0; i < SL_SINK_KEPT_MAX; i++) {
        drop(&s->kept[i]);
    }
    sl_close(s->fd);
    sl_close(s->deaf);
    sl_close(s->stop);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* An empty datagram to the deaf end in its place: the error that comes back is the sender's. */
static void refuse(const struct sl_sink *s, int fd)
{
    sl_addr addr = {.family = 4, .bytes = {127, 0, 0, 1}};
    struct sockaddr_storage sa;
    int domain = AF_INET;
    socklen_t size = sizeof(domain);
    (void)getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size);
    socklen_t len = sl_addr_to_sockaddr(&addr, s->deaf_port, domain, &sa);
    if (len > 0 && connect(fd, (struct sockaddr *)&sa, len) == 0) {
        (void)send(fd, "", 0, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
}

static bool take(struct sl_sink *s, uint16_t port, struct kept *ret)
{
    bool found = false;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < SL_SINK_KEPT_MAX && port != 0 && !found; i++) {
        if (s->kept[i].port == port) {
            found = true;
            *ret = s->kept[i];
            if (ret->fd >= 0) {
                refuse(s, ret->fd); /* under the lock: it may not lead elsewhere by then */
            }
            drop(&s->kept[i]);
        }
    }
    pthread_mutex_unlock(&s->lock);
    return found;
}

/* False: nothing is there. */
static bool hear(struct sl_sink *s)
{
    const sl_supervisor_hooks *hooks = &s->sv->hooks;
    struct sockaddr_storage sa = {0};
    socklen_t len = sizeof(sa);
    struct kept k;
    char byte;
    if (recvfrom(s->fd, &byte, sizeof(byte), MSG_DONTWAIT, (struct sockaddr *)&sa, &len) < 0) {
        return errno == EINTR;
    }
    if (take(s, sl_sock_port(&sa), &k) && hooks->decided != NULL) {
        k.dest.name = k.name[0] != '\0' ? k.name : NULL;
        hooks->decided(hooks->report_arg, k.pid, &k.dest, &k.verdict, false);
    }
    return true;
}

static void *run(void *arg)
{
    struct sl_sink *s = arg;
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    for (;;) {
        struct pollfd polled[] = {{.fd = s->fd, .events = POLLIN},
                                  {.fd = s->stop, .events = POLLIN}};
        if (poll(polled, SL_ARRAY_LEN(polled), -1) < 0 && errno != EINTR) {
            return NULL;
        }
        while (hear(s)) {
        }
        if (polled[1].revents != 0) {
            return NULL; /* what was sent before is heard */
        }
    }
}

void sl_sink_stop(struct sl_sink *s)
{
    pthread_mutex_lock(&s->lock);
    bool running = s->running;
    s->running = false;
    s->stopped = true;
    pthread_mutex_unlock(&s->lock);
    if (running && eventfd_write(s->stop, 1) == 0) {
        pthread_join(s->thread, NULL);
    }
}

static int ensure_thread(struct sl_sink *s)
{
    pthread_mutex_lock(&s->lock);
    int r = s->running || s->stopped ? 0 : sl_thread_start(STACK, run, s, &s->thread);
    s->running = s->running || (!s->stopped && r == 0);
    pthread_mutex_unlock(&s->lock);
    return r;
}

static void keep(sl_call *call, struct sl_sink *s, struct kept *k, const sl_dest *dest)
{
    k->pid = sl_dest_pid(call);
    k->dest = *dest;
    if (dest->name != NULL) {
        snprintf(k->name, sizeof(k->name), "%s", dest->name);
    }
    pthread_mutex_lock(&s->lock);
    struct kept *place = &s->kept[s->next++ % SL_SINK_KEPT_MAX];
    drop(place); /* the oldest: its datagram comes back from nowhere, untold */
    *place = *k;
    pthread_mutex_unlock(&s->lock);
}

int sl_sink_connect(sl_call *call, const sl_sock *sock, const sl_dest *dest,
                    const sl_net_verdict *verdict)
{
    struct sl_sink *s = sl_net_of(call->sv)->sink;
    sl_addr addr = {.family = 4, .bytes = {127, 0, 0, 1}};
    struct kept k = {.fd = -1, .cookie = sock->cookie, .verdict = *verdict};
    struct sockaddr_storage sa;
    sl_addr own;
    uint16_t chosen = 0;
    int r = ensure_thread(s);
    if (r < 0) {
        return r;
    }
    bool had_port = sl_sock_local(sock->fd, &own, &chosen) == 0 && chosen != 0;
    socklen_t len = sl_addr_to_sockaddr(&addr, s->port, sl_sock_af(sock), &sa);
    if (connect(sock->fd, (struct sockaddr *)&sa, len) < 0) {
        return -errno;
    }
    if (sl_sock_local(sock->fd, &own, &k.port) == 0 && k.port != 0) {
        k.fd = had_port ? -1 : fcntl(sock->fd, F_DUPFD_CLOEXEC, 0);
        keep(call, s, &k, dest);
    }
    return 0;
}

void sl_sink_forget(struct sl_sink *s, uint64_t cookie)
{
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; s->running && i < SL_SINK_KEPT_MAX; i++) {
        if (s->kept[i].port != 0 && s->kept[i].cookie == cookie) {
            drop(&s->kept[i]);
        }
    }
    pthread_mutex_unlock(&s->lock);
}
