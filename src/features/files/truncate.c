/* Owns the emptying of files where Landlock does not know it (before ABI 3, Linux 6.2):
 * truncate(2), and open(2) with O_TRUNC without the right to write, which needs no more than the
 * caller's own permissions there. Both are done by a worker on a pinned object that lies below a
 * write grant; nothing is ever continued. With the right to write Landlock judges the open, and
 * ftruncate(2) needs such a descriptor. */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/util.h"
#include "features/features.h"
#include "features/files/metadata_int.h"
#include "features/refusal.h"
#include "kernel/landlock.h"
#include "kernel/proc.h"
#include "supervisor/path.h"
#include "supervisor/pin.h"
#include "supervisor/supervisor.h"

/* What of an open's flags means something to a regular file that is there. */
#define FLAGS_KEPT                                                                                 \
    (O_ACCMODE | O_TRUNC | O_APPEND | O_NONBLOCK | O_SYNC | O_DSYNC | O_DIRECT | O_NOATIME |       \
     O_DIRECTORY)
#define MODE_MASK 07777u

static bool wanted(const sl_policy *policy)
{
    return !sl_landlock_holds(SL_HOLDS_TRUNCATE) && !sl_strv_has(&policy->fs_writable, "/");
}

static bool promised(const sl_policy *policy)
{
    return !sl_strv_has(&policy->allow_degraded, sl_landlock_protections[SL_HOLDS_TRUNCATE].name);
}

struct emptying {
    sl_job job;
    int at; /* owned; the file, or with a `name` the directory that gets one */
    bool opens;
    int flags;
    mode_t mode;
    off_t length;
    char name[NAME_MAX + 1];
};

static void free_job(sl_job *job)
{
    struct emptying *e = (struct emptying *)job;
    sl_close(e->at);
    free(e);
}

/* Where nothing was of that name: made anew, or not at all. */
static int make_file(const struct emptying *e)
{
    sl_autoclose int fd =
        openat(e->at, e->name, O_RDONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0);
    if (fd < 0) {
        return errno == EEXIST ? -EACCES : -errno;
    }
    return fchmod(fd, e->mode) < 0 ? -errno : sl_proc_reopen(fd, e->flags);
}

static void tell(const struct emptying *e)
{
    if (e->name[0] != '\0') {
        sl_refusal_tell_entry(&e->job.call, e->at, e->name, SL_WANT_CREATE);
    } else {
        sl_refusal_tell(&e->job.call, e->at, SL_WANT_WRITE);
    }
}

static sl_answer perform(sl_job *job)
{
    struct emptying *e = (struct emptying *)job;
    const sl_supervisor *sv = job->call.sv;
    char link[SL_PROC_FD_NAME_MAX];
    if (!sl_meta_may_change(sv, e->at)) {
        tell(e);
        return SL_ANSWER_VALUE(-EACCES);
    }
    if (atomic_load(&sv->ending)) {
        return SL_ANSWER_VALUE(-EACCES);
    }
    if (!e->opens) {
        sl_proc_fd_name(e->at, link);
        return SL_ANSWER_VALUE(truncate(link, e->length) < 0 ? -errno : 0);
    }
    int fd = e->name[0] != '\0' ? make_file(e) : sl_proc_reopen(e->at, e->flags);
    bool cloexec = (job->call.args[job->call.nr == SYS_openat ? 2 : 1] & O_CLOEXEC) != 0;
    return fd < 0 ? SL_ANSWER_VALUE(fd)
                  : (sl_answer){.kind = SL_INJECT, .fd = fd, .cloexec = cloexec};
}

/* Takes `at` over. */
static sl_answer start(const sl_call *call, int at, const struct emptying *what)
{
    struct emptying *e = malloc(sizeof(*e));
    if (e == NULL) {
        close(at);
        return SL_ANSWER_VALUE(-ENOMEM);
    }
    *e = *what;
    e->job = (sl_job){.call = *call, .perform = perform, .free = free_job};
    e->at = at;
    return sl_worker_start(&e->job);
}

/* 0, or what the kernel says of another kind of object. Nothing but a regular file is emptied. */
static int check_kind(int fd, bool opens)
{
    struct stat st;
    if (fstat(fd, &st) < 0) {
        return -errno;
    }
    switch (st.st_mode & S_IFMT) {
    case S_IFREG:
        return 0;
    case S_IFDIR:
        return -EISDIR;
    case S_IFLNK:
        return -ELOOP; /* O_NOFOLLOW */
    default:
        return opens ? -EACCES : -EINVAL;
    }
}

