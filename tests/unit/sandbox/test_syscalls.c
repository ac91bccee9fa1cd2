/* The filters of real policies, call by call: our program against the rules read one by one, and
 * against the program that libseccomp makes of the same rules.
 *
 * libseccomp has no order among the rules of one call, and no "not equal" under a mask. Calls whose
 * rules need either (socket, sendto, clone...) are compared with the reading of the rules alone
 * (bpf_sim.c); constant answers, unknown numbers and equalities with libseccomp too. */
#include <errno.h>
#include <linux/audit.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "bpf_sim.h"
#include "core/util.h"
#include "sandbox/sandbox_int.h"
#include "sandbox/syscalls.h"

#if defined(__x86_64__)
#define HERE AUDIT_ARCH_X86_64
#else
#define HERE AUDIT_ARCH_AARCH64
#endif

#define LAST       600 /* numbers that are asked */
#define VALUES_MAX 64  /* values tried for one argument */
#define E(n)       (SECCOMP_RET_ERRNO | (n))

struct variant {
    const char *name;
    struct {
        const char *field;
        const char *value;
    } set[6];
};

static const struct variant variants[] = {
    {.name = "defaults"},
    {.name = "files only, no count", .set = {{"fs_readable", "/"}, {"max_processes", "0"}}},
    {.name = "raw sockets", .set = {{"fs_readable", "/"}, {"no_raw_sockets", "false"}}},
    {.name = "nothing at all", .set = {{"net_allow", ""}}},
    {.name = "addresses", .set = {{"net_allow", "192.0.2.1:443"}, {"net_allow", "[2001:db8::1]"}}},
    {.name = "names", .set = {{"net_allow", "example.com:443"}}},
    {.name = "ping", .set = {{"net_allow", "icmp://192.0.2.1"}, {"no_raw_sockets", "false"}}},
    {.name = "http", .set = {{"http_allow", "GET api.example.com/*"}, {"max_processes", "0"}}},
    {.name = "http denials", .set = {{"http_deny", "* a.example.com/*"}, {"no_udp", "true"}}},
    {.name = "own ports", .set = {{"port_remap", "true"}, {"net_allow", "192.0.2.1"}}},
    {.name = "no datagrams, ping", .set = {{"no_udp", "true"}, {"net_allow", "icmp://192.0.2.1"}}},
    {.name = "files, strict", .set = {{"allow_syscalls", "write,ptrace,connect,socket"}}},
    {.name = "strict", .set = {{"allow_syscalls", "socket"}, {"net_allow", "192.0.2.1"}}},
    {.name = "files, other list", .set = {{"deny_syscalls", "ptrace,sync"}}},
    {.name = "files, more", .set = {{"extra_deny_syscalls", "ptrace,connect,clone3"}}},
    {.name = "files, a socket", .set = {{"fs_readable", "/"}, {"net_allow", "unix:/run/x"}}},
    {.name = "files, all writable", .set = {{"fs_writable", "/"}}},
    {.name = "bind", .set = {{"net_bind", "8000-8010"}, {"net_connect", "443"}}},
};

struct compiled {
    const char *name;
    sl_bpf_rules rules;
    struct sock_filter insns[SL_BPF_INSNS_MAX];
    unsigned short len;
};

static sl_policy *make_policy(const struct variant *v)
{
    sl_error err = {0};
    sl_policy *policy = sl_policy_new();
    assert_non_null(policy);
    for (size_t i = 0; i < SL_ARRAY_LEN(v->set) && v->set[i].field != NULL; i++) {
        const sl_field *field = sl_field_by_name(v->set[i].field);
        assert_non_null(field);
        if (sl_policy_set(policy, field, v->set[i].value, &err) < 0) {
            fail_msg("%s: %s", v->name, err.message);
        }
    }
    if (sl_policy_freeze(policy, &err) < 0) {
        fail_msg("%s: %s", v->name, err.message);
    }
    return policy;
}

