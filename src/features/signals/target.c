/* Owns the meaning of numbers that signals are sent to. Never takes a number that cannot be looked
 * up for one in reach, and never acts on a number without holding whom it meant.
 *
 * A number means nothing for long: what is nobody's is given to a thread of ours a moment later,
 * and the tree goes through all numbers within seconds. */
#include "features/signals/target.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/util.h"
#include "kernel/landlock.h"
#include "kernel/pidfd.h"
#include "kernel/proc.h"
#include "kernel/tree.h"
#include "policy/verdict.h"
#include "supervisor/supervisor.h"

bool sl_target_judges_all(const sl_policy *policy)
{
    return sl_policy_isolates_signals(policy) && !sl_landlock_holds(SL_HOLDS_SIGNALS);
}

bool sl_target_kernel_judges(const sl_supervisor *sv)
{
    return sl_policy_isolates_signals(sv->policy) && sl_landlock_holds(SL_HOLDS_SIGNALS);
}

bool sl_target_is_ours(const sl_supervisor *sv, pid_t tgid)
{
    pid_t helper = atomic_load(&sv->helper_pid);
    return tgid == getpid() || tgid == getppid() || (helper != 0 && tgid == helper);
}

bool sl_target_is_caller(const sl_call *call, pid_t number)
{
    return number == call->tid || sl_proc_status(call->tid, "Tgid") == number;
}

/* Its process, when that is not one of ours. */
static long process_of(const sl_supervisor *sv, pid_t number)
{
    if (sl_target_is_ours(sv, number)) {
        return -EPERM;
    }
    long tgid = sl_proc_status(number, "Tgid");
    if (tgid < 0) {
        return tgid == -ESRCH ? -ESRCH : -EPERM;
    }
    return tgid == 0 || sl_target_is_ours(sv, (pid_t)tgid) ? -EPERM : tgid;
}

int sl_target_judge(const sl_supervisor *sv, pid_t number)
{
    long tgid = process_of(sv, number);
    if (tgid < 0 || !sl_target_judges_all(sv->policy) || sl_tree_has(sv->helper_pid, number)) {
        return tgid < 0 ? (int)tgid : 0;
    }
    return sl_proc_status(number, "Tgid") == -ESRCH ? -ESRCH : -EPERM; /* it ended meanwhile */
}

static int hold(pid_t tgid, pid_t tid)
{
    int fd = tid != 0 && sl_pidfd_of_threads() ? sl_pidfd_open(tid)
                                               : (int)syscall(SYS_pidfd_open, tgid, 0);
    if (fd >= 0) {
        return fd;
    }
    int r = tid != 0 && sl_pidfd_of_threads() ? fd : -errno;
    /* EINVAL, ENOENT: the number is a thread's by now */
    return r == -ESRCH || r == -EINVAL || r == -ENOENT ? -ESRCH : -EPERM;
}

/* Held before it is judged: what was read in between is of whom we hold, or the sending finds that
 * it has ended. */
int sl_target_open(const sl_supervisor *sv, pid_t number, bool thread, sl_target *ret)
{
    long tgid = process_of(sv, number);
    if (tgid < 0) {
        return (int)tgid;
    }
    sl_autoclose int fd = hold((pid_t)tgid, thread ? number : 0);
    if (fd < 0) {
        return fd;
    }
    int r = sl_target_judge(sv, number);
    if (r < 0) {
        return r;
    }
    long still = sl_proc_status(number, "Tgid");
    if (still != tgid) {
        return still >= 0 || still == -ESRCH ? -ESRCH : -EPERM;
    }
    *ret = (sl_target){.tgid = (pid_t)tgid, .tid = thread ? number : 0, .fd = sl_steal_fd(&fd)};
    return 0;
}

void sl_target_done(sl_target *t)
{
    sl_close(t->fd);
    t->fd = -1;
}

/* Without a pidfd of the thread by both of its numbers, which no thread of ours ever has: the first
 * is none of our processes', and those keep theirs. */
int sl_target_send(const sl_target *t, int sig, siginfo_t *info)
{
    long r;
    if (info != NULL) {
        info->si_signo = sig; /* rt_sigqueueinfo(2) */
    }
    if (t->tid == 0 || sl_pidfd_of_threads()) {
        r = syscall(SYS_pidfd_send_signal, t->fd, sig, info, 0);
    } else if (info == NULL) {
        r = syscall(SYS_tgkill, t->tgid, t->tid, sig);
    } else {
        r = syscall(SYS_rt_tgsigqueueinfo, t->tgid, t->tid, sig, info);
    }
    return r < 0 ? -errno : 0;
}
