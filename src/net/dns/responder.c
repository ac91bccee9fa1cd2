/* Owns the responder sockets: what the child asks on them, and what it is told. Never asks anybody
 * upstream, never waits for a peer, never keeps more than its maxima of sockets or bytes. */
#include "net/dns/responder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/buf.h"
#include "core/util.h"
#include "net/dns/dnsmsg.h"

#define QUERY_MAX  4096 /* a query is one name and perhaps an OPT; more is not meant well */
#define STREAM_IN  (2 * (2 + QUERY_MAX))
#define STREAM_OUT (32u << 10) /* answers waiting for a slow reader; then we stop reading */
#define BURST_MAX  128         /* datagrams of one socket before the others have their turn */

struct list {
    struct socket *head; /* the longest idle */
    struct socket *tail;
};

struct socket {
    uv_poll_t poll; /* first: the handle is the socket */
    sl_responder *responder;
    struct socket *prev;
    struct socket *next;
    uint64_t active_ms; /* when the last complete query came */
    void *tag;
    int fd;
    int events;
    bool stream;
    bool eof;
    sl_buf in;
    sl_buf out;
};

struct sl_responder {
    uv_loop_t *loop;
    sl_responder_cb cb;
    void *arg;
    uv_timer_t timer; /* the deadline of streams.head */
    uint64_t stream_idle_ms;
    struct list streams;
    struct list datagrams;
    size_t count;
    size_t handles; /* open ones, the timer's included; the last frees the object */
};

static void list_add(struct list *list, struct socket *s)
{
    s->prev = list->tail;
    s->next = NULL;
    if (list->tail != NULL) {
        list->tail->next = s;
    } else {
        list->head = s;
    }
    list->tail = s;
}

static void list_remove(struct list *list, struct socket *s)
{
    if (s->prev != NULL) {
        s->prev->next = s->next;
    } else {
        list->head = s->next;
    }
    if (s->next != NULL) {
        s->next->prev = s->prev;
    } else {
        list->tail = s->prev;
    }
}

static struct list *list_of(struct socket *s)
{
    return s->stream ? &s->responder->streams : &s->responder->datagrams;
}

static void handle_gone(sl_responder *responder)
{
    responder->handles--;
    if (responder->handles == 0) {
        free(responder);
    }
}

static void socket_destroy(struct socket *s)
{
    sl_buf_done(&s->in);
    sl_buf_done(&s->out);
    free(s->tag);
    free(s);
}

static void on_socket_closed(uv_handle_t *handle)
{
    struct socket *s = (struct socket *)handle;
    sl_responder *responder = s->responder;
    socket_destroy(s);
    handle_gone(responder);
}

static void socket_close(struct socket *s)
{
    if (s->fd < 0) {
        return;
    }
    list_remove(list_of(s), s);
    s->responder->count--;
    uv_close((uv_handle_t *)&s->poll, on_socket_closed);
    close(s->fd);
    s->fd = -1;
}

static void on_timer(uv_timer_t *timer);

static void timer_set(sl_responder *responder)
{
    const struct socket *head = responder->streams.head;
    if (head == NULL) {
        uv_timer_stop(&responder->timer);
        return;
    }
    uint64_t due = head->active_ms + responder->stream_idle_ms;
    uint64_t now = uv_now(responder->loop);
    uv_timer_start(&responder->timer, on_timer, due > now ? due - now : 0, 0);
}

static void on_timer(uv_timer_t *timer)
{
    sl_responder *responder = timer->data;
    uint64_t now = uv_now(responder->loop);
    struct socket *s = responder->streams.head;
    while (s != NULL && s->active_ms + responder->stream_idle_ms <= now) {
        struct socket *next = s->next;
        socket_close(s);
        s = next;
    }
    timer_set(responder);
}

static void socket_touch(struct socket *s)
{
    s->active_ms = uv_now(s->responder->loop);
    list_remove(list_of(s), s);
    list_add(list_of(s), s);
}

/* Reverse look-ups would show the synthetic addresses, and under a rule of "*" use the pool up. */
static bool is_reverse(const char *name)
{
    static const char *const zones[] = {"in-addr.arpa", "ip6.arpa"};
    size_t len = strlen(name);
    for (size_t i = 0; i < SL_ARRAY_LEN(zones); i++) {
        size_t zone = strlen(zones[i]);
        if (len >= zone && strcmp(name + len - zone, zones[i]) == 0 &&
            (len == zone || name[len - zone - 1] == '.')) {
            return true;
        }
    }
    return false;
}

