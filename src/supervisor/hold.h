/* Letting a caller go on with its own call where the kernel looks a descriptor up by a number that
 * other threads could change meanwhile: they are held until it has. */
#ifndef SANDLOCK_SUPERVISOR_HOLD_H
#define SANDLOCK_SUPERVISOR_HOLD_H

#include <stdbool.h>

#include "supervisor/notify.h"

enum sl_hold_whom {
    SL_HOLD_THREADS, /* of the caller's process: nobody else changes its descriptors */
    SL_HOLD_TREE,    /* all, where processes share descriptors */
    SL_HOLD_MEMORY,  /* all, and none may be busy in the kernel, nor do we answer anybody: nobody
                        writes to what the caller's memory is by then */
};

/* True if the call may go on, asked when all are held. */
typedef bool (*sl_hold_check)(const sl_call *call);

/* Holds others, asks, and lets the caller alone go on until its call has ended; -EACCES where
 * somebody cannot be held, or the answer is no. For calls that are rare: it takes a thread, and
 * wakes threads that wait. Returns what the handler returns. Dispatcher thread only. */
sl_answer sl_hold_continue(const sl_call *call, enum sl_hold_whom whom, sl_hold_check check);

/* Around each answer to a caller and each write to a caller's memory: none happens while a holder
 * with SL_HOLD_MEMORY asks and lets go on. Nothing where descriptors can be fetched. Any thread. */
void sl_hold_quiet(struct sl_supervisor *sv);
void sl_hold_quiet_over(struct sl_supervisor *sv);

#endif
