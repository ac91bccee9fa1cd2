/* Owns the safety of guardian, engine and gateway from the signals that processes of one user may
 * send each other. Whom else the tree may reach is isolate_signals' matter: Landlock's, and where
 * it does not know signals, ours.
 *
 * The calls name their target by number, so continuing is safe: our own processes are older than
 * the tree and their numbers stay theirs, and a number that the tree gives up comes to somebody
 * else only after all the other ones have been given out. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "core/util.h"
#include "features/features.h"
#include "kernel/landlock.h"
#include "kernel/place.h"
#include "kernel/proc.h"
#include "kernel/tree.h"
#include "policy/verdict.h"
#include "supervisor/supervisor.h"

#ifndef PID_FS_MAGIC
#define PID_FS_MAGIC 0x50494446 /* "PIDF", since 6.9 */
#endif
#ifndef ANON_INODE_FS_MAGIC
#define ANON_INODE_FS_MAGIC 0x09041934
#endif

static bool judges_all(const sl_policy *policy)
{
    return sl_policy_isolates_signals(policy) && !sl_landlock_holds(SL_HOLDS_SIGNALS);
}

static bool promised(const sl_policy *policy)
{
    return judges_all(policy) &&
           !sl_strv_has(&policy->allow_degraded, sl_landlock_protections[SL_HOLDS_SIGNALS].name);
}

static bool wanted(const sl_policy *policy)
{
    (void)policy;
    return true;
}

/* True for a process or thread of ours. One that does not exist is nobody's, nor is what no process
 * can be called. */
static bool is_ours(const sl_supervisor *sv, pid_t pid)
{
    if (pid <= 0) {
        return false;
    }
    long tgid = sl_proc_status(pid, "Tgid");
    return tgid > 0 && (tgid == getpid() || tgid == getppid() ||
                        (sv->helper_pid != 0 && tgid == sv->helper_pid));
}

/* True for whoever must not be signalled: ours, and where nobody else asks, all that is outside. */
static bool is_out_of_reach(const sl_supervisor *sv, pid_t pid)
{
    return is_ours(sv, pid) || (judges_all(sv->policy) && sl_proc_status(pid, "Tgid") > 0 &&
                                !sl_tree_has(sv->helper_pid, pid));
}

static bool is_our_group(const sl_supervisor *sv, pid_t pgid)
{
    return pgid == getpgid(0) || pgid == getpgid(getppid()) ||
           (sv->helper_pid != 0 && pgid == getpgid(sv->helper_pid));
}

/* A group that one of ours belongs to (the guardian shares the command's), or where nobody else
 * asks any group, or (0) everybody: the members that are of the tree get the signal, one by one.
 * kill(2): "everybody" leaves the caller out. */
static sl_answer signal_group(const sl_call *call, pid_t pgid, int sig)
{
    if (sig < 0 || sig > SIGRTMAX) {
        return SL_ANSWER_VALUE(-EINVAL);
    }
    sl_autofree pid_t *list = malloc(SL_TREE_MAX * sizeof(*list));
    pid_t caller = sl_call_tgid(call);
    if (list == NULL || caller < 0) {
        return SL_ANSWER_VALUE(list == NULL ? -EPERM : -ESRCH);
    }
    int count = 0;
    size_t n = sl_tree_list(call->sv->helper_pid, list, SL_TREE_MAX);
    for (size_t i = 0; i < n; i++) {
        bool meant = pgid == 0 ? list[i] != caller : getpgid(list[i]) == pgid;
        if (meant && kill(list[i], sig) == 0) {
            count++;
        }
    }
    return SL_ANSWER_VALUE(count > 0 ? 0 : -ESRCH);
}