static struct compiled *compile(const struct variant *v)
{
    SL_AUTO(sl_policy) policy = make_policy(v);
    struct compiled *c = calloc(1, sizeof(*c));
    assert_non_null(c);
    c->name = v->name;
    assert_int_equal(sl_sandbox_rules(policy, NULL, true, &c->rules), 0);
    assert_int_equal(sl_bpf_build(&c->rules, c->insns, &c->len), 0);
    return c;
}

static const struct variant *variant(const char *name)
{
    for (size_t i = 0; i < SL_ARRAY_LEN(variants); i++) {
        if (strcmp(variants[i].name, name) == 0) {
            return &variants[i];
        }
    }
    fail_msg("no variant '%s'", name);
    return NULL;
}

static uint32_t run(const struct compiled *c, const struct seccomp_data *data)
{
    return bpf_sim_run(c->insns, c->len, data);
}

/* ---- arguments worth asking with ---- */

struct values {
    uint64_t items[VALUES_MAX];
    size_t count;
};

static void add_value(struct values *v, uint64_t value)
{
    for (size_t i = 0; i < v->count; i++) {
        if (v->items[i] == value) {
            return;
        }
    }
    if (v->count < VALUES_MAX) {
        v->items[v->count++] = value;
    }
}

/* What lies on both sides of each condition on this argument of this call. */
static void boundary_values(const sl_bpf_rules *rules, int nr, unsigned arg, struct values *v)
{
    v->count = 0;
    add_value(v, 0);
    for (size_t i = 0; i < rules->count; i++) {
        for (size_t k = 0; rules->items[i].nr == nr && k < SL_BPF_CONDS_MAX; k++) {
            const sl_bpf_cond *c = &rules->items[i].conds[k];
            if (c->op == SL_BPF_NONE || c->arg != arg) {
                continue;
            }
            if (c->op == SL_BPF_NULL || c->op == SL_BPF_NOT_NULL) {
                add_value(v, 1);
                add_value(v, 0x100000000u);
                continue;
            }
            add_value(v, c->value);
            add_value(v, c->value | 0xffffffff00000000u);
            add_value(v, c->value | (uint32_t)~c->mask);
            add_value(v, c->value ^ (c->mask & (0u - c->mask))); /* the mask's lowest bit */
            add_value(v, (uint32_t)(c->value + 1));
        }
    }
    add_value(v, UINT32_MAX);
    add_value(v, UINT64_MAX);
}

typedef void (*asker)(const struct compiled *c, const struct seccomp_data *data, void *arg);

/* Every combination of boundary values of a call. */
static void for_each_question(const struct compiled *c, int nr, asker ask, void *arg)
{
    struct values values[6];
    size_t at[6] = {0};
    for (unsigned i = 0; i < 6; i++) {
        boundary_values(&c->rules, nr, i, &values[i]);
        if (values[i].count == 3) {
            values[i].count = 1; /* no rule asks about this one */
        }
    }
    for (;;) {
        struct seccomp_data data = {.nr = nr, .arch = HERE};
        unsigned i = 0;
        for (; i < 6; i++) {
            data.args[i] = values[i].items[at[i]];
        }
        ask(c, &data, arg);
        for (i = 0; i < 6 && ++at[i] == values[i].count; i++) {
            at[i] = 0;
        }
        if (i == 6) {
            return;
        }
    }
}

static void same(const struct compiled *c, const struct seccomp_data *data, uint32_t got,
                 uint32_t want, const char *who)
{
    if (got != want) {
        fail_msg("%s: call %d(%#llx, %#llx, %#llx, %#llx, %#llx): %#x, but %s says %#x", c->name,
                 data->nr, (unsigned long long)data->args[0], (unsigned long long)data->args[1],
                 (unsigned long long)data->args[2], (unsigned long long)data->args[3],
                 (unsigned long long)data->args[4], got, who, want);
    }
}

static void ask_rules(const struct compiled *c, const struct seccomp_data *data, void *arg)
{
    size_t *asked = arg;
    same(c, data, run(c, data), bpf_sim_rules(&c->rules, data), "the list of rules");
    (*asked)++;
}

