/* Owns what a socket of the tree's may ask for its buffers where kernel memory is bounded
 * (features/kmem): never more than it has. A socket that cannot be had keeps what it was given, and
 * is told that it is done: the kernel as well cuts a size down to what it allows, and says nothing.
 */
#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/util.h"
#include "features/features.h"
#include "features/kmem/bounds.h"
#include "features/kmem/kmem.h"
#include "features/net/net.h"

static bool wanted(const sl_policy *policy)
{
    return policy->max_memory > 0;
}

static bool is_unix_datagram(const sl_sock *sock)
{
    return sock->domain == AF_UNIX && sock->type == SOCK_DGRAM;
}

/* Strangers reach a socket with a name, and one that asks who they are gets one by itself
 * (unix(7), SO_PASSCRED). */
static sl_answer name(sl_call *call)
{
    sl_sock sock;
    int r = 0;
    if (sl_sock_pin(call, (int)call->args[0], &sock) < 0) {
        return SL_ANSWER_PASS;
    }
    if (is_unix_datagram(&sock)) {
        r = sl_kmem_name(call->sv, sock.fd);
    }
    sl_sock_done(&sock);
    return r < 0 ? SL_ANSWER_VALUE(r) : SL_ANSWER_PASS;
}

static sl_answer handle_bind(sl_call *call)
{
    return sl_kmem_holds(call->sv) ? name(call) : SL_ANSWER_PASS;
}

static sl_answer set_size(sl_call *call)
{
    int value;
    sl_sock sock;
    int r = sl_sock_pin(call, (int)call->args[0], &sock);
    if (r < 0) {
        return SL_ANSWER_VALUE(r == -EACCES ? 0 : r);
    }
    r = (int)call->args[4] < (int)sizeof(value)
            ? -EINVAL
            : sl_call_read(call, call->args[3], &value, sizeof(value));
    if (r == 0 && !sl_call_valid(call)) {
        r = -EPERM;
    }
    r = r < 0 ? r : sl_bounds_lower(sock.fd, (int)call->args[2], value);
    sl_sock_done(&sock);
    return SL_ANSWER_VALUE(r);
}

static sl_answer handle_setsockopt(sl_call *call)
{
    int option = (int)call->args[2];
    if (!sl_kmem_holds(call->sv) || (int)call->args[1] != SOL_SOCKET) {
        return SL_ANSWER_PASS;
    }
    if (option == SO_SNDBUF || option == SO_RCVBUF) {
        return set_size(call);
    }
    return option == SO_PASSCRED ? name(call) : SL_ANSWER_PASS;
}

/* Once more on a listener that is ours no more (features/mint): as many as before. What we never
 * had came from outside. */
static sl_answer handle_listen(sl_call *call)
{
    sl_sock sock;
    if (!sl_kmem_holds(call->sv)) {
        return SL_ANSWER_PASS;
    }
    int r = sl_sock_pin(call, (int)call->args[0], &sock);
    if (r < 0) {
        bool foreign = r == -EACCES && !sl_kmem_made(call, (int)call->args[0]);
        return foreign ? SL_ANSWER_PASS : SL_ANSWER_VALUE(r == -EACCES ? 0 : r);
    }
    r = sl_call_valid(call) ? sl_kmem_listen(call->sv, sock.fd, (int)call->args[1]) : -EPERM;
    sl_sock_done(&sock);
    return SL_ANSWER_VALUE(r);
}

/* SL_ROW_MAY_CONTINUE: bind and SO_PASSCRED give what was charged; listen, of plain numbers, for a
 * socket from outside; the other options never. */
static const sl_syscall_row rows[] = {
    {.nr = SYS_bind, .flags = SL_ROW_MAY_CONTINUE, .handler = handle_bind},
    {.nr = SYS_listen, .flags = SL_ROW_MAY_CONTINUE, .handler = handle_listen},
#define OPTION(option)                                                                             \
    {                                                                                              \
        .nr = SYS_setsockopt, .flags = SL_ROW_MAY_CONTINUE, .handler = handle_setsockopt,          \
        .conds = {                                                                                 \
            SL_ARG_EQ(1, SOL_SOCKET),                                                              \
            SL_ARG_EQ(2, option)                                                                   \
        }                                                                                          \
    }
    OPTION(SO_SNDBUF),
    OPTION(SO_RCVBUF),
    OPTION(SO_PASSCRED),
};

const sl_feature sl_feature_buffers = {
    .name = "buffers",
    .wanted = wanted,
    .promised = sl_feature_promises_nothing, /* "memory" says it */
    .without_cgroup = true,
    .rows = rows,
    .row_count = SL_ARRAY_LEN(rows),
};
