/* Owns listen(2) and getpeername(2) under network rules, and listen under bind rules alone.
 * Listeners are remembered by cookie: a connect to one of the tree's own needs no rule. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/num.h"
#include "core/util.h"
#include "features/features.h"
#include "features/kmem/kmem.h"
#include "features/mint/mint.h"
#include "features/net/net.h"
#include "features/net/port_names.h"
#include "kernel/landlock.h"
#include "kernel/place.h"
#include "kernel/proc.h"
#include "policy/verdict.h"

/* net_bind 0 grants what bind(2) chooses for a port of 0: ip(7), ip_local_port_range. */
static bool is_chosen(uint16_t port)
{
    char text[64];
    const char *at = text;
    uint64_t lo = 0;
    uint64_t hi = 0;
    return sl_proc_read_at(AT_FDCWD, "/proc/sys/net/ipv4/ip_local_port_range", text, sizeof(text)) >
               0 &&
           sl_num_next(&at, &lo) == 0 && sl_num_next(&at, &hi) == 0 && lo <= port && port <= hi;
}

/* May this socket listen where it is bound? listen(2) itself would choose a port that no rule was
 * asked about (landlock(7) sees bind(2) only). Where Landlock does not see that one either, the
 * port is judged here once more: whatever a number meant when bind(2) went on, nobody listens
 * elsewhere.
 */
static bool may_listen(sl_call *call, const sl_sock *sock)
{
    const sl_policy *policy = call->sv->policy;
    sl_addr addr;
    uint16_t port = 0;
    if (!sl_policy_restricts_bind(policy)) {
        return true;
    }
    if (sl_sock_local(sock->fd, &addr, &port) < 0 || port == 0) {
        return false;
    }
    if (sl_landlock_holds(SL_HOLDS_TCP_PORTS)) {
        return true;
    }
    return sl_port_has(call, sock) || sl_ports_has(&policy->net_bind, port) ||
           (sl_ports_has(&policy->net_bind, 0) && is_chosen(port));
}

static void note_listening(sl_call *call, const sl_sock *sock);

sl_answer sl_net_handle_listen(sl_call *call)
{
    sl_sock sock;
    int r = sl_sock_pin(call, (int)call->args[0], &sock);
    if (r < 0) {
        bool foreign = r == -EACCES && !sl_place_fetches();
        return foreign && !sl_policy_restricts_bind(call->sv->policy) ? SL_ANSWER_PASS
                                                                      : SL_ANSWER_VALUE(r);
    }
    bool inet = sock.domain == AF_INET || sock.domain == AF_INET6;
    if (!sl_call_valid(call)) {
        r = -EPERM;
    } else if (inet && !may_listen(call, &sock)) {
        r = -EACCES;
    } else {
        r = sl_kmem_listen(call->sv, sock.fd, (int)call->args[1]);
    }
    if (r == 0 && inet && sl_net_of(call->sv) != NULL) {
        sl_known_put(sl_net_of(call->sv),
                     &(sl_known){.cookie = sock.cookie, .kind = SL_KNOWN_LISTENER});
    }
    if (r == 0 && inet) {
        sl_port_listening(call, &sock);
    }
    if (r == 0 && inet && sl_net_of(call->sv) != NULL) {
        note_listening(call, &sock);
    }
    if (r == 0) {
        sl_mint_let_go(call->sv, sock.fd); /* whoever reaches it is the tree's business */
    }
    sl_sock_done(&sock);
    return SL_ANSWER_VALUE(r);
}

static bool is_known_listener(struct sl_net_state *net, const struct inet_diag_msg *m)
{
    sl_known known;
    return sl_known_get(net, sl_diag_cookie(m), &known) && known.kind == SL_KNOWN_LISTENER;
}

static struct sl_diag_question listeners_at(int family, uint16_t port)
{
    return (struct sl_diag_question){
        .family = family, .protocol = IPPROTO_TCP, .port = port, .states = 1u << SL_DIAG_LISTEN};
}

