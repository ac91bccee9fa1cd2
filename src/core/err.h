/* Errors: negative errno for machines, one sentence for people.
 *
 * A fallible function returns 0 or -errno. Set-up functions take a sl_error last; the place that
 * knows what went wrong writes the sentence, once, with its subject in single quotes. */
#ifndef SANDLOCK_CORE_ERR_H
#define SANDLOCK_CORE_ERR_H

#include <stdarg.h>

#define SL_ERROR_MESSAGE_MAX 1024

/* What kind of failure it is; decides the program's exit code (docs: EXIT CODES). */
enum sl_error_kind {
    SL_ERROR_SYSTEM = 0,    /* sandlock itself could not do its work: 125 */
    SL_ERROR_USAGE = 1,     /* a command line or profile that cannot be understood: 2 */
    SL_ERROR_NOT_EXEC = 2,  /* the command is not executable: 126 */
    SL_ERROR_NOT_FOUND = 3, /* the command does not exist: 127 */
};

typedef struct sl_error {
    enum sl_error_kind kind;
    int code; /* positive errno */
    char message[SL_ERROR_MESSAGE_MAX];
} sl_error;

/* Fills `err` (which may be NULL) with a system failure. Returns -code. Never allocates. */
int sl_error_set(sl_error *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same for a value that cannot be understood (kind USAGE, code EINVAL). Returns -EINVAL. */
int sl_error_usage(sl_error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The same with an explicit kind. Returns -code. */
int sl_error_kind_set(sl_error *err, enum sl_error_kind kind, int code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Puts "prefix: " before the message that is there. */
void sl_error_prefix(sl_error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The exit code that belongs to `kind`. */
int sl_error_exit_code(enum sl_error_kind kind);

#endif
