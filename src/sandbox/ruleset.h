/* The Landlock ruleset of a policy. */
#ifndef SANDLOCK_SANDBOX_RULESET_H
#define SANDLOCK_SANDBOX_RULESET_H

#include "core/err.h"
#include "policy/policy.h"
#include "supervisor/fsview.h"

/* Builds it: every path is opened, so a missing one is an error that names it. On success the
 * caller owns the descriptor and the view; -1 for a kernel without Landlock, where the policy puts
 * up with that. Kind of failure: SYSTEM (exit code 125). */
int sl_ruleset_build(const sl_policy *policy, int *ret_fd, sl_fsview **ret_view, sl_error *err);

#endif
