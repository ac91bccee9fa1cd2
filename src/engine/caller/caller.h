/* What belongs to whoever started the run and is the command's too: signals, limits, the process
 * group. Guardian and engine change some of it for themselves; the command gets it back. */
#ifndef SANDLOCK_ENGINE_CALLER_CALLER_H
#define SANDLOCK_ENGINE_CALLER_CALLER_H

#include <signal.h>
#include <sys/types.h>

#include "policy/policy.h"
#include "sandbox/sandbox.h"

typedef struct sl_caller {
    sigset_t ignored; /* of the signals that the engine ignores */
    sigset_t mask;
    sl_spawn_limit limits[SL_SPAWN_LIMITS];
    pid_t pgid;
} sl_caller;

/* Before anything is changed. */
void sl_caller_remember(sl_caller *ret_caller);

/* The limits of the command: the caller's, but for what the policy says. */
void sl_caller_limits(const sl_caller *caller, const sl_policy *policy,
                      sl_spawn_limit ret_limits[SL_SPAWN_LIMITS]);
/* What the command of an engine gets back: dispositions, mask, group. The caller outlives it. */
void sl_caller_give_back(const sl_caller *caller, sl_spawn *spawn);

/* The guardian's: from here on our own signals are waited for, not handled, and none of ours leaves
 * a core. */
void sl_caller_leave_signals(const sl_caller *caller);
/* The engine's: a group of its own, and no signal of a terminal or a pipe ends it. */
void sl_caller_leave_group(void);
/* The engine's: as many descriptors as there may be. */
void sl_caller_raise_files(const sl_caller *caller);

#endif
