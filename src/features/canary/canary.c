/* Owns the canary's answer. Every run has this feature, so that every run has a listener. */
#include <errno.h>
#include <sys/syscall.h>

#include "features/features.h"
#include "supervisor/supervisor.h"

struct sl_canary_state {
    bool met;
};

static bool wanted(const sl_policy *policy)
{
    (void)policy;
    return true;
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
        return SL_ANSWER_VALUE(-SL_CANARY_ERRNO);
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
