/* Owns pinned sockets and the memory of what became of them. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/util.h"
#include "features/mint/mint.h"
#include "features/net/net.h"
#include "kernel/place.h"

/* sockaddr_in and sockaddr_in6 have the port behind the family. */
#define PORT_AT sizeof(sa_family_t)

static int get_int(int fd, int option)
{
    int value = 0;
    socklen_t len = sizeof(value);
    return getsockopt(fd, SOL_SOCKET, option, &value, &len) < 0 ? -errno : value;
}

int sl_sock_pin(const sl_call *call, int fd, sl_sock *ret_sock)
{
    sl_autoclose int pinned = sl_place_fetches() ? sl_call_pin(call, fd) : sl_mint_find(call, fd);
    if (pinned < 0) {
        return pinned == -EBADF || pinned == -ENOTSOCK ? pinned : -EACCES;
    }
    sl_sock sock = {.fd = pinned};
    sock.domain = get_int(pinned, SO_DOMAIN);
    if (sock.domain < 0) {
        return sock.domain; /* ENOTSOCK */
    }
    sock.type = get_int(pinned, SO_TYPE);
    sock.protocol = get_int(pinned, SO_PROTOCOL);
    socklen_t len = sizeof(sock.cookie);
    int flags = fcntl(pinned, F_GETFL);
    if (sock.type < 0 || sock.protocol < 0 || flags < 0 ||
        getsockopt(pinned, SOL_SOCKET, SO_COOKIE, &sock.cookie, &len) < 0) {
        return -EACCES;
    }
    sock.nonblock = (flags & O_NONBLOCK) != 0;
    sl_steal_fd(&pinned);
    *ret_sock = sock;
    return 0;
}

void sl_sock_done(sl_sock *sock)
{
    sl_close(sl_steal_fd(&sock->fd));
}

/* SO_LINGER makes the last close wait for the peer, and the last one may be ours: the child closes
 * its own while we hold the pin. So nobody waits: the data goes out behind the close, as by
 * default. A linger of zero, the reset, waits for nothing and stays. */
sl_answer sl_net_handle_linger(sl_call *call)
{
    struct linger linger;
    sl_sock sock;
    if ((int)call->args[1] != SOL_SOCKET || (int)call->args[2] != SO_LINGER) {
        return SL_ANSWER_PASS; /* buffers.c asks about others */
    }
    int r = sl_sock_pin(call, (int)call->args[0], &sock);
    if (r < 0) {
        /* of a socket that is not ours to hold, no close is */
        return r == -EACCES && !sl_place_fetches() ? SL_ANSWER_PASS : SL_ANSWER_VALUE(r);
    }
    if ((int)call->args[4] < (int)sizeof(linger)) {
        r = -EINVAL;
    } else {
        r = sl_call_read(call, call->args[3], &linger, sizeof(linger));
    }
    if (r == 0 && !sl_call_valid(call)) {
        r = -EPERM;
    }
    if (r == 0) {
        linger.l_onoff = linger.l_onoff != 0 && linger.l_linger == 0;
        r = setsockopt(sock.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) < 0 ? -errno : 0;
    }
    sl_sock_done(&sock);
    return SL_ANSWER_VALUE(r);
}

int sl_sock_af(const sl_sock *sock)
{
    return sock->domain == AF_INET6 ? AF_INET6 : AF_INET;
}

enum sl_proto sl_sock_proto(const sl_sock *sock)
{
    if (sock->type == SOCK_STREAM) {
        return SL_PROTO_TCP;
    }
    bool icmp = sock->protocol == IPPROTO_ICMP || sock->protocol == IPPROTO_ICMPV6;
    return icmp ? SL_PROTO_ICMP : SL_PROTO_UDP;
}

bool sl_sock_has_port(const sl_sock *sock)
{
    bool inet = sock->domain == AF_INET || sock->domain == AF_INET6;
    return inet && ((sock->type == SOCK_STREAM && sock->protocol == IPPROTO_TCP) ||
                    (sock->type == SOCK_DGRAM && sock->protocol == IPPROTO_UDP));
}

uint16_t sl_sock_port(const void *sa)
{
    uint16_t port;
    memcpy(&port, (const char *)sa + PORT_AT, sizeof(port));
    return ntohs(port);
}

void sl_sock_set_port(void *sa, uint16_t port)
{
    uint16_t value = htons(port);
    memcpy((char *)sa + PORT_AT, &value, sizeof(value));
}

int sl_sock_bound(const sl_addr *local, int type, sl_addr *ret_addr, uint16_t *ret_port)
{
    int af = local->family == 6 ? AF_INET6 : AF_INET;
    struct sockaddr_storage sa;
    socklen_t len = sl_addr_to_sockaddr(local, 0, af, &sa);
    sl_autoclose int fd = socket(af, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&sa, len) < 0) {
        return -errno;
    }
    len = sizeof(sa);
    if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0) {
        return -errno;
    }
    int r = sl_addr_from_sockaddr(&sa, len, ret_addr, ret_port);
    return r < 0 ? r : sl_steal_fd(&fd);
}

