/* Owns connections: the socket filter, the chain above it, and the poll handle. Never blocks, and
 * never knows what the bytes mean. */
#include "net/conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/buf.h"
#include "core/util.h"

#define UNREAD_MAX    (32u << 10)
#define PROBE_IDLE_S  60 /* quiet for so long: is anybody there? */
#define PROBE_EVERY_S 30

typedef struct socket_filter {
    sl_filter filter;
    int fd;
    bool drained;  /* the last receive was short: the next one would say EAGAIN */
    sl_buf unread; /* comes before what the socket has */
} socket_filter;

struct sl_conn {
    uv_poll_t poll;
    uv_idle_t idle;
    unsigned handles; /* not yet closed by the loop */
    socket_filter sock;
    sl_filter *top;
    sl_conn_cb cb;
    void *arg;
    int want;  /* what the holder wishes, UV_READABLE | UV_WRITABLE */
    int armed; /* what the loop watches: a superset until an unwanted event comes */
    bool closed;
    bool idle_ready;
};

/* ---- the socket filter ---- */

static ssize_t receive(socket_filter *s, void *data, size_t cap)
{
    ssize_t n;
    do {
        n = recv(s->fd, data, cap, 0);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        s->drained = errno == EAGAIN;
        return -errno;
    }
    s->drained = n > 0 && (size_t)n < cap;
    return n;
}

static ssize_t sock_recv(sl_filter *f, void *data, size_t cap)
{
    socket_filter *s = (socket_filter *)f;
    if (s->unread.len > 0) {
        size_t n = SL_MIN(cap, s->unread.len);
        memcpy(data, sl_buf_head(&s->unread), n);
        sl_buf_consume(&s->unread, n);
        sl_buf_release_if_empty(&s->unread);
        return (ssize_t)n;
    }
    return s->drained ? -EAGAIN : receive(s, data, cap);
}

static ssize_t sock_send(sl_filter *f, const struct iovec *iov, int count)
{
    socket_filter *s = (socket_filter *)f;
    struct msghdr msg = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)count};
    ssize_t n;
    do {
        n = count == 1 ? send(s->fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL)
                       : sendmsg(s->fd, &msg, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        int error = errno;
        s->drained = s->drained && error == EAGAIN; /* what it said before it broke may be there */
        return -error;
    }
    return n;
}

static int sock_flush(sl_filter *f)
{
    (void)f;
    return 0;
}

static bool sock_pending(const sl_filter *f)
{
    return ((const socket_filter *)f)->unread.len > 0;
}

static bool sock_quiet(const sl_filter *f)
{
    return !sock_pending(f);
}

static int sock_shutdown(sl_filter *f)
{
    return shutdown(((socket_filter *)f)->fd, SHUT_WR) == 0 ? 0 : -errno;
}

static int sock_connect(sl_filter *f)
{
    (void)f;
    return 0;
}

static void sock_destroy(sl_filter *f)
{
    socket_filter *s = (socket_filter *)f;
    sl_buf_done(&s->unread);
    sl_close(s->fd);
    s->fd = -1;
}

static const sl_filter_ops socket_ops = {
    .name = "socket",
    .connect = sock_connect,
    .recv = sock_recv,
    .send = sock_send,
    .flush = sock_flush,
    .pending = sock_pending,
    .quiet = sock_quiet,
    .shutdown = sock_shutdown,
    .destroy = sock_destroy,
};

/* ---- the chain ---- */

ssize_t sl_filter_recv(sl_filter *f, void *data, size_t cap)
{
    while (f->ops->recv == NULL) {
        f = f->next;
    }
    return f->ops->recv(f, data, cap);
}

ssize_t sl_filter_send(sl_filter *f, const struct iovec *iov, int count)
{
    while (f->ops->send == NULL) {
        f = f->next;
    }
    return f->ops->send(f, iov, count);
}

int sl_filter_flush(sl_filter *f)
{
    while (f->ops->flush == NULL) {
        f = f->next;
    }
    return f->ops->flush(f);
}

bool sl_filter_pending(const sl_filter *f)
{
    while (f->ops->pending == NULL) {
        f = f->next;
    }
    return f->ops->pending(f);
}

int sl_filter_shutdown(sl_filter *f)
{
    while (f->ops->shutdown == NULL) {
        f = f->next;
    }
    return f->ops->shutdown(f);
}

void sl_conn_push(sl_conn *c, sl_filter *f)
{
    f->next = c->top;
    c->top = f;
}

sl_filter *sl_conn_top(const sl_conn *c)
{
    return c->top;
}

int sl_conn_raw_fd(const sl_conn *c)
{
    return c->top == &c->sock.filter ? c->sock.fd : -1;
}

