/* Owns the way from a port's name to the port: where a destination of the tree's own really is, and
 * what a real port is called inside. The map is a claim; nothing is reached by it that the kernel
 * does not say is the tree's now. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "core/util.h"
#include "features/remap/remap_int.h"

#define REALS_MAX 8 /* real ports of one name */

/* Sockets that can be found at their port: listeners, and every UDP socket. */
static struct sl_diag_question question(enum sl_proto proto, int family, uint16_t port)
{
    bool tcp = proto == SL_PROTO_TCP;
    return (struct sl_diag_question){.family = family,
                                     .protocol = tcp ? IPPROTO_TCP : IPPROTO_UDP,
                                     .port = port,
                                     .states = tcp ? 1u << SL_DIAG_LISTEN : UINT32_MAX};
}

struct looking {
    struct sl_remap_state *state;
    const sl_addr *addr;
    struct sl_remap_view *view;
};

static void look_at(void *arg, const struct inet_diag_msg *m)
{
    struct looking *l = arg;
    const sl_bound *b = sl_portmap_get(&l->state->map, sl_diag_cookie(m));
    if (b == NULL || b->real != ntohs(m->id.idiag_sport)) {
        l->view->strangers += sl_diag_is_reached(m, l->addr);
    } else {
        l->view->ours += sl_bound_covers(b, l->addr);
    }
}

void sl_remap_look(struct sl_remap_state *state, enum sl_proto proto, const sl_addr *addr,
                   uint16_t real, struct sl_remap_view *ret)
{
    struct looking l = {.state = state, .addr = addr, .view = ret};
    struct sl_diag_question v4 = question(proto, AF_INET, real);
    struct sl_diag_question v6 = question(proto, AF_INET6, real);
    *ret = (struct sl_remap_view){0};
    pthread_mutex_lock(&state->lock);
    ret->complete = sl_diag_each(&v4, look_at, &l) && sl_diag_each(&v6, look_at, &l);
    pthread_mutex_unlock(&state->lock);
}

struct sharing {
    const sl_portmap *map;
    const sl_bound *wish;
    uint16_t real;
    bool found;
};

static void find_sharer(void *arg, const struct inet_diag_msg *m)
{
    struct sharing *s = arg;
    for (size_t i = 0; i < s->map->count && !s->found; i++) {
        const sl_bound *b = &s->map->items[i];
        s->found = b->cookie == sl_diag_cookie(m) && b->proto == s->wish->proto &&
                   b->real == s->real && sl_bound_overlaps(b, s->wish);
    }
}

bool sl_remap_is_shared(struct sl_remap_state *state, const sl_bound *wish, uint16_t real)
{
    static const int families[] = {AF_INET, AF_INET6};
    struct sharing s = {.map = &state->map, .wish = wish, .real = real};
    bool complete = true;
    pthread_mutex_lock(&state->lock);
    for (size_t i = 0; i < SL_ARRAY_LEN(families) && complete && !s.found; i++) {
        struct sl_diag_question q = question(wish->proto, families[i], real);
        q.states |= 1u << SL_DIAG_BOUND;
        complete = sl_diag_each(&q, find_sharer, &s);
    }
    pthread_mutex_unlock(&state->lock);
    return s.found || !complete;
}

struct pruning {
    const sl_portmap *map;
    bool alive[SL_PORTMAP_MAX];
};

static void mark_alive(void *arg, const struct inet_diag_msg *m)
{
    struct pruning *p = arg;
    uint64_t cookie = sl_diag_cookie(m);
    for (size_t i = 0; i < p->map->count; i++) {
        p->alive[i] = p->alive[i] || p->map->items[i].cookie == cookie;
    }
}

void sl_remap_prune(struct sl_remap_state *state)
{
    static const enum sl_proto protos[] = {SL_PROTO_TCP, SL_PROTO_UDP};
    static const int families[] = {AF_INET, AF_INET6};
    struct pruning p = {.map = &state->map};
    bool complete = true;
    pthread_mutex_lock(&state->lock);
    for (size_t i = 0; i < SL_ARRAY_LEN(protos); i++) {
        for (size_t k = 0; k < SL_ARRAY_LEN(families); k++) {
            struct sl_diag_question q = question(protos[i], families[k], 0);
            q.states |= 1u << SL_DIAG_BOUND;
            complete = complete && sl_diag_each(&q, mark_alive, &p);
        }
    }
    for (size_t i = state->map.count; complete && i-- > 0;) {
        /* The last one moves to where one is taken out: it has been looked at already. */
        if (!p.alive[i]) {
            sl_portmap_drop(&state->map, state->map.items[i].cookie);
        }
    }
    pthread_mutex_unlock(&state->lock);
}

