/* Owns the safety of guardian, engine and gateway from the signals that processes of one user may
 * send each other. Whom else the tree may reach is isolate_signals' matter: Landlock's, and where
 * it does not know signals, ours.
 *
 * The calls name their target by number, and a number does not stay with whom it was judged
 * (target.c). A call goes on only where the number cannot be another's: the caller's own process, a
 * group that is none of ours, or where the kernel judges once more. All else is sent from here,
 * through a pidfd, and a number that nobody has is answered so. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
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
#include "features/signals/target.h"
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

static bool promised(const sl_policy *policy)
{
    return sl_target_judges_all(policy) &&
           !sl_strv_has(&policy->allow_degraded, sl_landlock_protections[SL_HOLDS_SIGNALS].name);
}

static bool wanted(const sl_policy *policy)
{
    (void)policy;
    return true;
}

static bool is_our_group(const sl_supervisor *sv, pid_t pgid)
{
    return pgid == getpgid(0) || pgid == getpgid(getppid()) ||
           (sv->helper_pid != 0 && pgid == getpgid(sv->helper_pid));
}

#define EVERYBODY ((pid_t)-1)

/* Held first: the number may be another's by the time it is signalled. */
static bool signal_member(const sl_supervisor *sv, pid_t pid, pid_t pgid, int sig)
{
    sl_autoclose int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    bool meant = fd >= 0 && (pgid == EVERYBODY || getpgid(pid) == pgid);
    return meant && !sl_target_is_ours(sv, pid) && sl_tree_has(sv->helper_pid, pid) &&
           syscall(SYS_pidfd_send_signal, fd, sig, NULL, 0) == 0;
}

/* A group that one of ours belongs to (the guardian shares the command's), or where nobody else
 * asks any group, or everybody: the members that are of the tree get the signal, one by one.
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
        bool meant = pgid == EVERYBODY ? list[i] != caller : getpgid(list[i]) == pgid;
        count += meant && signal_member(call->sv, list[i], pgid, sig);
    }
    return SL_ANSWER_VALUE(count > 0 ? 0 : -ESRCH);
}

/* The sender that a receiver is told is the engine, unless the kernel judges, or the signal is for
 * the caller's own process: there the call goes on. `info_at`: of rt_sigqueueinfo(2), or 0. */
static sl_answer signal_one(const sl_call *call, pid_t number, bool thread, uint64_t info_at)
{
    siginfo_t info;
    sl_target target;
    int r;
    if (sl_target_is_ours(call->sv, number)) {
        return SL_ANSWER_VALUE(-EPERM);
    }
    if (number == call->tid || (!thread && sl_target_is_caller(call, number))) {
        return SL_ANSWER_PASS;
    }
    if (sl_target_kernel_judges(call->sv)) {
        r = sl_target_judge(call->sv, number);
        return r < 0 ? SL_ANSWER_VALUE(r) : SL_ANSWER_PASS;
    }
    if (info_at != 0 && sl_call_read(call, info_at, &info, sizeof(info)) < 0) {
        return SL_ANSWER_VALUE(-EFAULT);
    }
    r = sl_target_open(call->sv, number, thread, &target);
    if (r < 0) {
        return SL_ANSWER_VALUE(r);
    }
    r = sl_call_valid(call)
            ? sl_target_send(&target, (int)call->args[1], info_at != 0 ? &info : NULL)
            : -ESRCH;
    sl_target_done(&target);
    return SL_ANSWER_VALUE(r);
}

static sl_answer handle_kill(sl_call *call)
{
    pid_t pid = (pid_t)call->args[0];
    if (pid > 0) {
        return signal_one(call, pid, false, 0);
    }
    if (pid == EVERYBODY) {
        return sl_call_valid(call) ? signal_group(call, EVERYBODY, (int)call->args[1])
                                   : SL_ANSWER_VALUE(-ESRCH);
    }
    pid_t pgid = pid == 0 ? getpgid(call->tid) : pid == INT_MIN ? -1 : -pid;
    if (!sl_call_valid(call) || pgid < 0) {
        return SL_ANSWER_VALUE(-ESRCH);
    }
    if (!is_our_group(call->sv, pgid) && !sl_target_judges_all(call->sv->policy)) {
        return SL_ANSWER_PASS; /* ours stay in theirs, and who is in no group of ours is not ours */
    }
    sl_answer answer = signal_group(call, pgid, (int)call->args[1]);
    bool foreign = answer.value == -ESRCH && kill(-pgid, 0) == 0;
    return foreign ? SL_ANSWER_VALUE(-EPERM) : answer;
}

static sl_answer handle_tkill(sl_call *call)
{
    pid_t tid = (pid_t)call->args[0];
    return tid > 0 ? signal_one(call, tid, true, 0) : SL_ANSWER_PASS; /* EINVAL */
}

static sl_answer handle_sigqueue(sl_call *call)
{
    pid_t pid = (pid_t)call->args[0];
    if (pid <= 0) {
        return SL_ANSWER_PASS; /* nobody is called so */
    }
    return call->args[2] == 0 ? SL_ANSWER_VALUE(-EFAULT)
                              : signal_one(call, pid, false, call->args[2]);
}

