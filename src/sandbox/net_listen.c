/* Owns listen(2) and getpeername(2) under network rules, and listen under bind rules alone.
 * Listeners are remembered by cookie: a connect to one of the tree's own needs no rule. */
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/util.h"
#include "sandbox/features.h"
#include "sandbox/net_int.h"

#define TCP_LISTEN_STATE 10
#define DUMP_ROUNDS      64 /* messages of one list of listeners */

sl_answer sl_net_handle_listen(sl_call *call)
{
    sl_sock sock;
    sl_addr addr;
    uint16_t port = 0;
    int r = sl_sock_pin(call, (int)call->args[0], &sock);
    if (r < 0) {
        return SL_ANSWER_VALUE(r);
    }
    bool inet = sock.domain == AF_INET || sock.domain == AF_INET6;
    if (!sl_call_valid(call)) {
        r = -EPERM;
    } else if (inet && sl_policy_restricts_bind(call->sb->policy) &&
               (sl_sock_local(sock.fd, &addr, &port) < 0 || port == 0)) {
        /* listen would choose a port that no rule was asked about (landlock(7) sees bind only) */
        r = -EACCES;
    } else {
        r = listen(sock.fd, (int)call->args[1]) < 0 ? -errno : 0;
    }
    if (r == 0 && (inet || sock.domain == AF_UNIX) && call->sb->net != NULL) {
        sl_known_put(call->sb->net, &(sl_known){.cookie = sock.cookie, .kind = SL_KNOWN_LISTENER});
    }
    sl_sock_done(&sock);
    return SL_ANSWER_VALUE(r);
}

/* Sends the kernel (sock_diag(7)) a question about listeners at a port. A socket for the answer or
 * -errno. */
static int ask_listeners(int family, const sl_addr *addr, uint16_t port, unsigned flags)
{
    struct {
        struct nlmsghdr header;
        struct inet_diag_req_v2 req;
    } ask = {
        .header = {.nlmsg_len = sizeof(ask),
                   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                   .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags)},
        .req = {.sdiag_family = (uint8_t)family,
                .sdiag_protocol = IPPROTO_TCP,
                .idiag_states = 1u << TCP_LISTEN_STATE},
    };
    /* The look-up's "destination" is the caller's side: the listener's own address is the source.
     */
    ask.req.id.idiag_sport = htons(port);
    ask.req.id.idiag_cookie[0] = INET_DIAG_NOCOOKIE;
    ask.req.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
    if (addr != NULL) {
        memcpy(ask.req.id.idiag_src, addr->bytes, addr->family == 6 ? 16 : 4);
    }
    sl_autoclose int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (fd < 0 || send(fd, &ask, sizeof(ask), 0) < 0) {
        return -errno;
    }
    return sl_steal_fd(&fd);
}

static bool is_known_listener(struct sl_net_state *net, const struct inet_diag_msg *m)
{
    sl_known known;
    uint64_t cookie = m->id.idiag_cookie[0] | (uint64_t)m->id.idiag_cookie[1] << 32;
    return sl_known_get(net, cookie, &known) && known.kind == SL_KNOWN_LISTENER;
}

/* True if the kernel's own look-up finds a listener of the tree. */
static bool finds_ours(struct sl_net_state *net, const sl_addr *addr, uint16_t port)
{
    union {
        struct nlmsghdr header;
        char space[4096];
    } answer;
    sl_autoclose int fd = ask_listeners(addr->family == 6 ? AF_INET6 : AF_INET, addr, port, 0);
    ssize_t n = fd < 0 ? -1 : recv(fd, &answer, sizeof(answer), MSG_DONTWAIT);
    if (n < (ssize_t)NLMSG_LENGTH(sizeof(struct inet_diag_msg)) ||
        answer.header.nlmsg_type != SOCK_DIAG_BY_FAMILY) {
        return false;
    }
    const struct inet_diag_msg *m = NLMSG_DATA(&answer.header);
    return m->idiag_state == TCP_LISTEN_STATE && is_known_listener(net, m);
}

/* True if a connect to `addr` could find this listener: its own address is that one, or any. */
static bool is_reached(const struct inet_diag_msg *m, const sl_addr *addr)
{
    static const uint8_t zero[16];
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    sl_addr own = {.family = 4};
    uint16_t port;
    memcpy(own.bytes, m->id.idiag_src, 4);
    if (m->idiag_family == AF_INET6) {
        memcpy(&in6.sin6_addr, m->id.idiag_src, sizeof(in6.sin6_addr));
        if (sl_addr_from_sockaddr(&in6, sizeof(in6), &own, &port) < 0) {
            return true;
        }
    }
    return memcmp(own.bytes, zero, sizeof(zero)) == 0 ||
           (own.family == addr->family && memcmp(own.bytes, addr->bytes, sizeof(own.bytes)) == 0);
}

