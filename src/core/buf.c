/* Owns the growable buffer. Never holds more than its maximum. */
#include "core/buf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUF_MIN 256

void sl_buf_init(sl_buf *b, size_t max)
{
    *b = (sl_buf){.max = max};
}

void sl_buf_done(sl_buf *b)
{
    free(b->data);
    *b = (sl_buf){.max = b->max};
}

uint8_t *sl_buf_reserve(sl_buf *b, size_t n)
{
    if (n > b->max || b->len > b->max - n) {
        errno = ENOBUFS;
        return NULL;
    }
    if (b->cap - b->off - b->len >= n && b->data != NULL) {
        return b->data + b->off + b->len;
    }
    if (b->off > 0) {
        memmove(b->data, b->data + b->off, b->len);
        b->off = 0;
    }
    if (b->cap - b->len < n || b->data == NULL) {
        size_t cap = b->cap < BUF_MIN ? BUF_MIN : b->cap;
        while (cap < b->len + n) {
            cap *= 2;
        }
        cap = cap > b->max && b->max >= b->len + n ? b->max : cap;
        uint8_t *data = realloc(b->data, cap);
        if (data == NULL) {
            errno = ENOMEM;
            return NULL;
        }
        b->data = data;
        b->cap = cap;
    }
    return b->data + b->len;
}

void sl_buf_commit(sl_buf *b, size_t n)
{
    b->len += n;
}

int sl_buf_append(sl_buf *b, const void *data, size_t n)
{
    if (n == 0) {
        return 0;
    }
    uint8_t *to = sl_buf_reserve(b, n);
    if (to == NULL) {
        return -errno;
    }
    memcpy(to, data, n);
    b->len += n;
    return 0;
}

int sl_buf_append_str(sl_buf *b, const char *s)
{
    return sl_buf_append(b, s, strlen(s));
}

int sl_buf_printf(sl_buf *b, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0) {
        return -EINVAL;
    }
    char *to = (char *)sl_buf_reserve(b, (size_t)n + 1);
    if (to == NULL) {
        return -errno;
    }
    va_start(args, fmt);
    vsnprintf(to, (size_t)n + 1, fmt, args);
    va_end(args);
    b->len += (size_t)n;
    return 0;
}

void sl_buf_consume(sl_buf *b, size_t n)
{
    b->off += n;
    b->len -= n;
    if (b->len == 0) {
        b->off = 0;
    }
}

void sl_buf_release_if_empty(sl_buf *b)
{
    if (b->len == 0) {
        sl_buf_done(b);
    }
}
