/* Letting a caller go on with its own call where the kernel looks a descriptor up by a number that
 * other threads could change meanwhile: they are held until it has. */
#ifndef SANDLOCK_SUPERVISOR_HOLD_H
#define SANDLOCK_SUPERVISOR_HOLD_H

#include <stdbool.h>

#include "supervisor/notify.h"

#define SL_HOLD_TEXT_MAX 512

enum sl_hold_whom {
    SL_HOLD_THREADS, /* of the caller's process: nobody else changes its descriptors */
    SL_HOLD_TREE,    /* all, where processes share descriptors */
};

/* What a check leaves for the judge. */
typedef struct sl_hold_memo {
    char text[SL_HOLD_TEXT_MAX];
} sl_hold_memo;

typedef struct sl_hold_way {
    enum sl_hold_whom whom;
    /* True if the call may go on, asked when all are held. */
    bool (*check)(const sl_call *call, sl_hold_memo *memo);
    /* For a call of which more is in memory than can be held still; or NULL. True if what was done
     * is what was checked, asked when the call has returned `result`, no error, and all are still
     * held. Otherwise, or where nobody can be asked any more, the tree ends. */
    bool (*judge)(const sl_call *call, long result, const sl_hold_memo *memo);
} sl_hold_way;

/* Holds others, asks, and lets the caller alone go on until its call has ended; -EACCES where
 * somebody cannot be held, or the answer is no. For calls that are rare: it takes a thread, and
 * wakes threads that wait. `way` is for good. Returns what the handler returns. Dispatcher thread
 * only. */
sl_answer sl_hold_continue(const sl_call *call, const sl_hold_way *way);

#endif
