/* Owns the reading of chunked bodies. Never passes a byte of the coding itself on. */
#include "http/h1/chunk.h"

#include <errno.h>
#include <string.h>

#include "core/num.h"
#include "core/util.h"

#define DIGITS_MAX 15 /* 2^60 and no overflow */

enum { SIZE, PAD, EXT, SIZE_LF, DATA, DATA_CR, DATA_LF, TRAILER, TRAILER_LF, END };

void sl_h1_chunk_init(sl_h1_chunk *d)
{
    *d = (sl_h1_chunk){.state = SIZE};
    sl_buf_init(&d->trailer, SL_H1_TRAILER_MAX);
}

void sl_h1_chunk_done(sl_h1_chunk *d)
{
    sl_buf_done(&d->trailer);
}

bool sl_h1_chunk_at_end(const sl_h1_chunk *d)
{
    return d->state == END;
}

/* Behind a size: its line ends, or an extension begins. */
static int feed_pad(sl_h1_chunk *d, uint8_t c)
{
    if (c == '\r') {
        d->state = SIZE_LF;
        return 0;
    }
    if (d->padded && (c == ' ' || c == '\t')) {
        d->state = PAD;
        return ++d->ext > SL_H1_CHUNK_EXT_MAX ? -EBADMSG : 0;
    }
    d->state = EXT;
    return c == ';' ? 0 : -EBADMSG;
}

static int feed_size(sl_h1_chunk *d, uint8_t c)
{
    int digit = sl_num_hex_digit((char)c);
    if (digit >= 0) {
        if (++d->digits > DIGITS_MAX) {
            return -EBADMSG;
        }
        d->left = d->left * 16 + (uint64_t)digit;
        return 0;
    }
    if (d->digits == 0) {
        return -EBADMSG;
    }
    return feed_pad(d, c);
}

/* An extension: no control byte, no 8-bit byte, and an end. */
static int feed_ext(sl_h1_chunk *d, uint8_t c)
{
    if (c == '\r') {
        d->state = SIZE_LF;
        return 0;
    }
    if ((c < 0x20 && c != '\t') || c >= 0x7f || ++d->ext > SL_H1_CHUNK_EXT_MAX) {
        return -EBADMSG;
    }
    return 0;
}

/* Trailer lines are kept raw, up to the empty line that ends the body. */
static int feed_trailer(sl_h1_chunk *d, uint8_t c)
{
    sl_buf *t = &d->trailer;
    bool line_start = t->len == 0 || sl_buf_head(t)[t->len - 1] == '\n';
    if (d->state == TRAILER_LF) {
        if (c != '\n') {
            return -EBADMSG;
        }
        if (line_start) {
            d->state = END;
            return 0;
        }
        d->state = TRAILER;
        return sl_buf_append(t, "\r\n", 2);
    }
    if (c == '\r') {
        d->state = TRAILER_LF;
        return 0;
    }
    if ((c < 0x20 && c != '\t') || c == 0x7f) {
        return -EBADMSG;
    }
    return sl_buf_append(t, &c, 1);
}

static int feed_byte(sl_h1_chunk *d, uint8_t c)
{
    switch (d->state) {
    case SIZE:
        return feed_size(d, c);
    case PAD:
        return feed_pad(d, c);
    case EXT:
        return feed_ext(d, c);
    case SIZE_LF:
        d->state = d->left > 0 ? DATA : TRAILER;
        return c == '\n' ? 0 : -EBADMSG;
    case DATA_CR:
        d->state = DATA_LF;
        return c == '\r' ? 0 : -EBADMSG;
    case DATA_LF:
        d->state = SIZE;
        d->left = 0;
        d->digits = 0;
        d->ext = 0;
        return c == '\n' ? 0 : -EBADMSG;
    default:
        return feed_trailer(d, c);
    }
}

int sl_h1_chunk_feed(sl_h1_chunk *d, uint8_t *data, size_t len, size_t *ret_body, size_t *ret_used)
{
    size_t body = 0;
    size_t at = 0;
    while (at < len && d->state != END) {
        if (d->state == DATA) {
            size_t n = (size_t)SL_MIN(d->left, (uint64_t)(len - at));
            memmove(data + body, data + at, n);
            body += n;
            at += n;
            d->left -= n;
            d->state = d->left == 0 ? DATA_CR : DATA;
            continue;
        }
        int r = feed_byte(d, data[at]);
        if (r < 0) {
            return r;
        }
        at++;
    }
    *ret_body = body;
    *ret_used = at;
    return 0;
}
