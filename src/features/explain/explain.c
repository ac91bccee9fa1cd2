/* Owns --explain: Landlock refuses in the kernel and tells nobody, so that here each open, execve
 * and change of a directory is looked at beforehand, and what will be refused is told. It grants
 * and refuses nothing: every call goes on to the kernel, which looks at the caller's memory again
 * and judges by itself. Last of the chain: what another feature answers is nobody's refusal. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/seccomp.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/util.h"
#include "features/explain/explain_int.h"
#include "features/features.h"
#include "features/refusal.h"
#include "kernel/landlock.h"
#include "kernel/proc.h"
#include "supervisor/path.h"
#include "supervisor/pin.h"
#include "supervisor/vfile.h"

#define NEW (O_CREAT | O_EXCL)

struct sl_explain_state {
    bool begun; /* dispatcher thread only */
};

static bool wanted(const sl_policy *policy)
{
    return policy->explain;
}

bool sl_explain_has_begun(const sl_call *call)
{
    const struct sl_explain_state *s = sl_supervisor_state(call->sv, &sl_feature_explain);
    return s->begun && sl_landlock_abi() > 0;
}

bool sl_explain_may_change(const sl_supervisor *sv, int dir)
{
    char path[PATH_MAX];
    struct stat st;
    return fstat(dir, &st) < 0 || !S_ISDIR(st.st_mode) || sl_proc_fd_path(dir, path) < 0 ||
           (sl_fsview_writable(sv->view, path) && !sl_fsview_denied(sv->view, path));
}

void sl_explain_use(const sl_call *call, int fd, unsigned modes)
{
    struct stat st;
    char path[PATH_MAX];
    if (fstat(fd, &st) < 0 || sl_proc_fd_path(fd, path) < 0) {
        return; /* what has no path is in nobody's grants, and needs none */
    }
    unsigned missing = modes & ~sl_fsview_modes(call->sv->view, path, &st);
    sl_refusal_tell_modes(call, fd, missing, false);
}

/* ---- opening ---- */

/* What open(2) refuses by itself, whatever is granted: these flags do not go with this object. */
static bool fits(const struct stat *st, uint64_t flags)
{
    bool is_dir = S_ISDIR(st->st_mode);
    bool writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_CREAT) != 0;
    return !S_ISLNK(st->st_mode) && !S_ISSOCK(st->st_mode) && (flags & NEW) != NEW &&
           !(is_dir && writes) && !(!is_dir && (flags & O_DIRECTORY) != 0);
}

static unsigned modes_of(uint64_t flags)
{
    unsigned modes = (flags & O_TRUNC) != 0 ? W_OK : 0;
    switch (flags & O_ACCMODE) {
    case O_RDONLY:
        return modes | R_OK;
    case O_WRONLY:
        return modes | W_OK;
    case O_RDWR:
        return modes | R_OK | W_OK;
    default: /* a driver's way to ask for neither (open(2)) */
        return modes;
    }
}

static void look_at_new(const sl_call *call, int dirfd, const char *path)
{
    char name[NAME_MAX + 1];
    struct stat st;
    sl_autoclose int dir = sl_pin_parent(call, dirfd, path, name);
    /* A link that leads nowhere makes a file where it leads: it is left untold. */
    if (dir >= 0 && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT &&
        !sl_explain_may_change(call->sv, dir)) {
        sl_refusal_tell_entry(call, dir, name, SL_WANT_CREATE);
    }
}

static void look_at_open(const sl_call *call, int fd, uint64_t flags)
{
    struct stat st;
    if (fstat(fd, &st) < 0) {
        return;
    }
    if ((flags & O_TMPFILE) == O_TMPFILE) {
        if (!sl_explain_may_change(call->sv, fd)) {
            sl_refusal_tell(call, fd, SL_WANT_CREATE);
        }
    } else if (fits(&st, flags)) {
        sl_explain_use(call, fd, modes_of(flags));
    }
}