/* True if the kernel's own look-up finds a listener of the tree. */
static bool finds_ours(struct sl_net_state *net, const sl_addr *addr, uint16_t port)
{
    struct sl_diag_question q = listeners_at(addr->family == 6 ? AF_INET6 : AF_INET, port);
    struct inet_diag_msg m;
    return sl_diag_find(&q, addr, &m) && m.idiag_state == SL_DIAG_LISTEN &&
           is_known_listener(net, &m);
}

struct strangers {
    struct sl_net_state *net;
    const sl_addr *addr;
    bool found;
};

static void look_for_stranger(void *arg, const struct inet_diag_msg *m)
{
    struct strangers *s = arg;
    s->found = s->found || (sl_diag_is_reached(m, s->addr) && !is_known_listener(s->net, m));
}

/* Every listener of one family at this port that `addr` could reach is the tree's. Any doubt: no.
 */
static bool all_ours(struct sl_net_state *net, int family, const sl_addr *addr, uint16_t port)
{
    struct sl_diag_question q = listeners_at(family, port);
    struct strangers s = {.net = net, .addr = addr};
    return sl_diag_each(&q, look_for_stranger, &s) && !s.found;
}

/* With SO_REUSEPORT a stranger's listener may share the port, and the kernel chooses between them
 * at the connect: what the look-up finds is not yet who will answer. */
/* The address as the kernel takes it: none at all is "this host". False: it is not of the loopback
 * interface. */
static bool take_loopback(const sl_dest *dest, sl_addr *ret_addr)
{
    static const uint8_t zero[16];
    sl_addr addr = dest->addr;
    if (dest->name != NULL) {
        return false;
    }
    if (memcmp(addr.bytes, zero, sizeof(zero)) == 0) {
        if (addr.family == 6) {
            addr.bytes[15] = 1;
        } else {
            memcpy(addr.bytes, (uint8_t[]){127, 0, 0, 1}, 4);
        }
    }
    *ret_addr = addr;
    return (sl_addr_classify(&addr) & SL_ADDR_LOOPBACK) != 0;
}

bool sl_listen_is_ours(sl_call *call, const sl_dest *dest)
{
    sl_addr addr;
    if (!take_loopback(dest, &addr)) {
        return false;
    }
    struct sl_net_state *net = sl_net_of(call->sv);
    return finds_ours(net, &addr, dest->port) && all_ours(net, AF_INET, &addr, dest->port) &&
           all_ours(net, AF_INET6, &addr, dest->port);
}

static void note_anybody(void *arg, const struct inet_diag_msg *m)
{
    struct strangers *s = arg;
    s->found = s->found || sl_diag_is_reached(m, s->addr);
}

static bool nobody_has(int family, enum sl_proto proto, const sl_addr *addr, uint16_t port)
{
    struct sl_diag_question q = listeners_at(family, port);
    struct strangers s = {.addr = addr};
    if (proto == SL_PROTO_UDP) {
        q.protocol = IPPROTO_UDP;
        q.states = UINT32_MAX;
    }
    if (port == 0) {
        return true; /* nobody has that one: getaddrinfo sorts with it; and the question means all
                      */
    }
    return sl_diag_each(&q, note_anybody, &s) && !s.found;
}

bool sl_listen_is_loopback(const sl_dest *dest)
{
    sl_addr addr;
    return take_loopback(dest, &addr);
}

bool sl_listen_is_nobody(sl_call *call, const sl_dest *dest, const sl_net_verdict *verdict)
{
    const sl_supervisor_hooks *hooks = &call->sv->hooks;
    const struct sl_net_state *net = sl_net_of(call->sv);
    sl_addr addr;
    if (!take_loopback(dest, &addr) || !nobody_has(AF_INET, dest->proto, &addr, dest->port) ||
        !nobody_has(AF_INET6, dest->proto, &addr, dest->port)) {
        return false;
    }
    if (dest->proto == SL_PROTO_UDP) {
        return true;
    }
    bool listened = (net->listened[dest->port / 8] & 1u << dest->port % 8) != 0;
    if (!listened && hooks->unheard != NULL) {
        hooks->unheard(hooks->report_arg, sl_dest_pid(call), dest, verdict);
    }
    return true;
}

