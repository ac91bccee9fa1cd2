/* Owns bind(2) under --port-remap: made on a copy of the address, on the pinned socket, at a real
 * port that no stranger shares. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "core/util.h"
#include "features/remap/remap_int.h"
#include "kernel/place.h"
#include "policy/verdict.h"

#define REALS_MAX 8

struct binding {
    struct sl_remap_state *state;
    sl_sock sock;
    struct sockaddr_storage sa;
    socklen_t len;
    sl_bound bound; /* `real` is filled by what succeeds */
};

/* While it is bound the socket must not agree to share: with SO_REUSEPORT, or SO_REUSEADDR of UDP,
 * a stranger's socket at the same port would get a part of what is meant for the tree. */
static int bind_alone(struct binding *b)
{
    static const int off;
    int port = 0;
    int addr = 0;
    socklen_t len = sizeof(port);
    bool udp = b->sock.type == SOCK_DGRAM;
    if (getsockopt(b->sock.fd, SOL_SOCKET, SO_REUSEPORT, &port, &len) < 0 ||
        getsockopt(b->sock.fd, SOL_SOCKET, SO_REUSEADDR, &addr, &len) < 0) {
        return -errno;
    }
    if ((port != 0 && setsockopt(b->sock.fd, SOL_SOCKET, SO_REUSEPORT, &off, sizeof(off)) < 0) ||
        (udp && addr != 0 &&
         setsockopt(b->sock.fd, SOL_SOCKET, SO_REUSEADDR, &off, sizeof(off)) < 0)) {
        return -errno;
    }
    int r = bind(b->sock.fd, (struct sockaddr *)&b->sa, b->len) < 0 ? -errno : 0;
    if (port != 0) {
        (void)setsockopt(b->sock.fd, SOL_SOCKET, SO_REUSEPORT, &port, sizeof(port));
    }
    if (udp && addr != 0) {
        (void)setsockopt(b->sock.fd, SOL_SOCKET, SO_REUSEADDR, &addr, sizeof(addr));
    }
    return r;
}

static int bind_at(struct binding *b, uint16_t port, bool alone)
{
    sl_sock_set_port(&b->sa, port);
    if (alone) {
        return bind_alone(b);
    }
    return bind(b->sock.fd, (struct sockaddr *)&b->sa, b->len) < 0 ? -errno : 0;
}

/* At a real port that the tree has under this name already: its own sockets settle among themselves
 * there, by their own options, as on a machine of their own. Alone first: that needs no look at who
 * lives there, which takes as long as the kernel's table of ports is. -EAGAIN: another one must be
 * found. */
static int bind_beside_ours(struct binding *b)
{
    uint16_t reals[REALS_MAX];
    struct sl_remap_state *state = b->state;
    pthread_mutex_lock(&state->lock);
    size_t count =
        sl_portmap_reals(&state->map, b->bound.proto, NULL, b->bound.inside, reals, REALS_MAX);
    pthread_mutex_unlock(&state->lock);
    for (size_t i = 0; i < count; i++) {
        int r = bind_at(b, reals[i], true);
        bool shared = r == -EADDRINUSE && sl_remap_is_shared(state, &b->bound, reals[i]);
        r = shared ? bind_at(b, reals[i], false) : r;
        if (shared || (r != -EADDRINUSE && r != -EACCES)) {
            b->bound.real = reals[i];
            return r;
        }
    }
    return -EAGAIN;
}

/* True if the tree has this real port under another name. */
static bool is_anothers(struct sl_remap_state *state, const sl_bound *b, uint16_t real)
{
    bool found = false;
    pthread_mutex_lock(&state->lock);
    for (size_t i = 0; i < state->map.count && !found; i++) {
        const sl_bound *other = &state->map.items[i];
        found = other->proto == b->proto && other->real == real && other->inside != b->inside;
    }
    pthread_mutex_unlock(&state->lock);
    return found;
}

static int bind_somewhere(struct binding *b)
{
    uint16_t inside = b->bound.inside;
    if (inside != 0) {
        int r = bind_beside_ours(b);
        if (r != -EAGAIN) {
            return r;
        }
        r = is_anothers(b->state, &b->bound, inside) ? -EADDRINUSE : bind_at(b, inside, true);
        b->bound.real = inside;
        if (r != -EADDRINUSE &&
            r != -EACCES) { /* EACCES: a privileged port, which it need not be */
            return r;
        }
    }
    int r = bind_at(b, 0, true);
    socklen_t len = sizeof(b->sa);
    if (r == 0 && getsockname(b->sock.fd, (struct sockaddr *)&b->sa, &len) < 0) {
        r = -errno;
    }
    b->bound.real = sl_sock_port(&b->sa);
    return r;
}

static void tell(sl_call *call, const sl_bound *b)
{
    const sl_supervisor_hooks *hooks = &call->sv->hooks;
    if (hooks->bound != NULL) {
        hooks->bound(hooks->report_arg, b->proto, b->inside, b->real);
    }
}

/* Keeps it under its name. False when the table is full. */
static bool keep(struct sl_remap_state *state, sl_bound *b)
{
    pthread_mutex_lock(&state->lock);
    if (b->inside == 0) {
        b->inside = sl_portmap_free_name(&state->map, b->proto, b->real);
    }
    bool kept = sl_portmap_put(&state->map, b) == 0;
    pthread_mutex_unlock(&state->lock);
    return kept;
}

static bool is_full(struct sl_remap_state *state)
{
    pthread_mutex_lock(&state->lock);
    bool full = state->map.count == SL_PORTMAP_MAX;
    pthread_mutex_unlock(&state->lock);
    return full;
}