static void program_says_what_the_rules_say(void **state)
{
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(variants); i++) {
        sl_autofree struct compiled *c = compile(&variants[i]);
        size_t asked = 0;
        for (int nr = 0; nr <= LAST; nr++) {
            for_each_question(c, nr, ask_rules, &asked);
            for_each_question(c, nr | 0x40000000, ask_rules, &asked);
        }
        assert_true(asked > 2 * LAST);
    }
}

/* ---- libseccomp ---- */

struct reference {
    struct sock_filter *insns;
    size_t len;
    bool expressed[LAST + 1]; /* calls that libseccomp could be told about */
};

static bool is_equality(const sl_bpf_cond *c)
{
    return c->op == SL_BPF_EQ || c->op == SL_BPF_NULL || c->op == SL_BPF_NOT_NULL;
}

/* One answer, equalities only, each argument once a rule; an unconditional rule alone. */
static bool expressible(const sl_bpf_rules *rules, int nr)
{
    const sl_bpf_rule *first = NULL;
    for (size_t i = 0; i < rules->count; i++) {
        const sl_bpf_rule *r = &rules->items[i];
        if (r->nr != nr) {
            continue;
        }
        if (first != NULL && first->conds[0].op == SL_BPF_NONE) {
            continue; /* behind an unconditional one: not reached */
        }
        if (first != NULL && (r->action != first->action || r->conds[0].op == SL_BPF_NONE)) {
            return false;
        }
        for (size_t k = 0; k < SL_BPF_CONDS_MAX && r->conds[k].op != SL_BPF_NONE; k++) {
            if (!is_equality(&r->conds[k])) {
                return false;
            }
        }
        first = first == NULL ? r : first;
    }
    return true;
}

static void tell_libseccomp(scmp_filter_ctx ctx, const sl_bpf_rule *r)
{
    struct scmp_arg_cmp cmps[SL_BPF_CONDS_MAX];
    unsigned n = 0;
    if (r->action == SECCOMP_RET_ALLOW) {
        return; /* as by default */
    }
    for (; n < SL_BPF_CONDS_MAX && r->conds[n].op != SL_BPF_NONE; n++) {
        const sl_bpf_cond *c = &r->conds[n];
        cmps[n] = c->op == SL_BPF_EQ     ? SCMP_CMP(c->arg, SCMP_CMP_MASKED_EQ, c->mask, c->value)
                  : c->op == SL_BPF_NULL ? SCMP_CMP(c->arg, SCMP_CMP_EQ, 0, 0)
                                         : SCMP_CMP(c->arg, SCMP_CMP_NE, 0, 0);
    }
    int e = seccomp_rule_add_array(ctx, r->action, r->nr, n, cmps);
    if (e < 0 && e != -EEXIST) {
        fail_msg("libseccomp refused a rule for call %d: %s", r->nr, strerror(-e));
    }
}

static void export_program(scmp_filter_ctx ctx, struct reference *ref)
{
    sl_autoclose int fd = memfd_create("reference", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(seccomp_export_bpf(ctx, fd), 0);
    off_t size = lseek(fd, 0, SEEK_END);
    assert_true(size > 0 && size % (off_t)sizeof(*ref->insns) == 0);
    ref->len = (size_t)size / sizeof(*ref->insns);
    ref->insns = malloc((size_t)size);
    assert_non_null(ref->insns);
    assert_int_equal(pread(fd, ref->insns, (size_t)size, 0), size);
}

static void make_reference(const struct compiled *c, struct reference *ref)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
    assert_non_null(ctx);
    assert_int_equal(seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS), 0);
    for (int nr = 0; nr <= LAST; nr++) {
        ref->expressed[nr] = expressible(&c->rules, nr);
        if ((uint32_t)nr >= c->rules.known) {
            assert_int_equal(seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), nr, 0), 0);
        }
        bool done = false;
        for (size_t i = 0; i < c->rules.count && !done && ref->expressed[nr]; i++) {
            if (c->rules.items[i].nr == nr) {
                tell_libseccomp(ctx, &c->rules.items[i]);
                done = c->rules.items[i].conds[0].op == SL_BPF_NONE;
            }
        }
    }
    export_program(ctx, ref);
    seccomp_release(ctx);
}

