/* Owns leases (fcntl(2), F_SETLEASE): whoever has one stalls everybody else's open of the file for
 * as long as lease-break-time says, and needs nothing but a descriptor to have it. So they are for
 * files that the policy lets be written, and are taken here on the pinned file: between a judgement
 * and the kernel's own look the number could have become another file's. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

#include "core/util.h"
#include "features/features.h"
#include "features/refusal.h"
#include "kernel/place.h"
#include "kernel/proc.h"
#include "supervisor/hold.h"
#include "supervisor/supervisor.h"

#define F_SETDELEG_COMMAND 1040 /* F_SETDELEG, Linux 6.19: a lease of a directory */

static bool wanted(const sl_policy *policy)
{
    return !sl_strv_has(&policy->fs_writable, "/"); /* then nothing is outside */
}

static bool may_lease(const sl_call *call, int fd)
{
    char path[PATH_MAX];
    const sl_fsview *view = call->sv->view;
    bool may = sl_proc_fd_path(fd, path) == 0 && sl_fsview_writable(view, path) &&
               !sl_fsview_denied(view, path);
    if (!may) {
        sl_refusal_tell(call, fd, SL_WANT_LEASE);
    }
    return may;
}

static bool may_lease_number(const sl_call *call, sl_hold_memo *memo)
{
    (void)memo;
    sl_autoclose int fd = sl_call_reach(call, (int)call->args[0]);
    return fd >= 0 && may_lease(call, fd);
}

static const sl_hold_way with_the_tree_held = {.whom = SL_HOLD_TREE, .check = may_lease_number};

/* The signal that tells of another's open is the caller's: an owner that is there already is left
 * by the kernel as it is. */
static int take(const sl_call *call, int fd, int type)
{
    pid_t caller = sl_call_tgid(call);
    if (caller < 0 || (fcntl(fd, F_GETOWN) == 0 && fcntl(fd, F_SETOWN, caller) < 0)) {
        return caller < 0 ? caller : -errno;
    }
    return fcntl(fd, F_SETLEASE, type) < 0 ? -errno : 0;
}

static sl_answer handle_fcntl(sl_call *call)
{
    int type = (int)call->args[2];
    if ((int)call->args[1] != F_SETLEASE || type == F_UNLCK) {
        return SL_ANSWER_PASS; /* giving one up harms nobody */
    }
    if (!sl_place_fetches()) { /* the caller's own to take, while its number stays what it is */
        return sl_hold_continue(call, &with_the_tree_held);
    }
    sl_autoclose int fd = sl_call_pin(call, (int)call->args[0]);
    if (fd < 0) {
        return SL_ANSWER_VALUE(fd == -EBADF ? -EBADF : -EPERM);
    }
    if (!may_lease(call, fd)) {
        return SL_ANSWER_VALUE(-EACCES);
    }
    return SL_ANSWER_VALUE(sl_call_valid(call) ? take(call, fd, type) : -EPERM);
}

static const sl_bpf_rule settled[] = {
    {.nr = SYS_fcntl,
     .action = SL_BPF_ERRNO(EINVAL), /* as where there are none */
     .conds = {SL_ARG_EQ(1, F_SETDELEG_COMMAND)}},
};

static const sl_syscall_row rows[] = {
    {.nr = SYS_fcntl,
     .flags = SL_ROW_MAY_CONTINUE | SL_ROW_REFUSED_ALONE,
     .handler = handle_fcntl,
     .conds = {SL_ARG_EQ(1, F_SETLEASE), SL_ARG_NE(2, F_UNLCK)}},
};

const sl_feature sl_feature_leases = {
    .name = "leases",
    .wanted = wanted,
    .promised = sl_feature_promises_nothing, /* alone there are none */
    .rows = rows,
    .row_count = SL_ARRAY_LEN(rows),
    .settled = settled,
    .settled_count = SL_ARRAY_LEN(settled),
};
