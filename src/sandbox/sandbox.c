/* Owns the life of a confinement: built from the policy, entered by the child. */
#include "sandbox/sandbox.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/util.h"
#include "features/features.h"
#include "features/files/trust.h"
#include "features/limits/limits.h"
#include "features/net/net.h"
#include "kernel/clone.h"
#include "kernel/landlock.h"
#include "kernel/place.h"
#include "kernel/proc.h"
#include "policy/verdict.h"
#include "sandbox/child.h"
#include "sandbox/ruleset.h"
#include "sandbox/sandbox_int.h"
#include "sandbox/streams.h"
#include "sandbox/syscalls.h"
#include "supervisor/deferred.h"
#include "supervisor/supervisor.h"

#define CHILD_STACK (64u * 1024u)

struct sl_sandbox {
    sl_supervisor *sv;
    sl_fsview *view;
    char *canary_path;
    int landlock_fd;
    struct sock_filter *insns;
    unsigned short insn_count;
};

static int add_refused(const sl_feature *f, const sl_policy *policy, sl_bpf_rules *rules)
{
    for (size_t i = 0; i < f->settled_count; i++) {
        int r = sl_bpf_add(rules, &f->settled[i]);
        if (r < 0) {
            return r;
        }
    }
    return f->filter == NULL ? 0 : f->filter(policy, rules);
}

static void trap_allowed(sl_bpf_rules *rules, int nr)
{
    for (size_t i = 0; i < rules->count; i++) {
        sl_bpf_rule *rule = &rules->items[i];
        if (rule->nr == nr && rule->action == SECCOMP_RET_ALLOW) {
            rule->action = SECCOMP_RET_USER_NOTIF;
        }
    }
}