static bool is_v6only(const sl_sock *sock)
{
    int value = 0;
    socklen_t len = sizeof(value);
    return sock->domain == AF_INET6 &&
           getsockopt(sock->fd, IPPROTO_IPV6, IPV6_V6ONLY, &value, &len) == 0 && value != 0;
}

/* What a socket is bound to. 0 or -errno. */
static int describe(const sl_sock *sock, sl_bound *ret)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    sl_addr addr;
    if (getsockname(sock->fd, (struct sockaddr *)&sa, &len) < 0) {
        return -errno;
    }
    *ret = (sl_bound){.cookie = sock->cookie, .proto = sl_sock_proto(sock)};
    int r = sl_addr_from_sockaddr(&sa, len, &addr, &ret->real);
    sl_bound_set_addr(ret, &addr, is_v6only(sock));
    return r;
}

/* The address that is asked for, as far as it is one: the kernel refuses the others by itself. */
static void describe_wish(struct binding *b)
{
    sl_addr addr = {.family = b->sock.domain == AF_INET6 ? 6 : 4};
    uint16_t port;
    (void)sl_addr_from_sockaddr(&b->sa, b->len, &addr, &port);
    b->bound = (sl_bound){
        .cookie = b->sock.cookie, .proto = sl_sock_proto(&b->sock), .inside = sl_sock_port(&b->sa)};
    sl_bound_set_addr(&b->bound, &addr, is_v6only(&b->sock));
}

static int bind_mapped(sl_call *call, struct binding *b)
{
    const sl_policy *policy = call->sv->policy;
    describe_wish(b);
    uint16_t wish = b->bound.inside;
    if (b->bound.proto == SL_PROTO_TCP && sl_policy_restricts_bind(policy) &&
        !sl_ports_has(&policy->net_bind, wish)) {
        return -EACCES; /* as Landlock would: it is the name that the policy knows */
    }
    if (is_full(b->state)) {
        sl_remap_prune(b->state);
    }
    if (is_full(b->state)) {
        return bind_at(b, wish, true); /* a name for what it really is needs no table */
    }
    int r = bind_somewhere(b);
    uint16_t real = b->bound.real;
    r = r < 0 ? r : describe(&b->sock, &b->bound);
    if (r == 0 && b->bound.real == real) {
        b->bound.inside = wish;
        b->bound.asked = wish != 0;
        if (keep(b->state, &b->bound) && b->bound.proto == SL_PROTO_UDP && b->bound.asked) {
            tell(call, &b->bound);
        }
    }
    return r;
}

sl_answer sl_remap_handle_bind(sl_call *call)
{
    struct binding b = {.state = sl_remap_of(call->sv)};
    int len = (int)call->args[2];
    int pinned = sl_sock_pin(call, (int)call->args[0], &b.sock);
    if (pinned < 0) { /* the kernel has the error, but for what is ours */
        bool theirs = pinned == -EBADF || pinned == -ENOTSOCK || !sl_place_fetches();
        return theirs ? SL_ANSWER_PASS : SL_ANSWER_VALUE(pinned);
    }
    if (!sl_sock_has_port(&b.sock)) {
        sl_sock_done(&b.sock);
        return SL_ANSWER_PASS;
    }
    int r = -EINVAL;
    if (len >= (int)sizeof(struct sockaddr_in) && (size_t)len <= sizeof(b.sa)) {
        b.len = (socklen_t)len;
        r = sl_call_read(call, call->args[1], &b.sa, b.len);
    }
    if (r == 0 && !sl_call_valid(call)) {
        r = -EPERM;
    }
    r = r < 0 ? r : bind_mapped(call, &b);
    sl_sock_done(&b.sock);
    return SL_ANSWER_VALUE(r);
}

bool sl_remap_has(sl_call *call, const sl_sock *sock)
{
    struct sl_remap_state *state = sl_remap_of(call->sv);
    pthread_mutex_lock(&state->lock);
    bool has = sl_portmap_get(&state->map, sock->cookie) != NULL;
    pthread_mutex_unlock(&state->lock);
    return has;
}

void sl_remap_listening(sl_call *call, const sl_sock *sock)
{
    struct sl_remap_state *state = sl_remap_of(call->sv);
    sl_bound b;
    if (state == NULL || !sl_sock_has_port(sock)) {
        return;
    }
    pthread_mutex_lock(&state->lock);
    sl_bound *known = sl_portmap_get(&state->map, sock->cookie);
    bool is_new = known == NULL || !known->listening;
    if (known != NULL) {
        known->listening = true;
        b = *known;
    }
    pthread_mutex_unlock(&state->lock);
    if (!is_new) {
        return;
    }
    if (known == NULL) {
        if (is_full(state)) {
            sl_remap_prune(state);
        }
        if (describe(sock, &b) < 0) {
            return;
        }
        b.listening = true;
        (void)keep(state, &b);
    }
    tell(call, &b);
}

void sl_remap_note(sl_call *call, const sl_sock *sock)
{
    struct sl_remap_state *state = sl_remap_of(call->sv);
    sl_addr addr;
    uint16_t port;
    sl_bound b;
    if (sl_sock_bind_if_unbound(sock, &addr, &port) < 0 || describe(sock, &b) < 0) {
        return;
    }
    pthread_mutex_lock(&state->lock);
    bool known = sl_portmap_get(&state->map, sock->cookie) != NULL;
    pthread_mutex_unlock(&state->lock);
    if (!known) {
        if (is_full(state)) {
            sl_remap_prune(state);
        }
        (void)keep(state, &b);
    }
}
