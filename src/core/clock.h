/* Time. Monotonic for durations and deadlines, wall clock for logs only. */
#ifndef SANDLOCK_CORE_CLOCK_H
#define SANDLOCK_CORE_CLOCK_H

#include <stdint.h>

#define SL_CLOCK_ISO_MAX 32

uint64_t sl_clock_now_ns(void);
uint64_t sl_clock_now_ms(void);
/* Processor time of the calling thread: what something costs, however busy the machine is. */
uint64_t sl_clock_thread_ns(void);
/* The wall clock, in milliseconds since 1970. */
uint64_t sl_clock_wall_ms(void);
/* RFC 3339 UTC with milliseconds: "2026-01-02T03:04:05.678Z". Returns `out`. */
const char *sl_clock_iso(char out[SL_CLOCK_ISO_MAX]);
/* The same of another moment of the wall clock. */
const char *sl_clock_iso_of(uint64_t wall_ms, char out[SL_CLOCK_ISO_MAX]);

#endif
