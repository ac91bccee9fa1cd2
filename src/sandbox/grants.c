/* Owns the computing of file grants. A denied path below a read grant is carved out: its siblings
 * are granted along the way instead of their parent. A carve-out below a write grant is impossible
 * in Landlock, so it is refused rather than pretended. */
#include "sandbox/grants.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/num.h"
#include "kernel/landlock.h"
#include "kernel/proc.h"
#include "policy/verdict.h"
#include "sandbox/devices.h"
#include "sandbox/gpu.h"
#include "sandbox/secrets.h"
#include "sandbox/socket_rule.h"

struct builder {
    const sl_policy *policy;
    int ruleset;
    sl_fsview *view;
    sl_strv denied;  /* resolved */
    sl_strv gpus;    /* nodes that gpu_devices grants */
    size_t carved;   /* rules spent on carve-outs */
    bool no_devices; /* the default view: of /dev only what `always` has */
    sl_strv devs;    /* where devices are, which only a right to write may open: where Landlock
                        knows no ioctl(2), reading one would be commanding it */
};

static const struct {
    const char *path;
    unsigned rights;
} always[] = {
    {"/dev/null", SL_LANDLOCK_DEVICE},    {"/dev/zero", SL_LANDLOCK_DEVICE},
    {"/dev/full", SL_LANDLOCK_DEVICE},    {"/dev/random", SL_LANDLOCK_DEVICE},
    {"/dev/urandom", SL_LANDLOCK_DEVICE}, {"/dev/tty", SL_LANDLOCK_DEVICE},
    {"/dev/shm", SL_LANDLOCK_WRITE},
};

/* What lets the content be read. */
#define READS (SL_LANDLOCK_READ | SL_LANDLOCK_WRITE | SL_LANDLOCK_DEVICE | SL_LANDLOCK_LOOK)

/* A rule, and a note in the view of what it lets be done: `path` is the object's as the kernel
 * names it. */
static int add_rule(struct builder *b, int fd, unsigned rights, const char *path, sl_error *err)
{
    int r = sl_landlock_allow(b->ruleset, fd, rights);
    if (r < 0) {
        return sl_error_set(err, -r, "Landlock refused a rule for '%s': %s", path, strerror(-r));
    }
    sl_fsview *view = b->view;
    if (((rights & READS) != 0 && sl_strv_add(&view->readable, path) < 0) ||
        ((rights & SL_LANDLOCK_LIST) != 0 && sl_strv_add(&view->listed, path) < 0) ||
        ((rights & SL_LANDLOCK_DEVICE) != 0 && sl_strv_add(&view->devices, path) < 0)) {
        return sl_error_set(err, ENOMEM, "not enough memory");
    }
    return 0;
}

enum relation {
    APART,
    COVERED,
    ABOVE,
    PROC, /* isolate_pids: /proc itself, of which no process is granted */
};

/* How a path stands to the processes in /proc, which isolate_pids takes out of every grant: new
 * ones appear all the time, and a rule for /proc would have them all. procfs/pids.c gives the own.
 */
static enum relation relate_proc(const struct builder *b, const char *path)
{
    if (!b->policy->isolate_pids) {
        return APART;
    }
    if (strcmp(path, "/proc") == 0) {
        return PROC;
    }
    if (strncmp(path, "/proc/", 6) == 0 && path[6] >= '0' && path[6] <= '9') {
        return COVERED;
    }
    return sl_fsview_is_below("/proc", path) ? ABOVE : APART;
}

/* How a path stands to the denied ones: itself covered by one, above one, or apart from all. */
static enum relation relate(const struct builder *b, const char *path, const char **ret_denied)
{
    enum relation relation = APART;
    for (size_t i = 0; i < b->denied.count; i++) {
        if (sl_fsview_is_below(path, b->denied.items[i])) {
            *ret_denied = b->denied.items[i];
            return COVERED;
        }
        if (relation == APART && sl_fsview_is_below(b->denied.items[i], path)) {
            *ret_denied = b->denied.items[i];
            relation = ABOVE;
        }
    }
    if (relation == APART) {
        *ret_denied = "/proc";
        relation = relate_proc(b, path);
    }
    return relation;
}

static bool is_always(const char *path)
{
    for (size_t i = 0; i < SL_ARRAY_LEN(always); i++) {
        if (strcmp(path, always[i].path) == 0) {
            return true;
        }
    }
    return false;
}

