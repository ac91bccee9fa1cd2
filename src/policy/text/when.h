/* A moment as people write it: ISO 8601 with its zone, or Unix seconds. */
#ifndef SANDLOCK_POLICY_TEXT_WHEN_H
#define SANDLOCK_POLICY_TEXT_WHEN_H

#include <stdint.h>

/* 2200-01-01: far from where a signed 64-bit count of nanoseconds ends. */
#define SL_WHEN_MAX_S 7258118400

/* "2024-02-29T12:00:00Z", "2024-02-29 12:00+01:00", "1709208000", "1709208000.5". Nanoseconds since
 * 1970, or -EINVAL: another form, no such day, before 1970, after SL_WHEN_MAX_S. */
int sl_when_parse(const char *text, int64_t *ret_ns);

#endif
