/* Owns the built-in blocklist: calls that reach around the layers (other entrances to files,
 * sockets, kernel state) and calls whose arguments decide. Why each is here: docs/syscalls.md.
 * Nothing here depends on what a call points at; that is for handlers. */
#include "sandbox/syscalls.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "core/util.h"
#include "kernel/arch/arch.h"
#include "kernel/numbers.h"
#include "policy/verdict.h"

#define NAMESPACE_FLAGS                                                                            \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |  \
     CLONE_NEWNET)
#define CLONE_NEWTIME_FLAG 0x00000080 /* unshare(2) only: in clone(2) it is part of the signal */

#define LOW_TYPE 0xfu /* SOCK_* without SOCK_NONBLOCK and SOCK_CLOEXEC */

/* Refused whatever the policy says: other entrances, and what a judged path or number means. */
static const int always[] = {
    /* a ring or a handle makes calls that no filter sees */
    SYS_io_uring_setup,
    SYS_io_uring_enter,
    SYS_io_uring_register,
    SYS_open_by_handle_at,
    /* mounts and roots */
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_fsopen,
    SYS_fsconfig,
    SYS_fsmount,
    SYS_fspick,
    SYS_open_tree,
    SYS_move_mount,
    SYS_mount_setattr,
    SL_NR_OPEN_TREE_ATTR,
    SYS_setns,
};

/* Refused unless deny_syscalls or allow_syscalls says something else. */
static const int built_in[] = {
    SL_NR_STATMOUNT,
    SL_NR_LISTMOUNT,
    SYS_swapon,
    SYS_swapoff,
    SYS_quotactl,
    SYS_quotactl_fd,
    SYS_fanotify_init,
    SYS_acct,
    /* the kernel itself */
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_kexec_load,
    SYS_kexec_file_load,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_reboot,
    SYS_syslog,
    SYS_vhangup,
    SL_NR_LSM_SET_ATTR,
    /* clocks and names of the host */
    SYS_settimeofday,
    SYS_clock_settime,
    SYS_clock_adjtime,
    SYS_adjtimex,
    SYS_sethostname,
    SYS_setdomainname,
    /* keyrings outlive a run and cross its border */
    SYS_keyctl,
    SYS_add_key,
    SYS_request_key,
};

/* No rule grants a queue, and Landlock does not see that one is deleted; under isolate_ipc the tree
 * has its own (features/ipc/queues.c). */
static const int queues[] = {
    SYS_mq_open,
    SYS_mq_unlink,
};

/* What the child calls between its filter and its program. Nobody can deny these. */
static const int start[] = {
    SYS_execve,       SYS_exit,         SYS_exit_group,     SYS_openat,          SYS_close_range,
    SYS_rt_sigaction, SYS_rt_sigreturn, SYS_rt_sigprocmask, SYS_futex,           SYS_unshare,
    SYS_prctl,        SYS_close,        SYS_seccomp,        SYS_restart_syscall, SYS_dup3,
};

/* What a dynamically linked program calls before its main, and on its way out: part of every
 * allow_syscalls. */
static const int loader[] = {
    SYS_read,      SYS_pread64,   SYS_fstat,           SYS_newfstatat, SYS_faccessat,
    SYS_mmap,      SYS_munmap,    SYS_mprotect,        SYS_brk,        SYS_set_tid_address,
    SYS_prlimit64, SYS_getrandom, SYS_set_robust_list,
};

static const sl_bpf_rule by_argument[] = {
    /* clone3's flags are in memory, where a peer can change them: libc falls back to clone */
    {.nr = SL_NR_CLONE3, .action = SL_BPF_ERRNO(ENOSYS)},
#define NO_NAMESPACE(n, a, flag)                                                                   \
    {                                                                                              \
        .nr = (n), .action = SL_BPF_ERRNO(EPERM), .conds = { SL_ARG_MASK_NE(a, flag, 0) }          \
    }
    NO_NAMESPACE(SYS_clone, 0, NAMESPACE_FLAGS),
    NO_NAMESPACE(SYS_unshare, 0, NAMESPACE_FLAGS | CLONE_NEWTIME_FLAG),

    /* typing into the terminal that the caller keeps using (CVE-2017-5226) */
    {.nr = SYS_ioctl, .action = SL_BPF_ERRNO(EPERM), .conds = {SL_ARG_EQ(1, TIOCSTI)}},
    {.nr = SYS_ioctl, .action = SL_BPF_ERRNO(EPERM), .conds = {SL_ARG_EQ(1, TIOCLINUX)}},

    /* a process that hides its memory cannot be judged: said to be done, not done */
    {.nr = SYS_prctl, .action = SL_BPF_ERRNO(0), .conds = {SL_ARG_EQ(0, PR_SET_DUMPABLE)}},

    /* other execution domains change what system calls mean; queries and ASLR are harmless */
    {.nr = SYS_personality, .action = SECCOMP_RET_ALLOW, .conds = {SL_ARG_EQ(0, 0xffffffffu)}},
    {.nr = SYS_personality,
     .action = SL_BPF_ERRNO(EPERM),
     .conds = {SL_ARG_MASK_NE(0, ~(uint32_t)ADDR_NO_RANDOMIZE, 0)}},
};

