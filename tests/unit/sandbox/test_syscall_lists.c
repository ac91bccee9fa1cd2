/* The filter under the lists of a policy: which calls it answers alone, and how. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "bpf_sim.h"
#include "core/util.h"
#include "kernel/landlock.h"
#include "live.h"
#include "sandbox/sandbox_int.h"
#include "sandbox/syscalls.h"

#if defined(__x86_64__)
#define HERE AUDIT_ARCH_X86_64
#else
#define HERE AUDIT_ARCH_AARCH64
#endif

#define E(n) (SECCOMP_RET_ERRNO | (n))

struct compiled {
    sl_bpf_rules rules;
    struct sock_filter insns[SL_BPF_INSNS_MAX];
    unsigned short len;
};

/* Takes the policy over. */
static struct compiled *compile(sl_policy *given)
{
    SL_AUTO(sl_policy) policy = given;
    struct compiled *c = calloc(1, sizeof(*c));
    assert_non_null(c);
    assert_int_equal(sl_sandbox_rules(policy, NULL, true, &c->rules), 0);
    assert_int_equal(sl_bpf_build(&c->rules, c->insns, &c->len), 0);
    return c;
}

static uint32_t ask(const struct compiled *c, int nr, uint64_t a0, uint64_t a1, uint64_t a2)
{
    struct seccomp_data data = {.nr = nr, .arch = HERE, .args = {a0, a1, a2}};
    return bpf_sim_run(c->insns, c->len, &data);
}

/* Lists replace or lengthen the built-in one; what judging needs stays refused, what a start needs
 * stays open, and clone3 keeps the errno that libc falls back on. */
static void lists_of_calls_mean_what_they_say(void **state)
{
    (void)state;
    const struct {
        sl_policy *policy;
        uint32_t ptrace;
        uint32_t sync;
        uint32_t bpf;
    } asked[] = {
        {live_policy("fs_readable", "/", NULL), SECCOMP_RET_USER_NOTIF, SECCOMP_RET_ALLOW,
         E(EPERM)},
        {live_policy("debug", "true", NULL), SECCOMP_RET_ALLOW, SECCOMP_RET_ALLOW, E(EPERM)},
        {live_policy("allow_syscalls", "write,ptrace,connect", NULL), SECCOMP_RET_ALLOW, E(EPERM),
         E(EPERM)},
        {live_policy("allow_syscalls", "", "net_allow", "", NULL), E(EPERM), E(EPERM), E(EPERM)},
        {live_policy("deny_syscalls", "ptrace,sync", NULL), E(EPERM), E(EPERM), SECCOMP_RET_ALLOW},
        {live_policy("extra_deny_syscalls", "ptrace", NULL), E(EPERM), SECCOMP_RET_ALLOW, E(EPERM)},
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(asked); i++) {
        sl_autofree struct compiled *c = compile(asked[i].policy);
        assert_int_equal(ask(c, SYS_ptrace, 0, 0, 0), asked[i].ptrace);
        assert_int_equal(ask(c, SYS_sync, 0, 0, 0), asked[i].sync);
        assert_int_equal(ask(c, SYS_bpf, 0, 0, 0), asked[i].bpf);
        assert_int_equal(ask(c, SYS_mount, 0, 0, 0), E(EPERM));
        assert_int_equal(ask(c, SYS_io_uring_setup, 0, 0, 0), E(EPERM));
        assert_int_equal(ask(c, SYS_setns, 0, 0, 0), E(EPERM));
        assert_int_equal(ask(c, SYS_unshare, 0x10000000, 0, 0), E(EPERM));
        assert_int_equal(ask(c, 435, 0, 0, 0), E(ENOSYS));
        assert_int_equal(ask(c, SYS_execve, 0, 0, 0), SECCOMP_RET_ALLOW);
        assert_int_equal(ask(c, SYS_read, 0, 0, 0), SECCOMP_RET_ALLOW);
        assert_int_equal(ask(c, SYS_connect, UINT32_MAX, 0, 0), SECCOMP_RET_USER_NOTIF);
        assert_int_equal(ask(c, SL_SYSCALLS_KNOWN, 0, 0, 0), E(ENOSYS));
    }
    static const int newer[] = {457, 458, 460, 467}; /* statmount ... open_tree_attr */
    sl_autofree struct compiled *plain = compile(live_policy("fs_readable", "/", NULL));
    for (size_t i = 0; i < SL_ARRAY_LEN(newer); i++) {
        assert_int_equal(ask(plain, newer[i], 0, 0, 0), E(EPERM));
    }
    sl_autofree struct compiled *strict = compile(live_policy("allow_syscalls", "connect", NULL));
    assert_int_equal(ask(strict, SYS_clone, 17, 0, 0), E(EPERM));
    assert_int_equal(ask(strict, SYS_connect, 3, 0, 0), SECCOMP_RET_USER_NOTIF);
    sl_autofree struct compiled *longer =
        compile(live_policy("extra_deny_syscalls", "connect,clone3", NULL));
    assert_int_equal(ask(longer, SYS_connect, 3, 0, 0), E(EPERM));
    assert_int_equal(ask(longer, 435, 0, 0, 0), E(ENOSYS));
}

