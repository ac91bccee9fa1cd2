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

const char *sl_clock_iso(char out[SL_CLOCK_ISO_MAX])
{
    struct timespec t;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &t);
    gmtime_r(&t.tv_sec, &tm);
    size_t n = strftime(out, SL_CLOCK_ISO_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + n, SL_CLOCK_ISO_MAX - n, ".%03ldZ", t.tv_nsec / 1000000);
    return out;
}
