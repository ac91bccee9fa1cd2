/* The loop, with a little waiting awake where that pays. */
#ifndef SANDLOCK_NET_SPIN_H
#define SANDLOCK_NET_SPIN_H

#include <uv.h>

/* Runs until nothing is left to wait for. On two or more CPUs it looks a few more times before it
 * sleeps, as long as that has been finding something: a wake-up across CPUs costs more than the
 * whole handling of a request. */
void sl_spin_run(uv_loop_t *loop);

#endif
