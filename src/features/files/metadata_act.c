/* Owns the doing of metadata changes: the worker opens the object, judges where it really
 * is, and changes it through the descriptor. A large write of the child may hold an inode's lock
 * for seconds; the dispatcher must never wait for it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "core/util.h"
#include "features/files/metadata_int.h"
#include "features/refusal.h"
#include "kernel/numbers.h"
#include "kernel/proc.h"
#include "supervisor/supervisor.h"

void sl_meta_job_free(sl_meta_job *job)
{
    if (job != NULL) {
        sl_close(job->at);
        free(job->change.value);
        free(job);
    }
}

bool sl_meta_may_change(const sl_supervisor *sv, int fd)
{
    static const char gone[] = " (deleted)";
    char real[PATH_MAX];
    struct stat st;
    int r = sl_proc_fd_path(fd, real);
    if (fstat(fd, &st) < 0) {
        return false;
    }
    if (r < 0) {
        return r == -ENOENT && real[0] != '\0' && real[0] != '/'; /* "pipe:[...]", "socket:[...]" */
    }
    size_t n = strlen(real);
    size_t end = sizeof(gone) - 1;
    if (st.st_nlink == 0 && n > end && strcmp(real + n - end, gone) == 0) {
        return true;
    }
    return sl_fsview_writable(sv->view, real) && !sl_fsview_denied(sv->view, real);
}

/* Never through a magic link: those under /proc/self would name the engine's things. (What the
 * caller means by /proc/self/fd/N was understood before.) */
static int open_object(const sl_meta_job *job)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC | (job->follow ? 0 : O_NOFOLLOW),
                           .resolve = RESOLVE_NO_MAGICLINKS};
    int at = job->at < 0 ? AT_FDCWD : job->at;
    long fd = syscall(SYS_openat2, at, job->path, &how, sizeof(how));
    if (fd < 0 && errno == ELOOP) {
        /* Too many symlinks, or a magic one: the second is a refusal. */
        sl_autoclose int magic = openat(at, job->path, (int)how.flags);
        return magic >= 0 ? -EACCES : -errno;
    }
    return fd < 0 ? -errno : (int)fd;
}

static int change_xattr(const sl_meta_change *c, int fd)
{
    char link[SL_PROC_FD_NAME_MAX];
    sl_proc_fd_name(fd, link); /* leads to the object, even a symlink */
    int r = c->kind == SL_META_XATTR_SET ? setxattr(link, c->name, c->value, c->size, c->flags)
                                         : removexattr(link, c->name);
    return r < 0 ? -errno : 0;
}

/* Only of files and directories: a driver may mean something else by the same number. */
static int change_flags(const sl_meta_change *c, int fd)
{
    struct stat st;
    unsigned char argument[SL_META_IOCTL_MAX];
    memcpy(argument, c->argument, sizeof(argument));
    if (fstat(fd, &st) < 0 || (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))) {
        return -ENOTTY;
    }
    sl_autoclose int opened = -1;
    if ((fcntl(fd, F_GETFL) & O_PATH) != 0) {
        fd = opened = sl_proc_reopen(fd, O_RDONLY | O_NONBLOCK);
    }
    return fd < 0 ? fd : ioctl(fd, c->command, argument) < 0 ? -errno : 0;
}

/* fchmodat2(2), or where it is not known the way by the object's other name, which must not be
 * asked of a symlink: some file systems change its mode then, and others say so and do not. */
static long change_mode(int fd, mode_t mode)
{
    char link[SL_PROC_FD_NAME_MAX];
    struct stat st;
    long r = syscall(SL_NR_FCHMODAT2, fd, "", mode, AT_EMPTY_PATH);
    if (r == 0 || errno != ENOSYS) {
        return r;
    }
    if (fstat(fd, &st) == 0 && S_ISLNK(st.st_mode)) {
        errno = EOPNOTSUPP;
        return -1;
    }
    sl_proc_fd_name(fd, link);
    return chmod(link, mode);
}

static int change(const sl_meta_change *c, int fd)
{
    long r = -1;
    switch (c->kind) {
    case SL_META_MODE:
        r = change_mode(fd, c->mode);
        break;
    case SL_META_OWNER:
        r = fchownat(fd, "", c->uid, c->gid, AT_EMPTY_PATH);
        break;
    case SL_META_TIMES:
        r = syscall(SYS_utimensat, fd, "", c->now ? NULL : c->times, AT_EMPTY_PATH);
        break;
    case SL_META_XATTR_SET:
    case SL_META_XATTR_REMOVE:
        return change_xattr(c, fd);
    case SL_META_IOCTL:
        return change_flags(c, fd);
    }
    return r < 0 ? -errno : 0;
}

static int perform(const sl_meta_job *job)
{
    const sl_supervisor *sv = job->job.call.sv;
    sl_autoclose int opened = -1;
    int fd = job->at;
    if (job->path[0] != '\0') {
        fd = opened = open_object(job);
    }
    if (fd < 0) {
        return fd;
    }
    if (!sl_meta_may_change(sv, fd)) {
        sl_refusal_tell(&job->job.call, fd, SL_WANT_CHANGE);
        return -EACCES;
    }
    return atomic_load(&sv->ending) ? -EPERM : change(&job->change, fd);
}

static sl_answer perform_job(sl_job *job)
{
    return SL_ANSWER_VALUE(perform((const sl_meta_job *)job));
}

static void free_job(sl_job *job)
{
    sl_meta_job_free((sl_meta_job *)job);
}

sl_answer sl_meta_start(sl_meta_job *job)
{
    job->job.perform = perform_job;
    job->job.free = free_job;
    return sl_worker_start(&job->job);
}
