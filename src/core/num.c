/* Owns the reading of numbers. Never guesses: what is not a number in range is refused, not cut. */
#include "core/num.h"

#include <errno.h>
#include <string.h>

int sl_num_hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The digits at the beginning of `text`, `len` bytes at the most. How many there are, -EINVAL for
 * none, -ERANGE. */
static ssize_t read_digits(const char *text, size_t len, unsigned base, uint64_t max, uint64_t *ret)
{
    uint64_t value = 0;
    size_t n = 0;
    for (; n < len; n++) {
        int digit = sl_num_hex_digit(text[n]);
        if (digit < 0 || (unsigned)digit >= base) {
            break;
        }
        if ((unsigned)digit > max || value > (max - (unsigned)digit) / base) {
            return -ERANGE;
        }
        value = value * base + (unsigned)digit;
    }
    if (n == 0) {
        return -EINVAL;
    }
    *ret = value;
    return (ssize_t)n;
}

static int parse(const char *text, size_t len, unsigned base, uint64_t max, uint64_t *ret)
{
    uint64_t value;
    ssize_t n = read_digits(text, len, base, max, &value);
    if (n < 0) {
        return (int)n;
    }
    if ((size_t)n < len) {
        return -EINVAL;
    }
    *ret = value;
    return 0;
}

int sl_num_parse(const char *text, size_t len, uint64_t max, uint64_t *ret)
{
    return parse(text, len, 10, max, ret);
}

int sl_num_parse_str(const char *text, uint64_t max, uint64_t *ret)
{
    return parse(text, strlen(text), 10, max, ret);
}

int sl_num_parse_plain(const char *text, size_t len, uint64_t max, uint64_t *ret)
{
    return len > 1 && text[0] == '0' ? -EINVAL : parse(text, len, 10, max, ret);
}

int sl_num_parse_hex(const char *text, size_t len, uint64_t max, uint64_t *ret)
{
    return parse(text, len, 16, max, ret);
}

int sl_num_take(const char **at, uint64_t max, uint64_t *ret)
{
    ssize_t n = read_digits(*at, SIZE_MAX, 10, max, ret);
    *at += n > 0 ? n : 0;
    return n > 0 ? 0 : (int)n;
}

int sl_num_take_fraction(const char **at, unsigned digits, uint64_t *ret)
{
    uint64_t value;
    ssize_t n = read_digits(*at, digits, 10, UINT64_MAX, &value);
    if (n < 0) {
        return (int)n;
    }
    *at += n;
    for (; n < (ssize_t)digits; n++) {
        value *= 10;
    }
    *ret = value;
    return 0;
}

int sl_num_next(const char **at, uint64_t *ret)
{
    const char *digits = *at + strspn(*at, " \t");
    int r = sl_num_take(&digits, UINT64_MAX, ret);
    *at = r < 0 ? *at : digits;
    return r;
}

uint64_t sl_num_after(const char *text, const char *name, uint64_t otherwise)
{
    const char *found = strstr(text, name);
    if (found != NULL) {
        found += strlen(name);
        (void)sl_num_next(&found, &otherwise); /* untouched where there is none */
    }
    return otherwise;
}

pid_t sl_num_pid(const char *text)
{
    uint64_t pid = 0;
    (void)sl_num_take(&text, INT32_MAX, &pid);
    return (pid_t)pid;
}
