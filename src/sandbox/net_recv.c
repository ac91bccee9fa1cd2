/* Owns receiving for resolver sockets: the sender's address is shown as the server that was asked,
 * since resolvers drop answers from anybody else. Every other socket receives by itself; receiving
 * grants nothing. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/util.h"
#include "sandbox/net_int.h"

#define ANSWER_MAX 65536 /* a datagram */
#define IOV_LIMIT  64    /* pieces a resolver scatters an answer over */

struct wanted {
    uint64_t buf; /* recvfrom */
    size_t len;
    uint64_t iov; /* recvmsg: in the caller's memory */
    size_t iov_count;
    uint64_t name;
    uint64_t name_len_at; /* where the length is read and written, 0: none */
    uint64_t flags_at;    /* msg_flags, 0: none */
    uint64_t control_len_at;
    uint64_t msg_len_at; /* recvmmsg, 0: none */
    int flags;
    int af;
    sl_known known;
};

static int scatter(const sl_call *call, const struct wanted *w, const uint8_t *data, size_t len,
                   size_t *ret_room)
{
    struct iovec iov[IOV_LIMIT] = {{.iov_base = (void *)(uintptr_t)w->buf, .iov_len = w->len}};
    size_t count = 1;
    size_t done = 0;
    if (w->iov != 0) {
        count = w->iov_count;
        if (count > IOV_LIMIT || sl_call_read(call, w->iov, iov, count * sizeof(iov[0])) < 0) {
            return -EFAULT;
        }
    }
    for (size_t i = 0; i < count && done < len; i++) {
        size_t n = SL_MIN(iov[i].iov_len, len - done);
        if (n > 0 &&
            sl_call_write(call, (uint64_t)(uintptr_t)iov[i].iov_base, data + done, n) < 0) {
            return -EFAULT;
        }
        done += n;
    }
    *ret_room = done;
    return 0;
}

static int write_name(const sl_call *call, const struct wanted *w)
{
    struct sockaddr_storage sa;
    socklen_t room = 0;
    socklen_t len = sl_addr_to_sockaddr(&w->known.asked, w->known.asked_port, w->af, &sa);
    if (w->name == 0 || w->name_len_at == 0) {
        return 0;
    }
    if (sl_call_read(call, w->name_len_at, &room, sizeof(room)) < 0 || (int)room < 0) {
        return -EFAULT;
    }
    int r = sl_call_write(call, w->name, &sa, SL_MIN(room, len));
    return r < 0 ? r : sl_call_write(call, w->name_len_at, &len, sizeof(len));
}

/* Receives now. -EAGAIN when nothing is there. */
static int64_t receive(const sl_call *call, int fd, const struct wanted *w)
{
    sl_autofree uint8_t *data = malloc(ANSWER_MAX);
    if (data == NULL) {
        return -ENOBUFS;
    }
    ssize_t n = recv(fd, data, ANSWER_MAX, (w->flags & (MSG_PEEK | MSG_ERRQUEUE)) | MSG_DONTWAIT);
    if (n < 0) {
        return -errno;
    }
    size_t stored = 0;
    int r = scatter(call, w, data, (size_t)n, &stored);
    r = r < 0 ? r : write_name(call, w);
    int flags = stored < (size_t)n ? MSG_TRUNC : 0;
    uint64_t zero = 0;
    uint32_t msg_len = (uint32_t)stored;
    if (r == 0 && w->flags_at != 0) {
        r = sl_call_write(call, w->flags_at, &flags, sizeof(flags));
    }
    if (r == 0 && w->control_len_at != 0) {
        r = sl_call_write(call, w->control_len_at, &zero, sizeof(zero));
    }
    if (r == 0 && w->msg_len_at != 0) {
        r = sl_call_write(call, w->msg_len_at, &msg_len, sizeof(msg_len));
        return r < 0 ? r : 1;
    }
    if (r < 0) {
        return r;
    }
    return (w->flags & MSG_TRUNC) != 0 ? n : (int64_t)stored;
}

