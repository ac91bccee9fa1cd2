/* Owns the reading of clocks. */
#include "core/clock.h"

#include <stdio.h>
#include <time.h>

uint64_t sl_clock_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t sl_clock_thread_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t sl_clock_now_ms(void)
{
    return sl_clock_now_ns() / 1000000u;
}

uint64_t sl_clock_wall_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

const char *sl_clock_iso_of(uint64_t wall_ms, char out[SL_CLOCK_ISO_MAX])
{
    struct tm tm;
    time_t seconds = (time_t)(wall_ms / 1000u);
    gmtime_r(&seconds, &tm);
    size_t n = strftime(out, SL_CLOCK_ISO_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + n, SL_CLOCK_ISO_MAX - n, ".%03uZ", (unsigned)(wall_ms % 1000u));
    return out;
}

const char *sl_clock_iso(char out[SL_CLOCK_ISO_MAX])
{
    return sl_clock_iso_of(sl_clock_wall_ms(), out);
}
