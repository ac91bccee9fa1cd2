/* How much memory the tree has: what /proc tells of it now, no ledger. */
#ifndef SANDLOCK_SANDBOX_MEMCOUNT_H
#define SANDLOCK_SANDBOX_MEMCOUNT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/util.h"
#include "sandbox/fsview.h"

typedef struct sl_memcount sl_memcount;

/* Remembers how much shared memory there was before the tree. NULL: not enough memory. */
sl_memcount *sl_memcount_new(const sl_fsview *view);
void sl_memcount_free(sl_memcount *m);
SL_DEFINE_AUTO(sl_memcount, sl_memcount_free);

typedef struct sl_memcount_result {
    uint64_t most;  /* bytes; the tree has no more than this */
    uint64_t least; /* it has at least this, as far as can be seen */
} sl_memcount_result;

/* Counts the descendants of this process without `spare` and what is below it. Closer, at more cost,
 * the nearer it comes to `limit`: when `least` is not over it, but `most` is, both are as exact as
 * they can be. */
sl_memcount_result sl_memcount_take(sl_memcount *m, pid_t spare, uint64_t limit);

#endif
