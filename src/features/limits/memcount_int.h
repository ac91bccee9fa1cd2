/* What the two halves of the counting share: processes (memcount.c), files of memory (memfiles.c).
 */
#ifndef SANDLOCK_FEATURES_LIMITS_MEMCOUNT_INT_H
#define SANDLOCK_FEATURES_LIMITS_MEMCOUNT_INT_H

#include <stddef.h>

#include "features/limits/memcount.h"
#include "supervisor/fsview.h"

typedef struct sl_memfiles sl_memfiles;

sl_memfiles *sl_memfiles_new(const sl_fsview *view);
void sl_memfiles_free(sl_memfiles *f);

/* Bytes of shared memory that the tree may have, from what was seen at the last look and what the
 * whole machine has more since. */
uint64_t sl_memfiles_most(sl_memfiles *f);

/* What the last look found. */
uint64_t sl_memfiles_last(const sl_memfiles *f);

/* Looks through the descriptors and mappings of these processes. `mapped` is what one of them has
 * mapped at least. Returns the bytes. */
uint64_t sl_memfiles_look(sl_memfiles *f, const pid_t *pids, size_t count, uint64_t mapped);

/* True when the last look is long ago. */
bool sl_memfiles_is_due(const sl_memfiles *f);

#endif
