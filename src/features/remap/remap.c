/* Owns port_remap: a port space of its own for each tree. Which calls it needs, and the names that
 * sockets show. docs/internals/ports.md tells the idea.
 *
 * Every row may continue: what the kernel then does is what a run without port_remap may do, and
 * what rules restrict is judged by the rows of those rules, or by Landlock, not here. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/util.h"
#include "features/features.h"
#include "features/mint/mint.h"
#include "features/remap/ports.h"
#include "features/remap/remap_int.h"
#include "kernel/place.h"

#define BATCH_LOOKED_AT 64 /* names of one sendmmsg; longer batches are sent in parts */

static bool wanted(const sl_policy *policy)
{
    return policy->port_remap;
}

struct sl_remap_state *sl_remap_of(const sl_supervisor *sv)
{
    return sl_supervisor_state(sv, &sl_feature_remap);
}

static int setup(sl_supervisor *sv, void *state, sl_error *err)
{
    static const sl_port_names names = {
        .redirect = sl_remap_redirect,
        .note = sl_remap_note,
        .has = sl_remap_has,
        .listening = sl_remap_listening,
        .may_rename = sl_remap_may_rename,
        .rename = sl_remap_rename,
    };
    struct sl_remap_state *s = state;
    (void)err;
    pthread_mutex_init(&s->lock, NULL);
    sv->port_names = &names;
    return 0;
}

static void teardown(void *state)
{
    struct sl_remap_state *s = state;
    pthread_mutex_destroy(&s->lock);
}

size_t sl_remap_list(const sl_supervisor *sv, sl_remap_port *list, size_t max)
{
    struct sl_remap_state *state = sl_remap_of(sv);
    size_t count = 0;
    if (state == NULL) {
        return 0;
    }
    sl_remap_prune(state);
    pthread_mutex_lock(&state->lock);
    for (size_t i = 0; i < state->map.count && count < max; i++) {
        const sl_bound *b = &state->map.items[i];
        if (b->listening || (b->proto == SL_PROTO_UDP && b->asked)) {
            list[count++] = (sl_remap_port){b->proto, b->inside, b->real};
        }
    }
    pthread_mutex_unlock(&state->lock);
    return count;
}

static bool has_moved(const struct sl_remap_state *state)
{
    return atomic_load(&state->map.moved_tcp) + atomic_load(&state->map.moved_udp) > 0;
}

static sl_answer handle_connect(sl_call *call)
{
    struct sockaddr_storage sa = {0};
    int len = (int)call->args[2];
    sl_sock sock;
    if (!has_moved(sl_remap_of(call->sv)) && sl_net_of(call->sv) == NULL) {
        return SL_ANSWER_PASS;
    }
    if (len < (int)sizeof(struct sockaddr_in) || (size_t)len > sizeof(sa) ||
        sl_sock_pin(call, (int)call->args[0], &sock) < 0) {
        return SL_ANSWER_PASS; /* whoever comes next has the error */
    }
    if (sl_call_read(call, call->args[1], &sa, (size_t)len) < 0 || !sl_call_valid(call) ||
        !sl_remap_redirect(call, &sock, &sa, (socklen_t)len)) {
        sl_sock_done(&sock);
        return SL_ANSWER_PASS;
    }
    if (sl_net_of(call->sv) != NULL) {
        sl_known_drop(sl_net_of(call->sv), sock.cookie);
        if (sock.type == SOCK_DGRAM) {
            sl_remap_note(call, &sock);
        }
    }
    return sl_connect_direct(call, &sock, &sa, (socklen_t)len);
}

/* A listen(2) of the whole feature set: net/listen.c tells us. */
static sl_answer handle_listen(sl_call *call)
{
    return sl_net_handle_listen(call);
}

