/* Owns the memory of which Unix sockets the tree serves. Looks only: the kernel makes the calls,
 * but for listen(2) on an abstract name, whose caller connect(2) asks for.
 *
 * What is remembered is the socket, by its cookie: whoever listens on it, or binds it to receive
 * datagrams, is of the tree. One that came from outside and was a server already is not. */
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/util.h"
#include "features/features.h"
#include "features/kmem/kmem.h"
#include "features/mint/mint.h"
#include "features/net/unix.h"

struct sl_unix_state {
    uint64_t (*sets)[SL_UNIX_SET]; /* made at the first one; owned */
    uint32_t clock;                /* of replacement in a set */
};

static bool wanted(const sl_policy *policy)
{
    (void)policy;
    return true;
}

static void teardown(void *state)
{
    struct sl_unix_state *s = state;
    free(s->sets);
}

static uint64_t *set_of(const struct sl_unix_state *s, uint64_t cookie)
{
    uint64_t h = cookie * 0x9e3779b97f4a7c15ull;
    return s->sets[(h >> 40) % (SL_UNIX_SERVERS_MAX / SL_UNIX_SET)];
}

static void remember(struct sl_unix_state *s, uint64_t cookie)
{
    if (s->sets == NULL) {
        s->sets = calloc(SL_UNIX_SERVERS_MAX / SL_UNIX_SET, sizeof(*s->sets));
        if (s->sets == NULL) {
            return; /* nobody reaches it, then */
        }
    }
    uint64_t *set = set_of(s, cookie);
    size_t at = s->clock++ % SL_UNIX_SET;
    for (size_t i = 0; i < SL_UNIX_SET; i++) {
        if (set[i] == cookie || set[i] == 0) {
            at = i;
            break;
        }
    }
    set[at] = cookie;
}

bool sl_unix_is_server(const sl_supervisor *sv, uint64_t cookie)
{
    const struct sl_unix_state *s = sl_supervisor_state(sv, &sl_feature_unix);
    if (s == NULL || s->sets == NULL) {
        return false;
    }
    const uint64_t *set = set_of(s, cookie);
    for (size_t i = 0; i < SL_UNIX_SET; i++) {
        if (set[i] == cookie) {
            return true;
        }
    }
    return false;
}

/* Its own name, of which *ret_len tells how much there is. */
static bool has_name(int fd, struct sockaddr_un *ret_sa, socklen_t *ret_len)
{
    *ret_len = sizeof(*ret_sa);
    return getsockname(fd, (struct sockaddr *)ret_sa, ret_len) == 0 &&
           *ret_len > sizeof(sa_family_t);
}

static bool listens(int fd)
{
    int value = 1;
    socklen_t len = sizeof(value);
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &len) < 0 || value != 0;
}

static sl_answer handle_bind(sl_call *call)
{
    struct sl_unix_state *s = sl_supervisor_state(call->sv, &sl_feature_unix);
    struct sockaddr_un sa;
    socklen_t len;
    sl_sock sock;
    if (sl_sock_pin(call, (int)call->args[0], &sock) == 0) {
        if (sock.domain == AF_UNIX && sock.type == SOCK_DGRAM && !has_name(sock.fd, &sa, &len) &&
            sl_call_valid(call)) {
            remember(s, sock.cookie);
        }
        sl_sock_done(&sock);
    }
    return SL_ANSWER_PASS;
}

/* An abstract name is free for the next one at once: who has it is known only by who listens. */
static bool must_be_ours(const sl_call *call, const sl_sock *sock)
{
    struct sockaddr_un sa;
    socklen_t len;
    return sl_policy_isolates_abstract(call->sv->policy) && has_name(sock->fd, &sa, &len) &&
           sa.sun_path[0] == '\0';
}

static sl_answer handle_listen(sl_call *call)
{
    struct sl_unix_state *s = sl_supervisor_state(call->sv, &sl_feature_unix);
    sl_answer answer = SL_ANSWER_PASS;
    sl_sock sock;
    if (sl_sock_pin(call, (int)call->args[0], &sock) == 0) {
        if (sock.domain == AF_UNIX && !listens(sock.fd) && sl_call_valid(call)) {
            remember(s, sock.cookie);
            if (must_be_ours(call, &sock)) {
                int r = sl_kmem_listen(call->sv, sock.fd, (int)call->args[1]);
                answer = SL_ANSWER_VALUE(r);
                if (r == 0) {
                    sl_mint_let_go(call->sv, sock.fd);
                }
            }
        }
        sl_sock_done(&sock);
    }
    return answer;
}

/* SL_ROW_MAY_CONTINUE: plain numbers, and what is bound where is Landlock's matter. Should another
 * socket be under the number by then, it is one that is not remembered. SO_LINGER goes on for what
 * we do not hold (mint.c); it is here since every policy holds sockets for the time of a call. */
static const sl_syscall_row rows[] = {
    {.nr = SYS_bind, .flags = SL_ROW_MAY_CONTINUE, .handler = handle_bind},
    {.nr = SYS_listen, .flags = SL_ROW_MAY_CONTINUE, .handler = handle_listen},
    {.nr = SYS_setsockopt,
     .flags = SL_ROW_MAY_CONTINUE,
     .handler = sl_net_handle_linger,
     .conds = {SL_ARG_EQ(1, SOL_SOCKET), SL_ARG_EQ(2, SO_LINGER)}},
};

const sl_feature sl_feature_unix = {
    .name = "unix",
    .wanted = wanted,
    .promised = sl_feature_promises_nothing, /* docs/THREAT-MODEL.md says so */
    .rows = rows,
    .row_count = SL_ARRAY_LEN(rows),
    .state_size = sizeof(struct sl_unix_state),
    .teardown = teardown,
};
