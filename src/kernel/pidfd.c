/* Owns the opening of pidfds for whose descriptors are wanted. */
#include "kernel/pidfd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/older_int.h"

#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif

static atomic_int of_threads = -1; /* not asked yet */

void sl_pidfd_pretend_leaders(void)
{
    atomic_store(&of_threads, 0);
}

bool sl_pidfd_of_threads(void)
{
    int known = atomic_load_explicit(&of_threads, memory_order_relaxed);
    if (known < 0) {
        int fd = (int)syscall(SYS_pidfd_open, getpid(), PIDFD_THREAD);
        known = fd >= 0 || errno != EINVAL;
        if (fd >= 0) {
            close(fd);
        }
        atomic_store(&of_threads, known);
    }
    return known != 0;
}

int sl_pidfd_open(pid_t tid)
{
    int fd = (int)syscall(SYS_pidfd_open, tid, sl_pidfd_of_threads() ? PIDFD_THREAD : 0);
    return fd < 0 ? -errno : fd;
}
