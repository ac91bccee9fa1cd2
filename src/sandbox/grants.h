/* Which paths a policy grants, as rules of a Landlock ruleset. */
#ifndef SANDLOCK_SANDBOX_GRANTS_H
#define SANDLOCK_SANDBOX_GRANTS_H

#include "core/err.h"
#include "policy/policy.h"
#include "supervisor/fsview.h"

#define SL_GRANTS_RULES_MAX 4096 /* rules that carve-outs may take */
#define SL_GRANTS_RULES_SAY 256  /* past this many one line is said */

/* Adds the rules. Explicit grants, or the default view: read all but the well-known secrets and
 * devices, write the current directory and /tmp. */
int sl_grants_build(const sl_policy *policy, int ruleset, sl_fsview **ret_view, sl_error *err);
/* The same with GPU nodes in another place than /dev, for tests. */
int sl_grants_build_dev(const sl_policy *policy, const char *dev, int ruleset, sl_fsview **ret_view,
                        sl_error *err);

#endif