/* The name of the very socket, or, of an accepted one, that of its listener. */
static bool rename_own(struct sl_supervisor *sv, const sl_sock *sock, struct sockaddr_storage *sa,
                       socklen_t len)
{
    struct sl_remap_state *state = sl_remap_of(sv);
    pthread_mutex_lock(&state->lock);
    const sl_bound *b = sl_portmap_get(&state->map, sock->cookie);
    bool known = b != NULL && b->real == sl_sock_port(sa);
    uint16_t inside = known ? b->inside : 0;
    bool moved = known && inside != b->real; /* `b` may be gone behind the lock */
    pthread_mutex_unlock(&state->lock);
    if (known) {
        sl_sock_set_port(sa, inside);
        return moved;
    }
    sl_addr own;
    uint16_t port;
    return sock->type == SOCK_STREAM && sl_addr_from_sockaddr(sa, len, &own, &port) == 0 &&
           sl_remap_rename(sv, SL_PROTO_TCP, sa, len, &own);
}

/* Sockets that cannot be fetched: accepted ones, and listeners. */
static sl_answer name_foreign(sl_call *call, bool peer)
{
    sl_mint_named named;
    sl_addr own;
    uint16_t port;
    if (sl_place_fetches() || !sl_mint_name(call, (int)call->args[0], &named)) {
        return SL_ANSWER_PASS;
    }
    sl_sock sock = {.fd = -1,
                    .domain = named.domain,
                    .type = SOCK_STREAM,
                    .protocol = IPPROTO_TCP,
                    .cookie = named.cookie};
    struct sockaddr_storage *sa = peer ? &named.peer : &named.own;
    bool renamed = peer ? sl_addr_from_sockaddr(&named.own, named.len, &own, &port) == 0 &&
                              sl_remap_rename(call->sv, SL_PROTO_TCP, sa, named.len, &own)
                        : rename_own(call->sv, &sock, sa, named.len);
    return renamed ? SL_ANSWER_VALUE(sl_sock_give_name(call, sa, named.len)) : SL_ANSWER_PASS;
}

static sl_answer handle_getsockname(sl_call *call)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    sl_sock sock;
    if (!has_moved(sl_remap_of(call->sv))) {
        return SL_ANSWER_PASS;
    }
    if (sl_sock_pin(call, (int)call->args[0], &sock) < 0) {
        return name_foreign(call, false);
    }
    bool renamed = sl_sock_has_port(&sock) &&
                   getsockname(sock.fd, (struct sockaddr *)&sa, &len) == 0 &&
                   rename_own(call->sv, &sock, &sa, len);
    sl_sock_done(&sock);
    return renamed ? SL_ANSWER_VALUE(sl_sock_give_name(call, &sa, len)) : SL_ANSWER_PASS;
}

static bool rename_peer(struct sl_supervisor *sv, const sl_sock *sock, struct sockaddr_storage *sa,
                        socklen_t *len)
{
    sl_known known;
    sl_addr own;
    uint16_t port;
    if (sl_net_of(sv) != NULL && sl_known_get(sl_net_of(sv), sock->cookie, &known) &&
        known.connected) {
        return false; /* a steered one: its real peer is a listener of ours */
    }
    return getpeername(sock->fd, (struct sockaddr *)sa, len) == 0 &&
           sl_sock_local(sock->fd, &own, &port) == 0 &&
           sl_remap_rename(sv, sl_sock_proto(sock), sa, *len, &own);
}

static sl_answer handle_getpeername(sl_call *call)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    sl_sock sock;
    if (!has_moved(sl_remap_of(call->sv))) {
        return SL_ANSWER_PASS;
    }
    if (sl_sock_pin(call, (int)call->args[0], &sock) < 0) {
        return name_foreign(call, true);
    }
    bool renamed = sl_sock_has_port(&sock) && rename_peer(call->sv, &sock, &sa, &len);
    sl_sock_done(&sock);
    return renamed ? SL_ANSWER_VALUE(sl_sock_give_name(call, &sa, len)) : SL_ANSWER_PASS;
}

/* True if a datagram to this address goes to a socket of the tree that is elsewhere. Only a first
 * look: the send copies and asks again. */
