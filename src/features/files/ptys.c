/* Owns the way from a terminal's master to its slave: TIOCGPTPEER (ioctl_tty(2)).
 *
 * The kernel has Landlock judge that open by the slave's path, and Landlock knows no "those that
 * are born later": a program that makes terminals of its own would need all of /dev/pts, and with
 * it what is typed at the user's other ones. So the slave is opened here and handed over, where the
 * policy grants /dev/ptmx for writing. Never opens one by its name: who asks holds the master. */
#include <errno.h>
#include <fcntl.h>
#include <linux/major.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "core/util.h"
#include "features/features.h"
#include "supervisor/supervisor.h"

#define PTMX_MINOR                                                                                 \
    2 /* /dev/ptmx, and ptmx of every devpts (Documentation/filesystems/devpts.rst) */

/* The default view has no devices. */
static bool wanted(const sl_policy *policy)
{
    return policy->fs_writable.count > 0;
}

static bool is_granted(const sl_fsview *view)
{
    return sl_fsview_writable(view, "/dev/ptmx") || sl_fsview_writable(view, "/dev/pts/ptmx");
}

static sl_answer handle_ioctl(sl_call *call)
{
    struct stat st;
    if ((uint32_t)call->args[1] != TIOCGPTPEER) {
        return SL_ANSWER_PASS;
    }
    sl_autoclose int master = sl_call_pin(call, (int)call->args[0]);
    if (master < 0) {
        return SL_ANSWER_VALUE(master == -EBADF ? -EBADF : -EPERM);
    }
    /* no other driver is asked anything: it might let us wait */
    if (fstat(master, &st) < 0 || !S_ISCHR(st.st_mode) ||
        st.st_rdev != makedev(TTYAUX_MAJOR, PTMX_MINOR)) {
        return SL_ANSWER_VALUE(-ENOTTY);
    }
    if (!is_granted(call->sv->view)) {
        return SL_ANSWER_VALUE(-EACCES);
    }
    int flags = (int)call->args[2];
    int kept = flags & (O_ACCMODE | O_NONBLOCK);
    sl_autoclose int slave = ioctl(master, TIOCGPTPEER, kept | O_NOCTTY | O_CLOEXEC);
    if (slave < 0) {
        return SL_ANSWER_VALUE(-errno);
    }
    if (!sl_call_valid(call)) {
        return SL_ANSWER_VALUE(-EPERM);
    }
    return (sl_answer){
        .kind = SL_INJECT, .fd = sl_steal_fd(&slave), .cloexec = (flags & O_CLOEXEC) != 0};
}

static const sl_syscall_row rows[] = {
    {.nr = SYS_ioctl, .handler = handle_ioctl, .conds = {SL_ARG_EQ(1, TIOCGPTPEER)}},
};

const sl_feature sl_feature_ptys = {
    .name = "ptys",
    .wanted = wanted,
    .promised = sl_feature_promises_nothing, /* it only gives */
    .rows = rows,
    .row_count = SL_ARRAY_LEN(rows),
};
