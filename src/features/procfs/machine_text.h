/* Texts of /proc for a machine that is smaller, or larger, than this one. Pure: text in, text out.
 */
#ifndef SANDLOCK_FEATURES_PROCFS_MACHINE_TEXT_H
#define SANDLOCK_FEATURES_PROCFS_MACHINE_TEXT_H

#include <stdint.h>

#include "core/buf.h"

#define SL_MACHINE_TEXT_MAX (4u << 20) /* of a file that is read or made */

/* Which of the lines that tell of a core stand for processor `i` of the machine that is shown. */
typedef unsigned (*sl_machine_core)(const void *arg, unsigned i);

typedef struct sl_machine_cores {
    unsigned shown; /* processors */
    sl_machine_core core_of;
    const void *arg;
} sl_machine_cores;

/* /proc/cpuinfo: `shown` blocks, numbered from 0. 0 or -errno; the same of the others. */
int sl_machine_cpuinfo(const char *real, const sl_machine_cores *cores, sl_buf *out);

/* /proc/stat: as many lines of processors, and their sum. */
int sl_machine_stat(const char *real, const sl_machine_cores *cores, sl_buf *out);

/* /proc/meminfo: a machine with `total` bytes, `used` of them taken, and no swap. */
int sl_machine_meminfo(const char *real, uint64_t total, uint64_t used, sl_buf *out);

#endif
