/* The processes of the confined tree, as the kernel knows them now. */
#ifndef SANDLOCK_KERNEL_TREE_H
#define SANDLOCK_KERNEL_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define SL_TREE_MAX 65536 /* processes that are listed; more are not looked at */

/* Lists the descendants of this process, parents first, without `spare` (0: nobody) and what is
 * below it, up to `max`. Returns how many. */
size_t sl_tree_list(pid_t spare, pid_t *list, size_t max);
/* The same. False in *ret_whole: there may be more, for somebody could not be asked (and not
 * because it has ended), or there was no room. */
size_t sl_tree_list_whole(pid_t spare, pid_t *list, size_t max, bool *ret_whole);

/* True if this process or thread is a descendant of this process, and neither `spare` (0: nobody)
 * nor below it. False as well where that could not be read. */
bool sl_tree_has(pid_t spare, pid_t pid);

/* True if two processes have one address space, as after vfork(2). Without kcmp(2) only that of a
 * child whose parent waits in vfork or clone for it is known. */
bool sl_tree_is_one_memory(pid_t a, pid_t b);

#endif