static void ask_libseccomp(const struct compiled *c, const struct seccomp_data *data, void *arg)
{
    const struct reference *ref = arg;
    same(c, data, run(c, data), bpf_sim_run(ref->insns, ref->len, data), "libseccomp");
}

static void program_says_what_libseccomp_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(variants); i++) {
        struct reference ref = {0};
        sl_autofree struct compiled *c = compile(&variants[i]);
        make_reference(c, &ref);
        size_t asked = 0;
        for (int nr = 0; nr <= LAST; nr++) {
            if (ref.expressed[nr]) {
                for_each_question(c, nr, ask_libseccomp, &ref);
                asked++;
            }
        }
        assert_true(asked > LAST - 24); /* all but a few calls */
        struct seccomp_data foreign = {.nr = 1, .arch = AUDIT_ARCH_PPC64LE};
        ask_libseccomp(c, &foreign, &ref);
        free(ref.insns);
    }
}

/* ---- what the policies mean ---- */

static uint32_t ask(const struct compiled *c, int nr, uint64_t a0, uint64_t a1, uint64_t a2)
{
    struct seccomp_data data = {.nr = nr, .arch = HERE, .args = {a0, a1, a2}};
    return run(c, &data);
}

static const char *const blocklist[] = {"io_uring_setup",
                                        "io_uring_enter",
                                        "io_uring_register",
                                        "open_by_handle_at",
                                        "mount",
                                        "umount2",
                                        "pivot_root",
                                        "chroot",
                                        "fsopen",
                                        "fsconfig",
                                        "fsmount",
                                        "fspick",
                                        "open_tree",
                                        "move_mount",
                                        "mount_setattr",
                                        "setns",
                                        "swapon",
                                        "swapoff",
                                        "quotactl",
                                        "quotactl_fd",
                                        "fanotify_init",
                                        "acct",
                                        "init_module",
                                        "finit_module",
                                        "delete_module",
                                        "kexec_load",
                                        "bpf",
                                        "perf_event_open",
                                        "userfaultfd",
                                        "reboot",
                                        "syslog",
                                        "vhangup",
                                        "settimeofday",
                                        "clock_settime",
                                        "clock_adjtime",
                                        "adjtimex",
                                        "sethostname",
                                        "setdomainname",
                                        "keyctl",
                                        "add_key",
                                        "request_key",
                                        "kexec_file_load",
#ifdef __x86_64__
                                        "iopl",
                                        "ioperm",
                                        "modify_ldt",
                                        "uselib",
                                        "_sysctl",
                                        "sysfs",
                                        "ustat",
                                        "nfsservctl",
                                        "create_module",
                                        "get_kernel_syms",
                                        "query_module",
                                        "lookup_dcookie"
#endif
};

/* The names as libseccomp knows them: a wrong number in our table shows here. */
static void blocklist_names_what_it_means(void **state)
{
    (void)state;
    sl_autofree struct compiled *c = compile(variant("files only, no count"));
    for (size_t i = 0; i < SL_ARRAY_LEN(blocklist); i++) {
        int nr = seccomp_syscall_resolve_name(blocklist[i]);
        if (nr < 0 || ask(c, nr, 0, 0, 0) != E(EPERM)) {
            fail_msg("%s (%d) is not refused", blocklist[i], nr);
        }
    }
    assert_int_equal(seccomp_syscall_resolve_name("clone3"), 435);
    assert_int_equal(ask(c, 435, 0, 0, 0), E(ENOSYS));
}

