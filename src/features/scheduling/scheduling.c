/* Owns what the tree may do to the turn that others get: their priority, policy, processors, limits
 * and group. Only to itself; who else may be signalled is another question (signals/signals.c), and
 * what reads another process's memory or pages is Landlock's.
 *
 * The calls name their target by number, and have no other way. The number of the caller's own
 * process stays its own; another's may be somebody else's by the time the call goes on, when its
 * process has ended and the tree has gone through all other numbers meanwhile. What is left of that
 * is in docs/THREAT-MODEL.md. */
#include <errno.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/util.h"
#include "features/features.h"
#include "kernel/proc.h"
#include "kernel/tree.h"
#include "supervisor/supervisor.h"

/* ioprio_set(2), for which libc has no header */
#define IOPRIO_WHO_PROCESS 1
#define IOPRIO_WHO_PGRP    2
#define IOPRIO_WHO_USER    3

static bool wanted(const sl_policy *policy)
{
    (void)policy;
    return true;
}

/* The caller itself (0), a process or a thread of the tree: the kernel goes on. */
static sl_answer judge(const sl_call *call, pid_t pid)
{
    if (pid <= 0 || sl_tree_has(call->sv->helper_pid, pid)) {
        return SL_ANSWER_PASS; /* what negative numbers mean the kernel says */
    }
    return SL_ANSWER_VALUE(sl_proc_status(pid, "Tgid") == -ESRCH ? -ESRCH : -EPERM);
}

/* A group is the tree's when the process that leads it is: nobody outside comes into it but of its
 * own will. The command's own group is its caller's as a rule, and led by somebody outside. */
static sl_answer judge_group(const sl_call *call, pid_t pgid)
{
    pgid = pgid == 0 ? getpgid(call->tid) : pgid;
    if (!sl_call_valid(call)) {
        return SL_ANSWER_VALUE(-ESRCH);
    }
    if (pgid > 0 && kill(-pgid, 0) == 0 && sl_proc_status(pgid, "Tgid") < 0) {
        return SL_ANSWER_VALUE(-EPERM); /* its leader has ended: whose it was nobody can tell */
    }
    return judge(call, pgid);
}

static sl_answer handle_target(sl_call *call)
{
    return judge(call, (pid_t)call->args[0]);
}

static sl_answer handle_setpriority(sl_call *call)
{
    switch ((int)call->args[0]) {
    case PRIO_PROCESS:
        return judge(call, (pid_t)call->args[1]);
    case PRIO_PGRP:
        return judge_group(call, (pid_t)call->args[1]);
    case PRIO_USER: /* everybody */
        return SL_ANSWER_VALUE(-EPERM);
    default:
        return SL_ANSWER_PASS;
    }
}

static sl_answer handle_ioprio_set(sl_call *call)
{
    switch ((int)call->args[0]) {
    case IOPRIO_WHO_PROCESS:
        return judge(call, (pid_t)call->args[1]);
    case IOPRIO_WHO_PGRP:
        return judge_group(call, (pid_t)call->args[1]);
    case IOPRIO_WHO_USER:
        return SL_ANSWER_VALUE(-EPERM);
    default:
        return SL_ANSWER_PASS;
    }
}

/* True if somebody of the tree is in this group, or leads it. */
static bool is_group_of_tree(const sl_supervisor *sv, pid_t pgid)
{
    if (pgid == getpgid(getppid()) || sl_tree_has(sv->helper_pid, pgid)) {
        return true; /* the guardian's: the command began there, and shells go back */
    }
    sl_autofree pid_t *list = malloc(SL_TREE_MAX * sizeof(*list));
    size_t n = list == NULL ? 0 : sl_tree_list(sv->helper_pid, list, SL_TREE_MAX);
    for (size_t i = 0; i < n; i++) {
        if (getpgid(list[i]) == pgid) {
            return true;
        }
    }
    return false;
}

/* Whoever joins the group of somebody outside gets its terminal's input, and the signals of its
 * job; the kernel asks for the same session only (setpgid(2)). */
static sl_answer handle_setpgid(sl_call *call)
{
    pid_t pgid = (pid_t)call->args[1];
    if (pgid > 0 && !is_group_of_tree(call->sv, pgid)) {
        return SL_ANSWER_VALUE(-EPERM);
    }
    return judge(call, (pid_t)call->args[0]);
}

/* What concerns the caller alone is not asked. */
#define LET_GO(call, ...)                                                                          \
    {                                                                                              \
        .nr = SYS_##call, .action = SECCOMP_RET_ALLOW, .conds = { __VA_ARGS__ }                    \
    }

static const sl_bpf_rule settled[] = {
    LET_GO(setpriority, SL_ARG_EQ(0, PRIO_PROCESS), SL_ARG_EQ(1, 0)),
    LET_GO(ioprio_set, SL_ARG_EQ(0, IOPRIO_WHO_PROCESS), SL_ARG_EQ(1, 0)),
    LET_GO(setpgid, SL_ARG_EQ(0, 0), SL_ARG_EQ(1, 0)),
};

#define FLAGS (SL_ROW_MAY_CONTINUE | SL_ROW_REFUSED_ALONE)
#define ROW(call, handle)                                                                          \
    {                                                                                              \
        .nr = SYS_##call, .flags = FLAGS, .handler = (handle)                                      \
    }
#define ROW_OTHER(call, ...)                                                                       \
    {                                                                                              \
        .nr = SYS_##call, .flags = FLAGS, .handler = handle_target, .conds = {                     \
            SL_ARG_NE(0, 0),                                                                       \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

static const sl_syscall_row rows[] = {
    ROW_OTHER(sched_setscheduler),
    ROW_OTHER(sched_setparam),
    ROW_OTHER(sched_setattr),
    ROW_OTHER(sched_setaffinity),
    ROW_OTHER(prlimit64, SL_ARG_NOT_NULL(2)),
    ROW(setpriority, handle_setpriority),
    ROW(ioprio_set, handle_ioprio_set),
    /* A shell's jobs; alone, the kernel's own rule of one session is what is left. */
    {.nr = SYS_setpgid, .flags = SL_ROW_MAY_CONTINUE, .handler = handle_setpgid},
};

const sl_feature sl_feature_scheduling = {
    .name = "scheduling",
    .wanted = wanted,
    .promised = sl_feature_promises_nothing, /* alone, numbers are refused, the tree's own too */
    .rows = rows,
    .row_count = SL_ARRAY_LEN(rows),
    .settled = settled,
    .settled_count = SL_ARRAY_LEN(settled),
};