/* Under file rules alone connect is judged, whom a Unix socket means no filter can tell; streams
 * and their sends cost nothing. */
static void streams_are_free(void **state)
{
    (void)state;
    sl_autofree struct compiled *c = compile(live_policy("fs_readable", "/", NULL));
    assert_int_equal(ask(c, SYS_connect, UINT32_MAX, 0, 0), SECCOMP_RET_USER_NOTIF);
    assert_int_equal(ask(c, SYS_connect, 3, 0, 0), SECCOMP_RET_USER_NOTIF);
    assert_int_equal(ask(c, SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), SECCOMP_RET_ALLOW);
    assert_int_equal(ask(c, SYS_socketpair, AF_UNIX, SOCK_SEQPACKET, 0), SECCOMP_RET_ALLOW);
    assert_int_equal(ask(c, SYS_socket, AF_INET, SOCK_DGRAM, 0), SECCOMP_RET_ALLOW);
    bool gated = sl_landlock_abi() < SL_LANDLOCK_ABI_UNIX;
    assert_int_equal(ask(c, SYS_socket, AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0),
                     gated ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ALLOW);
    assert_int_equal(ask(c, SYS_socket, AF_UNIX, SOCK_RAW, 0),
                     gated ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ALLOW);
    sl_autofree struct compiled *named =
        compile(live_policy("fs_readable", "/", "net_allow", "unix:/run/x", NULL));
    assert_int_equal(ask(named, SYS_socket, AF_UNIX, SOCK_DGRAM, 0), SECCOMP_RET_ALLOW);
    assert_int_equal(ask(named, SYS_sendmsg, 3, 0, 0), SECCOMP_RET_USER_NOTIF);
}

/* What no list can have or take away. */
static void impossible_lists_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *field;
        const char *value;
    } bad[] = {
        {"mount", "allow_syscalls", "write,mount"},
        {"clone3", "allow_syscalls", "clone3"},
        {"execve", "deny_syscalls", "execve"},
        {"openat", "extra_deny_syscalls", "sync,openat"},
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        sl_error err = {0};
        SL_AUTO(sl_policy) policy = live_policy(bad[i].field, bad[i].value, NULL);
        assert_int_equal(sl_syscalls_check(policy, &err), -EINVAL);
        assert_int_equal(err.kind, SL_ERROR_USAGE);
        assert_non_null(strstr(err.message, bad[i].name));
    }
}

/* Only changes of metadata are asked of the supervisor, and not where nothing is outside. */
static void metadata_is_judged_below_the_root_only(void **state)
{
    (void)state;
    static const int calls[] = {
        SYS_fchmod,
        SYS_fchmodat,
        SYS_fchown,
        SYS_fchownat,
        SYS_utimensat,
        SYS_setxattr,
        SYS_lsetxattr,
        SYS_fsetxattr,
        SYS_removexattr,
        SYS_lremovexattr,
        452,
        SYS_fremovexattr,
        463,
        466,
#ifdef __x86_64__
        SYS_chmod,
        SYS_chown,
        SYS_lchown,
        SYS_utime,
        SYS_utimes,
        SYS_futimesat,
#endif
    };
    static const uint64_t refused[] = {0x40806685, 0x800c6613, 0xc0506617,
                                       0x40047211, 0x5000940e, 0x5000940f};
    sl_autofree struct compiled *some = compile(live_policy("fs_readable", "/", NULL));
    sl_autofree struct compiled *all = compile(live_policy("fs_writable", "/", NULL));
    for (size_t i = 0; i < SL_ARRAY_LEN(calls); i++) {
        assert_int_equal(ask(some, calls[i], 0, 0, 0), SECCOMP_RET_USER_NOTIF);
        assert_int_equal(ask(all, calls[i], 0, 0, 0), SECCOMP_RET_ALLOW);
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(refused); i++) {
        assert_int_equal(ask(some, SYS_ioctl, 3, refused[i], 0), E(EPERM));
        assert_int_equal(ask(some, SYS_ioctl, 3, refused[i] | 1ull << 32, 0), E(EPERM));
        assert_int_equal(ask(all, SYS_ioctl, 3, refused[i], 0), SECCOMP_RET_ALLOW);
    }
    assert_int_equal(ask(some, 469, 0, 0, 0), E(ENOSYS));
    assert_int_equal(ask(some, SYS_ioctl, 3, 0x40049409, 0), SECCOMP_RET_ALLOW); /* FICLONE */
    assert_int_equal(ask(some, SYS_ioctl, 3, 0x80086601, 0), SECCOMP_RET_ALLOW); /* GETFLAGS */
    assert_int_equal(ask(some, SYS_ioctl, 3, 0x40086602, 0), SECCOMP_RET_USER_NOTIF);
    assert_int_equal(ask(some, SYS_ioctl, 3, 0x401c5820, 0), SECCOMP_RET_USER_NOTIF);
}