static sl_answer handle_open(sl_call *call)
{
    const sl_vfile_open *open = sl_explain_has_begun(call) ? sl_vfile_copy(call) : NULL;
    if (open == NULL || (open->flags & O_PATH) != 0) {
        return SL_ANSWER_PASS;
    }
    int fd = sl_vfile_pin(call); /* stays theirs */
    if (fd >= 0) {
        look_at_open(call, fd, open->flags);
    } else if (fd == -ENOENT && (open->flags & O_CREAT) != 0 && open->resolve == 0) {
        look_at_new(call, open->dirfd, open->given);
    }
    return SL_ANSWER_PASS;
}

/* Calls that name one file: pinned here. -errno, and what was read of the path. */
static int pin_named(const sl_call *call, char path[PATH_MAX])
{
    sl_path_arg arg;
    if (!sl_path_arg_of(call, 0, &arg) || sl_path_read(call, &arg, path) < 0) {
        return -EFAULT;
    }
    unsigned flags = (arg.at & AT_SYMLINK_NOFOLLOW) != 0 ? SL_PIN_NOFOLLOW : 0;
    flags |= (arg.at & AT_EMPTY_PATH) != 0 ? SL_PIN_EMPTY : 0;
    return sl_pin(call, arg.dirfd, path, flags);
}

static sl_answer handle_truncate(sl_call *call)
{
    char path[PATH_MAX];
    struct stat st;
    sl_autoclose int fd = sl_explain_has_begun(call) ? pin_named(call, path) : -EINVAL;
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        sl_explain_use(call, fd, W_OK);
    }
    return SL_ANSWER_PASS;
}

#ifdef SYS_creat
static sl_answer handle_creat(sl_call *call)
{
    char path[PATH_MAX];
    sl_autoclose int fd = sl_explain_has_begun(call) ? pin_named(call, path) : -EINVAL;
    if (fd >= 0) {
        look_at_open(call, fd, O_CREAT | O_WRONLY | O_TRUNC);
    } else if (fd == -ENOENT) {
        look_at_new(call, AT_FDCWD, path);
    }
    return SL_ANSWER_PASS;
}
#endif

/* ---- executing ---- */

/* With the first of them the command's own program begins. */
static sl_answer handle_exec(sl_call *call)
{
    struct sl_explain_state *s = sl_supervisor_state(call->sv, &sl_feature_explain);
    char path[PATH_MAX];
    s->begun = true;
    int fd = sl_explain_has_begun(call) ? pin_named(call, path) : -EINVAL;
    return fd < 0 ? SL_ANSWER_PASS : sl_explain_program(call, fd);
}

#define ROW(call, handle)                                                                          \
    {                                                                                              \
        .nr = (call), .flags = SL_ROW_MAY_CONTINUE, .handler = (handle)                            \
    }

/* SL_ROW_MAY_CONTINUE: Landlock decides. */
static const sl_syscall_row rows[] = {
    SL_VFILE_ROWS(handle_open),           ROW(SYS_execve, handle_exec),
    ROW(SYS_execveat, handle_exec),       ROW(SYS_truncate, handle_truncate),
    ROW(SYS_mkdirat, sl_explain_make),    ROW(SYS_mknodat, sl_explain_make),
    ROW(SYS_symlinkat, sl_explain_make),  ROW(SYS_bind, sl_explain_bind),
    ROW(SYS_unlinkat, sl_explain_remove), ROW(SYS_renameat2, sl_explain_rename),
    ROW(SYS_linkat, sl_explain_link),
#ifdef SYS_creat
    ROW(SYS_creat, handle_creat),         ROW(SYS_mkdir, sl_explain_make),
    ROW(SYS_mknod, sl_explain_make),      ROW(SYS_symlink, sl_explain_make),
    ROW(SYS_unlink, sl_explain_remove),   ROW(SYS_rmdir, sl_explain_remove),
    ROW(SYS_rename, sl_explain_rename),   ROW(SYS_renameat, sl_explain_rename),
    ROW(SYS_link, sl_explain_link),
#endif
};

const sl_feature sl_feature_explain = {
    .name = "explain",
    .wanted = wanted,
    .option = "--explain",
    .rows = rows,
    .row_count = SL_ARRAY_LEN(rows),
    .state_size = sizeof(struct sl_explain_state),
};