static sl_answer handle_truncate(sl_call *call)
{
    sl_path_arg arg;
    char path[PATH_MAX];
    int r = sl_path_arg_of(call, 0, &arg) ? sl_path_read(call, &arg, path) : -ENOSYS;
    if (r < 0) {
        return SL_ANSWER_VALUE(r);
    }
    struct emptying e = {.length = (off_t)sl_path_said(call, &arg, 0)};
    if (e.length < 0) {
        return SL_ANSWER_VALUE(-EINVAL);
    }
    sl_autoclose int fd = sl_pin(call, arg.dirfd, path, 0);
    r = fd < 0 ? fd : check_kind(fd, false);
    r = r == 0 && !sl_call_valid(call) ? -EPERM : r;
    return r < 0 ? SL_ANSWER_VALUE(r) : start(call, sl_steal_fd(&fd), &e);
}

/* proc(5): "Umask:\t0022". What cannot be told leaves nothing to others. */
static mode_t umask_of(const sl_call *call)
{
    long digits = sl_proc_status(call->tid, "Umask");
    mode_t mask = 0;
    for (long unit = 1, bits = 0; digits > 0; digits /= 10, unit *= 8, bits++) {
        mask |= (mode_t)(digits % 10 * unit);
    }
    return digits < 0 ? 0077 : mask;
}

static bool empties_unseen(uint64_t flags)
{
    bool writes = (flags & O_ACCMODE) == O_WRONLY || (flags & O_ACCMODE) == O_RDWR;
    return (flags & O_TRUNC) != 0 && (flags & O_PATH) == 0 && !writes;
}

static sl_answer handle_open(sl_call *call)
{
    sl_path_arg arg;
    char path[PATH_MAX];
    if (!sl_path_arg_of(call, 0, &arg)) {
        return SL_ANSWER_VALUE(-ENOSYS);
    }
    uint64_t flags = sl_path_said(call, &arg, 0);
    uint64_t mode = sl_path_said(call, &arg, 1);
    struct emptying e = {.opens = true, .flags = (int)flags & FLAGS_KEPT};
    if (!empties_unseen(flags)) {
        return SL_ANSWER_PASS;
    }
    int r = sl_path_read(call, &arg, path);
    if (r < 0) {
        return SL_ANSWER_VALUE(r);
    }
    unsigned how = (arg.at & AT_SYMLINK_NOFOLLOW) != 0 ? SL_PIN_NOFOLLOW : 0;
    sl_autoclose int fd = sl_pin(call, arg.dirfd, path, how);
    if (fd >= 0) {
        bool anew = (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL);
        r = anew ? -EEXIST : check_kind(fd, true);
    } else if (fd == -ENOENT && (flags & O_CREAT) != 0) {
        e.mode = (mode_t)(mode & MODE_MASK) & ~umask_of(call);
        fd = sl_pin_parent(call, arg.dirfd, path, e.name);
        r = SL_MIN(fd, 0);
    } else {
        r = fd;
    }
    r = r == 0 && !sl_call_valid(call) ? -EPERM : r;
    return r < 0 ? SL_ANSWER_VALUE(r) : start(call, sl_steal_fd(&fd), &e);
}

/* openat2(2)'s flags are in memory: callers fall back to openat(2). And O_ACCMODE is a driver's way
 * to ask for neither reading nor writing (open(2)), which nobody wants of a file that is emptied.
 */
#define EMPTIES(a, access) SL_ARG_MASK_EQ(a, O_TRUNC | O_ACCMODE, O_TRUNC | (access))

static const sl_bpf_rule settled[] = {
    {.nr = SYS_openat2, .action = SL_BPF_ERRNO(ENOSYS)},
    {.nr = SYS_openat, .action = SL_BPF_ERRNO(EACCES), .conds = {EMPTIES(2, O_ACCMODE)}},
#ifdef SYS_open
    {.nr = SYS_open, .action = SL_BPF_ERRNO(EACCES), .conds = {EMPTIES(1, O_ACCMODE)}},
#endif
};

/* SL_ROW_MAY_CONTINUE: for opens that do not empty anything, by flags that are plain numbers. */
static const sl_syscall_row rows[] = {
    {.nr = SYS_truncate, .handler = handle_truncate},
    {.nr = SYS_openat,
     .flags = SL_ROW_MAY_CONTINUE,
     .handler = handle_open,
     .conds = {EMPTIES(2, O_RDONLY)}},
#ifdef SYS_open
    {.nr = SYS_open,
     .flags = SL_ROW_MAY_CONTINUE,
     .handler = handle_open,
     .conds = {EMPTIES(1, O_RDONLY)}},
#endif
};

const sl_feature sl_feature_truncate = {
    .name = "truncate",
    .wanted = wanted,
    .option = "grants of files, whose emptying this kernel's Landlock does not know; see "
              "--allow-degraded truncate",
    .promised = promised,
    .rows = rows,
    .row_count = SL_ARRAY_LEN(rows),
    .settled = settled,
    .settled_count = SL_ARRAY_LEN(settled),
};
