/* Owns the few lines between clone and execve. Only async-signal-safe calls; no allocation, no
 * locks, and no close or dup2 before the descriptor table is the child's own. */
#include "sandbox/child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/util.h"
#include "kernel/caps.h"
#include "kernel/landlock.h"
#include "supervisor/supervisor.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

static int fail(struct sl_child_args *args, enum sl_child_step step, int error)
{
    args->failed_step = step;
    args->failed_errno = error;
    return 1;
}

static int join_group(struct sl_child_args *args)
{
    if (args->parent == 0) {
        return 0; /* in place: our own parent is none of its business */
    }
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) {
        return -errno;
    }
    if (getppid() != args->parent) {
        return -ESRCH; /* it died before the signal was armed */
    }
    if (args->terminal_fd > 0) {
        return 0; /* a session of its own, which take_terminal makes */
    }
    if (args->pgid != 0) {
        setpgid(0, args->pgid); /* fails when that group is gone: nobody's terminal is at stake */
    }
    return 0;
}

static int put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    ssize_t n = write(fd, text, strlen(text));
    int error = n < 0 ? errno : 0;
    close(fd); /* a number of our own: nobody else has opened anything meanwhile */
    return -error;
}

/* The maps are this process's own to write, while its memory may be looked at (proc(5)); it is the
 * engine's memory, so only for that long. The namespace's capabilities end here. */
static int take_identity(const struct sl_child_args *args)
{
    if (args->parent == 0 && unshare(CLONE_NEWUSER) < 0) {
        return -errno;
    }
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    int r = put("/proc/self/setgroups", "deny");
    r = r < 0 ? r : put("/proc/self/uid_map", args->uid_map);
    r = r < 0 ? r : put("/proc/self/gid_map", args->gid_map);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    return r < 0 ? r : sl_caps_drop(SL_CAPS_NONE);
}

/* The leader of a session is in its foreground: keys become its signals, and job control is its own
 * (credentials(7)). */
static int take_terminal(const struct sl_child_args *args)
{
    if (args->terminal_fd == 0) {
        return 0;
    }
    return setsid() < 0 || ioctl(args->terminal_fd, TIOCSCTTY, 0) < 0 ? -errno : 0;
}

static int install_filter(struct sl_child_args *args)
{
    struct sock_fprog prog = {.len = args->insn_count, .filter = (struct sock_filter *)args->insns};
    unsigned long flags = 0;
    if (args->notify) {
        flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    }
    long fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
    if (fd < 0) {
        return -errno;
    }
    if (args->notify) {
        atomic_store(args->listener, (int)fd);
        syscall(SYS_futex, args->listener, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    }
    return 0;
}

/* What execve(2) hands to the new image: prctl(2), personality(2). The address space is the
 * engine's until then, which does without huge pages as well. */
static int set_memory(const struct sl_child_args *args)
{
    if (args->no_randomize_memory) {
        int old = personality(0xffffffff);
        if (old < 0 || personality((unsigned)old | ADDR_NO_RANDOMIZE) < 0) {
            return -errno;
        }
    }
    if (args->no_huge_pages && prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) < 0) {
        return -errno;
    }
    return 0;
}

static int set_limits(const struct sl_child_args *args)
{
    for (size_t i = 0; args->limits != NULL && i < SL_SPAWN_LIMITS; i++) {
        if (setrlimit((__rlimit_resource_t)args->limits[i].resource, &args->limits[i].value) < 0) {
            return -errno;
        }
    }
    if (args->no_coredump && setrlimit(RLIMIT_CORE, &(struct rlimit){0}) < 0) {
        return -errno;
    }
    return 0;
}

