/* Owns direct connections to names: the gateway resolves and checks, the engine connects the
 * child's own socket to the addresses in order. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/util.h"
#include "features/net/net.h"

#define RESOLVE_MS 15000

struct attempt {
    struct sl_link_resolved resolved; /* count is 0 until the answer is there */
    bool answered;
    uint32_t next;
    bool connecting;
    bool nonblock;
    int domain;
    enum sl_proto proto;
    socklen_t len;
    struct sockaddr_storage sa;
    char name[SL_HOST_NAME_MAX];
    uint16_t port;
    sl_addr asked;
};

/* A name with addresses of one family only, asked for through a socket of the other: the gateway
 * carries it. */
static bool steer_instead(sl_deferred *d, const struct attempt *a, sl_answer *ret_answer)
{
    if (a->proto != SL_PROTO_TCP) {
        *ret_answer = SL_ANSWER_VALUE(-ENETUNREACH);
        return true;
    }
    sl_sock sock = {.fd = sl_steal_fd(&d->fd),
                    .domain = a->domain,
                    .type = SOCK_STREAM,
                    .nonblock = a->nonblock};
    socklen_t len = sizeof(sock.cookie);
    getsockopt(sock.fd, SOL_SOCKET, SO_COOKIE, &sock.cookie, &len);
    sl_dest dest = {.proto = a->proto, .name = a->name, .addr = a->asked, .port = a->port};
    *ret_answer = sl_flow_steer(&d->call, &sock, &dest);
    return true;
}

/* Can the socket reach an address of this family at all? A datagram connect to the name's IPv6
 * address is mostly getaddrinfo(3), which sorts by what it finds: it finds what is there. */
static bool fits_socket(const struct attempt *a, const sl_sock *sock, const sl_addr *addr)
{
    int only = 0;
    socklen_t len = sizeof(only);
    if (a->proto == SL_PROTO_UDP && a->asked.family == 6 && addr->family == 4) {
        return false;
    }
    if (sl_sock_af(sock) == AF_INET6 && addr->family == 4) {
        (void)getsockopt(sock->fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, &len);
    }
    return only == 0;
}

/* Tries what is left until something is under way. */
static bool try_next(sl_deferred *d, struct attempt *a, int last, sl_answer *ret_answer)
{
    bool fits = false;
    sl_sock sock = {.fd = d->fd, .domain = a->domain, .nonblock = a->nonblock};
    while (a->next < a->resolved.count) {
        const struct sl_link_addr *to = &a->resolved.addrs[a->next++];
        a->len = sl_addr_to_sockaddr(&to->addr, to->port, sl_sock_af(&sock), &a->sa);
        if (a->len == 0 || !fits_socket(a, &sock, &to->addr) ||
            !sl_policy_may_dial(d->call.sv->policy, a->name, &to->addr, to->port)) {
            continue; /* the gateway has asked the same; it may be anybody's by now */
        }
        fits = true;
        last = sl_connect_briefly(&sock, &a->sa, a->len);
        if (last == 0 || (last == -EINPROGRESS && a->nonblock)) {
            *ret_answer = SL_ANSWER_VALUE(last);
            return true;
        }
        if (last == -EINPROGRESS) {
            a->connecting = true;
            d->events = UV_WRITABLE;
            sl_deferred_watch(d);
            return false;
        }
    }
    if (!fits && last == 0) {
        return steer_instead(d, a, ret_answer);
    }
    *ret_answer = SL_ANSWER_VALUE(last);
    return true;
}

/* The rule allowed the name; where it leads is what nobody may dial by it. */
static void tell_refused(const sl_deferred *d, const struct attempt *a)
{
    sl_net_verdict verdict = {.action = SL_NET_DENY, .reason = "address_denied"};
    sl_dest dest = {
        .proto = a->proto, .name = a->name, .addr = a->resolved.refused, .port = a->port};
    sl_dest_decided(&d->call, &dest, &verdict, false);
}

static bool resume_attempt(sl_deferred *d, enum sl_wake why, sl_answer *ret_answer)
{
    struct attempt *a = d->data;
    if (why == SL_WAKE_TIMEOUT) {
        *ret_answer = SL_ANSWER_VALUE(-ETIMEDOUT);
        return true;
    }
    if (!a->answered) {
        return false;
    }
    if (a->connecting) {
        sl_sock sock = {.fd = d->fd, .domain = a->domain};
        int r = sl_connect_briefly(&sock, &a->sa, a->len);
        if (r == -EINPROGRESS || r == -EALREADY) {
            return false;
        }
        a->connecting = false;
        if (r == 0 || r == -EISCONN) {
            *ret_answer = SL_ANSWER_VALUE(0);
            return true;
        }
        return try_next(d, a, r, ret_answer);
    }
    if (a->resolved.count == 0) {
        bool denied = strcmp(a->resolved.reason, "address_denied") == 0;
        if (denied && a->proto != SL_PROTO_UDP) { /* that would have sent nothing yet */
            tell_refused(d, a);
        }
        *ret_answer = SL_ANSWER_VALUE(denied ? -ECONNREFUSED : -EHOSTUNREACH);
        return true;
    }
    d->deadline_ms = 0;
    return try_next(d, a, 0, ret_answer);
}

void sl_net_resolved(sl_supervisor *sv, const struct sl_link_resolved *resolved)
{
    sl_deferred *d = sl_deferred_find(sv, resolved->id);
    if (d == NULL || d->resume != resume_attempt) {
        return; /* its caller is gone */
    }
    struct attempt *a = d->data;
    a->resolved = *resolved;
    a->answered = true;
    sl_deferred_wake(sv, resolved->id);
}

sl_answer sl_resolve_connect(sl_call *call, sl_sock *sock, const sl_dest *dest)
{
    const sl_supervisor_hooks *hooks = &call->sv->hooks;
    struct sl_link_resolve ask = {.header = {SL_LINK_RESOLVE, sizeof(ask)},
                                  .id = ++sl_net_of(call->sv)->next_id,
                                  .port = dest->port,
                                  .proto = dest->proto};
    memcpy(ask.name, dest->name, strlen(dest->name) + 1);
    struct attempt *a = hooks->resolve == NULL ? NULL : calloc(1, sizeof(*a));
    if (a != NULL) {
        a->domain = sock->domain;
        a->nonblock = sock->nonblock;
        a->proto = dest->proto;
        a->port = dest->port;
        a->asked = dest->addr;
        memcpy(a->name, dest->name, strlen(dest->name) + 1);
    }
    sl_wait wait = {.resume = resume_attempt,
                    .data = a,
                    .key = ask.id,
                    .deadline_ms = sl_clock_now_ms() + RESOLVE_MS};
    /* Waiting comes first: the answer must find it. If nothing can be asked the deadline ends it.
     */
    sl_answer answer = sl_deferred_start(call, sl_steal_fd(&sock->fd), &wait);
    if (answer.kind == SL_DEFER) {
        (void)hooks->resolve(hooks->flow_arg, &ask);
    }
    return answer;
}
