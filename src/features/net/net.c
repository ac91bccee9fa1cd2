/* Owns the network feature: which calls it needs, what the kernel refuses alone, its state. */
#include <errno.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/util.h"
#include "features/features.h"
#include "features/net/net.h"
#include "features/net/sink.h"

#ifndef MSG_FASTOPEN
#define MSG_FASTOPEN 0x20000000
#endif
#ifndef TCP_FASTOPEN_NO_COOKIE
#define TCP_FASTOPEN_NO_COOKIE 34
#endif
#define SO_ZEROCOPY_OPTION      60
#define SO_BINDTOIFINDEX_OPTION 62
#define IPV6_OPTION_UNICAST_IF  76
#define IPV6_OPTION_RTHDR       57
#define IPV6_OPTION_2292RTHDR   5
#define IPV6_OPTION_2292OPTIONS 6

struct sl_net_state *sl_net_of(const sl_supervisor *sv)
{
    return sl_supervisor_state(sv, &sl_feature_net);
}

static bool wanted(const sl_policy *policy)
{
    return sl_policy_restricts_net(policy);
}

/* A connection inside a send, which no connect(2) tells of: nobody sees it, Landlock neither
 * (NET-05). */
static const sl_bpf_rule fast_open[] = {
#define NO_FAST_OPEN(call, flags)                                                                  \
    {                                                                                              \
        .nr = SYS_##call, .action = SL_BPF_ERRNO(EOPNOTSUPP), .conds = {                           \
            SL_ARG_MASK_EQ(flags, MSG_FASTOPEN, MSG_FASTOPEN)                                      \
        }                                                                                          \
    }
    NO_FAST_OPEN(sendto, 3),
    NO_FAST_OPEN(sendmsg, 2),
    NO_FAST_OPEN(sendmmsg, 3),
};

int sl_net_refuse_fast_open(sl_bpf_rules *rules)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < SL_ARRAY_LEN(fast_open); i++) {
        r = sl_bpf_add(rules, &fast_open[i]);
    }
    return r;
}

/* Ways to a peer that no handler would see, or to another one than was judged. */
static const sl_bpf_rule settled[] = {
    NO_FAST_OPEN(sendto, 3),
    NO_FAST_OPEN(sendmsg, 2),
    NO_FAST_OPEN(sendmmsg, 3),
/* with these options connect(2) sends nothing and a later write would reach whoever has the port
 * by then (NET-27) */
#define NO_OPTION(level, option)                                                                   \
    {                                                                                              \
        .nr = SYS_setsockopt, .action = SL_BPF_ERRNO(EPERM), .conds = {                            \
            SL_ARG_EQ(1, level),                                                                   \
            SL_ARG_EQ(2, option)                                                                   \
        }                                                                                          \
    }
    NO_OPTION(IPPROTO_TCP, TCP_FASTOPEN_CONNECT),
    NO_OPTION(IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE),
    /* another route or another sender than was judged (NET-25) */
    NO_OPTION(SOL_SOCKET, SO_BINDTODEVICE),
    NO_OPTION(SOL_SOCKET, SO_BINDTOIFINDEX_OPTION),
    NO_OPTION(IPPROTO_IP, IP_UNICAST_IF),
    NO_OPTION(IPPROTO_IPV6, IPV6_OPTION_UNICAST_IF),
    NO_OPTION(SOL_SOCKET, SO_MARK),
    NO_OPTION(IPPROTO_IP, IP_TRANSPARENT),
    NO_OPTION(IPPROTO_IP, IP_OPTIONS),
    NO_OPTION(IPPROTO_IPV6, IPV6_OPTION_RTHDR),
    NO_OPTION(IPPROTO_IPV6, IPV6_OPTION_2292RTHDR),
    NO_OPTION(IPPROTO_IPV6, IPV6_OPTION_2292OPTIONS),
    NO_OPTION(IPPROTO_IPV6, 50), /* IPV6_PKTINFO, which names an interface for every send */
    NO_OPTION(IPPROTO_IPV6, 32), /* IPV6_FLOWLABEL_MGR: a label may carry a routing header */
    NO_OPTION(IPPROTO_IPV6, 75), /* IPV6_TRANSPARENT */
    /* its completions would be the engine's, for memory of the engine's */
    NO_OPTION(SOL_SOCKET, SO_ZEROCOPY_OPTION),
    /* A send without an address and without flags that matter goes where connect was judged. */
    {.nr = SYS_sendto, .action = SECCOMP_RET_ALLOW, .conds = {SL_ARG_NULL(4)}},
    {.nr = SYS_recvfrom, .action = SECCOMP_RET_ALLOW, .conds = {SL_ARG_NULL(4)}},
};

