/* Owns Unix sockets where no rule restricts the network: connect(2) is judged, datagrams are sent
 * by us, and nothing else costs anything. docs/internals/unix.md argues it.
 *
 * A filter cannot tell the family of a socket that sends, and what sendmsg(2) is told lies in
 * memory. So a datagram socket comes from us with its way out shut for good (shutdown(2)): the
 * kernel refuses whatever it would send, and sendto(2) with an address, which a filter can tell, is
 * made from a socket of ours. Where the kernel judges by itself (Landlock) or where the policy
 * names sockets there is no gate: the first needs none, the second has every send judged. */
#include <errno.h>
#include <linux/seccomp.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/util.h"
#include "features/features.h"
#include "features/kmem/kmem.h"
#include "features/mint/mint.h"
#include "features/net/send_int.h"
#include "features/net/unix.h"
#include "kernel/landlock.h"

#define DATAGRAM_TYPES 0xeu /* SOCK_DGRAM, and SOCK_RAW, which unix(7) makes the same of */

struct sl_gate_state {
    bool gave; /* a datagram socket; dispatcher thread only */
};

static bool is_open(const sl_policy *policy)
{
    return !sl_policy_restricts_net(policy);
}

/* Without a supervisor nobody keeps this, and the user has not said that nobody need. */
static bool is_lost(const sl_policy *policy, enum sl_landlock_hold what)
{
    return !sl_landlock_holds(what) &&
           !sl_strv_has(&policy->allow_degraded, sl_landlock_protections[what].name);
}

bool sl_unix_are_named(const sl_policy *policy)
{
    struct stat st;
    if (policy->net_unix.count > 0) {
        return true;
    }
    for (size_t i = 0; i < policy->fs_writable.count; i++) {
        const char *path = policy->fs_writable.items[i];
        if (stat(path[0] == '?' ? path + 1 : path, &st) == 0 && S_ISSOCK(st.st_mode)) {
            return true;
        }
    }
    return false;
}

static bool has_judged_sends(const sl_policy *policy)
{
    return is_open(policy) && sl_unix_are_named(policy);
}

static bool has_gate(const sl_policy *policy)
{
    return is_open(policy) && sl_landlock_abi() < SL_LANDLOCK_ABI_UNIX &&
           !sl_unix_are_named(policy);
}

bool sl_unix_is_gated(const sl_supervisor *sv, const sl_sock *sock)
{
    return sock->domain == AF_UNIX && sock->type == SOCK_DGRAM &&
           sl_supervisor_state(sv, &sl_feature_datagrams) != NULL;
}

/* ---- connect(2) ---- */

static const sl_syscall_row connect_rows[] = {
    {.nr = SYS_connect, .handler = sl_net_handle_connect},
};

/* Sockets by path need a supervisor, and docs/THREAT-MODEL.md says so. What Landlock keeps on other
 * kernels is promised. */
static bool promises_connect(const sl_policy *policy)
{
    bool ports = policy->net_connect.count > 0;
    return (ports && is_lost(policy, SL_HOLDS_TCP_PORTS)) ||
           (sl_policy_isolates_abstract(policy) && is_lost(policy, SL_HOLDS_ABSTRACT));
}

/* Ports are judged at the connect, by us and by Landlock: there must be one. */
static int filter_connect(const sl_policy *policy, sl_bpf_rules *rules)
{
    return policy->net_connect.count > 0 ? sl_net_refuse_fast_open(rules) : 0;
}

const sl_feature sl_feature_unix_connect = {
    .name = "unix_connect",
    .wanted = is_open,
    .option = "what this kernel's Landlock lacks, ports and abstract sockets (--allow-degraded)",
    .promised = promises_connect,
    .rows = connect_rows,
    .row_count = SL_ARRAY_LEN(connect_rows),
    .filter = filter_connect,
};

/* ---- every send, where sockets are named ---- */

static const sl_syscall_row send_rows[] = {
    {.nr = SYS_sendto, .handler = sl_net_handle_sendto, .conds = {SL_ARG_NOT_NULL(4)}},
    {.nr = SYS_sendmsg, .flags = SL_ROW_MAY_CONTINUE, .handler = sl_net_handle_sendmsg},
    {.nr = SYS_sendmmsg, .handler = sl_net_handle_sendmmsg},
};

const sl_feature sl_feature_unix_sends = {
    .name = "unix_sends",
    .wanted = has_judged_sends,
    .promised = sl_feature_promises_nothing, /* docs/THREAT-MODEL.md says so */
    .rows = send_rows,
    .row_count = SL_ARRAY_LEN(send_rows),
};

/* ---- the gate ---- */

/* Others trap these calls too, for other kinds of sockets. */
static bool is_datagram(const sl_call *call)
{
    return (int)call->args[0] == AF_UNIX &&
           ((unsigned)call->args[1] & DATAGRAM_TYPES) == SOCK_DGRAM;
}

static sl_answer handle_socket(sl_call *call)
{
    struct sl_gate_state *s = sl_supervisor_state(call->sv, &sl_feature_datagrams);
    int type = (int)call->args[1];
    if (!is_datagram(call)) {
        return SL_ANSWER_PASS;
    }
    sl_autoclose int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, (int)call->args[2]);
    if (fd < 0 || shutdown(fd, SHUT_WR) < 0) {
        return SL_ANSWER_VALUE(-errno);
    }
    int r = sl_kmem_admit(call->sv, fd);
    r = r < 0 ? r : sl_mint_keep(call->sv, fd);
    if (r < 0) {
        return SL_ANSWER_VALUE(r);
    }
    s->gave = true;
    return (sl_answer){
        .kind = SL_INJECT, .fd = sl_steal_fd(&fd), .cloexec = (type & SOCK_CLOEXEC) != 0};
}

