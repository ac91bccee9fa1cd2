/* The sockets that we made, and our descriptors of them. */
#ifndef SANDLOCK_FEATURES_MINT_KEPT_H
#define SANDLOCK_FEATURES_MINT_KEPT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/err.h"
#include "supervisor/supervisor.h"

typedef struct sl_kept sl_kept;

/* NULL: there was no memory. */
sl_kept *sl_kept_new(sl_supervisor *sv);
void sl_kept_free(sl_kept *kept);

/* The thread that lets go of what the tree has closed. 0 or -errno. */
int sl_kept_start(sl_kept *kept);
void sl_kept_stop(sl_kept *kept);

/* Keeps a duplicate of this socket. -ENFILE when there is no room. */
int sl_kept_add(sl_kept *kept, int fd);
/* A duplicate of ours, for the thread that uses it under this number. -ENODEV when it is not kept,
 * -EACCES when none could be made. */
int sl_kept_get(sl_kept *kept, uint64_t ino, pid_t tid, int number);
/* Forgets the socket of this descriptor of ours. */
void sl_kept_drop(sl_kept *kept, int fd);

/* Lets go of what the tree has closed, now. Dispatcher thread only. */
void sl_kept_sweep(sl_kept *kept);

#endif