/* What a well-formed question gets. Types other than A and AAAA are empty for a granted name: no
 * text, no service hints, no keys for encrypted hellos (RFC 9460). */
static enum sl_dnsmsg_rcode judge(struct socket *s, const sl_dnsmsg_query *query, sl_addr *ret_addr)
{
    sl_addr v4 = {0};
    sl_addr v6 = {0};
    if (query->qclass != SL_DNSMSG_CLASS_IN) {
        return SL_DNS_REFUSED;
    }
    if (!query->name_ok || is_reverse(query->name)) {
        return SL_DNS_NXNAME;
    }
    bool addresses = query->qtype == SL_DNSMSG_TYPE_A || query->qtype == SL_DNSMSG_TYPE_AAAA;
    switch (s->responder->cb(s->responder->arg, s->tag, query->name, addresses, &v4, &v6)) {
    case SL_DNS_LOOPBACK:
        v4 = (sl_addr){.family = 4, .bytes = {127, 0, 0, 1}};
        v6 = (sl_addr){.family = 6, .bytes = {[15] = 1}};
        break;
    case SL_DNS_ADDRESS:
        break;
    case SL_DNS_SERVFAIL:
        return SL_DNS_FAIL;
    case SL_DNS_NXDOMAIN:
    default:
        return SL_DNS_NXNAME;
    }
    if (query->qtype == SL_DNSMSG_TYPE_A) {
        *ret_addr = v4;
    } else if (query->qtype == SL_DNSMSG_TYPE_AAAA) {
        *ret_addr = v6;
    }
    return SL_DNS_NOERROR;
}

/* Writes the answer to one message; 0 when there must be none. */
static size_t answer(struct socket *s, const uint8_t *data, size_t len, uint8_t out[SL_DNSMSG_MAX])
{
    sl_dnsmsg_query query;
    sl_addr addr = {0};
    switch (sl_dnsmsg_parse(data, len, &query)) {
    case 0: {
        enum sl_dnsmsg_rcode rcode = judge(s, &query, &addr);
        return sl_dnsmsg_answer(&query, rcode, addr.family != 0 ? &addr : NULL, out);
    }
    case -EBADMSG:
        return sl_dnsmsg_answer(&query, SL_DNS_FORMERR, NULL, out);
    case -EOPNOTSUPP:
        return sl_dnsmsg_answer(&query, SL_DNS_NOTIMP, NULL, out);
    default:
        return 0;
    }
}

static bool is_transient(int error)
{
    return error == EAGAIN || error == EINTR || error == ENOBUFS || error == ENOMEM;
}

