/* A deadline of the tree's clock, lent to the kernel as one of the real clock (lend.c). */
#ifndef SANDLOCK_FEATURES_REPEAT_LEND_H
#define SANDLOCK_FEATURES_REPEAT_LEND_H

#include <stdint.h>

#include "supervisor/notify.h"

#define SL_LEND_MAX 1024 /* calls that wait for their turn; one more gets EAGAIN */

struct sl_lender;

/* The call goes on with the timespec at `addr` made `offset_ns` earlier, and finds it as it was
 * afterwards. A zero one is left alone when `zero_is_off` (timer_settime(2)). `*lender` is NULL at
 * first, and made with the first such call: most runs have none. */
sl_answer sl_lend(struct sl_lender **lender, const sl_call *call, uint64_t addr, int64_t offset_ns,
                  bool zero_is_off);
void sl_lender_free(struct sl_lender *lender);

#endif