static sl_answer handle_kill(sl_call *call)
{
    pid_t pid = (pid_t)call->args[0];
    if (pid > 0) {
        return is_out_of_reach(call->sv, pid) ? SL_ANSWER_VALUE(-EPERM) : SL_ANSWER_PASS;
    }
    pid_t pgid = pid == 0 ? getpgid(call->tid) : pid == -1 ? 0 : -pid;
    if (!sl_call_valid(call) || pgid < 0) {
        return SL_ANSWER_VALUE(-ESRCH);
    }
    if (pid != -1 && !is_our_group(call->sv, pgid) && !judges_all(call->sv->policy)) {
        return SL_ANSWER_PASS;
    }
    sl_answer answer = signal_group(call, pgid, (int)call->args[1]);
    bool foreign = answer.value == -ESRCH && pid != -1 && kill(-pgid, 0) == 0;
    return foreign ? SL_ANSWER_VALUE(-EPERM) : answer;
}

/* Calls whose first argument names one process or thread. */
static sl_answer handle_target(sl_call *call)
{
    pid_t pid = (pid_t)call->args[0];
    return pid > 0 && is_out_of_reach(call->sv, pid) ? SL_ANSWER_VALUE(-EPERM) : SL_ANSWER_PASS;
}

static sl_answer handle_tgkill(sl_call *call)
{
    pid_t tgid = (pid_t)call->args[0];
    pid_t tid = (pid_t)call->args[1];
    bool out = tgid > 0 && tid > 0 && /* what other numbers mean the kernel says */
               (is_out_of_reach(call->sv, tgid) || is_out_of_reach(call->sv, tid));
    return out ? SL_ANSWER_VALUE(-EPERM) : SL_ANSWER_PASS;
}

/* PIDFD_SIGNAL_THREAD and _THREAD_GROUP. _PROCESS_GROUP could be the guardian's. */
#define FLAGS_KNOWN 3u

/* Before pidfs it is one of many kinds without a file, told by its name. */
static bool is_pidfd(int fd, const struct statfs *st)
{
    char name[SL_PROC_FD_NAME_MAX];
    char text[32];
    if (st->f_type != ANON_INODE_FS_MAGIC) {
        return st->f_type == PID_FS_MAGIC;
    }
    snprintf(name, sizeof(name), "fd/%d", fd);
    return sl_proc_link(SL_PROC_SELF, name, text, sizeof(text)) > 0 &&
           strcmp(text, "anon_inode:[pidfd]") == 0;
}

/* Whom a descriptor means: a pidfd, or the directory of a process in /proc, which was the first way
 * of it. 0: one that has ended, or none, and the kernel has the word for it. -errno: refused. */
static long target_of(int fd)
{
    char path[64];
    struct statfs st;
    if (fstatfs(fd, &st) < 0) {
        return -EPERM;
    }
    bool dir = st.f_type == PROC_SUPER_MAGIC;
    if (!dir && !is_pidfd(fd, &st)) {
        return -EBADF;
    }
    snprintf(path, sizeof(path), dir ? "/proc/self/fd/%d/status" : "/proc/self/fdinfo/%d", fd);
    errno = 0;
    long pid = sl_proc_number(path, dir ? "Tgid" : "Pid");
    if (pid > 0) {
        return pid;
    }
    bool ended = dir ? errno == ESRCH || errno == ENOENT : errno == 0 && pid < 0;
    return ended ? 0 : -EPERM;
}

/* A pidfd or such a directory of our own for whom the caller's means, where that one cannot be
 * fetched. The caller's says the number before and after: while it does, nobody else has it. */
