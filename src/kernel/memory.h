/* The memory of a process that is another's: read and written by two ways each, of which a place
 * may withhold one. */
#ifndef SANDLOCK_KERNEL_MEMORY_H
#define SANDLOCK_KERNEL_MEMORY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SL_MEMORY_BY_NUMBER (-1) /* a way that knows the process by its number alone */

/* Copies at most `len` bytes up to the first page that cannot be read. How many, or -errno. */
ssize_t sl_memory_read(pid_t tid, uint64_t addr, void *to, size_t len);

/* A way to write: a descriptor, which the caller closes and which names one address space for good,
 * or SL_MEMORY_BY_NUMBER where that is withheld. -errno (never -EPERM, which is that number) when
 * there is no such process. */
int sl_memory_open(pid_t tid);
/* Writes by it. How many bytes, or -errno. */
ssize_t sl_memory_write(int way, pid_t tid, uint64_t addr, const void *from, size_t len);

#endif
