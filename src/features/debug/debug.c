/* Owns the part of the built-in blocklist that has a switch: what debuggers, strace and leak
 * checkers use on other processes of the tree. Who they may touch with --allow-debug is Landlock's
 * to say: nobody outside.
 *
 * The calls are rare and refused, so they are asked of us instead of being answered by the filter:
 * only then can the summary name the switch. */
#include <errno.h>
#include <sys/syscall.h>

#include "core/util.h"
#include "features/features.h"
#include "policy/text/sysnames.h"
#include "supervisor/supervisor.h"

#define SWITCH "--allow-debug"

/* Under a list of the policy's own that list decides. */
static bool wanted(const sl_policy *policy)
{
    return !policy->debug && !policy->allow_syscalls_given && !policy->deny_syscalls_given;
}

static sl_answer handle_refused(sl_call *call)
{
    const sl_supervisor_hooks *hooks = &call->sv->hooks;
    if (hooks->refused != NULL) {
        hooks->refused(hooks->report_arg, call->tid, sl_sysname_of(call->nr), SWITCH);
    }
    return SL_ANSWER_VALUE(-EPERM);
}

#define ROW(call)                                                                                  \
    {                                                                                              \
        .nr = SYS_##call, .flags = SL_ROW_REFUSED_ALONE, .handler = handle_refused                 \
    }

static const sl_syscall_row rows[] = {
    ROW(ptrace),
    ROW(process_vm_readv),
    ROW(process_vm_writev),
};

const sl_feature sl_feature_debug = {
    .name = "debug",
    .wanted = wanted,
    .promised = sl_feature_promises_nothing, /* the kernel refuses them alone as well */
    .rows = rows,
    .row_count = SL_ARRAY_LEN(rows),
};
