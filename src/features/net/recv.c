/* Owns receiving where the sender has another name inside: for resolver sockets it is the server
 * that was asked, since resolvers drop answers from anybody else; under port_remap a socket of the
 * tree has the port that it believes to have. Everything else is received by the caller itself;
 * receiving grants nothing. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/util.h"
#include "features/net/net.h"
#include "features/net/port_names.h"

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
    bool renames; /* senders of the tree have other ports (port_remap); else: `known` */
    sl_known known;
};

#define LEFT_TO_CALLER (-EXFULL) /* what waits needs no other name: no call gives this */

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

static int write_name(const sl_call *call, const struct wanted *w, struct sockaddr_storage *from,
                      socklen_t len)
{
    struct sockaddr_storage sa = *from;
    socklen_t room = 0;
    if (w->renames) {
        (void)sl_port_rename(call->sv, SL_PROTO_UDP, &sa, len, NULL);
    } else {
        len = sl_addr_to_sockaddr(&w->known.asked, w->known.asked_port, w->af, &sa);
    }
    if (w->name == 0 || w->name_len_at == 0) {
        return 0;
    }
    if (sl_call_read(call, w->name_len_at, &room, sizeof(room)) < 0 || (int)room < 0) {
        return -EFAULT;
    }
    int r = sl_call_write(call, w->name, &sa, SL_MIN(room, len));
    return r < 0 ? r : sl_call_write(call, w->name_len_at, &len, sizeof(len));
}

/* Looks at the sender of what waits: 0 when its name must be changed, LEFT_TO_CALLER, or what
 * receiving would fail with. */
static int peek(const sl_call *call, int fd)
{
    struct sockaddr_storage from = {0};
    socklen_t len = sizeof(from);
    char none;
    if (recvfrom(fd, &none, 0, MSG_PEEK | MSG_DONTWAIT, (struct sockaddr *)&from, &len) < 0) {
        return -errno;
    }
    return sl_port_rename(call->sv, SL_PROTO_UDP, &from, len, NULL) ? 0 : LEFT_TO_CALLER;
}

/* Receives now. -EAGAIN when nothing is there. */
static int64_t receive(const sl_call *call, int fd, const struct wanted *w)
{
    struct sockaddr_storage from = {0};
    socklen_t from_len = sizeof(from);
    int r = w->renames ? peek(call, fd) : 0;
    if (r < 0) {
        return r;
    }
    sl_autofree uint8_t *data = malloc(ANSWER_MAX);
    if (data == NULL) {
        return -ENOBUFS;
    }
    ssize_t n =
        recvfrom(fd, data, ANSWER_MAX, (w->flags & (MSG_PEEK | MSG_ERRQUEUE)) | MSG_DONTWAIT,
                 (struct sockaddr *)&from, &from_len);
    if (n < 0) {
        return -errno;
    }
    size_t stored = 0;
    r = scatter(call, w, data, (size_t)n, &stored);
    r = r < 0 ? r : write_name(call, w, &from, from_len);
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
    *ret_answer = n == LEFT_TO_CALLER ? SL_ANSWER_PASS : SL_ANSWER_VALUE(n);
    return true;
}

/* True with the socket pinned if its senders may have other names. */
static bool is_ours(sl_call *call, sl_sock *ret_sock, struct wanted *w)
{
    struct sl_net_state *net = sl_net_of(call->sv);
    sl_sock sock;
    if ((net == NULL && !sl_port_may_rename(call->sv)) ||
        sl_sock_pin(call, (int)call->args[0], &sock) < 0) {
        return false;
    }
    bool resolver = net != NULL && sl_known_get(net, sock.cookie, &w->known) &&
                    w->known.kind == SL_KNOWN_RESOLVER;
    w->renames = !resolver && (w->flags & MSG_ERRQUEUE) == 0 && sl_port_may_rename(call->sv) &&
                 sl_sock_has_port(&sock) && sock.type == SOCK_DGRAM;
    if (!resolver && !w->renames) {
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
        return n == LEFT_TO_CALLER ? SL_ANSWER_PASS : SL_ANSWER_VALUE(n);
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
    return is_ours(call, &sock, &w) ? receive_or_wait(call, &sock, &w) : SL_ANSWER_PASS;
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
    if (!is_ours(call, &sock, w)) {
        return SL_ANSWER_PASS;
    }
    int r = read_msghdr(call, call->args[1], w);
    if (r < 0) {
        sl_sock_done(&sock);
        return w->renames ? SL_ANSWER_PASS : SL_ANSWER_VALUE(r);
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