/* The protocols with verdicts; everything else would carry bytes past them. Masks fold what is
 * equal: AF_INET (2) and AF_INET6 (10) differ in one bit, and what they let through besides does
 * not exist. */
static const sl_bpf_rule sockets[] = {
#define SOCKET(answer, ...)                                                                        \
    {                                                                                              \
        .nr = SYS_socket, .action = (answer), .conds = { __VA_ARGS__ }                             \
    }
#define IS_INET    SL_ARG_MASK_EQ(0, ~8u, AF_INET)
#define IS_TYPE(t) SL_ARG_MASK_EQ(1, LOW_TYPE, t)
    /* netlink: routes only, which the unprivileged can only read */
    SOCKET(SECCOMP_RET_ALLOW, SL_ARG_EQ(0, AF_NETLINK), SL_ARG_EQ(2, 0)),
    SOCKET(SL_BPF_ERRNO(EACCES), SL_ARG_EQ(0, AF_NETLINK)),
    /* streams: protocol 0 or IPPROTO_TCP (6); 2 and 4 are no stream protocols */
    SOCKET(SECCOMP_RET_ALLOW, IS_INET, IS_TYPE(SOCK_STREAM), SL_ARG_MASK_EQ(2, ~6u, 0)),
};

static const sl_bpf_rule no_ping_sockets[] = {
    SOCKET(SL_BPF_ERRNO(EACCES), IS_INET, IS_TYPE(SOCK_DGRAM), SL_ARG_EQ(2, IPPROTO_ICMP)),
};

static const sl_bpf_rule ping_sockets[] = {
    SOCKET(SECCOMP_RET_ALLOW, IS_INET, IS_TYPE(SOCK_DGRAM), SL_ARG_EQ(2, IPPROTO_ICMPV6)),
};

static const sl_bpf_rule raw_sockets[] = {
    SOCKET(SECCOMP_RET_ALLOW, IS_INET, IS_TYPE(SOCK_RAW)),
    SOCKET(SECCOMP_RET_ALLOW, SL_ARG_EQ(0, AF_PACKET)),
};

/* no_udp where nobody asks our resolver: protocol 0 and IPPROTO_UDP; a ping that a rule names stays
 */
static const sl_bpf_rule no_datagrams[] = {
    SOCKET(SL_BPF_ERRNO(EACCES), IS_INET, IS_TYPE(SOCK_DGRAM), SL_ARG_EQ(2, 0)),
    SOCKET(SL_BPF_ERRNO(EACCES), IS_INET, IS_TYPE(SOCK_DGRAM), SL_ARG_EQ(2, IPPROTO_UDP)),
};

static const sl_bpf_rule sockets_end[] = {
    /* datagrams: protocol 0, IPPROTO_UDP (17), or IPPROTO_ICMP (1) where it was not refused above
     */
    SOCKET(SECCOMP_RET_ALLOW, IS_INET, IS_TYPE(SOCK_DGRAM), SL_ARG_MASK_EQ(2, ~17u, 0)),
    /* MPTCP, SCTP, DCCP, UDP-Lite, raw: Landlock and the handlers do not see them (NET-04, NET-19)
     */
    SOCKET(SL_BPF_ERRNO(EACCES), IS_INET),
    /* AF_UNIX passes, but for what a feature traps (features/net/unix_gate.c) */
    SOCKET(SL_BPF_ERRNO(EAFNOSUPPORT), SL_ARG_NE(0, AF_UNIX)),
};

static int add_all(sl_bpf_rules *rules, const sl_bpf_rule *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int r = sl_bpf_add(rules, &items[i]);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static bool wants_ping(const sl_policy *policy)
{
    for (size_t i = 0; i < policy->net_allow_count; i++) {
        if ((policy->net_allow[i].protos & SL_PROTO_ICMP) != 0) {
            return true;
        }
    }
    return !sl_policy_restricts_net(policy);
}

static bool is_in(const int *list, size_t count, int nr)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i] == nr) {
            return true;
        }
    }
    return false;
}
#define IS_IN(list, nr) is_in(list, SL_ARRAY_LEN(list), nr)

