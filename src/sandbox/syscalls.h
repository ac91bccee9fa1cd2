/* System calls that no confined program gets, whatever the policy: the kernel answers alone. */
#ifndef SANDLOCK_SANDBOX_SYSCALLS_H
#define SANDLOCK_SANDBOX_SYSCALLS_H

#include "policy/policy.h"
#include "sandbox/bpf.h"

/* One above the highest number this build knows (file_setattr, Linux 6.17). Later ones: ENOSYS. */
#define SL_SYSCALLS_KNOWN 470

/* Adds the built-in blocklist and the argument rules. 0 or -errno. */
int sl_syscalls_filter(const sl_policy *policy, sl_bpf_rules *rules);

#endif