/* A policy with file rules alone traps no call that programs make often. */
static void file_rules_alone_trap_nothing_hot(void **state)
{
    (void)state;
    static const int hot[] = {
        SYS_read,        SYS_write,      SYS_openat, SYS_openat2, SYS_statx,    SYS_close,
        SYS_mmap,        SYS_munmap,     SYS_brk,    SYS_futex,   SYS_socket,   SYS_accept4,
        SYS_ppoll,       SYS_sendto,     SYS_clone,  SYS_sendmsg, SYS_recvfrom, SYS_recvmsg,
        SYS_getpeername, SYS_sendmmsg,   SYS_execve, SYS_wait4,   SYS_fcntl,    SYS_ioctl,
        SYS_prctl,       SYS_setsockopt,
#ifdef __x86_64__
        SYS_open,        SYS_fork,       SYS_vfork,  SYS_stat,
#endif
    };
    sl_autofree struct compiled *c = compile(variant("files only, no count"));
    for (size_t i = 0; i < SL_ARRAY_LEN(hot); i++) {
        if (ask(c, hot[i], 0, 0, 0) == SECCOMP_RET_USER_NOTIF ||
            ask(c, hot[i], 3, 0, 0) == SECCOMP_RET_USER_NOTIF) {
            fail_msg("call %d is trapped", hot[i]);
        }
    }
}

static void sockets_without_verdicts_are_refused(void **state)
{
    (void)state;
    static const uint64_t high = 0xffffffff00000000u;
    for (size_t i = 0; i < SL_ARRAY_LEN(variants); i++) {
        sl_autofree struct compiled *c = compile(&variants[i]);
        assert_int_equal(ask(c, SYS_socket, AF_INET, SOCK_STREAM, 0), SECCOMP_RET_ALLOW);
        uint32_t udp = strncmp(c->name, "no datagrams", 12) == 0 ? E(EACCES) : SECCOMP_RET_ALLOW;
        assert_int_equal(ask(c, SYS_socket, AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 17), udp);
        assert_int_equal(ask(c, SYS_socket, high | AF_INET, high | SOCK_DGRAM, high), udp);
        assert_int_equal(ask(c, SYS_socket, AF_UNIX, SOCK_SEQPACKET, 0), SECCOMP_RET_ALLOW);
        assert_int_equal(ask(c, SYS_socket, AF_NETLINK, SOCK_RAW, 0), SECCOMP_RET_ALLOW);
        assert_int_equal(ask(c, SYS_socket, AF_INET, SOCK_STREAM, 262), E(EACCES)); /* NET-04 */
        assert_int_equal(ask(c, SYS_socket, high | AF_INET, SOCK_STREAM, 262), E(EACCES));
        assert_int_equal(ask(c, SYS_socket, AF_INET6, SOCK_STREAM, 132), E(EACCES)); /* NET-19 */
        assert_int_equal(ask(c, SYS_socket, AF_INET, SOCK_DGRAM, 136), E(EACCES));
        assert_int_equal(ask(c, SYS_socket, AF_INET, SOCK_PACKET, 0), E(EACCES));
        assert_int_equal(ask(c, SYS_socket, AF_NETLINK, SOCK_RAW, 4), E(EACCES)); /* NET-18 */
        static const int families[] = {AF_ALG, AF_VSOCK, AF_KEY, AF_XDP, AF_TIPC, AF_SMC, AF_AX25};
        for (size_t k = 0; k < SL_ARRAY_LEN(families); k++) {
            assert_int_equal(ask(c, SYS_socket, (uint64_t)families[k], SOCK_STREAM, 0),
                             E(EAFNOSUPPORT));
        }
    }
}

