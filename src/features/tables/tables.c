/* Owns the rule that a process has one table of descriptors, where the kernel has no pidfd for a
 * thread (before Linux 6.9): the process' own then serves for all of its threads, and a number
 * means to each of them what it means to us (NET-03). A thread that would leave the table is
 * refused; a process with one thread leaves nobody behind. Under max_memory as well, where the
 * tables of processes are looked through (features/kmem).
 *
 * Continuing is safe: the arguments are plain numbers, and the one thread there is waits for us. */
#include <errno.h>
#include <linux/close_range.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/syscall.h>

#include "core/util.h"
#include "features/features.h"
#include "kernel/pidfd.h"
#include "kernel/proc.h"
#include "supervisor/supervisor.h"

static bool wanted(const sl_policy *policy)
{
    return !sl_pidfd_of_threads() || policy->max_memory > 0;
}

static sl_answer handle_leaving(sl_call *call)
{
    unsigned flag = call->nr == SYS_unshare ? CLONE_FILES : CLOSE_RANGE_UNSHARE;
    if ((call->args[call->nr == SYS_unshare ? 0 : 2] & flag) == 0) {
        return SL_ANSWER_PASS;
    }
    bool alone = sl_proc_status(call->tid, "Threads") == 1 && sl_call_valid(call);
    return alone ? SL_ANSWER_PASS : SL_ANSWER_VALUE(-EPERM);
}

static const sl_bpf_rule settled[] = {
    {.nr = SYS_clone,
     .action = SL_BPF_ERRNO(EPERM),
     .conds = {SL_ARG_MASK_EQ(0, CLONE_THREAD | CLONE_FILES, CLONE_THREAD)}},
};

static const sl_syscall_row rows[] = {
    {.nr = SYS_unshare,
     .flags = SL_ROW_MAY_CONTINUE,
     .handler = handle_leaving,
     .conds = {SL_ARG_MASK_EQ(0, CLONE_FILES, CLONE_FILES)}},
    {.nr = SYS_close_range,
     .flags = SL_ROW_MAY_CONTINUE,
     .handler = handle_leaving,
     .conds = {SL_ARG_MASK_EQ(2, CLOSE_RANGE_UNSHARE, CLOSE_RANGE_UNSHARE)}},
};

const sl_feature sl_feature_tables = {
    .name = "tables",
    .wanted = wanted,
    .promised = sl_feature_promises_nothing, /* a means to those who judge descriptors */
    .rows = rows,
    .row_count = SL_ARRAY_LEN(rows),
    .settled = settled,
    .settled_count = SL_ARRAY_LEN(settled),
};