/* A read grant in a directory of devices. `named`: by the policy itself. */
static int grant_dev_read(struct builder *b, int fd, const char *path, bool named, sl_error *err)
{
    unsigned rights = 0;
    if (is_always(path)) {
        return 0;
    }
    int r = sl_devices_rights(fd, path, named, &rights, err);
    return r < 0 || rights == 0 ? r : add_rule(b, fd, rights, path, err);
}

static int carve(struct builder *b, int dir, const char *path, sl_error *err);

/* What tells of other people's processes outside their own directories. */
static bool tells_of_others(const char *name)
{
    static const char *const names[] = {"locks", "sysvipc", "sched_debug", "timer_list"};
    for (size_t i = 0; i < SL_ARRAY_LEN(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return name[0] >= '0' && name[0] <= '9';
}

/* One entry of a directory that is carved. What vanishes meanwhile is not granted. */
static int carve_entry(struct builder *b, int dir, const char *path, const char *name,
                       sl_error *err)
{
    char below[PATH_MAX];
    int n = snprintf(below, sizeof(below), "%s/%s", path[1] == '\0' ? "" : path, name);
    sl_autoclose int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    if (n < 0 || (size_t)n >= sizeof(below) || fd < 0 || fstat(fd, &st) < 0 ||
        S_ISLNK(st.st_mode)) {
        return 0; /* a link carries no right of its own */
    }
    if (b->no_devices && strcmp(below, "/dev") == 0) {
        return 0;
    }
    const char *denied = NULL;
    switch (relate(b, below, &denied)) {
    case COVERED:
        return 0;
    case ABOVE:
    case PROC:
        return carve(b, fd, below, err);
    case APART:
        break;
    }
    if (strcmp(path, "/proc") == 0 && b->policy->isolate_pids && tells_of_others(name)) {
        return 0;
    }
    switch (sl_devices_relate(&b->devs, below)) {
    case SL_DEVICES_WITHIN:
        return grant_dev_read(b, fd, below, false, err);
    case SL_DEVICES_ABOVE:
        return carve(b, fd, below, err);
    case SL_DEVICES_APART:
        break;
    }
    if (++b->carved > SL_GRANTS_RULES_MAX) {
        return sl_error_set(err, E2BIG,
                            "too many entries beside denied paths (over %d, last in '%s'); grant "
                            "narrower directories with -r",
                            SL_GRANTS_RULES_MAX, path);
    }
    return add_rule(b, fd, SL_LANDLOCK_READ, below, err);
}

/* The right to list reaches down to all that is below: "/" and /proc do not get it under
 * isolate_pids, and are listed on behalf. */
static int add_list_rule(struct builder *b, int dir, const char *path, sl_error *err)
{
    if (b->policy->isolate_pids && sl_fsview_is_below("/proc", path)) {
        b->view->root_listed = b->view->root_listed || path[1] == '\0';
        b->view->proc_read = b->view->proc_read || path[1] != '\0';
        return 0;
    }
    return add_rule(b, dir, SL_LANDLOCK_LIST, path, err);
}

static int carve(struct builder *b, int dir, const char *path, sl_error *err)
{
    int r = add_list_rule(b, dir, path, err);
    if (r < 0) {
        return r;
    }
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (d == NULL) {
        sl_close(fd);
        return 0; /* unreadable for us is unreadable for the child */
    }
    for (struct dirent *e; r == 0 && (e = readdir(d)) != NULL;) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            r = carve_entry(b, dirfd(d), path, e->d_name, err);
        }
    }
    closedir(d);
    return r;
}

static bool is_own_proc(const struct builder *b, const char *path)
{
    return relate_proc(b, path) == COVERED && sl_num_pid(path + 6) == getpid();
}

static int grant_read(struct builder *b, int fd, const char *path, sl_error *err)
{
    const char *denied = NULL;
    switch (relate(b, path, &denied)) {
    case COVERED: /* -r /proc/self means the command's own, which procfs/pids.c gives */
        b->view->proc_read = b->view->proc_read || is_own_proc(b, path);
        return 0;
    case ABOVE:
    case PROC:
        return carve(b, fd, path, err);
    case APART:
        break;
    }
    switch (sl_devices_relate(&b->devs, path)) {
    case SL_DEVICES_WITHIN:
        return grant_dev_read(b, fd, path, true, err);
    case SL_DEVICES_ABOVE:
        return carve(b, fd, path, err);
    case SL_DEVICES_APART:
        break;
    }
    return add_rule(b, fd, SL_LANDLOCK_READ, path, err);
}

