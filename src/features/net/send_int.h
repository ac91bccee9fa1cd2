/* One outgoing message, copied out of the caller's memory. */
#ifndef SANDLOCK_FEATURES_NET_SEND_INT_H
#define SANDLOCK_FEATURES_NET_SEND_INT_H

#include "features/net/net.h"

#define SL_SEND_DATAGRAM_MAX 65536        /* longer ones are EMSGSIZE */
#define SL_SEND_STREAM_MAX   (64u << 10)  /* of a stream: sent in part, as send(2) may */
#define SL_SEND_UNIX_MAX     (256u << 10) /* of AF_UNIX datagrams, which SO_SNDBUF bounds too */
#define SL_SEND_CONTROL_MAX  4096
#define SL_SEND_FDS_MAX      253 /* SCM_MAX_FD, unix(7) */
#define SL_SEND_BATCH_MAX    64  /* messages of one sendmmsg; fewer than asked for is allowed */

struct sl_outgoing {
    int flags;
    bool stream;
    uint8_t *data; /* owned */
    size_t len;
    struct sockaddr_storage name;
    socklen_t name_len;
    uint8_t control[SL_SEND_CONTROL_MAX] __attribute__((aligned(8)));
    size_t control_len;
    int fds[SL_SEND_FDS_MAX]; /* owned: fetched from the caller for SCM_RIGHTS */
    size_t fd_count;
    int unix_pin; /* owned, -1: none */
};

/* send.c: empty, with those of the flags that mean something to a send on behalf. */
void sl_outgoing_init(struct sl_outgoing *out, int flags);
void sl_outgoing_done(struct sl_outgoing *out);
/* Sends what was judged. `out` is taken over; when it waits (DEFER) the socket goes with it.
 * `msg_len_at`: where sendmmsg(2) wants the length, or 0. */
sl_answer sl_outgoing_send(sl_call *call, sl_sock *sock, struct sl_outgoing *out,
                           uint64_t msg_len_at, bool may_wait);

/* rights.c: what this number of the caller's stands for, to be passed on. -EBADF, -EACCES. */
int sl_rights_copy(const sl_call *call, int number);

/* copy.c: 0 or -errno; on failure call sl_outgoing_done. */
int sl_outgoing_from_args(const sl_call *call, const sl_sock *sock, struct sl_outgoing *out);
int sl_outgoing_from_msghdr(const sl_call *call, const sl_sock *sock, uint64_t at,
                            struct sl_outgoing *out);

#endif
