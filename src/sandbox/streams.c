/* Owns the rules for what the command inherits as its standard streams. Opening such a file again
 * by its name is opening it once more, which Landlock would refuse outside the grants. Never gives
 * what the descriptor does not show: one that only writes lets nothing be read. */
#include "sandbox/streams.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/landlock.h"
#include "kernel/proc.h"
#include "supervisor/pin.h"

/* By the path that the kernel has for it (one that was deleted keeps it), and as an object: a
 * denied file that is mounted elsewhere too has another path there. */
static bool is_denied(const sl_fsview *view, int fd, const struct stat *st)
{
    char path[PATH_MAX];
    if (sl_proc_fd_path(fd, path) == 0 && sl_fsview_denied(view, path)) {
        return true;
    }
    for (size_t i = 0; i < view->denied.count; i++) {
        struct stat denied;
        if (lstat(view->denied.items[i], &denied) == 0 && denied.st_dev == st->st_dev &&
            denied.st_ino == st->st_ino) {
            return true;
        }
    }
    return false;
}

/* What the open mode shows: 0 for a descriptor that only names its object. */
static unsigned rights_of(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || (flags & O_PATH) != 0) {
        return 0;
    }
    switch (flags & O_ACCMODE) {
    case O_RDONLY:
        return SL_LANDLOCK_LOOK;
    case O_WRONLY:
        return SL_LANDLOCK_FILL;
    case O_RDWR:
        return SL_LANDLOCK_LOOK | SL_LANDLOCK_FILL;
    default:
        return 0; /* open(2): 3 allows neither */
    }
}

int sl_streams_allow(const sl_policy *policy, int ruleset, sl_fsview *view, int fd)
{
    struct stat st;
    unsigned rights = rights_of(fd);
    if (rights == 0 || fstat(fd, &st) < 0 || (!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode))) {
        return 0;
    }
    /* Landlock stands behind the view of /proc: nothing of it is granted. */
    if ((policy->isolate_pids && sl_pin_is_proc(fd)) || is_denied(view, fd, &st)) {
        return 0;
    }
    int r = sl_landlock_allow(ruleset, fd, rights);
    if (r == -EBADFD) {
        return 0; /* a pipe or a memory file, which has no place and needs no rule */
    }
    return r < 0 ? r : sl_fsview_add_stream(view, &st, rights);
}