static int grant_write(struct builder *b, int fd, const char *path, bool explicit, sl_error *err)
{
    const char *denied = NULL;
    enum relation relation = relate(b, path, &denied);
    if (relation == COVERED) {
        return 0;
    }
    if (relation != APART && explicit && b->policy->isolate_pids && strcmp(denied, "/proc") == 0) {
        return sl_error_set(err, EINVAL,
                            "cannot hide the processes of others below the write grant '%s' "
                            "(--isolate-pids): Landlock cannot take '/proc' out of it; grant the "
                            "directories beside it with -w",
                            path);
    }
    if (relation != APART && explicit) {
        return sl_error_set(err, EINVAL,
                            "cannot deny '%s' below the write grant '%s': Landlock cannot take a "
                            "part out of it; grant the directories beside it with -w",
                            denied, path);
    }
    if (relation == APART && !explicit && strcmp(path, "/") == 0) { /* who sees no secret there */
        relation = ABOVE;
        denied = "/dev";
    }
    if (relation != APART) {
        char *note = NULL;
        if (asprintf(&note,
                     "'%s' is not writable by default, since '%s' lies below it; name what may be "
                     "written with -w DIR",
                     path, denied) < 0) {
            return sl_error_set(err, ENOMEM, "not enough memory");
        }
        return sl_strv_take(&b->view->notes, note);
    }
    if (sl_strv_add(&b->view->writable, path) < 0) {
        return sl_error_set(err, ENOMEM, "not enough memory");
    }
    return add_rule(b, fd, SL_LANDLOCK_READ | SL_LANDLOCK_WRITE, path, err);
}

/* A socket that is named itself may be reached, whoever listens. */
static int grant_socket(struct builder *b, int fd, const char *path, sl_error *err)
{
    const char *denied = NULL;
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISSOCK(st.st_mode) || relate(b, path, &denied) == COVERED) {
        return 0;
    }
    if (sl_fsview_add_socket(b->view, &st) < 0) {
        return sl_error_set(err, ENOMEM, "not enough memory");
    }
    return add_rule(b, fd, SL_LANDLOCK_SOCKET, path, err);
}

static int grant(struct builder *b, const char *text, bool write, bool explicit, sl_error *err)
{
    bool optional = text[0] == '?';
    const char *path = optional ? text + 1 : text;
    char real[PATH_MAX];
    sl_autoclose int fd = open(path, O_PATH | O_CLOEXEC);
    int r = fd < 0 ? -errno : sl_proc_fd_path(fd, real);
    if (r == -ENOENT && (optional || !explicit)) {
        return 0;
    }
    if (r < 0) {
        return sl_error_set(err, -r, "cannot grant '%s': %s%s", path, strerror(-r),
                            r == -ENOENT ? " (write '?PATH' for one that may be missing)" : "");
    }
    if (write && explicit) {
        r = grant_socket(b, fd, real, err);
    }
    if (r < 0) {
        return r;
    }
    return write ? grant_write(b, fd, real, explicit, err) : grant_read(b, fd, real, err);
}

/* A path that does not exist yet is denied by its resolved parent: what appears there later is not
 * granted. */
static int deny_missing(struct builder *b, const char *path)
{
    char parent[PATH_MAX];
    char real[PATH_MAX];
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/') {
        len--;
    }
    const char *slash = memrchr(path, '/', len);
    size_t dir_len = slash == NULL ? 0 : (size_t)(slash - path);
    snprintf(parent, sizeof(parent), "%.*s%s", (int)dir_len, path,
             slash == NULL ? "." : (dir_len == 0 ? "/" : ""));
    sl_autoclose int fd = open(parent, O_PATH | O_CLOEXEC);
    if (fd < 0 || sl_proc_fd_path(fd, real) < 0) {
        return 0; /* no parent either: nothing can appear there from inside */
    }
    char *text = NULL;
    const char *name = slash == NULL ? path : slash + 1;
    if (asprintf(&text, "%s/%.*s", real[1] == '\0' ? "" : real, (int)(path + len - name), name) <
        0) {
        return -ENOMEM;
    }
    return sl_strv_take(&b->denied, text);
}

