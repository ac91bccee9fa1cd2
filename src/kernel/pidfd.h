/* Descriptors that stand for a process or a thread (pidfd_open(2)). */
#ifndef SANDLOCK_KERNEL_PIDFD_H
#define SANDLOCK_KERNEL_PIDFD_H

#include <stdbool.h>
#include <sys/types.h>

/* True if a thread can have one of its own (PIDFD_THREAD, Linux 6.9). */
bool sl_pidfd_of_threads(void);

/* One of a thread where these can have one; else of a process, by the number of its first thread.
 * Close-on-exec; the caller owns it. -errno; -EINVAL or -ENOENT for another thread's number then.
 */
int sl_pidfd_open(pid_t tid);

#endif
