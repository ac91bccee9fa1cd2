/* How much a process can have made its own since it was last asked: by page faults, without which
 * no memory comes to be. */
#ifndef SANDLOCK_FEATURES_LIMITS_MEMFAULTS_H
#define SANDLOCK_FEATURES_LIMITS_MEMFAULTS_H

#include <stdint.h>
#include <sys/types.h>

typedef struct sl_memfaults {
    int vmstat;         /* /proc/vmstat, or -1 */
    uint64_t page_size; /* bytes that one fault gives, huge pages apart */
    uint64_t huge_size; /* bytes of a huge page */
} sl_memfaults;

/* Reads what this machine gives with one fault. Never fails: where it cannot be known, a fault
 * counts as a huge page. */
void sl_memfaults_init(sl_memfaults *f);
void sl_memfaults_done(sl_memfaults *f);

/* Page faults of a process and of its children that it waited for (proc_pid_stat(5)); 0 when it is
 * gone. */
uint64_t sl_memfaults_count(pid_t pid);

/* Huge pages that the whole machine gave since it started, by faults or for small ones
 * (madvise(2), MADV_COLLAPSE). */
uint64_t sl_memfaults_huge(const sl_memfaults *f);

#endif