/* What the file's own mode keeps from this user needs no carving out, unless it is this user's:
 * chmod(2) would open it, and Landlock has no right for that. Root's child has no
 * capability left, but root's own files are many: there the question is not asked. */
static bool is_closed_already(const char *path, const struct stat *st)
{
    return geteuid() != 0 && st->st_uid != geteuid() &&
           faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) < 0 &&
           (!S_ISDIR(st->st_mode) || faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0);
}

static int deny(struct builder *b, const char *text, bool explicit, sl_error *err)
{
    bool optional = text[0] == '?';
    const char *path = optional ? text + 1 : text;
    char real[PATH_MAX];
    struct stat st;
    sl_autoclose int fd = open(path, O_PATH | O_CLOEXEC);
    int r = fd < 0 || fstat(fd, &st) < 0 ? -errno : sl_proc_fd_path(fd, real);
    if (!explicit && (r < 0 || is_closed_already(path, &st))) {
        return 0;
    }
    if (r == -ENOENT && optional) {
        r = deny_missing(b, path);
        return r < 0 ? sl_error_set(err, -r, "not enough memory") : 0;
    }
    if (r < 0) {
        return sl_error_set(err, -r, "cannot deny '%s': %s%s", path, strerror(-r),
                            r == -ENOENT ? " (write '?PATH' for one that may be missing)" : "");
    }
    if (S_ISREG(st.st_mode) && st.st_nlink > 1) {
        return sl_error_set(err, EMLINK,
                            "cannot deny '%s': it has %lu links, and another name would show it; "
                            "grant narrower directories with -r instead",
                            path, (unsigned long)st.st_nlink);
    }
    return sl_strv_add(&b->denied, real) < 0 ? sl_error_set(err, ENOMEM, "not enough memory") : 0;
}

