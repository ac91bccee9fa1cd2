/* Owns the copying of outgoing messages: data, address and ancillary data, each bounded, each once.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/util.h"
#include "features/net/send_int.h"

#define IOV_LIMIT 1024 /* UIO_MAXIOV */

/* Room for `want` bytes within what one message of this socket may hold. */
static int make_room(const sl_sock *sock, size_t want, struct sl_outgoing *out)
{
    bool partial = sock->type == SOCK_STREAM;
    size_t max = partial ? SL_SEND_STREAM_MAX : SL_SEND_DATAGRAM_MAX;
    if (sock->domain == AF_UNIX && !partial) {
        max = SL_SEND_UNIX_MAX;
    }
    if (want > max && !partial) {
        return -EMSGSIZE;
    }
    out->len = SL_MIN(want, max);
    out->data = malloc(out->len + 1);
    return out->data == NULL ? -ENOBUFS : 0;
}

static int copy_name(const sl_call *call, uint64_t at, size_t len, struct sl_outgoing *out)
{
    if (at == 0 || len == 0) {
        return 0;
    }
    if ((int)len < 0 || len > sizeof(out->name)) {
        return -EINVAL;
    }
    if (len < sizeof(sa_family_t)) {
        return -EINVAL;
    }
    memset(&out->name, 0, sizeof(out->name));
    out->name_len = (socklen_t)len;
    return sl_call_read(call, at, &out->name, len);
}

int sl_outgoing_from_args(const sl_call *call, const sl_sock *sock, struct sl_outgoing *out)
{
    int r = copy_name(call, call->args[4], (size_t)(uint32_t)call->args[5], out);
    r = r < 0 ? r : make_room(sock, call->args[2], out);
    return r < 0 ? r : sl_call_read(call, call->args[1], out->data, out->len);
}

static int copy_data(const sl_call *call, const sl_sock *sock, const struct msghdr *msg,
                     struct sl_outgoing *out)
{
    if (msg->msg_iovlen > IOV_LIMIT) {
        return -EMSGSIZE;
    }
    sl_autofree struct iovec *iov = calloc(msg->msg_iovlen + 1, sizeof(*iov));
    if (iov == NULL) {
        return -ENOBUFS;
    }
    int r =
        sl_call_read(call, (uint64_t)(uintptr_t)msg->msg_iov, iov, msg->msg_iovlen * sizeof(*iov));
    size_t total = 0;
    for (size_t i = 0; r == 0 && i < msg->msg_iovlen; i++) {
        if (iov[i].iov_len > SSIZE_MAX - total) {
            return -EINVAL;
        }
        total += iov[i].iov_len;
    }
    r = r < 0 ? r : make_room(sock, total, out);
    size_t done = 0;
    for (size_t i = 0; r == 0 && i < msg->msg_iovlen && done < out->len; i++) {
        size_t n = SL_MIN(iov[i].iov_len, out->len - done);
        r = sl_call_read(call, (uint64_t)(uintptr_t)iov[i].iov_base, out->data + done, n);
        done += n;
    }
    return r;
}

/* Descriptors to pass on: the caller's numbers become ours, pinned. */
static int fetch_rights(const sl_call *call, struct cmsghdr *c, struct sl_outgoing *out)
{
    size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
        int number;
        uint8_t *at = CMSG_DATA(c) + i * sizeof(int);
        memcpy(&number, at, sizeof(int));
        if (out->fd_count == SL_SEND_FDS_MAX) {
            return -EINVAL;
        }
        int fd = sl_rights_copy(call, number);
        if (fd < 0) {
            return fd;
        }
        out->fds[out->fd_count++] = fd;
        memcpy(at, &fd, sizeof(int));
    }
    return 0;
}

/* Packet information names the sender's address, and may name an interface: that would be another
 * route than was judged. */
static bool names_interface(const struct cmsghdr *c)
{
    unsigned index = 0;
    size_t at = c->cmsg_level == IPPROTO_IP ? offsetof(struct in_pktinfo, ipi_ifindex)
                                            : offsetof(struct in6_pktinfo, ipi6_ifindex);
    if (c->cmsg_len < CMSG_LEN(at + sizeof(index))) {
        return true;
    }
    memcpy(&index, CMSG_DATA(c) + at, sizeof(index));
    return index != 0;
}

/* What may come along. Anything else could turn the packet (source routes, headers, other people's
 * names) and is refused. */
static bool may_accompany(const sl_sock *sock, const struct cmsghdr *c)
{
    if (sock->domain == AF_UNIX || sock->domain == AF_NETLINK) {
        return false; /* SCM_RIGHTS is handled before; SCM_CREDENTIALS would be a lie */
    }
    switch (c->cmsg_level) {
    case IPPROTO_IP:
        return c->cmsg_type == IP_TOS || c->cmsg_type == IP_TTL ||
               (c->cmsg_type == IP_PKTINFO && !names_interface(c));
    case IPPROTO_IPV6:
        return c->cmsg_type == IPV6_TCLASS || c->cmsg_type == IPV6_HOPLIMIT ||
               c->cmsg_type == IPV6_DONTFRAG ||
               (c->cmsg_type == IPV6_PKTINFO && !names_interface(c));
    case IPPROTO_UDP:
        return c->cmsg_type == 103; /* UDP_SEGMENT, udp(7) */
    default:
        return false;
    }
}

static int copy_control(const sl_call *call, const sl_sock *sock, const struct msghdr *msg,
                        struct sl_outgoing *out)
{
    if (msg->msg_control == NULL || msg->msg_controllen == 0) {
        return 0;
    }
    if (msg->msg_controllen > sizeof(out->control)) {
        return -ENOBUFS;
    }
    int r = sl_call_read(call, (uint64_t)(uintptr_t)msg->msg_control, out->control,
                         msg->msg_controllen);
    if (r < 0) {
        return r;
    }
    out->control_len = msg->msg_controllen;
    /* The kernel's own walk: CMSG_NXTHDR of some C libraries passes over a last header that is not
     * padded, which the kernel then takes unseen, with our descriptors' numbers in it. */
    size_t at = 0;
    while (out->control_len - at >= sizeof(struct cmsghdr)) {
        struct cmsghdr *c = (struct cmsghdr *)(void *)(out->control + at);
        size_t left = out->control_len - at;
        if (c->cmsg_len < sizeof(*c) || c->cmsg_len > left) {
            return -EINVAL;
        }
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && sock->domain == AF_UNIX) {
            r = fetch_rights(call, c, out);
        } else {
            r = may_accompany(sock, c) ? 0 : -EPERM;
        }
        if (r < 0) {
            return r;
        }
        at += SL_MIN(CMSG_ALIGN(c->cmsg_len), left);
    }
    return 0;
}

int sl_outgoing_from_msghdr(const sl_call *call, const sl_sock *sock, uint64_t at,
                            struct sl_outgoing *out)
{
    struct msghdr msg;
    int r = sl_call_read(call, at, &msg, sizeof(msg));
    r = r < 0 ? r : copy_name(call, (uint64_t)(uintptr_t)msg.msg_name, msg.msg_namelen, out);
    r = r < 0 ? r : copy_data(call, sock, &msg, out);
    return r < 0 ? r : copy_control(call, sock, &msg, out);
}
