/* Landlock: files, TCP ports, abstract Unix sockets and signals (landlock(7)). */
#ifndef SANDLOCK_KERNEL_LANDLOCK_H
#define SANDLOCK_KERNEL_LANDLOCK_H

#include <stdint.h>

#include "core/err.h"
#include "policy/policy.h"
#include "sandbox/fsview.h"

#define SL_LANDLOCK_ABI_MIN 6 /* scopes; Linux 6.12 */

enum sl_landlock_rights {
    SL_LANDLOCK_READ = 1 << 0,   /* read, list, execute */
    SL_LANDLOCK_WRITE = 1 << 1,  /* everything below, READ included */
    SL_LANDLOCK_LIST = 1 << 2,   /* names only */
    SL_LANDLOCK_DEVICE = 1 << 3, /* read, write and ioctl one device node */
    SL_LANDLOCK_EXECUTE = 1 << 4,
};

/* Builds the ruleset of a policy: every path is opened, so a missing one is an error that names it.
 * On success the caller owns the descriptor and the view. Kind of failure: SYSTEM (exit code 125).
 */
int sl_landlock_build(const sl_policy *policy, int *ret_fd, sl_fsview **ret_view, sl_error *err);

/* Adds one rule beneath the object of `fd` to a ruleset. 0 or -errno. */
int sl_landlock_allow(int ruleset, int fd, unsigned rights);

#endif
