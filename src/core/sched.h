/* When a thread gets a processor. */
#ifndef SANDLOCK_CORE_SCHED_H
#define SANDLOCK_CORE_SCHED_H

/* Asks that the calling thread, and those it makes, be chosen soon after they are woken, also where
 * all processors are busy. A wish: kernels before 6.12 do not know it. */
void sl_sched_ask_for_short_slices(void);

#endif
