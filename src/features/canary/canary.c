/* Owns the canary's answer: proof that traps reach the dispatcher, and that it reaches the caller's
 * memory. Every run has this feature, so that every run has a listener. */
#include <errno.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "features/features.h"
#include "kernel/place.h"
#include "supervisor/supervisor.h"

struct sl_canary_state {
    bool met;
};

static bool wanted(const sl_policy *policy)
{
    (void)policy;
    return true;
}

/* Whether its descriptors may be had, and so anything of it: access mode checking (ptrace(2)),
 * which its memory does not tell yet, for that is the engine's own until execve. */
static int reach(const sl_call *call)
{
    return !sl_place_fetches() || sl_call_pin(call, -1) == -EBADF ? 0 : -EFAULT;
}

static int exchange(const sl_call *call)
{
    sl_canary_question q;
    int r = sl_call_read(call, call->args[1], &q, sizeof(q));
    q.answer = ~q.asked;
    if (r == 0 && sl_call_write(call, call->args[1], &q, sizeof(q)) < 0) {
        atomic_store(&call->sv->reads_alone, true);
        r = sl_supervisor_writes(call->sv) ? -EFAULT : 0;
    }
    return r;
}

/* Nobody may look into the engine, and where only /proc/PID/mem is left neither may it into itself:
 * that file is root's then (proc(5)). For this question it may be looked into; no instruction of
 * the command has run. */
static int answer_question(const sl_call *call)
{
    int was = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    int r = exchange(call);
    r = r < 0 ? r : reach(call);
    prctl(PR_SET_DUMPABLE, was > 0, 0, 0, 0);
    return r;
}

/* The child asks once, before execve; afterwards connect(-1) is the plain mistake it looks like. */
static sl_answer handle_connect(sl_call *call)
{
    if ((int)call->args[0] != -1) {
        return SL_ANSWER_PASS;
    }
    struct sl_canary_state *s = sl_supervisor_state(call->sv, &sl_feature_canary);
    if (!s->met) {
        s->met = true;
        int r = answer_question(call);
        return SL_ANSWER_VALUE(r < 0 ? r : -SL_CANARY_ERRNO);
    }
    return SL_ANSWER_VALUE(-EBADF);
}

static const sl_syscall_row rows[] = {
    /* Whoever else has a row for connect says what becomes of the others. */
    {.nr = SYS_connect,
     .flags = SL_ROW_MAY_CONTINUE,
     .handler = handle_connect,
     .conds = {SL_ARG_EQ(0, 0xffffffffu)}},
};

const sl_feature sl_feature_canary = {
    .name = "canary",
    .wanted = wanted,
    .promised = sl_feature_promises_nothing, /* it asks for us */
    .rows = rows,
    .row_count = SL_ARRAY_LEN(rows),
    .state_size = sizeof(struct sl_canary_state),
};