/* A pair of packets in place of a pair of datagrams: one keeps its messages apart as the other
 * does, and its ends go nowhere else. */
static sl_answer handle_socketpair(sl_call *call)
{
    int type = (int)call->args[1];
    int ours[2];
    int theirs[2];
    if (!is_datagram(call)) {
        return SL_ANSWER_PASS;
    }
    if ((int)call->args[2] != 0 && (int)call->args[2] != AF_UNIX) {
        return SL_ANSWER_VALUE(-EPROTONOSUPPORT);
    }
    if (atomic_load(&call->sv->reads_alone)) { /* nobody could be told the numbers */
        return SL_ANSWER_VALUE(-EACCES);
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | (type & SOCK_NONBLOCK), 0, ours) < 0) {
        return SL_ANSWER_VALUE(-errno);
    }
    bool cloexec = (type & SOCK_CLOEXEC) != 0;
    theirs[0] = sl_kmem_admit_pair(call->sv, ours);
    theirs[0] = theirs[0] < 0 ? theirs[0] : sl_call_give(call, ours[0], cloexec);
    theirs[1] = theirs[0] < 0 ? theirs[0] : sl_call_give(call, ours[1], cloexec);
    sl_close(ours[0]);
    sl_close(ours[1]);
    int r = theirs[1] < 0 ? theirs[1] : sl_call_write(call, call->args[3], theirs, sizeof(theirs));
    return SL_ANSWER_VALUE(r);
}

/* Connects a socket of ours to where the copied address goes; who sends has no name there. */
static int reach(const sl_call *call, struct sl_outgoing *out, sl_sock *ours)
{
    struct sockaddr_un sa;
    memcpy(&sa, &out->name, sizeof(sa));
    size_t head = offsetof(struct sockaddr_un, sun_path);
    bool abstract = sa.sun_family == AF_UNIX && out->name_len > head && sa.sun_path[0] == '\0';
    if (!abstract || sl_policy_isolates_abstract(call->sv->policy)) {
        int r = sl_unix_pin(call, SOCK_DGRAM, &sa, out->name_len, (struct sockaddr_un *)&out->name,
                            &out->name_len, &out->unix_pin);
        if (r < 0) {
            return r;
        }
    }
    ours->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (ours->fd >= 0) {
        sl_kmem_sends(call->sv, ours->fd);
    }
    if (ours->fd < 0 || connect(ours->fd, (struct sockaddr *)&out->name, out->name_len) < 0) {
        return -errno;
    }
    out->name_len = 0;
    return 0;
}

/* SL_ROW_MAY_CONTINUE: what is not gated may go wherever its address says, and what is gated goes
 * nowhere by itself, whatever number it has by then. */
static sl_answer handle_sendto(sl_call *call)
{
    const struct sl_gate_state *s = sl_supervisor_state(call->sv, &sl_feature_datagrams);
    struct sl_outgoing out;
    sl_sock sock;
    if (!s->gave || sl_sock_pin(call, (int)call->args[0], &sock) < 0) {
        return SL_ANSWER_PASS;
    }
    if (!sl_unix_is_gated(call->sv, &sock)) {
        sl_sock_done(&sock);
        return SL_ANSWER_PASS;
    }
    sl_sock ours = {.fd = -1, .domain = AF_UNIX, .type = SOCK_DGRAM, .nonblock = sock.nonblock};
    sl_outgoing_init(&out, (int)call->args[3]);
    int r = sl_outgoing_from_args(call, &sock, &out);
    r = r == 0 && !sl_call_valid(call) ? -EPERM : r;
    r = r < 0 ? r : reach(call, &out, &ours);
    sl_answer answer = SL_ANSWER_VALUE(r);
    if (r == 0) {
        answer = sl_outgoing_send(call, &ours, &out, 0, true);
    } else {
        sl_outgoing_done(&out);
    }
    sl_sock_done(&ours);
    sl_sock_done(&sock);
    return answer;
}

#define IS_DATAGRAM SL_ARG_EQ(0, AF_UNIX), SL_ARG_MASK_EQ(1, DATAGRAM_TYPES, SOCK_DGRAM)

static const sl_syscall_row gate_rows[] = {
    {.nr = SYS_socket, .handler = handle_socket, .conds = {IS_DATAGRAM}},
    {.nr = SYS_socketpair, .handler = handle_socketpair, .conds = {IS_DATAGRAM}},
    {.nr = SYS_sendto,
     .flags = SL_ROW_MAY_CONTINUE,
     .handler = handle_sendto,
     .conds = {SL_ARG_NOT_NULL(4)}},
};

const sl_feature sl_feature_datagrams = {
    .name = "datagrams",
    .wanted = has_gate,
    .promised = sl_feature_promises_nothing, /* docs/THREAT-MODEL.md says so */
    .rows = gate_rows,
    .row_count = SL_ARRAY_LEN(gate_rows),
    .state_size = sizeof(struct sl_gate_state),
};
