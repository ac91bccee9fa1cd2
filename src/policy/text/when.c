/* Owns the reading of a moment. Never asks which zone the machine is in: a moment without a zone is
 * refused, so that it means the same everywhere. */
#include "policy/text/when.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "core/num.h"

#define NS_PER_S  1000000000
#define NS_DIGITS 9

/* Exactly `n` digits at *at, which is moved behind them; -1 for anything else. */
static int take_digits(const char **at, size_t n)
{
    uint64_t number;
    if (sl_num_parse(*at, n, INT_MAX, &number) < 0) {
        return -1;
    }
    *at += n;
    return (int)number;
}

static bool take_char(const char **at, const char *any)
{
    bool is = **at != '\0' && strchr(any, **at) != NULL;
    *at += is ? 1 : 0;
    return is;
}

/* ".25", if it is there. Nanoseconds, or -1 for a point without digits. */
static int64_t take_fraction(const char **at)
{
    uint64_t ns;
    if (!take_char(at, ".")) {
        return 0;
    }
    if (sl_num_take_fraction(at, NS_DIGITS, &ns) < 0) {
        return -1;
    }
    *at += strspn(*at, "0123456789"); /* finer than a clock */
    return (int64_t)ns;
}

/* Days from 1970-01-01 (proleptic Gregorian calendar), or -1 where there is no such day. */
static int64_t days_of(int year, int month, int day)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (year < 1970 || month < 1 || month > 12 || day < 1 ||
        day > lengths[month - 1] + (leap && month == 2 ? 1 : 0)) {
        return -1;
    }
    int64_t past = year - 1;
    int64_t days = past * 365 + past / 4 - past / 100 + past / 400 - 719162;
    for (int m = 1; m < month; m++) {
        days += lengths[m - 1] + (leap && m == 2 ? 1 : 0);
    }
    return days + day - 1;
}

/* "Z", "+01:00", "-0530", "+01". Seconds east of UTC. */
static int take_zone(const char **at, int *ret_east)
{
    if (take_char(at, "Zz")) {
        *ret_east = 0;
        return 0;
    }
    int sign = **at == '-' ? -1 : 1;
    if (!take_char(at, "+-")) {
        return -EINVAL;
    }
    int hours = take_digits(at, 2);
    int minutes = 0;
    if (take_char(at, ":") || **at != '\0') {
        minutes = take_digits(at, 2);
    }
    if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) {
        return -EINVAL;
    }
    *ret_east = sign * (hours * 3600 + minutes * 60);
    return 0;
}

static int parse_iso(const char *text, int64_t *ret_s, int64_t *ret_ns)
{
    const char *at = text;
    int year = take_digits(&at, 4);
    int month = take_char(&at, "-") ? take_digits(&at, 2) : -1;
    int day = take_char(&at, "-") ? take_digits(&at, 2) : -1;
    int64_t days = year < 0 || month < 0 || day < 0 ? -1 : days_of(year, month, day);
    if (days < 0 || !take_char(&at, "Tt ")) {
        return -EINVAL;
    }
    int hour = take_digits(&at, 2);
    int minute = take_char(&at, ":") ? take_digits(&at, 2) : -1;
    int second = take_char(&at, ":") ? take_digits(&at, 2) : 0;
    int64_t ns = take_fraction(&at);
    int east = 0;
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59 || ns < 0 ||
        take_zone(&at, &east) < 0 || *at != '\0') {
        return -EINVAL;
    }
    *ret_s = days * 86400 + hour * 3600 + minute * 60 + second - east;
    *ret_ns = ns;
    return 0;
}

static int parse_seconds(const char *text, int64_t *ret_s, int64_t *ret_ns)
{
    const char *at = text;
    uint64_t seconds;
    int64_t ns = sl_num_take(&at, SL_WHEN_MAX_S, &seconds) < 0 ? -1 : take_fraction(&at);
    if (ns < 0 || *at != '\0') {
        return -EINVAL;
    }
    *ret_s = (int64_t)seconds;
    *ret_ns = ns;
    return 0;
}

int sl_when_parse(const char *text, int64_t *ret_ns)
{
    int64_t seconds = 0;
    int64_t ns = 0;
    int r = parse_iso(text, &seconds, &ns);
    if (r < 0) {
        r = parse_seconds(text, &seconds, &ns);
    }
    if (r < 0 || seconds < 0 || seconds > SL_WHEN_MAX_S) {
        return -EINVAL;
    }
    *ret_ns = seconds * NS_PER_S + ns;
    return 0;
}