/* Raw sockets write their own addresses, so they stand beside no network rule. */
static void raw_sockets_only_without_network_rules(void **state)
{
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(variants); i++) {
        sl_autofree struct compiled *c = compile(&variants[i]);
        bool raw = strcmp(c->name, "raw sockets") == 0;
        uint32_t want = raw ? SECCOMP_RET_ALLOW : E(EACCES);
        assert_int_equal(ask(c, SYS_socket, AF_INET, SOCK_RAW, IPPROTO_ICMP), want);
        assert_int_equal(ask(c, SYS_socket, AF_INET6, SOCK_RAW | SOCK_NONBLOCK, 255), want);
        assert_int_equal(ask(c, SYS_socket, AF_PACKET, SOCK_RAW, 0),
                         raw ? SECCOMP_RET_ALLOW : E(EAFNOSUPPORT));
    }
}

static void ping_only_where_a_rule_says_so(void **state)
{
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(variants); i++) {
        sl_autofree struct compiled *c = compile(&variants[i]);
        bool free = strncmp(c->name, "files", 5) == 0 || strstr(c->name, "ping") != NULL ||
                    strstr("defaults, raw sockets, bind", c->name) != NULL;
        assert_int_equal(ask(c, SYS_socket, AF_INET, SOCK_DGRAM, IPPROTO_ICMP),
                         free ? SECCOMP_RET_ALLOW : E(EACCES));
    }
}

static void namespaces_and_terminals_are_refused(void **state)
{
    (void)state;
    sl_autofree struct compiled *c = compile(variant("defaults"));
    static const uint64_t flags[] = {0x20000,    0x2000000,  0x4000000, 0x8000000,
                                     0x10000000, 0x20000000, 0x40000000};
    for (size_t i = 0; i < SL_ARRAY_LEN(flags); i++) {
        assert_int_equal(ask(c, SYS_clone, flags[i] | 17, 0, 0), E(EPERM)); /* PROC-09 */
        assert_int_equal(ask(c, SYS_unshare, flags[i], 0, 0), E(EPERM));
    }
    assert_int_equal(ask(c, SYS_unshare, 0x80, 0, 0), E(EPERM));
    assert_int_equal(ask(c, SYS_unshare, 0x400, 0, 0), SECCOMP_RET_ALLOW); /* CLONE_FILES */
    assert_int_equal(ask(c, SYS_clone, 17, 0, 0), SECCOMP_RET_USER_NOTIF);
    assert_int_equal(ask(c, SYS_clone, 0x3d0f00, 0, 0), SECCOMP_RET_ALLOW); /* a thread */
    assert_int_equal(ask(c, SYS_ioctl, 0, 0x100005412u, 0), E(EPERM));      /* PROC-03, PROC-04 */
    assert_int_equal(ask(c, SYS_ioctl, 0, 0x541c, 0), E(EPERM));
    assert_int_equal(ask(c, SYS_ioctl, 0, 0x5413, 0), SECCOMP_RET_ALLOW);
    assert_int_equal(ask(c, SYS_prctl, 4, 0, 0), E(0));
    assert_int_equal(ask(c, SYS_prctl, 38, 1, 0), SECCOMP_RET_ALLOW);
    assert_int_equal(ask(c, SYS_prlimit64, 1, 0, 4096), SECCOMP_RET_USER_NOTIF); /* PROC-07 */
    assert_int_equal(ask(c, SYS_prlimit64, 1, 0, 0), SECCOMP_RET_ALLOW);
    assert_int_equal(ask(c, SYS_prlimit64, 0, 0, 4096), SECCOMP_RET_ALLOW);
    assert_int_equal(ask(c, SYS_personality, 0xffffffffu, 0, 0), SECCOMP_RET_ALLOW);
    assert_int_equal(ask(c, SYS_personality, 0x40000, 0, 0), SECCOMP_RET_ALLOW);
    assert_int_equal(ask(c, SYS_personality, 8, 0, 0), E(EPERM)); /* PROC-15 */
}

static uint32_t ask_send(const struct compiled *c, int nr, unsigned flags_arg, uint64_t flags,
                         uint64_t name)
{
    struct seccomp_data data = {.nr = nr, .arch = HERE};
    data.args[flags_arg] = flags;
    if (nr == SYS_sendto || nr == SYS_recvfrom) {
        data.args[4] = name;
    }
    return run(c, &data);
}