/* Asks the supervisor; without one, refuses what nobody may do unasked. */
static int add_traps(const sl_feature *f, bool with_traps, sl_bpf_rules *rules)
{
    uint32_t action = with_traps ? SECCOMP_RET_USER_NOTIF : SL_BPF_ERRNO(EPERM);
    for (size_t i = 0; i < f->row_count; i++) {
        sl_bpf_rule rule = {.nr = f->rows[i].nr, .action = action};
        if (!with_traps && (f->rows[i].flags & SL_ROW_REFUSED_ALONE) == 0) {
            continue;
        }
        memcpy(rule.conds, f->rows[i].conds, sizeof(rule.conds));
        if ((f->rows[i].flags & SL_ROW_ALLOWED_TOO) != 0) {
            trap_allowed(rules, rule.nr);
        }
        int r = sl_bpf_add(rules, &rule);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

/* A cgroup holds memory by itself. */
static bool is_wanted(const sl_feature *f, const sl_policy *policy, const sl_cgroup *cgroup)
{
    return f->wanted(policy) && !(f->without_cgroup && sl_cgroup_holds_memory(cgroup));
}

int sl_sandbox_rules(const sl_policy *policy, const sl_cgroup *cgroup, bool with_traps,
                     sl_bpf_rules *rules)
{
    rules->count = 0;
    rules->known = SL_SYSCALLS_KNOWN;
    int r = sl_syscalls_filter(policy, rules);
    for (size_t i = 0; r == 0 && i < sl_feature_count; i++) {
        if (is_wanted(sl_features[i], policy, cgroup)) {
            r = add_refused(sl_features[i], policy, rules);
        }
    }
    for (size_t i = 0; r == 0 && i < sl_feature_count; i++) {
        if (is_wanted(sl_features[i], policy, cgroup)) {
            r = add_traps(sl_features[i], with_traps, rules);
        }
    }
    return r;
}

static int build_filter(sl_sandbox *sb, const sl_policy *policy, const sl_cgroup *cgroup,
                        bool with_traps, sl_error *err)
{
    sl_autofree sl_bpf_rules *rules = malloc(sizeof(*rules));
    if (sb->insns == NULL) {
        sb->insns = malloc(SL_BPF_INSNS_MAX * sizeof(*sb->insns));
    }
    if (rules == NULL || sb->insns == NULL) {
        return sl_error_set(err, ENOMEM, "not enough memory for the system-call filter");
    }
    int r = sl_sandbox_rules(policy, cgroup, with_traps, rules);
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

bool sl_sandbox_may_read(const sl_sandbox *sb, const char *path)
{
    return sl_fsview_readable(sb->view, path);
}

bool sl_sandbox_may_write_cgroups(const sl_sandbox *sb)
{
    return sl_fsview_writes_type(sb->view, "cgroup2");
}

int sl_sandbox_allow_device(sl_sandbox *sb, int fd, sl_error *err)
{
    char path[PATH_MAX];
    bool named = sl_proc_fd_path(fd, path) == 0;
    if (sb->landlock_fd < 0 || (named && sl_fsview_denied(sb->view, path))) {
        return 0;
    }
    int r = sl_landlock_allow(sb->landlock_fd, fd, SL_LANDLOCK_DEVICE);
    r = r == 0 && named ? sl_strv_add(&sb->view->devices, path) : r;
    return r < 0 ? sl_error_set(err, -r, "cannot grant a device: %s", strerror(-r)) : 0;
}

int sl_sandbox_allow_stream(sl_sandbox *sb, int fd, sl_error *err)
{
    int r = sl_streams_allow(sb->sv->policy, sb->landlock_fd, sb->view, fd);
    return r < 0 ? sl_error_set(err, -r, "cannot grant a standard stream: %s", strerror(-r)) : 0;
}

/* A rule for what `fd` is, which gets its place in `list` of the view. */
static int allow_more(sl_sandbox *sb, int fd, unsigned rights, sl_strv *list,
                      char ret_path[PATH_MAX])
{
    int r = sl_proc_fd_path(fd, ret_path);
    if (r < 0 || sl_fsview_denied(sb->view, ret_path)) {
        return r < 0 ? r : -EACCES;
    }
    for (size_t i = 0; i < sb->view->denied.count; i++) {
        if (sl_fsview_is_below(sb->view->denied.items[i], ret_path)) {
            return -EACCES;
        }
    }
    r = sl_landlock_allow(sb->landlock_fd, fd, rights);
    return r < 0 ? r : sl_strv_add(list, ret_path);
}

int sl_sandbox_allow_file(sl_sandbox *sb, int fd)
{
    char path[PATH_MAX];
    return allow_more(sb, fd, SL_LANDLOCK_LOOK, &sb->view->readable, path);
}

int sl_sandbox_allow_temporary(sl_sandbox *sb, int fd)
{
    char path[PATH_MAX];
    char *note = NULL;
    int r = allow_more(sb, fd, SL_LANDLOCK_READ | SL_LANDLOCK_WRITE, &sb->view->writable, path);
    r = r < 0 ? r : sl_strv_add(&sb->view->readable, path);
    if (r == 0 && asprintf(&note, "its temporary files go to '%s' (TMPDIR)", path) < 0) {
        return -ENOMEM;
    }
    return r < 0 ? r : sl_strv_take(&sb->view->notes, note);
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
    sb->landlock_fd = -1;
    int r = sl_syscalls_check(policy, err);
    r = r < 0 ? r : sl_ruleset_build(policy, &sb->landlock_fd, &sb->view, err);
    r = r < 0 ? r : build_filter(sb, policy, NULL, true, err);
    if (r < 0) {
        return r;
    }
    r = sl_supervisor_new(policy, sb->view, sl_features, sl_feature_count, &sb->sv, err);
    if (r < 0) {
        return r;
    }
    *ret_sb = sl_steal(&sb);
    return 0;
}

void sl_sandbox_free(sl_sandbox *sb)
{
    if (sb == NULL) {
        return;
    }
    sl_supervisor_free(sb->sv);
    sl_close(sb->landlock_fd);
    sl_fsview_free(sb->view);
    free(sb->insns);
    free(sb->canary_path);
    free(sb);
}

void sl_sandbox_set_hooks(sl_sandbox *sb, const sl_supervisor_hooks *hooks)
{
    sb->sv->hooks = *hooks;
}

void sl_sandbox_set_synth(sl_sandbox *sb, const sl_synth_map *map)
{
    sb->sv->synth = map;
}

int sl_sandbox_set_cgroup(sl_sandbox *sb, const sl_cgroup *cgroup, sl_error *err)
{
    sb->sv->cgroup = cgroup;
    return sl_cgroup_holds_memory(cgroup) ? build_filter(sb, sb->sv->policy, cgroup, true, err) : 0;
}

void sl_sandbox_set_helper(sl_sandbox *sb, pid_t pid)
{
    sb->sv->helper_pid = pid;
}

size_t sl_sandbox_ports(const sl_sandbox *sb, sl_remap_port *list, size_t max)
{
    return sl_remap_list(sb->sv, list, max);
}

int sl_sandbox_expect_trust(sl_sandbox *sb, const char *const paths[SL_ARTEFACTS])
{
    return sl_trust_expect(sb->sv, paths);
}

void sl_sandbox_set_trust(sl_sandbox *sb, const int fds[SL_ARTEFACTS])
{
    sl_trust_set(sb->sv, fds);
}

void sl_sandbox_resolved(sl_sandbox *sb, const struct sl_link_resolved *resolved)
{
    sl_net_resolved(sb->sv, resolved);
}

bool sl_sandbox_is_over_memory(const sl_sandbox *sb)
{
    return sl_memory_is_over(sb->sv);
}

uint64_t sl_sandbox_peak_memory(const sl_sandbox *sb)
{
    return sl_memory_peak(sb->sv);
}

int sl_sandbox_attach(sl_sandbox *sb, uv_loop_t *loop)
{
    return sl_deferred_attach(sb->sv, loop);
}

void sl_sandbox_detach(sl_sandbox *sb)
{
    sl_deferred_detach(sb->sv);
}

void sl_sandbox_end(sl_sandbox *sb)
{
    atomic_store(&sb->sv->ending, true);
    sl_supervisor_stop_features(sb->sv);
}

void sl_sandbox_join(sl_sandbox *sb)
{
    sl_supervisor_join(sb->sv);
}

/* The sentence for a child that did not reach its program. */
static int explain(const struct sl_child_args *args, sl_error *err)
{
    const char *why = strerror(args->failed_errno);
    char place[SL_PLACE_TEXT_MAX];
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
        return sl_error_set(err, args->failed_errno, "the Landlock rules do not hold: %s",
                            sl_place_say("landlock_restrict_self(2)", args->failed_errno, place));
    case SL_CHILD_SECCOMP:
        return sl_error_set(err, args->failed_errno, "the kernel refused the seccomp filter: %s",
                            args->failed_errno == EBUSY
                                ? "a supervisor listens already (inside another sandbox only "
                                  "--no-supervisor works)"
                                : sl_place_say("seccomp(2)", args->failed_errno, place));
    case SL_CHILD_CANARY_FILE:
        return sl_error_set(err, EPERM,
                            "Landlock does not hold: a file outside every rule could be opened");
    case SL_CHILD_CANARY_NOTIFY:
        return sl_error_set(err, EPERM,
                            "seccomp does not hold: a trapped call did not reach the supervisor");
    case SL_CHILD_CANARY_MEMORY:
        return sl_error_set(
            err, EPERM,
            "the supervisor cannot reach the command's memory as these rules need: 'sandlock "
            "check' tells whether reading or writing fails ('memory', 'write_memory'); another "
            "sandbox around this one (sandlock's own: --allow-debug there), a container's profile "
            "or a security module forbids it; --no-supervisor works");
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
        .cwd = sb->sv->policy->cwd,
        .landlock_fd = sb->landlock_fd,
        .insns = sb->insns,
        .insn_count = sb->insn_count,
        .listener = &sb->sv->listener,
        .canary_path = sb->landlock_fd >= 0 ? sb->canary_path : NULL,
        .close_fds = sb->sv->policy->close_fds,
        .changed = spawn->changed,
        .changed_count = spawn->changed_count,
        .ignored = spawn->ignored,
        .mask = spawn->mask,
        .pgid = spawn->pgid,
        .terminal_fd = spawn->terminal_fd,
        .terminal_replaces = spawn->terminal_replaces,
        .limits = spawn->limits,
        .cpus = sl_cpus_of_tree(sb->sv),
        .no_randomize_memory = sb->sv->policy->no_randomize_memory,
        .no_huge_pages = sb->sv->policy->no_huge_pages,
        .no_coredump = sb->sv->policy->no_coredump,
        .failed_step = SL_CHILD_STARTED,
        .identity = sl_policy_wants_identity(sb->sv->policy),
    };
    sl_identity_maps(sb->sv->policy, args.uid_map, args.gid_map);
    return args;
}

const char *sl_sandbox_promise(const sl_policy *policy)
{
    for (size_t i = 0; i < sl_feature_count; i++) {
        const sl_feature *f = sl_features[i];
        if (f->wanted(policy) && (f->promised == NULL || f->promised(policy))) {
            return f->option != NULL ? f->option : f->name;
        }
    }
    return NULL;
}

int sl_sandbox_enter(sl_sandbox *sb, const sl_spawn *spawn, sl_error *err)
{
    int r = build_filter(sb, sb->sv->policy, NULL, false, err);
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
    int r = sl_supervisor_start(sb->sv, err);
    if (r < 0) {
        return r;
    }
    void *stack = mmap(NULL, CHILD_STACK, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED) {
        sl_supervisor_release(sb->sv);
        return sl_error_set(err, errno, "not enough memory for the child's stack");
    }
    sigset_t all;
    sigset_t saved;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &saved);
    int flags = CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD;
    flags |= args.identity ? CLONE_NEWUSER : 0;
    pid_t pid =
        sl_clone(flags, sl_cgroup_fd(sb->sv->cgroup), stack, CHILD_STACK, sl_child_main, &args);
    int clone_errno = errno;
    pthread_sigmask(SIG_SETMASK, &saved, NULL);
    munmap(stack, CHILD_STACK);
    if (pid < 0 || args.failed_step != SL_CHILD_OK) {
        if (pid > 0) {
            waitpid(pid, NULL, 0);
        }
        sl_supervisor_release(sb->sv);
        if (pid < 0 && args.identity) {
            args.failed_step = SL_CHILD_IDENTITY;
            args.failed_errno = clone_errno;
        } else if (pid < 0) {
            return sl_error_set(err, clone_errno, "cannot start a process: %s",
                                strerror(clone_errno));
        }
        return explain(&args, err);
    }
    sb->sv->main_pid = pid;
    r = sl_supervisor_start_features(sb->sv, err);
    if (r < 0) {
        kill(pid, SIGKILL); /* our child, not waited for: the number is its own */
        waitpid(pid, NULL, 0);
        return r;
    }
    *ret_pid = pid;
    return 0;
}
