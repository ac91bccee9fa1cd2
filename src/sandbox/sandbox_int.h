/* What only this room, and its tests, may see of a sandbox. */
#ifndef SANDLOCK_SANDBOX_SANDBOX_INT_H
#define SANDLOCK_SANDBOX_SANDBOX_INT_H

#include <stdbool.h>

#include "kernel/bpf.h"
#include "kernel/cgroup.h"
#include "policy/policy.h"

/* The filter's rules of a policy: first every answer the kernel can give alone, then the traps; the
 * first rule that holds decides. `cgroup` may be NULL. 0 or -errno. */
int sl_sandbox_rules(const sl_policy *policy, const sl_cgroup *cgroup, bool with_traps,
                     sl_bpf_rules *rules);

#endif
