/* System calls that a confined program does not get: the kernel answers alone. */
#ifndef SANDLOCK_SANDBOX_SYSCALLS_H
#define SANDLOCK_SANDBOX_SYSCALLS_H

#include "kernel/bpf.h"
#include "policy/policy.h"

/* Numbers from here on are ENOSYS. */
#define SL_SYSCALLS_KNOWN SL_SYSNAMES_KNOWN

/* Do the policy's lists ask for what no run can have? */
int sl_syscalls_check(const sl_policy *policy, sl_error *err);

/* Adds the refused calls and the argument rules. 0 or -errno. */
int sl_syscalls_filter(const sl_policy *policy, sl_bpf_rules *rules);

#endif
