/* Owns the way from a terminal's master to its slave: TIOCGPTPEER (ioctl_tty(2)).
 *
 * The kernel has Landlock judge that open by the slave's path, and Landlock knows no "those that
 * are born later": a program that makes terminals of its own would need all of /dev/pts, and with
 * it what is typed at the user's other ones. So the slave is opened here and handed over, where the
 * policy grants /dev/ptmx for writing, to who holds the master. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/major.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "core/util.h"
#include "features/features.h"
#include "kernel/place.h"
#include "kernel/proc.h"
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

static int open_peer(int master, int flags)
{
    int slave = ioctl(master, TIOCGPTPEER, flags);
    return slave < 0 ? -errno : slave;
}

/* "tty-index:" of proc_pid_fdinfo(5): the number of this master's terminal; -1 for what is none. */
static long index_of(const sl_call *call, int fd)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", (int)call->tid, fd);
    return sl_proc_number(path, "tty-index");
}

/* Each mount of devpts counts its own. */
static bool is_of_our_devpts(int master)
{
    char path[PATH_MAX];
    return sl_proc_fd_path(master, path) == 0 &&
           (strcmp(path, "/dev/ptmx") == 0 || strcmp(path, "/dev/pts/ptmx") == 0);
}

/* Where masters cannot be fetched the slave is opened by its number, and kept only if the caller
 * still has the master of that number: no number is given anew while its slave is open. */
static int open_named(const sl_call *call, int fd, int master, int flags)
{
    char path[64];
    long index = is_of_our_devpts(master) ? index_of(call, fd) : -1;
    snprintf(path, sizeof(path), "/dev/pts/%ld", index);
    sl_autoclose int slave = index < 0 ? -1 : open(path, flags | O_NOFOLLOW);
    if (slave < 0 || ioctl(slave, TIOCGDEV, &(unsigned){0}) < 0 || index_of(call, fd) != index) {
        return -EIO;
    }
    return sl_steal_fd(&slave);
}

static sl_answer handle_ioctl(sl_call *call)
{
    struct stat st;
    if ((uint32_t)call->args[1] != TIOCGPTPEER) {
        return SL_ANSWER_PASS;
    }
    sl_autoclose int master = sl_call_reach(call, (int)call->args[0]);
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
    kept |= O_NOCTTY | O_CLOEXEC;
    sl_autoclose int slave = sl_place_fetches()
                                 ? open_peer(master, kept)
                                 : open_named(call, (int)call->args[0], master, kept);
    if (slave < 0) {
        return SL_ANSWER_VALUE(slave);
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