/* Where nobody is isolated the call goes on: the kernel asks for a thread of that process, which is
 * none of ours, and ours keep their numbers. */
static sl_answer signal_thread(const sl_call *call, int sig, uint64_t info_at)
{
    pid_t tgid = (pid_t)call->args[0];
    pid_t tid = (pid_t)call->args[1];
    siginfo_t info;
    sl_target target;
    if (tgid <= 0 || tid <= 0) {
        return SL_ANSWER_PASS; /* EINVAL */
    }
    if (sl_target_is_ours(call->sv, tgid)) {
        return SL_ANSWER_VALUE(-EPERM);
    }
    if (!sl_target_judges_all(call->sv->policy) || sl_target_is_caller(call, tgid)) {
        return SL_ANSWER_PASS;
    }
    if (info_at != 0 && sl_call_read(call, info_at, &info, sizeof(info)) < 0) {
        return SL_ANSWER_VALUE(-EFAULT);
    }
    int r = sl_target_open(call->sv, tid, true, &target);
    if (r < 0) {
        return SL_ANSWER_VALUE(r);
    }
    r = target.tgid != tgid || !sl_call_valid(call)
            ? -ESRCH
            : sl_target_send(&target, sig, info_at != 0 ? &info : NULL);
    sl_target_done(&target);
    return SL_ANSWER_VALUE(r);
}

static sl_answer handle_tgkill(sl_call *call)
{
    return signal_thread(call, (int)call->args[2], 0);
}

static sl_answer handle_tgsigqueue(sl_call *call)
{
    return call->args[3] == 0 ? SL_ANSWER_VALUE(-EFAULT)
                              : signal_thread(call, (int)call->args[2], call->args[3]);
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
    long pid = sl_proc_number(path, dir ? "Tgid" : "Pid");
    if (pid > 0) {
        return pid;
    }
    return pid == (dir ? -ESRCH : -ENODATA) ? 0 : -EPERM; /* "-1" is no number */
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
    long r = pid > 0 ? sl_target_judge(call->sv, (pid_t)pid) : pid;
    if (r < 0 || !sl_call_valid(call)) {
        return SL_ANSWER_VALUE(r < 0 ? r : -EPERM);
    }
    if (sl_target_kernel_judges(call->sv)) {
        return SL_ANSWER_PASS;
    }
    r = syscall(SYS_pidfd_send_signal, fd, (int)call->args[1], with_info ? &info : NULL,
                (unsigned)call->args[3]);
    return SL_ANSWER_VALUE(r < 0 ? -errno : 0);
}

/* Set from here, on the pinned file, and taken back when the number was another's by then. */
static sl_answer set_owner(const sl_call *call, pid_t pid)
{
    sl_target target;
    sl_autoclose int fd = sl_call_pin(call, (int)call->args[0]);
    int r = fd < 0 ? fd : sl_target_open(call->sv, pid, false, &target);
    if (r < 0) {
        return SL_ANSWER_VALUE(r == -EBADF || r == -ESRCH ? r : -EPERM);
    }
    r = !sl_call_valid(call) ? -ESRCH : fcntl(fd, F_SETOWN, pid) < 0 ? -errno : 0;
    if (r == 0 &&
        (sl_target_send(&target, 0, NULL) < 0 || sl_proc_status(pid, "Tgid") != target.tgid)) {
        (void)fcntl(fd, F_SETOWN, 0);
        r = -ESRCH;
    }
    sl_target_done(&target);
    return SL_ANSWER_VALUE(r);
}

/* SIGIO and whatever F_SETSIG makes of it go to the owner that is named here. */
static sl_answer handle_fcntl(sl_call *call)
{
    pid_t pid = (pid_t)call->args[2];
    const sl_supervisor *sv = call->sv;
    if ((int)call->args[1] != F_SETOWN || pid == 0 || pid == INT_MIN) {
        return SL_ANSWER_PASS;
    }
    if (pid < 0) { /* a group is the tree's when the process that leads it is */
        bool out = is_our_group(sv, -pid) ||
                   (sl_target_judges_all(sv->policy) && !sl_tree_has(sv->helper_pid, -pid));
        return out ? SL_ANSWER_VALUE(-EPERM) : SL_ANSWER_PASS;
    }
    if (sl_target_is_ours(sv, pid)) {
        return SL_ANSWER_VALUE(-EPERM);
    }
    if (sl_target_is_caller(call, pid)) {
        return SL_ANSWER_PASS;
    }
    if (!sl_target_kernel_judges(sv)) {
        return set_owner(call, pid);
    }
    int r = sl_target_judge(sv, pid);
    return r < 0 ? SL_ANSWER_VALUE(r) : SL_ANSWER_PASS;
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
    ROW(tkill, handle_tkill),
    ROW(tgkill, handle_tgkill),
    ROW(rt_sigqueueinfo, handle_sigqueue),
    ROW(rt_tgsigqueueinfo, handle_tgsigqueue),
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
