/* Holding the tree still for a moment, so that it neither runs nor grows. */
#ifndef SANDLOCK_SUPERVISOR_FREEZE_H
#define SANDLOCK_SUPERVISOR_FREEZE_H

#include "core/util.h"

struct sl_supervisor;
typedef struct sl_freeze sl_freeze;

/* A freeze to come, and its thread, which waits: a thread that is woken is there at once, one that
 * is new may wait for the next tick of a busy processor. NULL: there was no memory or no thread. */
sl_freeze *sl_freeze_prepare(struct sl_supervisor *sv);

/* Stops every thread of the tree that runs, and goes on stopping those that begin to, until the
 * end. Returns when the first round is done. */
void sl_freeze_begin(sl_freeze *freeze);

/* Lets go of all soon, without waiting for it: who waits beside a tree that runs again may wait
 * long. */
void sl_freeze_let_go(sl_freeze *freeze);

/* Lets go of all, if it began, and frees it. */
void sl_freeze_end(sl_freeze *freeze);

#endif