/* MSG_FASTOPEN is a connect inside a send (NET-05); a nameless send goes where connect was judged.
 */
static void sends_with_a_name_are_trapped(void **state)
{
    (void)state;
    static const uint64_t fastopen = 0x20000000;
    sl_autofree struct compiled *c = compile(variant("addresses"));
    assert_int_equal(ask_send(c, SYS_sendto, 3, 0, 0), SECCOMP_RET_ALLOW);
    assert_int_equal(ask_send(c, SYS_sendto, 3, 0, 0x100000000u), SECCOMP_RET_USER_NOTIF);
    assert_int_equal(ask_send(c, SYS_sendto, 3, fastopen, 0), E(EOPNOTSUPP));
    assert_int_equal(ask_send(c, SYS_sendto, 3, fastopen | 0x4000, 4096), E(EOPNOTSUPP));
    assert_int_equal(ask_send(c, SYS_sendmsg, 2, fastopen, 0), E(EOPNOTSUPP));
    assert_int_equal(ask_send(c, SYS_sendmmsg, 3, fastopen, 0), E(EOPNOTSUPP));
    assert_int_equal(ask_send(c, SYS_sendmsg, 2, 0, 0), SECCOMP_RET_USER_NOTIF);
    assert_int_equal(ask_send(c, SYS_recvfrom, 3, 0, 4096), SECCOMP_RET_ALLOW);
    sl_autofree struct compiled *names = compile(variant("names"));
    assert_int_equal(ask_send(names, SYS_recvfrom, 3, 0, 4096), SECCOMP_RET_USER_NOTIF);
    assert_int_equal(ask_send(names, SYS_recvfrom, 3, 0, 0), SECCOMP_RET_ALLOW);
    assert_int_equal(ask_send(names, SYS_recvmsg, 2, 0, 0), SECCOMP_RET_USER_NOTIF);
}

static void options_that_turn_packets_are_refused(void **state)
{
    (void)state;
    static const struct {
        int level;
        int option;
    } options[] = {
        {6, 30},  {6, 34}, {1, 25}, {1, 62},  {1, 36}, {0, 19}, {0, 4},
        {41, 57}, {41, 5}, {41, 6}, {41, 75}, {1, 60}, {0, 50}, {41, 76},
    };
    sl_autofree struct compiled *c = compile(variant("addresses"));
    sl_autofree struct compiled *open = compile(variant("defaults"));
    for (size_t i = 0; i < SL_ARRAY_LEN(options); i++) {
        uint64_t level = (uint64_t)options[i].level;
        uint64_t option = (uint64_t)options[i].option;
        assert_int_equal(ask(c, SYS_setsockopt, 3, level, option), E(EPERM)); /* NET-25, NET-27 */
        assert_int_equal(ask(c, SYS_setsockopt, 3, level | 1ull << 32, option), E(EPERM));
        assert_int_equal(ask(open, SYS_setsockopt, 3, level, option), SECCOMP_RET_ALLOW);
    }
    assert_int_equal(ask(c, SYS_setsockopt, 3, 6, 1), SECCOMP_RET_ALLOW); /* TCP_NODELAY */
    assert_int_equal(ask(c, SYS_setsockopt, 3, 1, 2), SECCOMP_RET_ALLOW); /* SO_REUSEADDR */
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(program_says_what_the_rules_say),
        cmocka_unit_test(program_says_what_libseccomp_says),
        cmocka_unit_test(blocklist_names_what_it_means),
        cmocka_unit_test(file_rules_alone_trap_nothing_hot),
        cmocka_unit_test(sockets_without_verdicts_are_refused),
        cmocka_unit_test(raw_sockets_only_without_network_rules),
        cmocka_unit_test(ping_only_where_a_rule_says_so),
        cmocka_unit_test(namespaces_and_terminals_are_refused),
        cmocka_unit_test(sends_with_a_name_are_trapped),
        cmocka_unit_test(options_that_turn_packets_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
