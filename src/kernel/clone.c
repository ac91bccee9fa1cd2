/* Owns the birth of a process in a cgroup (clone3(2), CLONE_INTO_CGROUP). Moving it there once it
 * lives is no way: the kernel waits for all processors then, 11 ms where a start takes 1. */
#include "kernel/clone.h"

#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/arch/arch.h"

#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ull
#endif

#define CSIGNAL_MASK 0xffu /* of clone's flags: the signal at the end */

bool sl_clone_knows_cgroups(void)
{
    /* Too small a size is EINVAL where the call is known, whatever a filter thinks of others. */
    return sl_arch_has_clone3 && syscall(SYS_clone3, NULL, 0) < 0 && errno == EINVAL;
}

pid_t sl_clone(int flags, int cgroup_fd, void *stack, size_t stack_size, int (*fn)(void *arg),
               void *arg)
{
    if (cgroup_fd < 0) {
        return clone(fn, (char *)stack + stack_size, flags, arg);
    }
    struct clone_args args = {
        .flags = ((unsigned)flags & ~CSIGNAL_MASK) | CLONE_INTO_CGROUP,
        .exit_signal = (unsigned)flags & CSIGNAL_MASK,
        .stack = (uintptr_t)stack,
        .stack_size = stack_size,
        .cgroup = (unsigned)cgroup_fd,
    };
    long pid = sl_arch_clone3(&args, sizeof(args), fn, arg);
    if (pid < 0) {
        errno = (int)-pid;
        return -1;
    }
    return (pid_t)pid;
}
