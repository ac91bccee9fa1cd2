/* What the tree made: numbers of objects, in the order of their making. */
#ifndef SANDLOCK_FEATURES_IPC_KNOWN_H
#define SANDLOCK_FEATURES_IPC_KNOWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SL_IPC_KNOWN_MAX 4096 /* objects of one kind, alive at once */

typedef struct sl_ipc_known {
    uint64_t *items; /* owned */
    size_t count;
} sl_ipc_known;

/* False for an object that is gone: it makes room for others. */
typedef bool (*sl_ipc_lives)(uint64_t item);

/* Room for one more, before it is made: 0, -ENOSPC or -ENOMEM. `lives` may be NULL. */
int sl_ipc_known_reserve(sl_ipc_known *known, sl_ipc_lives lives);
/* Into the room that was reserved. */
void sl_ipc_known_add(sl_ipc_known *known, uint64_t item);
bool sl_ipc_known_has(const sl_ipc_known *known, uint64_t item);
void sl_ipc_known_drop(sl_ipc_known *known, uint64_t item);
void sl_ipc_known_done(sl_ipc_known *known);

#endif