static int open_target_again(const sl_call *call, int number)
{
    char path[64];
    struct statfs st;
    sl_autoclose int object = sl_call_reach(call, number);
    if (object < 0) {
        return object;
    }
    if (fstatfs(object, &st) == 0 && st.f_type == PROC_SUPER_MAGIC) {
        return sl_proc_reopen(object, O_RDONLY | O_DIRECTORY);
    }
    snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", (int)call->tid, number);
    long pid = sl_proc_number(path, "Pid");
    sl_autoclose int fd = pid <= 0 ? -1 : (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
    if (fd < 0 || sl_proc_number(path, "Pid") != pid) {
        return -EPERM; /* it has ended, or is no process */
    }
    return sl_steal_fd(&fd);
}

static int pin_target(const sl_call *call, int number)
{
    return sl_place_fetches() ? sl_call_pin(call, number) : open_target_again(call, number);
}

/* Sent from here through the pinned pidfd: the number could be another pidfd by then. Where
 * Landlock isolates signals the kernel judges whatever it is by then, as it would not judge us. */
static sl_answer handle_pidfd_send_signal(sl_call *call)
{
    siginfo_t info;
    bool with_info = call->args[2] != 0;
    if (((unsigned)call->args[3] & ~FLAGS_KNOWN) != 0) {
        return SL_ANSWER_VALUE(-EINVAL);
    }
    sl_autoclose int fd = pin_target(call, (int)call->args[0]);
    if (fd < 0) {
        return SL_ANSWER_VALUE(fd == -EBADF ? -EBADF : -EPERM);
    }
    long pid = target_of(fd);
    if (with_info && sl_call_read(call, call->args[2], &info, sizeof(info)) < 0) {
        return SL_ANSWER_VALUE(-EFAULT);
    }
    if (pid < 0 || is_out_of_reach(call->sv, (pid_t)pid) || !sl_call_valid(call)) {
        return SL_ANSWER_VALUE(pid < 0 ? pid : -EPERM);
    }
    if (sl_policy_isolates_signals(call->sv->policy) && !judges_all(call->sv->policy)) {
        return SL_ANSWER_PASS;
    }
    long r = syscall(SYS_pidfd_send_signal, fd, (int)call->args[1], with_info ? &info : NULL,
                     (unsigned)call->args[3]);
    return SL_ANSWER_VALUE(r < 0 ? -errno : 0);
}

/* SIGIO and whatever F_SETSIG makes of it go to the owner that is named here. */
static sl_answer handle_fcntl(sl_call *call)
{
    pid_t pid = (pid_t)call->args[2];
    if ((int)call->args[1] != F_SETOWN) {
        return SL_ANSWER_PASS;
    }
    bool out = pid > 0 && is_out_of_reach(call->sv, pid);
    if (pid < 0) { /* a group is the tree's when the process that leads it is */
        out = is_our_group(call->sv, -pid) ||
              (judges_all(call->sv->policy) && !sl_tree_has(call->sv->helper_pid, -pid));
    }
    return out ? SL_ANSWER_VALUE(-EPERM) : SL_ANSWER_PASS;
}

/* Owners that are named through memory could be changed behind the check. */
static const sl_bpf_rule settled[] = {
    {.nr = SYS_fcntl, .action = SL_BPF_ERRNO(EPERM), .conds = {SL_ARG_EQ(1, F_SETOWN_EX)}},
    {.nr = SYS_ioctl, .action = SL_BPF_ERRNO(EPERM), .conds = {SL_ARG_EQ(1, FIOSETOWN)}},
    {.nr = SYS_ioctl, .action = SL_BPF_ERRNO(EPERM), .conds = {SL_ARG_EQ(1, SIOCSPGRP)}},
};

#define ROW(call, handle)                                                                          \
    {                                                                                              \
        .nr = SYS_##call, .flags = SL_ROW_MAY_CONTINUE, .handler = (handle)                        \
    }

static const sl_syscall_row rows[] = {
    ROW(kill, handle_kill),
    ROW(tkill, handle_target),
    ROW(tgkill, handle_tgkill),
    ROW(rt_sigqueueinfo, handle_target),
    ROW(rt_tgsigqueueinfo, handle_tgkill),
    ROW(pidfd_send_signal, handle_pidfd_send_signal),
    {.nr = SYS_fcntl,
     .flags = SL_ROW_MAY_CONTINUE,
     .handler = handle_fcntl,
     .conds = {SL_ARG_EQ(1, F_SETOWN)}},
};

const sl_feature sl_feature_signals = {
    .name = "signals",
    .wanted = wanted,
    .option = "signals to others, which this kernel's Landlock lacks (--allow-degraded signals)",
    .promised = promised, /* it guards us; Landlock guards others */
    .rows = rows,
    .row_count = SL_ARRAY_LEN(rows),
    .settled = settled,
    .settled_count = SL_ARRAY_LEN(settled),
};
