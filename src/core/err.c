/* Owns the error object. Never allocates, never prints. */
#include "core/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int error_vset(sl_error *err, enum sl_error_kind kind, int code, const char *fmt,
                      va_list args)
{
    if (err != NULL) {
        err->kind = kind;
        err->code = code;
        vsnprintf(err->message, sizeof(err->message), fmt, args);
    }
    return -code;
}

int sl_error_set(sl_error *err, int code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int r = error_vset(err, SL_ERROR_SYSTEM, code, fmt, args);
    va_end(args);
    return r;
}

int sl_error_usage(sl_error *err, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int r = error_vset(err, SL_ERROR_USAGE, EINVAL, fmt, args);
    va_end(args);
    return r;
}

int sl_error_kind_set(sl_error *err, enum sl_error_kind kind, int code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int r = error_vset(err, kind, code, fmt, args);
    va_end(args);
    return r;
}

void sl_error_prefix(sl_error *err, const char *fmt, ...)
{
    if (err == NULL) {
        return;
    }
    char text[SL_ERROR_MESSAGE_MAX];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof(text)) {
        return;
    }
    snprintf(text + n, sizeof(text) - (size_t)n, ": %s", err->message);
    memcpy(err->message, text, sizeof(text));
}

int sl_error_exit_code(enum sl_error_kind kind)
{
    switch (kind) {
    case SL_ERROR_USAGE:
        return 2;
    case SL_ERROR_NOT_EXEC:
        return 126;
    case SL_ERROR_NOT_FOUND:
        return 127;
    case SL_ERROR_SYSTEM:
        break;
    }
    return 125;
}