void sl_conn_acknowledge(sl_conn *c)
{
    static const int on = 1;
    (void)setsockopt(c->sock.fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
}

void sl_conn_probe_peer(sl_conn *c)
{
    static const int on = 1;
    static const int idle_s = PROBE_IDLE_S;
    static const int every_s = PROBE_EVERY_S;
    int fd = c->sock.fd;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every_s, sizeof(every_s));
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

bool sl_conn_peer_gone(const sl_conn *c)
{
    struct pollfd p = {.fd = c->sock.fd};
    return poll(&p, 1, 0) > 0 && (p.revents & (POLLERR | POLLHUP)) != 0;
}

int sl_conn_unread(sl_conn *c, const void *data, size_t len)
{
    return sl_buf_append(&c->sock.unread, data, len);
}

int sl_conn_connect(sl_conn *c)
{
    sl_filter *f = c->top;
    while (f->ops->connect == NULL) {
        f = f->next;
    }
    return f->ops->connect(f);
}

ssize_t sl_conn_recv(sl_conn *c, void *data, size_t cap)
{
    return sl_filter_recv(c->top, data, cap);
}

ssize_t sl_conn_send(sl_conn *c, const struct iovec *iov, int count)
{
    return sl_filter_send(c->top, iov, count);
}

int sl_conn_flush(sl_conn *c)
{
    return sl_filter_flush(c->top);
}

bool sl_conn_pending(const sl_conn *c)
{
    return sl_filter_pending(c->top);
}

int sl_conn_shutdown(sl_conn *c)
{
    return sl_filter_shutdown(c->top);
}

ssize_t sl_conn_discard(sl_conn *c, void *room, size_t cap)
{
    return receive(&c->sock, room, cap);
}

bool sl_conn_is_quiet(sl_conn *c)
{
    char byte;
    ssize_t n = recv(c->sock.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    bool silent = n < 0 && errno == EAGAIN;
    for (const sl_filter *f = c->top; f != NULL && silent; f = f->next) {
        silent = f->ops->quiet == NULL || f->ops->quiet(f);
    }
    return silent;
}

/* ---- the loop ---- */

static uint64_t events_seen;

uint64_t sl_conn_events(void)
{
    return events_seen;
}

static void on_poll(uv_poll_t *handle, int status, int events);

static void arm(sl_conn *c, int events)
{
    if (events == c->armed || c->closed) {
        return;
    }
    c->armed = events;
    if (events == 0) {
        uv_poll_stop(&c->poll);
    } else {
        uv_poll_start(&c->poll, events, on_poll);
    }
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    sl_conn *c = handle->data;
    events_seen++;
    c->sock.drained = false;
    if (status < 0) {
        /* An error condition: libuv has stopped watching. The holder's next call says which. */
        c->armed = 0;
        events = c->want | UV_WRITABLE;
    }
    int need = c->want;
    if ((events & UV_WRITABLE) != 0 && sl_conn_flush(c) == -EAGAIN) {
        need |= UV_WRITABLE;
    }
    if (status >= 0 && (events & ~need) != 0) {
        arm(c, need); /* the event of a wish that was taken back: now it costs something */
    }
    if ((events & (c->want | UV_WRITABLE)) != 0 && c->cb != NULL) {
        c->cb(c->arg);
    }
}

static void on_idle(uv_idle_t *idle)
{
    sl_conn *c = idle->data;
    uv_idle_stop(idle);
    if (c->cb != NULL && !c->closed) {
        c->cb(c->arg);
    }
}

void sl_conn_want(sl_conn *c, bool read, bool write)
{
    c->want = (read ? UV_READABLE : 0) | (write ? UV_WRITABLE : 0);
    int need = c->want;
    if (c->top != &c->sock.filter && sl_conn_flush(c) == -EAGAIN) {
        need |= UV_WRITABLE;
    }
    if ((need & ~c->armed) != 0) {
        arm(c, need);
    }
    if (read && sl_conn_pending(c)) {
        sl_conn_kick(c);
    }
}

void sl_conn_kick(sl_conn *c)
{
    if (c->closed) {
        return;
    }
    if (!c->idle_ready) {
        uv_idle_init(c->poll.loop, &c->idle);
        c->idle.data = c;
        c->idle_ready = true;
        c->handles++;
    }
    uv_idle_start(&c->idle, on_idle);
}

void sl_conn_on_event(sl_conn *c, sl_conn_cb cb, void *arg)
{
    c->cb = cb;
    c->arg = arg;
}

int sl_conn_new(uv_loop_t *loop, int fd, sl_conn **ret_conn)
{
    sl_conn *c = calloc(1, sizeof(*c));
    if (c == NULL) {
        sl_close(fd);
        return -ENOMEM;
    }
    int r = uv_poll_init(loop, &c->poll, fd);
    if (r < 0) {
        sl_close(fd);
        free(c);
        return r;
    }
    events_seen++;
    c->poll.data = c;
    c->handles = 1;
    c->sock.filter.ops = &socket_ops;
    c->sock.fd = fd;
    sl_buf_init(&c->sock.unread, UNREAD_MAX);
    c->top = &c->sock.filter;
    *ret_conn = c;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    sl_conn *c = handle->data;
    if (--c->handles == 0) {
        free(c);
    }
}

void sl_conn_close(sl_conn *c)
{
    if (c == NULL || c->closed) {
        return;
    }
    c->closed = true;
    c->cb = NULL;
    if (c->idle_ready) {
        uv_close((uv_handle_t *)&c->idle, on_closed);
    }
    uv_close((uv_handle_t *)&c->poll, on_closed);
    while (c->top != NULL) {
        sl_filter *f = c->top;
        c->top = f->next;
        f->ops->destroy(f);
    }
}