/* What means the caller itself, and what only looks, costs nothing (PROC-20). */
static void who_means_itself_is_not_asked(void **state)
{
    (void)state;
    static const int by_first[] = {SYS_sched_setscheduler, SYS_sched_setparam, SYS_sched_setattr,
                                   SYS_sched_setaffinity};
    sl_autofree struct compiled *c = compile(live_policy("fs_denied", "/boot", NULL));
    for (size_t i = 0; i < SL_ARRAY_LEN(by_first); i++) {
        assert_int_equal(ask(c, by_first[i], 0, 8, 4096), SECCOMP_RET_ALLOW);
        assert_int_equal(ask(c, by_first[i], 0xffffffff00000000u, 8, 4096), SECCOMP_RET_ALLOW);
        assert_int_equal(ask(c, by_first[i], 7, 8, 4096), SECCOMP_RET_USER_NOTIF);
    }
    assert_int_equal(ask(c, SYS_setpriority, 0, 0, 5), SECCOMP_RET_ALLOW);
    assert_int_equal(ask(c, SYS_setpriority, 0, 7, 5), SECCOMP_RET_USER_NOTIF);
    assert_int_equal(ask(c, SYS_setpriority, 1, 0, 5), SECCOMP_RET_USER_NOTIF); /* its group */
    assert_int_equal(ask(c, SYS_ioprio_set, 1, 0, 5), SECCOMP_RET_ALLOW);
    assert_int_equal(ask(c, SYS_ioprio_set, 1, 7, 5), SECCOMP_RET_USER_NOTIF);
    assert_int_equal(ask(c, SYS_ioprio_set, 3, 0, 5), SECCOMP_RET_USER_NOTIF);
    assert_int_equal(ask(c, SYS_setpgid, 0, 0, 0), SECCOMP_RET_ALLOW);
    assert_int_equal(ask(c, SYS_setpgid, 7, 0, 0), SECCOMP_RET_USER_NOTIF);
    assert_int_equal(ask(c, SYS_setpgid, 0, 7, 0), SECCOMP_RET_USER_NOTIF);
    static const int looks[] = {SYS_getpriority,   SYS_ioprio_get,        SYS_getpgid,
                                SYS_sched_getattr, SYS_sched_getaffinity, SYS_sched_getscheduler};
    for (size_t i = 0; i < SL_ARRAY_LEN(looks); i++) {
        assert_int_equal(ask(c, looks[i], 7, 7, 0), SECCOMP_RET_ALLOW);
    }
}

/* Being told of files is asked where something may not be read, leases where something may not be
 * written. */
static void watching_is_judged_where_something_is_hidden(void **state)
{
    (void)state;
    const uint64_t setlease = 1024;
    const uint64_t notify = 1026;
    const struct {
        sl_policy *policy;
        bool hidden;
        bool read_only;
    } asked[] = {
        {live_policy("fs_readable", "/", "deny_syscalls", "", NULL), false, true},
        {live_policy("fs_writable", "/", "deny_syscalls", "", NULL), false, false},
        {live_policy("fs_readable", "/", "fs_denied", "/boot", NULL), true, true},
        {live_policy("fs_readable", "/usr", NULL), true, true},
        {live_policy("fs_readable", "/", "isolate_pids", "true", NULL), true, true},
        {live_policy("deny_syscalls", "", NULL), true, true},
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(asked); i++) {
        sl_autofree struct compiled *c = compile(asked[i].policy);
        assert_int_equal(ask(c, SYS_inotify_add_watch, 3, 4096, 2),
                         asked[i].hidden ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ALLOW);
        assert_int_equal(ask(c, SYS_fcntl, 3, notify, 1),
                         asked[i].hidden ? E(EACCES) : SECCOMP_RET_ALLOW);
        assert_int_equal(ask(c, SYS_fanotify_init, 0x200, 0, 0),
                         asked[i].hidden ? E(EPERM) : SECCOMP_RET_ALLOW);
        assert_int_equal(ask(c, SYS_fcntl, 3, setlease, 0),
                         asked[i].read_only ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ALLOW);
        assert_int_equal(ask(c, SYS_fcntl, 3, setlease, 2), SECCOMP_RET_ALLOW); /* F_UNLCK */
        assert_int_equal(ask(c, SYS_fcntl, 3, 1025, 0), SECCOMP_RET_ALLOW);     /* F_GETLEASE */
        assert_int_equal(ask(c, SYS_fcntl, 3, 6, 0), SECCOMP_RET_ALLOW);        /* F_SETLK */
        assert_int_equal(ask(c, SYS_inotify_init1, 0, 0, 0), SECCOMP_RET_ALLOW);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_of_calls_mean_what_they_say),
        cmocka_unit_test(streams_are_free),
        cmocka_unit_test(impossible_lists_are_refused),
        cmocka_unit_test(metadata_is_judged_below_the_root_only),
        cmocka_unit_test(who_means_itself_is_not_asked),
        cmocka_unit_test(watching_is_judged_where_something_is_hidden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
