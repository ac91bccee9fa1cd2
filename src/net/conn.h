/* A connection: a chain of filters over one non-blocking socket (`tls -> socket`, or the socket
 * alone), and its place in the event loop. Joins nothing, parses nothing.
 *
 * Whoever holds a connection is told when something may be possible (sl_conn_cb) and then sends and
 * receives until -EAGAIN. A filter knows only what is next below it. */
#ifndef SANDLOCK_NET_CONN_H
#define SANDLOCK_NET_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <uv.h>

#define SL_CONN_IOV_MAX 8

typedef struct sl_conn sl_conn;
typedef struct sl_filter sl_filter;

/* One const table a filter type. What a filter has nothing to say about it leaves NULL, and the
 * next one below is asked. */
typedef struct sl_filter_ops {
    const char *name;
    int (*connect)(sl_filter *f);                          /* 0 ready, -EAGAIN, -errno */
    ssize_t (*recv)(sl_filter *f, void *data, size_t cap); /* 0 at end, -EAGAIN, -errno */
    ssize_t (*send)(sl_filter *f, const struct iovec *iov, int count); /* may be partial */
    int (*flush)(sl_filter *f);          /* 0 when nothing waits, -EAGAIN, -errno */
    bool (*pending)(const sl_filter *f); /* input is held that the socket will not announce */
    bool (*quiet)(const sl_filter *f);   /* not even part of a message is held */
    int (*shutdown)(sl_filter *f);       /* no more will be sent; -EAGAIN: done by a later flush */
    void (*destroy)(sl_filter *f);
} sl_filter_ops;

struct sl_filter {
    const sl_filter_ops *ops;
    sl_filter *next; /* below; NULL for the socket */
};

/* Something may be possible now. The callback may close the connection. */
typedef void (*sl_conn_cb)(void *arg);

/* Takes `fd` over (closed on failure too). 0 or -errno. */
int sl_conn_new(uv_loop_t *loop, int fd, sl_conn **ret_conn);
/* Closes at once; memory goes when the loop lets it. NULL is accepted. */
void sl_conn_close(sl_conn *c);
void sl_conn_on_event(sl_conn *c, sl_conn_cb cb, void *arg);

/* Puts a filter on top of the chain, which owns it from now on. */
void sl_conn_push(sl_conn *c, sl_filter *f);
sl_filter *sl_conn_top(const sl_conn *c);
/* The socket, for splice(2) and socket options only; -1 when a filter changes the bytes. */
int sl_conn_raw_fd(const sl_conn *c);
/* Gives bytes back that were received, to be received again: what was sniffed. 0 or -ENOMEM. */
int sl_conn_unread(sl_conn *c, const void *data, size_t len);

int sl_conn_connect(sl_conn *c);
ssize_t sl_conn_recv(sl_conn *c, void *data, size_t cap);
ssize_t sl_conn_send(sl_conn *c, const struct iovec *iov, int count);
int sl_conn_flush(sl_conn *c);
bool sl_conn_pending(const sl_conn *c);
int sl_conn_shutdown(sl_conn *c);

/* Receives what the socket has, whatever the filters would make of it: for throwing away only. */
ssize_t sl_conn_discard(sl_conn *c, void *room, size_t cap);

/* Which events the holder wants. Taking a wish back costs nothing until the event comes. What a
 * filter needs to flush is watched for as well. */
void sl_conn_want(sl_conn *c, bool read, bool write);
/* Calls back in the next turn of the loop, whatever the socket says. */
void sl_conn_kick(sl_conn *c);

/* Whether the other end closed or sent something while nobody was reading; one system call. */
bool sl_conn_is_quiet(sl_conn *c);

/* Acknowledges at once what came (tcp(7), TCP_QUICKACK): who has not turned Nagle's algorithm off
 * (RFC 896) holds its next small piece back until then, up to 40 ms. */
void sl_conn_acknowledge(sl_conn *c);

/* The other end has sent its last. From now on the kernel asks it now and then whether it is there
 * at all (tcp(7), TCP_KEEPIDLE): one that has only half closed answers. */
void sl_conn_probe_peer(sl_conn *c);
/* Does nobody read what is sent any more? One system call. */
bool sl_conn_peer_gone(const sl_conn *c);

/* How many events connections have had, being made included, for whoever tunes the loop. */
uint64_t sl_conn_events(void);

/* For filters: the next one's part. */
ssize_t sl_filter_recv(sl_filter *f, void *data, size_t cap);
ssize_t sl_filter_send(sl_filter *f, const struct iovec *iov, int count);
int sl_filter_flush(sl_filter *f);
bool sl_filter_pending(const sl_filter *f);
int sl_filter_shutdown(sl_filter *f);

#endif