static bool is_moved(sl_call *call, const sl_sock *sock, uint64_t at, size_t len)
{
    struct sockaddr_storage sa = {0};
    return at != 0 && len >= sizeof(struct sockaddr_in) && len <= sizeof(sa) &&
           sl_call_read(call, at, &sa, len) == 0 &&
           sl_remap_redirect(call, sock, &sa, (socklen_t)len);
}

/* True with the socket pinned if a send of it could be to a socket that is elsewhere. Under network
 * rules every send is made on behalf anyway, and asks there. */
static bool could_send_moved(sl_call *call, sl_sock *ret_sock)
{
    return sl_net_of(call->sv) == NULL && atomic_load(&sl_remap_of(call->sv)->map.moved_udp) > 0 &&
           sl_sock_pin(call, (int)call->args[0], ret_sock) == 0;
}

static sl_answer handle_sendto(sl_call *call)
{
    sl_sock sock;
    if (!could_send_moved(call, &sock)) {
        return SL_ANSWER_PASS;
    }
    bool moved = is_moved(call, &sock, call->args[4], (size_t)(uint32_t)call->args[5]);
    sl_sock_done(&sock);
    return moved ? sl_net_handle_sendto(call) : SL_ANSWER_PASS;
}

static bool message_is_moved(sl_call *call, const sl_sock *sock, uint64_t at)
{
    struct msghdr msg;
    return sl_call_read(call, at, &msg, sizeof(msg)) == 0 &&
           is_moved(call, sock, (uint64_t)(uintptr_t)msg.msg_name, msg.msg_namelen);
}

static sl_answer handle_sendmsg(sl_call *call)
{
    sl_sock sock;
    if (!could_send_moved(call, &sock)) {
        return SL_ANSWER_PASS;
    }
    bool moved = message_is_moved(call, &sock, call->args[1]);
    sl_sock_done(&sock);
    return moved ? sl_net_send_msghdr(call) : SL_ANSWER_PASS;
}

static sl_answer handle_sendmmsg(sl_call *call)
{
    sl_sock sock;
    size_t count = (uint32_t)call->args[2];
    if (!could_send_moved(call, &sock)) {
        return SL_ANSWER_PASS;
    }
    bool udp = sl_sock_has_port(&sock) && sock.type == SOCK_DGRAM;
    bool moved = udp && count > BATCH_LOOKED_AT;
    for (size_t i = 0; udp && !moved && i < count; i++) {
        moved = message_is_moved(call, &sock, call->args[1] + i * sizeof(struct mmsghdr));
    }
    sl_sock_done(&sock);
    return moved ? sl_net_handle_sendmmsg(call) : SL_ANSWER_PASS;
}

#define ROW(call, handle)                                                                          \
    {                                                                                              \
        .nr = SYS_##call, .flags = SL_ROW_MAY_CONTINUE, .handler = (handle)                        \
    }

static const sl_syscall_row rows[] = {
    ROW(bind, sl_remap_handle_bind),
    ROW(listen, handle_listen),
    ROW(connect, handle_connect),
    ROW(getsockname, handle_getsockname),
    ROW(getpeername, handle_getpeername),
    {.nr = SYS_sendto,
     .flags = SL_ROW_MAY_CONTINUE,
     .handler = handle_sendto,
     .conds = {SL_ARG_NOT_NULL(4)}},
    ROW(sendmsg, handle_sendmsg),
    ROW(sendmmsg, handle_sendmmsg),
    {.nr = SYS_recvfrom,
     .flags = SL_ROW_MAY_CONTINUE,
     .handler = sl_net_handle_recvfrom,
     .conds = {SL_ARG_NOT_NULL(4)}},
    ROW(recvmsg, sl_net_handle_recvmsg),
    ROW(recvmmsg, sl_net_handle_recvmmsg),
};

const sl_feature sl_feature_remap = {
    .name = "remap",
    .wanted = wanted,
    .writes = wanted,
    .option = "--port-remap",
    .rows = rows,
    .row_count = SL_ARRAY_LEN(rows),
    .state_size = sizeof(struct sl_remap_state),
    .setup = setup,
    .teardown = teardown,
};
