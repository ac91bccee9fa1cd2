/* The standard streams by their names: /dev/stdin, /dev/stdout, /dev/stderr, /proc/self/fd/N. */
#ifndef SANDLOCK_SANDBOX_STREAMS_H
#define SANDLOCK_SANDBOX_STREAMS_H

#include "core/err.h"
#include "policy/policy.h"
#include "supervisor/fsview.h"

/* A rule for the very file or FIFO that `fd` is open on, with what its open mode shows: reading,
 * or writing and emptying. No new right, for the command has the descriptor. What the policy denies
 * stays denied; anything else than these two is left as it is. A ruleset of -1 stands for none. 0
 * or -errno. */
int sl_streams_allow(const sl_policy *policy, int ruleset, sl_fsview *view, int fd);

#endif