/* Questions whose answers prove that each layer stands. */
static enum sl_child_step ask_canary(const struct sl_child_args *args)
{
    if (args->canary_path != NULL) {
        int fd = open(args->canary_path, O_WRONLY | O_CLOEXEC);
        if (fd >= 0 || errno != EACCES) {
            return SL_CHILD_CANARY_FILE;
        }
    }
    if (args->notify) {
        sl_canary_question q = {.asked = (uint64_t)(uintptr_t)args};
        if (syscall(SYS_connect, -1, &q, sizeof(q)) != -1 ||
            (errno != SL_CANARY_ERRNO && errno != EFAULT)) {
            return SL_CHILD_CANARY_NOTIFY;
        }
        if (errno == EFAULT || (q.answer != 0 && q.answer != ~q.asked)) {
            return SL_CHILD_CANARY_MEMORY;
        }
    }
    if (syscall(SYS_io_uring_setup, 0, NULL) != -1 || (errno != EPERM && errno != ENOSYS)) {
        return SL_CHILD_CANARY_FILTER;
    }
    return SL_CHILD_OK;
}

static int take_descriptors(const struct sl_child_args *args)
{
    if (args->close_fds && args->terminal_fd == 0) {
        return close_range(3, ~0u, CLOSE_RANGE_UNSHARE) < 0 ? -errno : 0;
    }
    /* Ours are close-on-exec from birth. unshare(CLONE_FILES) is what containers' profiles refuse,
     * whatever its flags; nothing lies in this range. */
    if (close_range(~0u, ~0u, CLOSE_RANGE_UNSHARE) < 0) {
        return -errno;
    }
    for (int fd = 0; args->terminal_fd > 0 && fd <= STDERR_FILENO; fd++) {
        if ((args->terminal_replaces & 1u << fd) != 0 && dup3(args->terminal_fd, fd, 0) < 0) {
            return -errno;
        }
    }
    return args->close_fds && close_range(3, ~0u, 0) < 0 ? -errno : 0;
}

/* The caller's dispositions and mask, not ours. Handlers fall to the default by execve(2), and what
 * nohup(1) ignores stays ignored. */
static void reset_signals(const struct sl_child_args *args)
{
    for (size_t i = 0; i < args->changed_count; i++) {
        bool ignore = sigismember(&args->ignored, args->changed[i]) == 1;
        struct sigaction action = {.sa_handler = ignore ? SIG_IGN : SIG_DFL};
        sigaction(args->changed[i], &action, NULL);
    }
    sigprocmask(SIG_SETMASK, &args->mask, NULL);
}

int sl_child_main(void *arg)
{
    struct sl_child_args *args = arg;
    int r = join_group(args);
    if (r < 0) {
        return fail(args, SL_CHILD_PRIVILEGES, -r);
    }
    r = args->identity ? take_identity(args) : 0;
    if (r < 0) {
        return fail(args, SL_CHILD_IDENTITY, -r);
    }
    r = set_limits(args);
    if (r < 0) {
        return fail(args, SL_CHILD_RLIMIT, -r);
    }
    r = set_memory(args);
    if (r < 0) {
        return fail(args, SL_CHILD_MEMORY, -r);
    }
    r = take_terminal(args);
    if (r < 0) {
        return fail(args, SL_CHILD_TERMINAL, -r);
    }
    if (args->cpus != NULL &&
        syscall(SYS_sched_setaffinity, 0, sizeof(*args->cpus), args->cpus) < 0) {
        return fail(args, SL_CHILD_AFFINITY, errno);
    }
    if (args->cwd != NULL && chdir(args->cwd) < 0) {
        return fail(args, SL_CHILD_CHDIR, errno);
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
        return fail(args, SL_CHILD_PRIVILEGES, errno);
    }
    r = args->landlock_fd >= 0 ? sl_landlock_enter(args->landlock_fd) : 0;
    if (r < 0) {
        return fail(args, SL_CHILD_LANDLOCK, -r);
    }
    r = install_filter(args);
    if (r < 0) {
        return fail(args, SL_CHILD_SECCOMP, -r);
    }
    enum sl_child_step step = ask_canary(args);
    if (step != SL_CHILD_OK) {
        return fail(args, step, EPERM);
    }
    r = take_descriptors(args);
    if (r < 0) {
        return fail(args, SL_CHILD_STDIO, -r);
    }
    reset_signals(args);
    args->failed_step = SL_CHILD_OK;
    execve(args->path, args->argv, args->environ);
    return fail(args, SL_CHILD_EXEC, errno);
}