/* Every listener of one family at this port that `addr` could reach is the tree's. Any doubt: no.
 */
static bool all_ours(struct sl_net_state *net, int family, const sl_addr *addr, uint16_t port)
{
    union {
        struct nlmsghdr header;
        char space[16384];
    } answer;
    sl_autoclose int fd = ask_listeners(family, NULL, port, NLM_F_DUMP);
    for (int round = 0; fd >= 0 && round < DUMP_ROUNDS; round++) {
        ssize_t n = recv(fd, &answer, sizeof(answer), MSG_DONTWAIT);
        struct nlmsghdr *h = &answer.header;
        size_t left = n < 0 ? 0 : (size_t)n;
        if (n <= 0) {
            return false;
        }
        for (; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
            const struct inet_diag_msg *m = NLMSG_DATA(h);
            if (h->nlmsg_type == NLMSG_DONE) {
                return true;
            }
            if (h->nlmsg_type != SOCK_DIAG_BY_FAMILY || h->nlmsg_len < NLMSG_LENGTH(sizeof(*m))) {
                return false;
            }
            if (m->id.idiag_sport == htons(port) && is_reached(m, addr) &&
                !is_known_listener(net, m)) {
                return false;
            }
        }
    }
    return false;
}

/* With SO_REUSEPORT a stranger's listener may share the port, and the kernel chooses between them
 * at the connect: what the look-up finds is not yet who will answer. */
bool sl_listen_is_ours(sl_call *call, const sl_dest *dest)
{
    static const uint8_t zero[16];
    sl_addr addr = dest->addr;
    if (dest->name != NULL) {
        return false;
    }
    if (memcmp(addr.bytes, zero, sizeof(zero)) == 0) { /* "this host" */
        if (addr.family == 6) {
            addr.bytes[15] = 1;
        } else {
            memcpy(addr.bytes, (uint8_t[]){127, 0, 0, 1}, 4);
        }
    }
    if ((sl_addr_classify(&addr) & SL_ADDR_LOOPBACK) == 0) {
        return false;
    }
    struct sl_net_state *net = call->sb->net;
    return finds_ours(net, &addr, dest->port) && all_ours(net, AF_INET, &addr, dest->port) &&
           all_ours(net, AF_INET6, &addr, dest->port);
}

/* A steered socket's peer is what the child asked for. */
sl_answer sl_net_handle_getpeername(sl_call *call)
{
    sl_sock sock;
    sl_known known;
    struct sockaddr_storage sa;
    socklen_t room = 0;
    if (sl_sock_pin(call, (int)call->args[0], &sock) < 0) {
        return SL_ANSWER_PASS; /* the kernel has the error */
    }
    bool found = sl_known_get(call->sb->net, sock.cookie, &known) && known.connected &&
                 known.kind != SL_KNOWN_LISTENER;
    struct sockaddr_storage real;
    socklen_t real_len = sizeof(real);
    found = found && getpeername(sock.fd, (struct sockaddr *)&real, &real_len) == 0;
    int af = sl_sock_af(&sock);
    sl_sock_done(&sock);
    if (!found) {
        return SL_ANSWER_PASS;
    }
    socklen_t len = sl_addr_to_sockaddr(&known.asked, known.asked_port, af, &sa);
    if (sl_call_read(call, call->args[2], &room, sizeof(room)) < 0) {
        return SL_ANSWER_VALUE(-EFAULT);
    }
    if ((int)room < 0) {
        return SL_ANSWER_VALUE(-EINVAL);
    }
    if (sl_call_write(call, call->args[1], &sa, SL_MIN(room, len)) < 0 ||
        sl_call_write(call, call->args[2], &len, sizeof(len)) < 0) {
        return SL_ANSWER_VALUE(-EFAULT);
    }
    return SL_ANSWER_VALUE(0);
}

static const sl_syscall_row bind_rows[] = {
    {.nr = SYS_listen, .handler = sl_net_handle_listen},
};

/* net_bind alone: Landlock judges bind(2), but listen(2) on an unbound socket chooses a port too.
 */
const sl_feature sl_feature_bind = {
    .name = "bind",
    .wanted = sl_policy_restricts_bind,
    .rows = bind_rows,
    .row_count = SL_ARRAY_LEN(bind_rows),
};