int sl_syscalls_check(const sl_policy *policy, sl_error *err)
{
    if (!policy->allow_syscalls_given && !policy->deny_syscalls_given &&
        policy->extra_deny_syscalls.count == 0) {
        return 0;
    }
    for (int nr = 0; nr < SL_SYSCALLS_KNOWN; nr++) {
        bool denied = sl_sysset_has(&policy->syscalls_denied, nr);
        if (sl_sysset_has(&policy->syscalls_allowed, nr) &&
            (IS_IN(always, nr) || nr == SL_NR_CLONE3)) {
            return sl_error_usage(err, "--allow-syscalls: '%s' is refused in every run%s",
                                  sl_sysname_of(nr),
                                  nr == SL_NR_CLONE3 ? "; libc falls back to 'clone'" : "");
        }
        if ((denied || sl_sysset_has(&policy->syscalls_extra, nr)) && IS_IN(start, nr)) {
            return sl_error_usage(err, "%s: '%s' cannot be denied: no command starts without it",
                                  denied ? "--deny-syscalls" : "--extra-deny-syscalls",
                                  sl_sysname_of(nr));
        }
    }
    return 0;
}

static void add_list(sl_sysset *set, const int *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        sl_sysset_add(set, list[i]);
    }
}
#define ADD_LIST(set, list) add_list(set, list, SL_ARRAY_LEN(list))

/* The calls that a policy leaves to the argument rules and the handlers, where it has a list of
 * them. A number without a name is no call: the kernel says so. */
static void invert(sl_sysset *set)
{
    for (int nr = 0; nr < SL_SYSCALLS_KNOWN; nr++) {
        if (sl_sysname_of(nr) == NULL) {
            sl_sysset_add(set, nr);
        }
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(set->bits); i++) {
        set->bits[i] = ~set->bits[i];
    }
}

static void choose_refused(const sl_policy *policy, sl_sysset *set)
{
    if (policy->allow_syscalls_given) {
        *set = policy->syscalls_allowed;
        ADD_LIST(set, start);
        ADD_LIST(set, loader);
        add_list(set, sl_arch_calls_own.loader, sl_arch_calls_own.loader_count);
        sl_sysset_add(set, SL_NR_CLONE3); /* refused below, by an errno of its own */
        invert(set);
    } else if (policy->deny_syscalls_given) {
        *set = policy->syscalls_denied;
    } else {
        ADD_LIST(set, built_in);
        if (!policy->isolate_ipc) {
            ADD_LIST(set, queues);
        }
        add_list(set, sl_arch_calls_own.refused, sl_arch_calls_own.refused_count);
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(set->bits); i++) {
        set->bits[i] |= policy->syscalls_extra.bits[i];
    }
    ADD_LIST(set, always);
}

/* Our code in the vDSO asks the kernel where the real one does not: what no list refuses outside,
 * none refuses here (features/repeat/time.c). */
static bool is_vdso_call(int nr)
{
    return nr == SYS_clock_gettime || nr == SYS_gettimeofday;
}

static int add_refused(const sl_policy *policy, sl_bpf_rules *rules)
{
    sl_sysset set = {0};
    choose_refused(policy, &set);
    int r = 0;
    for (int nr = 0; r == 0 && nr < SL_SYSCALLS_KNOWN; nr++) {
        sl_bpf_rule rule = {.nr = nr, .action = SL_BPF_ERRNO(EPERM)};
        if (nr == SYS_connect) { /* the canary's question is answered all the same */
            rule.conds[0] = (sl_bpf_cond)SL_ARG_NE(0, 0xffffffffu);
        } else if (policy->time_start != NULL && is_vdso_call(nr)) {
            rule.conds[0] = (sl_bpf_cond)SL_ARG_NE(2, SL_ARCH_VDSO_MAGIC);
        }
        if (sl_sysset_has(&set, nr) && nr != SL_NR_CLONE3) {
            r = sl_bpf_add(rules, &rule);
        }
    }
    return r;
}

int sl_syscalls_filter(const sl_policy *policy, sl_bpf_rules *rules)
{
    int r = add_refused(policy, rules);
    if (r == 0) {
        r = add_all(rules, by_argument, SL_ARRAY_LEN(by_argument));
    }
    if (r == 0) {
        r = add_all(rules, sockets, SL_ARRAY_LEN(sockets));
    }
    if (r == 0) {
        r = wants_ping(policy) ? add_all(rules, ping_sockets, SL_ARRAY_LEN(ping_sockets))
                               : add_all(rules, no_ping_sockets, SL_ARRAY_LEN(no_ping_sockets));
    }
    if (r == 0 && policy->no_udp && !sl_policy_needs_names(policy)) {
        r = add_all(rules, no_datagrams, SL_ARRAY_LEN(no_datagrams));
    }
    /* Raw sockets write their own addresses: no verdict could stand beside them. */
    if (r == 0 && !policy->no_raw_sockets && !sl_policy_restricts_net(policy)) {
        r = add_all(rules, raw_sockets, SL_ARRAY_LEN(raw_sockets));
    }
    return r == 0 ? add_all(rules, sockets_end, SL_ARRAY_LEN(sockets_end)) : r;
}
