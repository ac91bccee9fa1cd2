/* A byte buffer that grows up to a maximum of its own. Plain value: init, use, done. */
#ifndef SANDLOCK_CORE_BUF_H
#define SANDLOCK_CORE_BUF_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct sl_buf {
    uint8_t *data; /* owned; what is readable is data[off .. off+len) */
    size_t off;
    size_t len;
    size_t cap;
    size_t max;
} sl_buf;

/* Starts empty and allocates nothing; `max` bytes is the most it will ever hold. */
void sl_buf_init(sl_buf *b, size_t max);
void sl_buf_done(sl_buf *b);

static inline uint8_t *sl_buf_head(const sl_buf *b)
{
    return b->data == NULL ? NULL : b->data + b->off;
}

/* Makes room for `n` more bytes and returns where they go; NULL when `max` would be passed
 * (errno ENOBUFS) or memory is short (ENOMEM). The bytes count after sl_buf_commit. */
uint8_t *sl_buf_reserve(sl_buf *b, size_t n);
void sl_buf_commit(sl_buf *b, size_t n);

/* 0, -ENOBUFS or -ENOMEM; on failure the buffer is as before. */
int sl_buf_append(sl_buf *b, const void *data, size_t n);
int sl_buf_append_str(sl_buf *b, const char *s);
int sl_buf_printf(sl_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Drops `n` bytes (at most len) from the front; all of them frees nothing but resets `off`. */
void sl_buf_consume(sl_buf *b, size_t n);

/* Gives memory back when empty. */
void sl_buf_release_if_empty(sl_buf *b);

#endif