/* Whose answers are rewritten, and what may be steered. */
static bool renames(const sl_policy *policy)
{
    return sl_policy_needs_names(policy) || policy->port_remap;
}

static int filter(const sl_policy *policy, sl_bpf_rules *rules)
{
    static const int plain[] = {SYS_recvfrom, SYS_recvmsg, SYS_recvmmsg, SYS_getpeername};
    if (renames(policy)) {
        return 0;
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(plain); i++) {
        int r = sl_bpf_add(rules, &(sl_bpf_rule){.nr = plain[i], .action = SECCOMP_RET_ALLOW});
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int setup(sl_supervisor *sv, void *state, sl_error *err)
{
    struct sl_net_state *net = state;
    sl_addr any = {.family = 4};
    sl_addr addr;
    net->refuse_tcp = -1;
    net->next_loopback = (uint32_t)sl_clock_now_ns(); /* runs beside each other start apart */
    pthread_mutex_init(&net->lock, NULL);
    net->known = calloc(SL_NET_SOCKETS_MAX, sizeof(*net->known));
    if (net->known == NULL) {
        return sl_error_set(err, ENOMEM, "not enough memory");
    }
    int r = sl_sink_new(sv, &net->sink);
    if (r == 0) { /* a port of ours that nobody answers on */
        net->refuse_tcp = sl_sock_loopback(&any, SOCK_STREAM, &addr, &net->refuse_port);
        r = SL_MIN(net->refuse_tcp, 0);
    }
    if (r < 0) {
        return sl_error_set(err, -r, "cannot use the loopback interface: %s", strerror(-r));
    }
    return 0;
}

static void teardown(void *state)
{
    struct sl_net_state *net = state;
    sl_sink_free(net->sink);
    sl_close(net->refuse_tcp);
    pthread_mutex_destroy(&net->lock);
    free(net->known);
}

static int start(sl_supervisor *sv, void *state, sl_error *err)
{
    (void)sv;
    (void)state;
    (void)err;
    return 0; /* the sink's thread begins with the first socket that leads there */
}

static void stop(void *state)
{
    struct sl_net_state *net = state;
    if (net->sink != NULL) {
        sl_sink_stop(net->sink);
    }
}

/* SL_ROW_MAY_CONTINUE: receiving grants nothing, and the kernel's answer about a peer is the truth.
 * sendmsg goes on only for sockets that ignore addresses, from tables that nobody shares; listen,
 * of plain numbers, for sockets that we do not hold (mint.c). */
static const sl_syscall_row rows[] = {
    {.nr = SYS_connect, .handler = sl_net_handle_connect},
    {.nr = SYS_sendto, .handler = sl_net_handle_sendto},
    {.nr = SYS_sendmsg, .flags = SL_ROW_MAY_CONTINUE, .handler = sl_net_handle_sendmsg},
    {.nr = SYS_sendmmsg, .handler = sl_net_handle_sendmmsg},
    {.nr = SYS_clone,
     .flags = SL_ROW_MAY_CONTINUE, /* plain numbers, and clone3 is refused */
     .handler = sl_net_handle_clone,
     .conds = {SL_ARG_MASK_EQ(0, CLONE_FILES | CLONE_THREAD, CLONE_FILES)}},
    {.nr = SYS_listen, .flags = SL_ROW_MAY_CONTINUE, .handler = sl_net_handle_listen},
    {.nr = SYS_recvfrom, .flags = SL_ROW_MAY_CONTINUE, .handler = sl_net_handle_recvfrom},
    {.nr = SYS_recvmsg, .flags = SL_ROW_MAY_CONTINUE, .handler = sl_net_handle_recvmsg},
    {.nr = SYS_recvmmsg, .flags = SL_ROW_MAY_CONTINUE, .handler = sl_net_handle_recvmmsg},
    {.nr = SYS_getpeername, .flags = SL_ROW_MAY_CONTINUE, .handler = sl_net_handle_getpeername},
};

const sl_feature sl_feature_net = {
    .name = "net",
    .wanted = wanted,
    .writes = renames,
    .option = "rules that name hosts, addresses or requests",
    .rows = rows,
    .row_count = SL_ARRAY_LEN(rows),
    .settled = settled,
    .settled_count = SL_ARRAY_LEN(settled),
    .filter = filter,
    .state_size = sizeof(struct sl_net_state),
    .setup = setup,
    .teardown = teardown,
    .start = start,
    .stop = stop,
};