static int grant_list(struct builder *b, const sl_strv *paths, bool write, sl_error *err)
{
    for (size_t i = 0; i < paths->count; i++) {
        int r = grant(b, paths->items[i], write, true, err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

/* All but secrets and devices: a camera, a microphone, the user's other terminals with what is
 * typed there can be read by whoever has the user's groups. */
static int default_view(struct builder *b, sl_error *err)
{
    b->no_devices = true;
    sl_strv secrets = {0};
    int r = sl_secrets_list(&secrets);
    if (r < 0) {
        sl_error_set(err, -r, "not enough memory");
    }
    for (size_t i = 0; r == 0 && i < secrets.count; i++) {
        r = deny(b, secrets.items[i], false, err);
    }
    sl_strv_done(&secrets);
    sl_autoclose int root = open("/", O_PATH | O_CLOEXEC);
    if (r == 0) {
        r = root < 0 ? sl_error_set(err, errno, "cannot open '/': %s", strerror(errno))
                     : carve(b, root, "/", err);
    }
    if (r == 0) {
        r = grant(b, b->policy->cwd != NULL ? b->policy->cwd : ".", true, false, err);
    }
    return r == 0 ? grant(b, "/tmp", true, false, err) : r;
}

/* Exactly the GPUs that are named: the other ones are denied, whatever grants lie above them. */
static int deny_other_gpus(struct builder *b, const char *dev, sl_error *err)
{
    sl_strv others = {0};
    int r = sl_gpu_nodes(b->policy, dev, &b->gpus, &others, err);
    for (size_t i = 0; r == 0 && i < others.count; i++) {
        r = deny(b, others.items[i], true, err);
    }
    sl_strv_done(&others);
    return r;
}

static int grant_gpus(struct builder *b, sl_error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < b->gpus.count; i++) {
        const char *path = b->gpus.items[i];
        const char *denied = NULL;
        struct stat st;
        sl_autoclose int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (fd >= 0 && fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) &&
            relate(b, path, &denied) == APART) {
            r = add_rule(b, fd, SL_LANDLOCK_DEVICE, path, err);
        }
    }
    return r;
}

/* isolate_pids: other mounts of a proc file system, as chroots have, show the same processes. */
static int deny_other_procs(struct builder *b, sl_error *err)
{
    char line[2 * PATH_MAX];
    struct mntent entry;
    int r = 0;
    FILE *mounts = setmntent("/proc/self/mounts", "re");
    if (mounts == NULL) {
        return sl_error_set(err, errno, "cannot read '/proc/self/mounts': %s", strerror(errno));
    }
    while (r == 0 && getmntent_r(mounts, &entry, line, sizeof(line)) != NULL) {
        if (strcmp(entry.mnt_type, "proc") == 0 && !sl_fsview_is_below(entry.mnt_dir, "/proc")) {
            r = sl_strv_add(&b->denied, entry.mnt_dir);
        }
    }
    endmntent(mounts);
    return r < 0 ? sl_error_set(err, -r, "not enough memory") : 0;
}

static int find_devices(struct builder *b, sl_error *err)
{
    int r = sl_devices_are_guarded(b->policy) ? sl_devices_where(&b->devs) : 0;
    return r < 0 ? sl_error_set(err, -r, "cannot list mounts: %s", strerror(-r)) : 0;
}

static int grant_socket_rules(struct builder *b, sl_error *err)
{
    const sl_strv *rules = &b->policy->net_unix;
    for (size_t i = 0; i < rules->count; i++) {
        char *rule = sl_socket_rule_resolve(rules->items[i]);
        if (rule == NULL || sl_strv_take(&b->view->socket_rules, rule) < 0) {
            return sl_error_set(err, ENOMEM, "not enough memory");
        }
        struct stat st;
        const char *denied = NULL;
        sl_autoclose int fd = open(rule, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        bool there = fd >= 0 && fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
        int r = !there || relate(b, rule, &denied) == COVERED
                    ? 0
                    : add_rule(b, fd, SL_LANDLOCK_SOCKET, rule, err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int add_all(struct builder *b, const char *dev, sl_error *err)
{
    const sl_policy *p = b->policy;
    int r = p->gpu_devices.count > 0 ? deny_other_gpus(b, dev, err) : 0;
    if (r == 0 && p->isolate_pids) {
        r = deny_other_procs(b, err);
    }
    r = r < 0 ? r : find_devices(b, err);
    for (size_t i = 0; r == 0 && i < p->fs_denied.count; i++) {
        r = deny(b, p->fs_denied.items[i], true, err);
    }
    if (r == 0 && p->http_key != NULL) {
        r = deny(b, p->http_key, true, err); /* whoever has it can be anybody (TLS-12) */
    }
    if (r < 0) {
        return r;
    }
    b->view->ruled = b->denied.count;
    /* Denials alone take away from the default view; any grant replaces it. */
    if (sl_policy_has_default_view(p)) {
        r = default_view(b, err);
    } else {
        r = grant_list(b, &p->fs_readable, false, err);
        r = r < 0 ? r : grant_list(b, &p->fs_writable, true, err);
    }
    for (size_t i = 0; r == 0 && i < SL_ARRAY_LEN(always); i++) {
        const char *denied = NULL;
        sl_autoclose int fd = open(always[i].path, O_PATH | O_CLOEXEC);
        if (fd < 0 || relate(b, always[i].path, &denied) != APART) {
            continue;
        }
        r = add_rule(b, fd, always[i].rights, always[i].path, err);
        if (r == 0 && always[i].rights == SL_LANDLOCK_WRITE &&
            sl_strv_add(&b->view->writable, always[i].path) < 0) {
            r = sl_error_set(err, ENOMEM, "not enough memory");
        }
    }
    r = r < 0 ? r : grant_gpus(b, err);
    r = r < 0 ? r : grant_socket_rules(b, err);
    if (r == 0 && b->carved > SL_GRANTS_RULES_SAY) {
        char *note = NULL;
        if (asprintf(&note, "%zu rules stand in for directories around denied paths", b->carved) >=
            0) {
            r = sl_strv_take(&b->view->notes, note);
        }
    }
    return r;
}

int sl_grants_build(const sl_policy *policy, int ruleset, sl_fsview **ret_view, sl_error *err)
{
    return sl_grants_build_dev(policy, "/dev", ruleset, ret_view, err);
}

int sl_grants_build_dev(const sl_policy *policy, const char *dev, int ruleset, sl_fsview **ret_view,
                        sl_error *err)
{
    SL_AUTO(sl_fsview) view = calloc(1, sizeof(*view));
    if (view == NULL) {
        return sl_error_set(err, ENOMEM, "not enough memory");
    }
    struct builder b = {.policy = policy, .ruleset = ruleset, .view = view};
    int r = add_all(&b, dev, err);
    sl_strv_done(&b.gpus);
    sl_strv_done(&b.devs);
    view->denied = b.denied;
    if (r < 0) {
        return r;
    }
    *ret_view = sl_steal(&view);
    return 0;
}
