/* Owns the truth of access(2) about the grants: Landlock has no say in it, and the kernel answers
 * by mode and owner alone. Programs that ask first (installers, editors, shells) then choose what
 * is refused. Nothing hangs on an answer: where the grants say yes the kernel is asked by the
 * caller itself, whose real and effective ids it knows, and whatever the path means by then, it
 * gives the answer that it has always given. */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/util.h"
#include "features/features.h"
#include "features/refusal.h"
#include "kernel/landlock.h"
#include "kernel/proc.h"
#include "policy/verdict.h"
#include "supervisor/path.h"
#include "supervisor/pin.h"
#include "supervisor/supervisor.h"

#define MODES (R_OK | W_OK | X_OK)

static bool wanted(const sl_policy *policy)
{
    return !sl_strv_has(&policy->fs_writable, "/"); /* then there is nothing to tell */
}

/* True if nothing is taken out of a grant of all for reading: only writing is asked about then. */
static bool reads_all(const sl_policy *p)
{
    return sl_strv_has(&p->fs_readable, "/") && p->fs_denied.count == 0 && p->http_key == NULL &&
           p->gpu_devices.count == 0 && !p->isolate_pids && sl_landlock_holds(SL_HOLDS_IOCTL_DEV);
}

/* What has no path (a pipe, a memory file) is in nobody's grants, and needs none; who may speak to
 * a socket is not asked by opening it. */
static bool grants_refuse(const sl_call *call, int fd, unsigned mode)
{
    struct stat st;
    char path[PATH_MAX];
    if (fstat(fd, &st) < 0 || S_ISLNK(st.st_mode) || S_ISSOCK(st.st_mode) ||
        sl_proc_fd_path(fd, path) < 0 ||
        (call->sv->policy->isolate_pids && sl_pin_is_proc(fd))) { /* procfs/pids.c */
        return false;
    }
    unsigned refused = mode & ~sl_fsview_modes(call->sv->view, path, &st);
    sl_refusal_tell_modes(call, fd, refused, true);
    return refused != 0;
}

static sl_answer handle_access(sl_call *call)
{
    sl_path_arg arg;
    char path[PATH_MAX];
    if (!sl_path_arg_of(call, 0, &arg)) {
        return SL_ANSWER_PASS;
    }
    unsigned mode = (unsigned)sl_path_said(call, &arg, 0);
    bool plain = (mode & ~(unsigned)MODES) == 0 &&
                 (arg.at & ~(unsigned)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_EACCESS)) == 0;
    if (mode == 0 || !plain || sl_landlock_abi() == 0 || sl_path_read(call, &arg, path) < 0) {
        return SL_ANSWER_PASS;
    }
    unsigned flags = (arg.at & AT_SYMLINK_NOFOLLOW) != 0 ? SL_PIN_NOFOLLOW : 0;
    flags |= (arg.at & AT_EMPTY_PATH) != 0 ? SL_PIN_EMPTY : 0;
    sl_autoclose int fd = sl_pin(call, arg.dirfd, path, flags);
    return fd >= 0 && grants_refuse(call, fd, mode) ? SL_ANSWER_VALUE(-EACCES) : SL_ANSWER_PASS;
}

static int filter(const sl_policy *policy, sl_bpf_rules *rules)
{
    static const sl_bpf_rule unasked[] = {
        {.nr = SYS_faccessat, .action = SECCOMP_RET_ALLOW, .conds = {SL_ARG_MASK_EQ(2, W_OK, 0)}},
        {.nr = SYS_faccessat2, .action = SECCOMP_RET_ALLOW, .conds = {SL_ARG_MASK_EQ(2, W_OK, 0)}},
#ifdef SYS_access
        {.nr = SYS_access, .action = SECCOMP_RET_ALLOW, .conds = {SL_ARG_MASK_EQ(1, W_OK, 0)}},
#endif
    };
    int r = 0;
    for (size_t i = 0; r == 0 && reads_all(policy) && i < SL_ARRAY_LEN(unasked); i++) {
        r = sl_bpf_add(rules, &unasked[i]);
    }
    return r;
}

/* That it is there (F_OK) is never asked of us. */
static const sl_syscall_row rows[] = {
    {.nr = SYS_faccessat,
     .flags = SL_ROW_MAY_CONTINUE,
     .handler = handle_access,
     .conds = {SL_ARG_NE(2, F_OK)}},
    {.nr = SYS_faccessat2,
     .flags = SL_ROW_MAY_CONTINUE,
     .handler = handle_access,
     .conds = {SL_ARG_NE(2, F_OK)}},
#ifdef SYS_access
    {.nr = SYS_access,
     .flags = SL_ROW_MAY_CONTINUE,
     .handler = handle_access,
     .conds = {SL_ARG_NE(1, F_OK)}},
#endif
};

const sl_feature sl_feature_asked = {
    .name = "asked",
    .wanted = wanted,
    .promised = sl_feature_promises_nothing, /* Landlock keeps the grants, whatever is told */
    .rows = rows,
    .row_count = SL_ARRAY_LEN(rows),
    .filter = filter,
};
