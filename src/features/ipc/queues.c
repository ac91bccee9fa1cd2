/* Owns isolate_ipc for POSIX message queues: opened on behalf, and the tree's if the tree made
 * them, known as objects and not by their names. Landlock does not see them, so that without
 * isolate_ipc nobody has them at all (sandbox/syscalls.c). */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mqueue.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/util.h"
#include "features/features.h"
#include "features/ipc/known.h"
#include "kernel/proc.h"
#include "supervisor/supervisor.h"

#define FLAGS (O_ACCMODE | O_NONBLOCK)
#define MODE  0777

struct state {
    sl_ipc_known queues; /* inodes of the one file system that they are on */
};

static bool wanted(const sl_policy *policy)
{
    return policy->isolate_ipc;
}

static sl_ipc_known *known_of(const sl_call *call)
{
    struct state *s = sl_supervisor_state(call->sv, &sl_feature_queues);
    return &s->queues;
}

static int open_queue(const char *name, int flags, mode_t mode, struct mq_attr *attr)
{
    long fd = syscall(SYS_mq_open, name, flags | O_CLOEXEC, mode, attr);
    return fd < 0 ? -errno : (int)fd;
}

static bool is_own(const sl_call *call, int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && sl_ipc_known_has(known_of(call), st.st_ino);
}

/* With the caller's umask, not ours. What cannot be told leaves nothing to others. */
static mode_t mode_of(const sl_call *call)
{
    long digits = sl_proc_status(call->tid, "Umask");
    mode_t mask = digits < 0 ? 0077 : 0;
    for (unsigned bits = 0; digits > 0; digits /= 10, bits += 3) {
        mask |= (mode_t)(digits % 10) << bits;
    }
    return (mode_t)call->args[2] & MODE & ~mask;
}

/* O_EXCL leaves no doubt who made it. */
static int make(const sl_call *call, const char *name)
{
    struct mq_attr attr;
    struct stat st;
    bool said = call->args[3] != 0;
    int flags = (int)call->args[1] & FLAGS;
    mode_t mode = mode_of(call);
    if (said && sl_call_read(call, call->args[3], &attr, sizeof(attr)) < 0) {
        return -EFAULT;
    }
    if (!sl_call_valid(call)) {
        return -EPERM;
    }
    int r = sl_ipc_known_reserve(known_of(call), NULL);
    if (r < 0) {
        return r;
    }
    sl_autoclose int fd =
        open_queue(name, flags | O_CREAT | O_EXCL, mode & S_IRWXU, said ? &attr : NULL);
    if (fd < 0) {
        return sl_steal_fd(&fd);
    }
    if (fstat(fd, &st) < 0 || fchmod(fd, mode) < 0) {
        return -EACCES;
    }
    sl_ipc_known_add(known_of(call), st.st_ino);
    return sl_steal_fd(&fd);
}

static int open_own(const sl_call *call, const char *name)
{
    sl_autoclose int fd = open_queue(name, (int)call->args[1] & FLAGS, 0, NULL);
    return fd < 0 || (is_own(call, fd) && sl_call_valid(call)) ? sl_steal_fd(&fd) : -EACCES;
}

static sl_answer handle_open(sl_call *call)
{
    char name[NAME_MAX + 2];
    unsigned flags = (unsigned)call->args[1];
    int fd = sl_call_read_str(call, call->args[0], name, sizeof(name));
    if (fd == 0) {
        bool creates = (flags & O_CREAT) != 0;
        fd = creates ? make(call, name) : -EEXIST;
        if (fd == -EEXIST && (!creates || (flags & O_EXCL) == 0)) {
            fd = open_own(call, name);
        }
    }
    return fd < 0 ? SL_ANSWER_VALUE(fd) : (sl_answer){.kind = SL_INJECT, .fd = fd, .cloexec = true};
}

/* By what the name means now, looked at through whichever access there is. Should somebody outside
 * put his own queue in its place between the look and the unlink, his name is gone. */
static sl_answer handle_unlink(sl_call *call)
{
    char name[NAME_MAX + 2];
    struct stat st;
    int r = sl_call_read_str(call, call->args[0], name, sizeof(name));
    if (r < 0) {
        return SL_ANSWER_VALUE(r);
    }
    sl_autoclose int fd = open_queue(name, O_RDONLY | O_NONBLOCK, 0, NULL);
    if (fd == -EACCES) {
        fd = open_queue(name, O_WRONLY | O_NONBLOCK, 0, NULL);
    }
    if (fd < 0 || !is_own(call, fd) || !sl_call_valid(call) || fstat(fd, &st) < 0) {
        return SL_ANSWER_VALUE(fd < 0 ? fd : -EACCES);
    }
    if (syscall(SYS_mq_unlink, name) < 0) {
        return SL_ANSWER_VALUE(-errno);
    }
    sl_ipc_known_drop(known_of(call), st.st_ino);
    return SL_ANSWER_VALUE(0);
}

static void teardown(void *state)
{
    struct state *s = state;
    sl_ipc_known_done(&s->queues);
}

static const sl_syscall_row rows[] = {
    {.nr = SYS_mq_open, .handler = handle_open},
    {.nr = SYS_mq_unlink, .handler = handle_unlink},
};

const sl_feature sl_feature_queues = {
    .name = "queues",
    .wanted = wanted,
    .option = "--isolate-ipc",
    .rows = rows,
    .row_count = SL_ARRAY_LEN(rows),
    .state_size = sizeof(struct state),
    .teardown = teardown,
};