/* The socket is connected: ECONNREFUSED means that the child closed its end (udp(7)). */
static void datagram_serve(struct socket *s)
{
    uint8_t in[QUERY_MAX];
    uint8_t out[SL_DNSMSG_MAX];
    for (int i = 0; i < BURST_MAX; i++) {
        ssize_t n = recv(s->fd, in, sizeof(in), MSG_DONTWAIT | MSG_TRUNC);
        if (n < 0) {
            if (!is_transient(errno)) {
                socket_close(s);
            }
            return;
        }
        socket_touch(s);
        size_t len = (size_t)n > sizeof(in) ? 0 : answer(s, in, (size_t)n, out);
        if (len > 0 && send(s->fd, out, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
            !is_transient(errno)) {
            socket_close(s);
            return;
        }
    }
}

/* Answers every complete message in the buffer (RFC 1035 section 4.2.2: two bytes of length before
 * each), as far as the answers fit. False: the stream is not DNS. */
static bool stream_answer(struct socket *s)
{
    while (s->in.len >= 2) {
        const uint8_t *head = sl_buf_head(&s->in);
        size_t len = (size_t)(head[0] << 8 | head[1]);
        if (len == 0 || len > QUERY_MAX) {
            return false;
        }
        if (s->in.len - 2 < len) {
            break;
        }
        uint8_t *to = sl_buf_reserve(&s->out, 2 + SL_DNSMSG_MAX);
        if (to == NULL) {
            return errno == ENOBUFS; /* full: the reader must take some first */
        }
        size_t out_len = answer(s, head + 2, len, to + 2);
        if (out_len == 0) {
            return false;
        }
        to[0] = (uint8_t)(out_len >> 8);
        to[1] = (uint8_t)out_len;
        sl_buf_commit(&s->out, 2 + out_len);
        sl_buf_consume(&s->in, 2 + len);
        socket_touch(s);
    }
    return true;
}

static bool stream_flush(struct socket *s)
{
    while (s->out.len > 0) {
        ssize_t n = send(s->fd, sl_buf_head(&s->out), s->out.len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0) {
            return is_transient(errno);
        }
        sl_buf_consume(&s->out, (size_t)n);
    }
    return true;
}

static bool stream_fill(struct socket *s)
{
    size_t room = s->in.max - s->in.len;
    uint8_t *to = s->eof || room == 0 ? NULL : sl_buf_reserve(&s->in, room);
    if (to == NULL) {
        return s->eof || room == 0;
    }
    ssize_t n = recv(s->fd, to, room, MSG_DONTWAIT);
    if (n < 0) {
        return is_transient(errno);
    }
    s->eof = n == 0;
    sl_buf_commit(&s->in, (size_t)n);
    return true;
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void stream_serve(struct socket *s)
{
    bool ok = stream_fill(s) && stream_answer(s) && stream_flush(s);
    /* After a flush that made room there may be whole queries left that no event will announce. */
    while (ok && s->out.len == 0 && s->in.len >= 2) {
        size_t before = s->in.len;
        ok = stream_answer(s) && stream_flush(s);
        if (s->in.len == before) {
            break;
        }
    }
    if (!ok || (s->eof && s->out.len == 0)) {
        socket_close(s);
        return;
    }
    int events = s->out.len > 0 ? UV_WRITABLE : UV_READABLE;
    sl_buf_release_if_empty(&s->in);
    sl_buf_release_if_empty(&s->out);
    if (events != s->events) {
        s->events = events;
        if (uv_poll_start(&s->poll, events, on_poll) < 0) {
            socket_close(s);
        }
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct socket *s = (struct socket *)poll;
    (void)events;
    /* libuv stops watching when the descriptor has an error pending. Whatever it is (ECONNREFUSED,
     * ECONNRESET), nobody is left at the other end. */
    if (status < 0) {
        socket_close(s);
        return;
    }
    if (s->stream) {
        stream_serve(s);
    } else {
        datagram_serve(s);
    }
}

sl_responder *sl_responder_new(uv_loop_t *loop, sl_responder_cb cb, void *arg)
{
    sl_responder *responder = calloc(1, sizeof(*responder));
    if (responder == NULL) {
        return NULL;
    }
    responder->loop = loop;
    responder->cb = cb;
    responder->arg = arg;
    responder->stream_idle_ms = SL_RESPONDER_STREAM_IDLE_MS;
    uv_timer_init(loop, &responder->timer);
    responder->timer.data = responder;
    responder->handles = 1;
    return responder;
}

static void on_timer_closed(uv_handle_t *handle)
{
    handle_gone(handle->data);
}

void sl_responder_free(sl_responder *responder)
{
    if (responder == NULL) {
        return;
    }
    while (responder->streams.head != NULL) {
        socket_close(responder->streams.head);
    }
    while (responder->datagrams.head != NULL) {
        socket_close(responder->datagrams.head);
    }
    uv_close((uv_handle_t *)&responder->timer, on_timer_closed);
}

void sl_responder_set_stream_idle(sl_responder *responder, uint64_t idle_ms)
{
    responder->stream_idle_ms = idle_ms;
}

size_t sl_responder_count(const sl_responder *responder)
{
    return responder->count;
}

static void make_room(sl_responder *responder)
{
    struct socket *a = responder->streams.head;
    struct socket *b = responder->datagrams.head;
    if (responder->count < SL_RESPONDER_SOCKETS_MAX) {
        return;
    }
    socket_close(a == NULL || (b != NULL && b->active_ms <= a->active_ms) ? b : a);
}

int sl_responder_add(sl_responder *responder, int fd, bool stream, void *tag)
{
    struct socket *s = calloc(1, sizeof(*s));
    if (s == NULL) {
        close(fd);
        free(tag);
        return -ENOMEM;
    }
    *s = (struct socket){.responder = responder, .fd = fd, .stream = stream, .tag = tag};
    sl_buf_init(&s->in, STREAM_IN);
    sl_buf_init(&s->out, STREAM_OUT);
    int r = uv_poll_init(responder->loop, &s->poll, fd);
    if (r < 0) {
        close(fd);
        socket_destroy(s);
        return r;
    }
    make_room(responder);
    responder->handles++;
    responder->count++;
    s->active_ms = uv_now(responder->loop);
    list_add(list_of(s), s);
    s->events = UV_READABLE;
    r = uv_poll_start(&s->poll, s->events, on_poll);
    if (r < 0) {
        socket_close(s);
        return r;
    }
    if (stream && responder->streams.head == s) {
        timer_set(responder);
    }
    return 0;
}