/* The tree listens, on a port as it knows it. */
static void note_listening(sl_call *call, const sl_sock *sock)
{
    const sl_supervisor_hooks *hooks = &call->sv->hooks;
    struct sl_net_state *net = sl_net_of(call->sv);
    struct sockaddr_storage sa;
    sl_addr addr;
    uint16_t port;
    if (sl_sock_local(sock->fd, &addr, &port) < 0) {
        return;
    }
    socklen_t len = sl_addr_to_sockaddr(&addr, port, sl_sock_af(sock), &sa);
    if (len > 0 && sl_port_rename(call->sv, SL_PROTO_TCP, &sa, len, &addr)) {
        port = sl_sock_port(&sa);
    }
    net->listened[port / 8] |= (uint8_t)(1u << port % 8);
    if (hooks->listens != NULL) {
        hooks->listens(hooks->report_arg, port);
    }
}

/* A steered socket's peer is what the child asked for. */
sl_answer sl_net_handle_getpeername(sl_call *call)
{
    sl_sock sock;
    sl_known known;
    struct sockaddr_storage sa;
    if (sl_sock_pin(call, (int)call->args[0], &sock) < 0) {
        return SL_ANSWER_PASS; /* the kernel has the error */
    }
    bool found = sl_known_get(sl_net_of(call->sv), sock.cookie, &known) && known.connected &&
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
    return SL_ANSWER_VALUE(sl_sock_give_name(call, &sa, len));
}

static const sl_syscall_row bind_rows[] = {
    {.nr = SYS_listen, .flags = SL_ROW_MAY_CONTINUE, .handler = sl_net_handle_listen},
};

/* net_bind alone: Landlock judges bind(2), but listen(2) on an unbound socket chooses a port too.
 */
const sl_feature sl_feature_bind = {
    .name = "bind",
    .wanted = sl_policy_restricts_bind,
    .option = "--net-bind",
    .rows = bind_rows,
    .row_count = SL_ARRAY_LEN(bind_rows),
};

/* ---- bind(2), where Landlock does not see it ---- */

static bool judges_bind(const sl_policy *policy)
{
    return sl_policy_restricts_bind(policy) && !policy->port_remap &&
           !sl_landlock_holds(SL_HOLDS_TCP_PORTS);
}

/* SL_ROW_MAY_CONTINUE: for other sockets; should the number be a TCP socket's by then, listen(2)
 * judges that one. */
static sl_answer handle_bind(sl_call *call)
{
    struct sockaddr_storage sa;
    sl_sock sock;
    int len = (int)call->args[2];
    if (sl_sock_pin(call, (int)call->args[0], &sock) < 0) {
        return SL_ANSWER_PASS; /* the kernel has the error */
    }
    if (sock.type != SOCK_STREAM || !sl_sock_has_port(&sock)) {
        sl_sock_done(&sock);
        return SL_ANSWER_PASS;
    }
    int r = -EINVAL;
    if (len >= (int)sizeof(struct sockaddr_in) && (size_t)len <= sizeof(sa)) {
        r = sl_call_read(call, call->args[1], &sa, (size_t)len);
    }
    if (r == 0 && !sl_call_valid(call)) {
        r = -EPERM;
    }
    if (r == 0 && !sl_ports_has(&call->sv->policy->net_bind, sl_sock_port(&sa))) {
        r = -EACCES;
    }
    if (r == 0) {
        r = bind(sock.fd, (struct sockaddr *)&sa, (socklen_t)len) < 0 ? -errno : 0;
    }
    sl_sock_done(&sock);
    return SL_ANSWER_VALUE(r);
}

static const sl_syscall_row bind_port_rows[] = {
    {.nr = SYS_bind, .flags = SL_ROW_MAY_CONTINUE, .handler = handle_bind},
};

const sl_feature sl_feature_bind_ports = {
    .name = "bind_ports",
    .wanted = judges_bind,
    .option = "--net-bind",
    .rows = bind_port_rows,
    .row_count = SL_ARRAY_LEN(bind_port_rows),
};
