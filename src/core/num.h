/* Numbers out of text: unsigned, decimal, no sign, no space, no overflow. The one place where
 * digits become a number. Leading zeros are digits unless a function says otherwise. */
#ifndef SANDLOCK_CORE_NUM_H
#define SANDLOCK_CORE_NUM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The whole text is a number of at most `max`: `len` bytes, or up to the NUL. 0, -EINVAL (nothing,
 * or more than digits) or -ERANGE (greater than `max`); `*ret` is untouched on failure. No byte
 * behind the first one that is no digit is read, so `len` may reach beyond a NUL. */
int sl_num_parse(const char *text, size_t len, uint64_t max, uint64_t *ret);
int sl_num_parse_str(const char *text, uint64_t max, uint64_t *ret);

/* The same, and as it would be printed: a leading zero is -EINVAL. For numbers that others read as
 * octal. */
int sl_num_parse_plain(const char *text, size_t len, uint64_t max, uint64_t *ret);

/* The digits that begin the terminated text at `*at`, which is moved behind them. Errors as above;
 * `*at` and `*ret` are untouched on failure. */
int sl_num_take(const char **at, uint64_t max, uint64_t *ret);

/* The digits behind a decimal point, in parts of 10^`digits` (at most 19): "25" is 250 of 1000.
 * Takes no more than `digits` of them; what follows is the caller's to judge. */
int sl_num_take_fraction(const char **at, unsigned digits, uint64_t *ret);

/* What the kernel writes into the files of /proc and /sys. `sl_num_next` is sl_num_take behind
 * spaces and tabs; `sl_num_after` the number, behind spaces and tabs, that follows the first `name`
 * in the text, or `otherwise` where there is none. */
int sl_num_next(const char **at, uint64_t *ret);
uint64_t sl_num_after(const char *text, const char *name, uint64_t otherwise);

/* The process whose number begins the text ("123", "123/fd"); 0 when no process can have it. */
pid_t sl_num_pid(const char *text);

/* Hexadecimal: 0 to 15, or -1; and sl_num_parse for digits of both cases. */
int sl_num_hex_digit(char c);
int sl_num_parse_hex(const char *text, size_t len, uint64_t max, uint64_t *ret);

#endif
