/* Owns the life of a confinement: built from the policy, entered by the child. */
#include "sandbox/sandbox.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/util.h"
#include "kernel/clone.h"
#include "kernel/landlock.h"
#include "policy/verdict.h"
#include "sandbox/child.h"
#include "sandbox/ruleset.h"
#include "sandbox/syscalls.h"
#include "supervisor/deferred.h"
#include "supervisor/path.h"
#include "supervisor/supervisor.h"
#include "supervisor/vfile.h"

#define CHILD_STACK      (64u * 1024u)
#define DISPATCHER_STACK (256u * 1024u)

static int add_traps(const sl_feature *f, sl_bpf_rules *rules)
{
    for (size_t i = 0; i < f->row_count; i++) {
        sl_bpf_rule rule = {.nr = f->rows[i].nr, .action = SECCOMP_RET_USER_NOTIF};
        memcpy(rule.conds, f->rows[i].conds, sizeof(rule.conds));
        int r = sl_bpf_add(rules, &rule);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

int sl_sandbox_rules(const sl_policy *policy, bool with_traps, sl_bpf_rules *rules)
{
    rules->count = 0;
    rules->known = SL_SYSCALLS_KNOWN;
    int r = sl_syscalls_filter(policy, rules);
    for (size_t i = 0; r == 0 && i < sl_feature_count; i++) {
        const sl_feature *f = sl_features[i];
        if (f->wanted(policy) && f->filter != NULL) {
            r = f->filter(policy, rules);
        }
    }
    for (size_t i = 0; with_traps && r == 0 && i < sl_feature_count; i++) {
        if (sl_features[i]->wanted(policy)) {
            r = add_traps(sl_features[i], rules);
        }
    }
    return r;
}

/* Few system calls are trapped: a table of all would cost the start its page faults. */
static int build_chains(sl_sandbox *sb)
{
    size_t used = 1;
    size_t rows = 1;
    for (size_t i = 0; i < sl_feature_count; i++) {
        rows += sl_features[i]->wanted(sb->policy) ? sl_features[i]->row_count : 0;
    }
    sb->chains = calloc(SL_MIN(rows, (size_t)SL_CHAINS_MAX), sizeof(*sb->chains));
    if (sb->chains == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < sl_feature_count; i++) {
        const sl_feature *f = sl_features[i];
        for (size_t k = 0; f->wanted(sb->policy) && k < f->row_count; k++) {
            uint8_t *index = &sb->chain_of[f->rows[k].nr];
            if (*index == 0 && used == SL_CHAINS_MAX) {
                return -E2BIG;
            }
            *index = *index == 0 ? (uint8_t)used++ : *index;
            sl_chain *chain = &sb->chains[*index];
            if (chain->count == SL_CHAIN_MAX) {
                return -E2BIG;
            }
            chain->rows[chain->count++] = &f->rows[k];
        }
    }
    return 0;
}

static int build_filter(sl_sandbox *sb, bool with_traps, sl_error *err)
{
    sl_autofree sl_bpf_rules *rules = malloc(sizeof(*rules));
    if (sb->insns == NULL) {
        sb->insns = malloc(SL_BPF_INSNS_MAX * sizeof(*sb->insns));
    }
    if (rules == NULL || sb->insns == NULL) {
        return sl_error_set(err, ENOMEM, "not enough memory for the system-call filter");
    }
    int r = sl_sandbox_rules(sb->policy, with_traps, rules);
    r = r < 0 || !with_traps ? r : build_chains(sb);
    r = r < 0 ? r : sl_bpf_build(rules, sb->insns, &sb->insn_count);
    if (r < 0) {
        return sl_error_set(err, -r, "cannot build the system-call filter: %s", strerror(-r));
    }
    return 0;
}

int sl_sandbox_set_canary(sl_sandbox *sb, const char *path)
{
    sb->canary_path = strdup(path);
    return sb->canary_path == NULL ? -ENOMEM : 0;
}

bool sl_sandbox_may_write(const sl_sandbox *sb, const char *path)
{
    return sl_fsview_writable(sb->view, path);
}

bool sl_sandbox_may_write_cgroups(const sl_sandbox *sb)
{
    return sl_fsview_writes_type(sb->view, "cgroup2");
}

int sl_sandbox_allow_device(sl_sandbox *sb, int fd, sl_error *err)
{
    char path[PATH_MAX];
    if (sb->landlock_fd < 0 || (sl_pin_path(fd, path) == 0 && sl_fsview_denied(sb->view, path))) {
        return 0;
    }
    int r = sl_landlock_allow(sb->landlock_fd, fd, SL_LANDLOCK_DEVICE);
    return r < 0 ? sl_error_set(err, -r, "cannot grant a device: %s", strerror(-r)) : 0;
}

void sl_sandbox_say_notes(const sl_sandbox *sb, void (*say)(const char *line))
{
    for (size_t i = 0; i < sb->view->notes.count; i++) {
        say(sb->view->notes.items[i]);
    }
}

int sl_sandbox_new(const sl_policy *policy, sl_sandbox **ret_sb, sl_error *err)
{
    SL_AUTO(sl_sandbox) sb = calloc(1, sizeof(*sb));
    if (sb == NULL) {
        return sl_error_set(err, ENOMEM, "not enough memory");
    }
    sb->policy = policy;
    sb->landlock_fd = -1;
    atomic_init(&sb->listener, -1);
    int r = sl_syscalls_check(policy, err);
    if (r < 0) {
        return r;
    }
    r = sl_ruleset_build(policy, &sb->landlock_fd, &sb->view, err);
    if (r < 0) {
        return r;
    }
    r = build_filter(sb, true, err);
    if (r < 0) {
        return r;
    }
    r = sl_deferred_new(sb);
    if (r < 0) {
        return sl_error_set(err, -r, "not enough memory");
    }
    for (size_t i = 0; i < sl_feature_count; i++) {
        if (sl_features[i]->wanted(policy) && sl_features[i]->setup != NULL) {
            r = sl_features[i]->setup(sb, err);
            if (r < 0) {
                return r;
            }
        }
    }
    *ret_sb = sl_steal(&sb);
    return 0;
}

void sl_sandbox_free(sl_sandbox *sb)
{
    if (sb == NULL) {
        return;
    }
    for (size_t i = 0; i < sl_feature_count; i++) {
        if (sl_features[i]->wanted(sb->policy) && sl_features[i]->teardown != NULL) {
            sl_features[i]->teardown(sb);
        }
    }
    sl_vfile_done(sb);
    sl_deferred_free(sb);
    for (size_t i = 0; i < SL_PIDFD_CACHE; i++) {
        if (sb->pidfds[i].tid != 0) {
            sl_close(sb->pidfds[i].fd);
        }
    }
    int listener = atomic_load(&sb->listener);
    sl_close(listener);
    sl_close(sb->landlock_fd);
    sl_fsview_free(sb->view);
    free(sb->chains);
    free(sb->insns);
    free(sb->canary_path);
    free(sb);
}

void sl_sandbox_set_hooks(sl_sandbox *sb, const sl_sandbox_hooks *hooks)
{
    sb->hooks = *hooks;
}

void sl_sandbox_set_synth(sl_sandbox *sb, const sl_synth_map *map)
{
    sb->synth = map;
}

void sl_sandbox_set_cgroup(sl_sandbox *sb, const sl_cgroup *cgroup)
{
    sb->cgroup = cgroup;
}

void sl_sandbox_set_helper(sl_sandbox *sb, pid_t pid)
{
    sb->helper_pid = pid;
}

static void stop_features(sl_sandbox *sb)
{
    for (size_t i = 0; i < sl_feature_count; i++) {
        if (sl_features[i]->wanted(sb->policy) && sl_features[i]->stop != NULL) {
            sl_features[i]->stop(sb);
        }
    }
}

static int start_features(sl_sandbox *sb, sl_error *err)
{
    for (size_t i = 0; i < sl_feature_count; i++) {
        if (sl_features[i]->wanted(sb->policy) && sl_features[i]->start != NULL) {
            int r = sl_features[i]->start(sb, err);
            if (r < 0) {
                stop_features(sb);
                return r;
            }
        }
    }
    return 0;
}

void sl_sandbox_end(sl_sandbox *sb)
{
    atomic_store(&sb->ending, true);
    stop_features(sb);
}

static int start_dispatcher(sl_sandbox *sb, sl_error *err)
{
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, DISPATCHER_STACK);
    int r = pthread_create(&sb->dispatcher, &attr, sl_dispatch_thread, sb);
    pthread_attr_destroy(&attr);
    if (r != 0) {
        return sl_error_set(err, r, "cannot start the supervisor's thread: %s", strerror(r));
    }
    sb->dispatcher_runs = true;
    return 0;
}

static void release_dispatcher(sl_sandbox *sb)
{
    int none = -1;
    if (atomic_compare_exchange_strong(&sb->listener, &none, -2)) {
        syscall(SYS_futex, &sb->listener, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    }
}

/* The sentence for a child that did not reach its program. */
static int explain(const struct sl_child_args *args, sl_error *err)
{
    const char *why = strerror(args->failed_errno);
    switch (args->failed_step) {
    case SL_CHILD_STARTED:
        return sl_error_set(err, ECHILD, "the child died before it could start '%s'", args->path);
    case SL_CHILD_EXEC:
        return sl_error_kind_set(
            err, args->failed_errno == ENOENT ? SL_ERROR_NOT_FOUND : SL_ERROR_NOT_EXEC,
            args->failed_errno, "cannot execute '%s': %s%s", args->path, why,
            args->failed_errno == EACCES
                ? " (is it, with its interpreter, below a path given with -r or -w?)"
                : "");
    case SL_CHILD_CHDIR:
        return sl_error_set(err, args->failed_errno, "cannot enter directory '%s': %s", args->cwd,
                            why);
    case SL_CHILD_IDENTITY:
        return sl_error_set(err, args->failed_errno,
                            "cannot make a user namespace: %s (--privileged, --uid and --gid need "
                            "one; a container, a sysctl or AppArmor may forbid it)",
                            why);
    case SL_CHILD_MEMORY:
        return sl_error_set(err, args->failed_errno,
                            "cannot fix the layout of memory (--no-randomize-memory, "
                            "--no-huge-pages): %s",
                            why);
    case SL_CHILD_LANDLOCK:
        return sl_error_set(err, args->failed_errno, "the kernel refused the Landlock rules: %s",
                            why);
    case SL_CHILD_SECCOMP:
        return sl_error_set(err, args->failed_errno, "the kernel refused the seccomp filter: %s%s",
                            why,
                            args->failed_errno == EBUSY
                                ? " (a supervisor listens already: inside another sandbox only "
                                  "--no-supervisor works)"
                                : "");
    case SL_CHILD_CANARY_FILE:
        return sl_error_set(err, EPERM,
                            "Landlock does not hold: a file outside every rule could be opened");
    case SL_CHILD_CANARY_NOTIFY:
        return sl_error_set(err, EPERM,
                            "seccomp does not hold: a trapped call did not reach the supervisor");
    case SL_CHILD_CANARY_FILTER:
        return sl_error_set(err, EPERM, "seccomp does not hold: io_uring_setup(2) was not refused");
    default:
        return sl_error_set(err, args->failed_errno, "cannot prepare the child: %s", why);
    }
}

static struct sl_child_args child_args(sl_sandbox *sb, const sl_spawn *spawn)
{
    struct sl_child_args args = {
        .argv = spawn->argv,
        .environ = spawn->environ,
        .path = spawn->path,
        .cwd = sb->policy->cwd,
        .landlock_fd = sb->landlock_fd,
        .insns = sb->insns,
        .insn_count = sb->insn_count,
        .listener = &sb->listener,
        .canary_path = sb->landlock_fd >= 0 ? sb->canary_path : NULL,
        .close_fds = sb->policy->close_fds,
        .changed = spawn->changed,
        .changed_count = spawn->changed_count,
        .ignored = spawn->ignored,
        .mask = spawn->mask,
        .pgid = spawn->pgid,
        .terminal_fd = spawn->terminal_fd,
        .terminal_replaces = spawn->terminal_replaces,
        .limits = spawn->limits,
        .cpus = sl_cpus_of_tree(sb),
        .no_randomize_memory = sb->policy->no_randomize_memory,
        .no_huge_pages = sb->policy->no_huge_pages,
        .no_coredump = sb->policy->no_coredump,
        .failed_step = SL_CHILD_STARTED,
        .identity = sl_policy_wants_identity(sb->policy),
    };
    sl_identity_maps(sb->policy, args.uid_map, args.gid_map);
    return args;
}

int sl_sandbox_enter(sl_sandbox *sb, const sl_spawn *spawn, sl_error *err)
{
    int r = build_filter(sb, false, err);
    if (r < 0) {
        return r;
    }
    struct sl_child_args args = child_args(sb, spawn);
    sl_child_main(&args);
    return explain(&args, err);
}

int sl_sandbox_spawn(sl_sandbox *sb, const sl_spawn *spawn, pid_t *ret_pid, sl_error *err)
{
    struct sl_child_args args = child_args(sb, spawn);
    args.notify = true;
    args.parent = getpid();
    int r = start_dispatcher(sb, err);
    if (r < 0) {
        return r;
    }
    void *stack = mmap(NULL, CHILD_STACK, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED) {
        release_dispatcher(sb);
        return sl_error_set(err, errno, "not enough memory for the child's stack");
    }
    sigset_t all;
    sigset_t saved;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &saved);
    int flags = CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD;
    flags |= args.identity ? CLONE_NEWUSER : 0;
    pid_t pid = sl_clone(flags, sl_cgroup_fd(sb->cgroup), stack, CHILD_STACK, sl_child_main, &args);
    int clone_errno = errno;
    pthread_sigmask(SIG_SETMASK, &saved, NULL);
    munmap(stack, CHILD_STACK);
    if (pid < 0 || args.failed_step != SL_CHILD_OK) {
        if (pid > 0) {
            waitpid(pid, NULL, 0);
        }
        release_dispatcher(sb);
        if (pid < 0 && args.identity) {
            args.failed_step = SL_CHILD_IDENTITY;
            args.failed_errno = clone_errno;
        } else if (pid < 0) {
            return sl_error_set(err, clone_errno, "cannot start a process: %s",
                                strerror(clone_errno));
        }
        return explain(&args, err);
    }
    sb->main_pid = pid;
    r = start_features(sb, err);
    if (r < 0) {
        kill(pid, SIGKILL); /* our child, not waited for: the number is its own */
        waitpid(pid, NULL, 0);
        return r;
    }
    *ret_pid = pid;
    return 0;
}
