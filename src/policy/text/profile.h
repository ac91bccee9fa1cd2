/* Profiles: a policy written as TOML. The keys are the names of the fields (fields.c); [env] is a
 * table of strings; [[http.rule]] is one more way to write a rule. */
#ifndef SANDLOCK_POLICY_TEXT_PROFILE_H
#define SANDLOCK_POLICY_TEXT_PROFILE_H

#include <stddef.h>

#include "core/err.h"
#include "policy/policy.h"

#define SL_PROFILE_LEN_MAX (1u << 20) /* bytes; what --print-policy writes at most */

/* Puts what the text says into a policy that is not frozen: lists get longer, single values are
 * replaced. `name` is how errors call it. An unknown key, a wrong type or a bad value is an error
 * of the kind USAGE with line and column; the policy is then half filled and of no use. */
int sl_profile_apply(const char *text, size_t len, const char *name, sl_policy *policy,
                     sl_error *err);

#endif