static bool resume_receive(sl_deferred *d, enum sl_wake why, sl_answer *ret_answer)
{
    int64_t n = receive(&d->call, d->fd, d->data);
    if (n == -EAGAIN && why != SL_WAKE_TIMEOUT) {
        return false;
    }
    *ret_answer = SL_ANSWER_VALUE(n);
    return true;
}

/* True with the socket pinned if it is a resolver's. */
static bool is_resolver(sl_call *call, sl_sock *ret_sock, struct wanted *w)
{
    sl_sock sock;
    if (sl_sock_pin(call, (int)call->args[0], &sock) < 0) {
        return false;
    }
    if (!sl_known_get(call->sb->net, sock.cookie, &w->known) ||
        w->known.kind != SL_KNOWN_RESOLVER) {
        sl_sock_done(&sock);
        return false;
    }
    w->af = sl_sock_af(&sock);
    *ret_sock = sock;
    return true;
}

static sl_answer receive_or_wait(sl_call *call, sl_sock *sock, const struct wanted *w)
{
    int64_t n = receive(call, sock->fd, w);
    if (n != -EAGAIN || sock->nonblock || (w->flags & (MSG_DONTWAIT | MSG_ERRQUEUE)) != 0) {
        sl_sock_done(sock);
        return SL_ANSWER_VALUE(n);
    }
    struct wanted *copy = malloc(sizeof(*copy));
    if (copy != NULL) {
        *copy = *w;
    }
    sl_wait wait = {.resume = resume_receive,
                    .data = copy,
                    .events = UV_READABLE,
                    .deadline_ms = sl_deferred_deadline(sock->fd, SO_RCVTIMEO)};
    return sl_deferred_start(call, sl_steal_fd(&sock->fd), &wait);
}

sl_answer sl_net_handle_recvfrom(sl_call *call)
{
    struct wanted w = {.buf = call->args[1],
                       .len = call->args[2],
                       .flags = (int)call->args[3],
                       .name = call->args[4],
                       .name_len_at = call->args[5]};
    sl_sock sock;
    return is_resolver(call, &sock, &w) ? receive_or_wait(call, &sock, &w) : SL_ANSWER_PASS;
}

static int read_msghdr(const sl_call *call, uint64_t at, struct wanted *w)
{
    struct msghdr msg;
    if (sl_call_read(call, at, &msg, sizeof(msg)) < 0) {
        return -EFAULT;
    }
    w->iov = (uint64_t)(uintptr_t)msg.msg_iov;
    w->iov_count = msg.msg_iovlen;
    w->name = (uint64_t)(uintptr_t)msg.msg_name;
    w->name_len_at = at + offsetof(struct msghdr, msg_namelen);
    w->flags_at = at + offsetof(struct msghdr, msg_flags);
    w->control_len_at = at + offsetof(struct msghdr, msg_controllen);
    return msg.msg_iovlen > IOV_LIMIT || msg.msg_iovlen == 0 ? -EMSGSIZE : 0;
}

static sl_answer handle_message(sl_call *call, struct wanted *w)
{
    sl_sock sock;
    if (!is_resolver(call, &sock, w)) {
        return SL_ANSWER_PASS;
    }
    int r = read_msghdr(call, call->args[1], w);
    if (r < 0) {
        sl_sock_done(&sock);
        return SL_ANSWER_VALUE(r);
    }
    return receive_or_wait(call, &sock, w);
}

sl_answer sl_net_handle_recvmsg(sl_call *call)
{
    struct wanted w = {.flags = (int)call->args[2]};
    return handle_message(call, &w);
}

/* The first message of a batch: recvmmsg(2) may always return fewer than were asked for. */
sl_answer sl_net_handle_recvmmsg(sl_call *call)
{
    struct wanted w = {.flags = (int)call->args[3],
                       .msg_len_at = call->args[1] + offsetof(struct mmsghdr, msg_len)};
    return handle_message(call, &w);
}
