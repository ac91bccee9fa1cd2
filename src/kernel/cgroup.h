/* The cgroup of a run, where the caller may make one: then the kernel holds max_memory and max_cpu
 * itself. Made before the fork; the child is born in it. cgroups(7), version 2. */
#ifndef SANDLOCK_KERNEL_CGROUP_H
#define SANDLOCK_KERNEL_CGROUP_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/util.h"

typedef struct sl_cgroup sl_cgroup;

/* Makes a cgroup beside the caller's own with these limits: bytes, and processor time in percent of
 * one core; 0 is none. NULL in `*ret_cgroup`, and no error, where that cannot be had: then limits
 * are held by counting. Not for a child that may write in cgroups: it could leave, or lift the
 * limits. 0 or -ENOMEM. */
int sl_cgroup_new(uint64_t max_memory, unsigned max_cpu, sl_cgroup **ret_cgroup);

/* What of the limits this cgroup holds; false for NULL. */
bool sl_cgroup_holds_memory(const sl_cgroup *cgroup);
bool sl_cgroup_holds_cpu(const sl_cgroup *cgroup);

/* The directory, for CLONE_INTO_CGROUP; -1 for NULL. Stays the cgroup's. */
int sl_cgroup_fd(const sl_cgroup *cgroup);
/* memory.events: poll(2) says POLLPRI after a change. Stays the cgroup's. */
int sl_cgroup_events_fd(const sl_cgroup *cgroup);
/* True once memory was wanted that the limit does not leave. Any thread. */
bool sl_cgroup_is_over_memory(const sl_cgroup *cgroup);
/* The most bytes there ever were in it, page cache included; 0 where the kernel cannot tell. */
uint64_t sl_cgroup_peak_memory(const sl_cgroup *cgroup);

/* SIGKILL for all that are in it, at once and whoever they become. */
void sl_cgroup_kill(const sl_cgroup *cgroup);

/* Removes it. Once nobody is left in it; a second time is nothing. */
void sl_cgroup_end(sl_cgroup *cgroup);
void sl_cgroup_free(sl_cgroup *cgroup);
SL_DEFINE_AUTO(sl_cgroup, sl_cgroup_free);

/* Where a cgroup would be made now: a path, or why there is none. For `sandlock check`. */
bool sl_cgroup_describe(char *detail, size_t cap);

/* Where cgroups are made beside the caller's own, of whom `self` is /proc/PID/cgroup: the one above
 * it, or the root for who is there. 0, -ENOENT without version 2, -EXDEV for a cgroup that this
 * process's namespace does not show, -ENAMETOOLONG. */
int sl_cgroup_parent(const char *self, char path[PATH_MAX]);

#endif
