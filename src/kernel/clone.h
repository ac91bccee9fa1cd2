/* clone(2), into a cgroup where one is given. */
#ifndef SANDLOCK_KERNEL_CLONE_H
#define SANDLOCK_KERNEL_CLONE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* As clone(2) with the whole stack given: fn(arg) runs in the child, its result is the exit status.
 * With `cgroup_fd` >= 0 the child is born in that cgroup. The new process's number, or -1 with
 * errno. */
pid_t sl_clone(int flags, int cgroup_fd, void *stack, size_t stack_size, int (*fn)(void *arg),
               void *arg);

/* True where sl_clone can do so. */
bool sl_clone_knows_cgroups(void);

#endif
