/* Owns the asking about files under isolate_pids: stat, access, readlink. Landlock has no right for
 * these, so that no such call goes on after its path was read: each is answered from the object
 * that was pinned. Processes of others do not exist. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/util.h"
#include "features/procfs/pids_int.h"
#include "supervisor/identity.h"
#include "supervisor/path.h"
#include "supervisor/pin.h"
#include "supervisor/supervisor.h"

/* The object, of which the tree may know; or -errno. `ret_path` is its name when it is in proc,
 * else empty. */
static int pin_known(const sl_call *call, const sl_path_arg *arg, char ret_path[PATH_MAX])
{
    char path[PATH_MAX];
    unsigned flags = (arg->at & AT_SYMLINK_NOFOLLOW) != 0 ? SL_PIN_NOFOLLOW : 0;
    flags |= (arg->at & AT_EMPTY_PATH) != 0 ? SL_PIN_EMPTY : 0;
    int r = sl_path_read(call, arg, path);
    if (r < 0) {
        return r;
    }
    ret_path[0] = '\0';
    sl_autoclose int fd = sl_pin(call, arg->dirfd, path, flags);
    if (fd < 0) {
        return sl_steal_fd(&fd);
    }
    bool foreign = sl_pids_place_of(call, fd, ret_path) == SL_PIDS_FOREIGN;
    if (foreign || !sl_call_valid(call)) {
        return foreign ? -ENOENT : -ESRCH;
    }
    return sl_steal_fd(&fd);
}

#define STAT_FLAGS (AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT)

/* glibc's struct is the kernel's on the architectures that we build for. */
sl_answer sl_pids_handle_stat(sl_call *call)
{
    char path[PATH_MAX];
    struct stat st;
    sl_path_arg arg;
    if (!sl_path_arg_of(call, 0, &arg) || (arg.at & ~(unsigned)STAT_FLAGS) != 0) {
        return SL_ANSWER_VALUE(-EINVAL);
    }
    sl_autoclose int fd = pin_known(call, &arg, path);
    if (fd < 0) {
        return SL_ANSWER_VALUE(fd);
    }
    if (fstatat(fd, "", &st, AT_EMPTY_PATH) < 0) {
        return SL_ANSWER_VALUE(-errno);
    }
    st.st_uid = sl_identity_uid_inside(call->sv->policy, st.st_uid);
    st.st_gid = sl_identity_gid_inside(call->sv->policy, st.st_gid);
    return SL_ANSWER_VALUE(sl_call_write(call, sl_path_said(call, &arg, 0), &st, sizeof(st)));
}

sl_answer sl_pids_handle_statx(sl_call *call)
{
    char path[PATH_MAX];
    struct statx stx;
    sl_path_arg arg;
    if (!sl_path_arg_of(call, 0, &arg) ||
        (arg.at & ~(unsigned)(STAT_FLAGS | AT_STATX_SYNC_TYPE)) != 0) {
        return SL_ANSWER_VALUE(-EINVAL);
    }
    sl_autoclose int fd = pin_known(call, &arg, path);
    if (fd < 0) {
        return SL_ANSWER_VALUE(fd);
    }
    memset(&stx, 0, sizeof(stx));
    int how = (int)(AT_EMPTY_PATH | (arg.at & AT_STATX_SYNC_TYPE));
    if (statx(fd, "", how, (unsigned)sl_path_said(call, &arg, 0), &stx) < 0) {
        return SL_ANSWER_VALUE(-errno);
    }
    stx.stx_uid = sl_identity_uid_inside(call->sv->policy, stx.stx_uid);
    stx.stx_gid = sl_identity_gid_inside(call->sv->policy, stx.stx_gid);
    return SL_ANSWER_VALUE(sl_call_write(call, sl_path_said(call, &arg, 1), &stx, sizeof(stx)));
}

sl_answer sl_pids_handle_access(sl_call *call)
{
    char path[PATH_MAX];
    sl_path_arg arg;
    if (!sl_path_arg_of(call, 0, &arg)) {
        return SL_ANSWER_VALUE(-ENOSYS);
    }
    int mode = (int)sl_path_said(call, &arg, 0);
    if ((arg.at & ~(unsigned)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_EACCESS)) != 0 ||
        (mode & ~(R_OK | W_OK | X_OK)) != 0) {
        return SL_ANSWER_VALUE(-EINVAL);
    }
    sl_autoclose int fd = pin_known(call, &arg, path);
    if (fd < 0) {
        return SL_ANSWER_VALUE(fd);
    }
    long r = syscall(SYS_faccessat2, fd, "", mode, AT_EMPTY_PATH | (arg.at & AT_EACCESS));
    return SL_ANSWER_VALUE(r < 0 ? -errno : 0);
}

/* The text of a pinned link; that of "self" is the caller's. Returns its length or -errno. */
static ssize_t read_link(const sl_call *call, int fd, const char *path, char text[PATH_MAX])
{
    bool self = strcmp(path, "/proc/self") == 0;
    if (self || strcmp(path, "/proc/thread-self") == 0) {
        pid_t tgid = sl_call_tgid(call);
        if (tgid < 0) {
            return tgid;
        }
        return self ? snprintf(text, PATH_MAX, "%d", (int)tgid)
                    : snprintf(text, PATH_MAX, "%d/task/%d", (int)tgid, (int)call->tid);
    }
    ssize_t n = readlinkat(fd, "", text, PATH_MAX);
    return n < 0 ? -errno : n;
}

sl_answer sl_pids_handle_readlink(sl_call *call)
{
    char path[PATH_MAX];
    char text[PATH_MAX];
    char first;
    struct stat st;
    sl_path_arg arg;
    if (!sl_path_arg_of(call, 0, &arg)) {
        return SL_ANSWER_VALUE(-ENOSYS);
    }
    uint64_t to = sl_path_said(call, &arg, 0);
    int size = (int)sl_path_said(call, &arg, 1);
    if (size <= 0) {
        return SL_ANSWER_VALUE(-EINVAL);
    }
    bool empty = sl_call_read(call, arg.address, &first, 1) == 0 && first == '\0';
    if (empty && arg.dirfd != AT_FDCWD) {
        arg.at |= AT_EMPTY_PATH; /* readlinkat(2): the descriptor of a link */
    }
    sl_autoclose int fd = pin_known(call, &arg, path);
    if (fd < 0) {
        return SL_ANSWER_VALUE(fd);
    }
    if (fstat(fd, &st) < 0 || !S_ISLNK(st.st_mode)) {
        return SL_ANSWER_VALUE(empty ? -ENOENT : -EINVAL);
    }
    ssize_t n = read_link(call, fd, path, text);
    if (n < 0) {
        return SL_ANSWER_VALUE(n);
    }
    n = SL_MIN(n, (ssize_t)size);
    int r = sl_call_write(call, to, text, (size_t)n);
    return SL_ANSWER_VALUE(r < 0 ? r : n);
}
