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
    if (r == 0 && inet && call->sb->net != NULL) {
        sl_known_put(call->sb->net, &(sl_known){.cookie = sock.cookie, .kind = SL_KNOWN_LISTENER});
    }
    sl_sock_done(&sock);
    return SL_ANSWER_VALUE(r);
}

/* Asks the kernel (sock_diag(7)) who listens at an address: the cookie, or 0. */
static uint64_t listener_cookie(const sl_addr *addr, uint16_t port)
{
    struct {
        struct nlmsghdr header;
        struct inet_diag_req_v2 req;
    } ask = {
        .header = {.nlmsg_len = sizeof(ask),
                   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                   .nlmsg_flags = NLM_F_REQUEST},
        .req = {.sdiag_family = addr->family == 6 ? AF_INET6 : AF_INET,
                .sdiag_protocol = IPPROTO_TCP,
                .idiag_states = 1u << TCP_LISTEN_STATE},
    };
    /* The look-up's "destination" is the caller's side: the listener's own address is the source.
     */
    ask.req.id.idiag_sport = htons(port);
    ask.req.id.idiag_cookie[0] = INET_DIAG_NOCOOKIE;
    ask.req.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
    memcpy(ask.req.id.idiag_src, addr->bytes, addr->family == 6 ? 16 : 4);
    union {
        struct nlmsghdr header;
        char space[4096];
    } answer;
    sl_autoclose int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (fd < 0 || send(fd, &ask, sizeof(ask), 0) < 0) {
        return 0;
    }
    ssize_t n = recv(fd, &answer, sizeof(answer), MSG_DONTWAIT);
    if (n < (ssize_t)NLMSG_LENGTH(sizeof(struct inet_diag_msg)) ||
        answer.header.nlmsg_type != SOCK_DIAG_BY_FAMILY) {
        return 0;
    }
    const struct inet_diag_msg *m = NLMSG_DATA(&answer.header);
    if (m->idiag_state != TCP_LISTEN_STATE) {
        return 0;
    }
    return m->id.idiag_cookie[0] | (uint64_t)m->id.idiag_cookie[1] << 32;
}

bool sl_listen_is_ours(sl_call *call, const sl_dest *dest)
{
    static const uint8_t zero[16];
    sl_known known;
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
    uint64_t cookie = listener_cookie(&addr, dest->port);
    return cookie != 0 && sl_known_get(call->sb->net, cookie, &known) &&
           known.kind == SL_KNOWN_LISTENER;
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