int sl_sock_loopback(const sl_addr *asked, int type, sl_addr *ret_addr, uint16_t *ret_port)
{
    sl_addr local = {.family = asked->family == 6 ? 6 : 4};
    if (local.family == 6) {
        local.bytes[15] = 1;
    } else {
        memcpy(local.bytes, (uint8_t[]){127, 0, 0, 1}, 4);
    }
    return sl_sock_bound(&local, type, ret_addr, ret_port);
}

int sl_sock_local(int fd, sl_addr *ret_addr, uint16_t *ret_port)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0) {
        return -errno;
    }
    int r = sl_addr_from_sockaddr(&sa, len, ret_addr, ret_port);
    if (r < 0) {
        return r;
    }
    static const uint8_t zero[16];
    if (memcmp(ret_addr->bytes, zero, sizeof(zero)) == 0) {
        if (ret_addr->family == 6) {
            ret_addr->bytes[15] = 1;
        } else {
            memcpy(ret_addr->bytes, (uint8_t[]){127, 0, 0, 1}, 4);
        }
    }
    return 0;
}

/* getsockname(2) and getpeername(2): what they would have written. */
int sl_sock_give_name(const sl_call *call, const struct sockaddr_storage *sa, socklen_t len)
{
    socklen_t room = 0;
    if (sl_call_read(call, call->args[2], &room, sizeof(room)) < 0) {
        return -EFAULT;
    }
    if ((int)room < 0) {
        return -EINVAL;
    }
    if (sl_call_write(call, call->args[1], sa, SL_MIN(room, len)) < 0 ||
        sl_call_write(call, call->args[2], &len, sizeof(len)) < 0) {
        return -EFAULT;
    }
    return 0;
}

/* A datagram socket sends only from an address it has: give it one where it has none yet, as its
 * first send would. */
int sl_sock_bind_if_unbound(const sl_sock *sock, sl_addr *ret_addr, uint16_t *ret_port)
{
    int r = sl_sock_local(sock->fd, ret_addr, ret_port);
    if (r < 0 || *ret_port != 0) {
        return r;
    }
    struct sockaddr_storage sa = {.ss_family = (sa_family_t)sl_sock_af(sock)};
    socklen_t len = sa.ss_family == AF_INET6 ? (socklen_t)sizeof(struct sockaddr_in6)
                                             : (socklen_t)sizeof(struct sockaddr_in);
    if (bind(sock->fd, (struct sockaddr *)&sa, len) < 0) {
        return -errno;
    }
    return sl_sock_local(sock->fd, ret_addr, ret_port);
}

static sl_known *known_set(struct sl_net_state *net, uint64_t cookie)
{
    uint64_t h = cookie * 0x9e3779b97f4a7c15u;
    size_t sets = SL_NET_SOCKETS_MAX / SL_NET_SET;
    return &net->known[(size_t)(h >> 40) % sets * SL_NET_SET];
}

void sl_known_put(struct sl_net_state *net, const sl_known *entry)
{
    pthread_mutex_lock(&net->lock);
    sl_known *set = known_set(net, entry->cookie);
    size_t at = net->clock++ % SL_NET_SET;
    for (size_t i = 0; i < SL_NET_SET; i++) {
        if (set[i].cookie == entry->cookie) {
            at = i;
            break;
        }
        if (set[i].kind == SL_KNOWN_NONE ||
            (set[at].kind == SL_KNOWN_LISTENER && set[i].kind != SL_KNOWN_LISTENER)) {
            at = i; /* listeners live long and are asked for late: others make room */
        }
    }
    set[at] = *entry;
    pthread_mutex_unlock(&net->lock);
}

bool sl_known_get(struct sl_net_state *net, uint64_t cookie, sl_known *ret_entry)
{
    bool found = false;
    pthread_mutex_lock(&net->lock);
    sl_known *set = known_set(net, cookie);
    for (size_t i = 0; i < SL_NET_SET && !found; i++) {
        if (set[i].kind != SL_KNOWN_NONE && set[i].cookie == cookie) {
            *ret_entry = set[i];
            found = true;
        }
    }
    pthread_mutex_unlock(&net->lock);
    return found;
}

void sl_known_drop(struct sl_net_state *net, uint64_t cookie)
{
    if (net == NULL) {
        return;
    }
    pthread_mutex_lock(&net->lock);
    sl_known *set = known_set(net, cookie);
    for (size_t i = 0; i < SL_NET_SET; i++) {
        if (set[i].cookie == cookie) {
            set[i] = (sl_known){0};
        }
    }
    pthread_mutex_unlock(&net->lock);
}
