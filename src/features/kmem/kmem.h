/* Kernel memory under max_memory where no cgroup holds it: what is made for the tree is bounded
 * when it is made, and the sum of it by a part of the limit. docs/internals/limits.md.
 *
 * Whoever makes a socket of the tree's asks here. Dispatcher thread only. Without this limit, or
 * with a cgroup, every answer is yes. */
#ifndef SANDLOCK_FEATURES_KMEM_KMEM_H
#define SANDLOCK_FEATURES_KMEM_KMEM_H

#include <stdbool.h>

#include "supervisor/notify.h"
#include "supervisor/supervisor.h"

/* True if there is something to hold. */
bool sl_kmem_holds(const sl_supervisor *sv);

/* A socket that will be given to the tree: makes its buffers as small as the budget asks for. 0 or
 * -ENOBUFS. */
int sl_kmem_admit(sl_supervisor *sv, int fd);
int sl_kmem_admit_pair(sl_supervisor *sv, const int fds[2]);

/* How many connections may wait on this listener of the tree's, of those asked for; or -ENOBUFS. */
int sl_kmem_backlog(sl_supervisor *sv, int fd, int asked);
/* listen(2) with as many. 0 or -errno. */
int sl_kmem_listen(sl_supervisor *sv, int fd, int asked);

/* True if the caller's socket of this number is one that was admitted, and not one from outside. */
bool sl_kmem_made(const sl_call *call, int fd);

/* This socket is about to get a name, under which strangers reach it. 0 or -ENOBUFS. */
int sl_kmem_name(sl_supervisor *sv, int fd);

/* A socket of ours, from which one message goes out for the tree. */
void sl_kmem_sends(const sl_supervisor *sv, int fd);

/* semget(2), msgget(2): PASS, or that there is no room for what would be made. */
sl_answer sl_kmem_handle_ipc(sl_call *call);

#endif
