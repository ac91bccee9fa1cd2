/* What the assembly of a run, and other features, ask of the limits. */
#ifndef SANDLOCK_FEATURES_LIMITS_LIMITS_H
#define SANDLOCK_FEATURES_LIMITS_LIMITS_H

#include "supervisor/supervisor.h"

/* As sched_setaffinity(2) takes it, whatever the C library thinks of its length. */
typedef struct sl_cpu_mask {
    uint64_t words[SL_POLICY_CPUS_MAX / 64];
} sl_cpu_mask;

/* The cores that the tree is held to; NULL: whatever the caller has. */
const sl_cpu_mask *sl_cpus_of_tree(const sl_supervisor *sv);
/* num_cpus: the core that processor number `i` of the tree stands for. */
unsigned sl_cpus_core(const sl_supervisor *sv, unsigned i);

/* True once the tree was killed for its memory (max_memory). Any thread. */
bool sl_memory_is_over(const sl_supervisor *sv);
/* The most memory that was counted of the whole tree; 0: it was not counted. */
uint64_t sl_memory_peak(const sl_supervisor *sv);

#endif
