/* Owns SA_RESTART of the tree's SIGCHLD handlers.
 *
 * Until a trapped call is received, a signal whose handler lacks SA_RESTART ends it with EINTR, and
 * WAIT_KILLABLE_RECV protects only from then on (seccomp_unotify(2)). Calls that never give EINTR
 * bare would give it inside, fork(2) first of all: dash then says "Cannot fork" and ends. SIGCHLD
 * is the one signal that comes in flocks beside calls of every kind, so its handlers restart them.
 *
 * Continuing is safe: what the memory says by then concerns nobody but the caller. */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>

#include "features/features.h"
#include "supervisor/supervisor.h"

/* The kernel's struct sigaction, not libc's (rt_sigaction(2)); libc makes it on its stack. */
struct kernel_sigaction {
    uint64_t handler;
    uint64_t flags;
};

static bool wanted(const sl_policy *policy)
{
    (void)policy;
    return true;
}

static sl_answer handle_sigaction(sl_call *call)
{
    struct kernel_sigaction action;
    uint64_t at = call->args[1] + offsetof(struct kernel_sigaction, flags);
    if (sl_call_read(call, call->args[1], &action, sizeof(action)) < 0) {
        return SL_ANSWER_PASS; /* the kernel cannot read it either */
    }
    bool handled = action.handler != (uintptr_t)SIG_DFL && action.handler != (uintptr_t)SIG_IGN;
    if (handled && (action.flags & SA_RESTART) == 0) {
        action.flags |= SA_RESTART;
        /* Memory that cannot be written leaves the handler as it is: no rule hangs on it. */
        (void)sl_call_write(call, at, &action.flags, sizeof(action.flags));
    }
    return SL_ANSWER_PASS;
}

static const sl_syscall_row rows[] = {
    {.nr = SYS_rt_sigaction,
     .flags = SL_ROW_MAY_CONTINUE,
     .handler = handle_sigaction,
     .conds = {SL_ARG_EQ(0, SIGCHLD), SL_ARG_NOT_NULL(1)}},
};

const sl_feature sl_feature_restart = {
    .name = "restart",
    .wanted = wanted,
    .promised = sl_feature_promises_nothing, /* against signs of us */
    .rows = rows,
    .row_count = SL_ARRAY_LEN(rows),
};
