/* Owns the lists of what the tree made. Never forgets what is alive, and never grows past its
 * maximum: then nothing more is made. */
#include "features/ipc/known.h"

#include <errno.h>
#include <stdlib.h>

int sl_ipc_known_reserve(sl_ipc_known *known, sl_ipc_lives lives)
{
    if (known->items == NULL) {
        known->items = calloc(SL_IPC_KNOWN_MAX, sizeof(*known->items));
        if (known->items == NULL) {
            return -ENOMEM;
        }
    }
    if (known->count < SL_IPC_KNOWN_MAX || lives == NULL) {
        return known->count < SL_IPC_KNOWN_MAX ? 0 : -ENOSPC;
    }
    size_t kept = 0;
    for (size_t i = 0; i < known->count; i++) {
        if (lives(known->items[i])) {
            known->items[kept++] = known->items[i];
        }
    }
    known->count = kept;
    return kept < SL_IPC_KNOWN_MAX ? 0 : -ENOSPC;
}

void sl_ipc_known_add(sl_ipc_known *known, uint64_t item)
{
    if (!sl_ipc_known_has(known, item) && known->count < SL_IPC_KNOWN_MAX) {
        known->items[known->count++] = item;
    }
}

bool sl_ipc_known_has(const sl_ipc_known *known, uint64_t item)
{
    size_t i = 0;
    while (i < known->count && known->items[i] != item) {
        i++;
    }
    return i < known->count;
}

void sl_ipc_known_drop(sl_ipc_known *known, uint64_t item)
{
    for (size_t i = 0; i < known->count; i++) {
        if (known->items[i] == item) {
            known->items[i] = known->items[--known->count];
            return;
        }
    }
}

void sl_ipc_known_done(sl_ipc_known *known)
{
    free(known->items);
}
