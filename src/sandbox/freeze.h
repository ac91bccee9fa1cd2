/* Holding the tree still for a moment, so that it neither runs nor grows. */
#ifndef SANDLOCK_SANDBOX_FREEZE_H
#define SANDLOCK_SANDBOX_FREEZE_H

#include "core/util.h"

struct sl_sandbox;
typedef struct sl_freeze sl_freeze;

/* Stops every thread of the tree that runs, and goes on stopping those that begin to, until the
 * end. Returns when the first round is done; NULL: there was no memory or no thread for it. */
sl_freeze *sl_freeze_begin(struct sl_sandbox *sb);
void sl_freeze_end(sl_freeze *freeze);

#endif
