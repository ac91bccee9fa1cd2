/* How much memory the tree has: what /proc tells of it now, no ledger. */
#ifndef SANDLOCK_FEATURES_LIMITS_MEMCOUNT_H
#define SANDLOCK_FEATURES_LIMITS_MEMCOUNT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/util.h"

struct sl_supervisor;
typedef struct sl_memcount sl_memcount;

/* Remembers how much shared memory there was before the tree. NULL: not enough memory. */
sl_memcount *sl_memcount_new(struct sl_supervisor *sv);
void sl_memcount_free(sl_memcount *m);
SL_DEFINE_AUTO(sl_memcount, sl_memcount_free);

typedef struct sl_memcount_result {
    uint64_t most;    /* bytes; the tree has no more than this */
    uint64_t least;   /* it has at least this, as far as can be seen */
    bool held;        /* over the limit, and held still since that was seen */
    uint64_t look_ns; /* processor time that a closer look took, with the tree held still */
} sl_memcount_result;

/* Counts the tree. Looks closer, and holds it still for that, when `limit` lies between the two
 * bounds. */
sl_memcount_result sl_memcount_take(sl_memcount *m, uint64_t limit);

/* Lets go of a tree that was left held. */
void sl_memcount_let_go(sl_memcount *m);

#endif