/* An address of this machine: one can be bound to it. */
static bool is_own(const sl_addr *addr)
{
    sl_addr bound;
    uint16_t port;
    if ((sl_addr_classify(addr) & SL_ADDR_LOOPBACK) != 0) {
        return true;
    }
    if (sl_addr_is_multicast(addr)) {
        return false;
    }
    sl_autoclose int fd = sl_sock_bound(addr, SOCK_DGRAM, &bound, &port);
    return fd >= 0;
}

/* "This host", as a destination, is loopback. */
static void settle_any(sl_addr *addr)
{
    static const uint8_t zero[16];
    if (memcmp(addr->bytes, zero, sizeof(zero)) != 0) {
        return;
    }
    if (addr->family == 6) {
        addr->bytes[15] = 1;
    } else {
        memcpy(addr->bytes, (uint8_t[]){127, 0, 0, 1}, 4);
    }
}

/* The real port behind a name, if the tree alone answers there. 0: none. */
static uint16_t find_real(struct sl_remap_state *state, enum sl_proto proto, const sl_addr *addr,
                          uint16_t inside)
{
    uint16_t reals[REALS_MAX];
    struct sl_remap_view view;
    pthread_mutex_lock(&state->lock);
    size_t count = sl_portmap_reals(&state->map, proto, addr, inside, reals, REALS_MAX);
    pthread_mutex_unlock(&state->lock);
    if (count == 0 || !is_own(addr)) {
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        sl_remap_look(state, proto, addr, reals[i], &view);
        if (view.complete && view.ours > 0 && view.strangers == 0) {
            return reals[i];
        }
    }
    return 0;
}

/* net_connect alone is Landlock's, which does not see a connect on behalf: it is the name that the
 * policy knows. */
static bool may_connect(const sl_policy *policy, enum sl_proto proto, uint16_t inside)
{
    return proto != SL_PROTO_TCP || policy->net_connect.count == 0 ||
           sl_ports_has(&policy->net_connect, inside);
}

bool sl_remap_redirect(sl_call *call, const sl_sock *sock, struct sockaddr_storage *sa,
                       socklen_t len)
{
    struct sl_remap_state *state = sl_remap_of(call->sv);
    sl_addr addr;
    uint16_t inside;
    if (state == NULL || !sl_sock_has_port(sock)) {
        return false;
    }
    enum sl_proto proto = sl_sock_proto(sock);
    bool udp = proto == SL_PROTO_UDP;
    /* Where nothing moved the name is the port. Datagrams of the tree's own need this all the same
     * under network rules, which know of TCP listeners only. */
    bool moved = atomic_load(udp ? &state->map.moved_udp : &state->map.moved_tcp) > 0;
    if ((!moved && !(udp && sl_net_of(call->sv) != NULL)) ||
        sl_addr_from_sockaddr(sa, len, &addr, &inside) < 0 || inside == 0 ||
        !may_connect(call->sv->policy, proto, inside)) {
        return false;
    }
    settle_any(&addr);
    uint16_t real = find_real(state, proto, &addr, inside);
    if (real == 0 || (real == inside && !(udp && sl_net_of(call->sv) != NULL))) {
        return false;
    }
    sl_sock_set_port(sa, real);
    return true;
}

bool sl_remap_may_rename(struct sl_supervisor *sv)
{
    return sl_remap_of(sv) != NULL && atomic_load(&sl_remap_of(sv)->map.moved_udp) > 0;
}

bool sl_remap_rename(struct sl_supervisor *sv, enum sl_proto proto, struct sockaddr_storage *sa,
                     socklen_t len, const sl_addr *own)
{
    struct sl_remap_state *state = sl_remap_of(sv);
    sl_addr addr;
    uint16_t real;
    if (sl_addr_from_sockaddr(sa, len, &addr, &real) < 0) {
        return false;
    }
    pthread_mutex_lock(&state->lock);
    uint16_t inside = sl_portmap_inside(&state->map, proto, &addr, real);
    pthread_mutex_unlock(&state->lock);
    bool is_here = inside != 0 && inside != real &&
                   ((own != NULL && sl_addr_equal(own, &addr)) || is_own(&addr));
    if (!is_here) {
        return false;
    }
    sl_sock_set_port(sa, inside);
    return true;
}
