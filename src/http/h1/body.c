/* Owns the framing of bodies, and how their bytes get from one side to the other. Never takes a
 * byte of a body for one of the next message. */
#include <errno.h>
#include <stdio.h>

#include "core/util.h"
#include "http/h1/exchange_int.h"

#define SPLICE_MIN    (512u << 10) /* bodies below this are copied */
#define SPLICE_BUDGET (8u << 20)   /* then the others have their turn */

void sl_body_init(sl_body *b, enum sl_body_kind kind, uint64_t length)
{
    *b = (sl_body){.kind = kind, .left = length, .splice = SL_SPLICE_NONE};
    b->done = kind == SL_BODY_NONE || (kind == SL_BODY_LENGTH && length == 0);
    sl_h1_chunk_init(&b->chunk);
}

void sl_body_done(sl_body *b)
{
    sl_h1_chunk_done(&b->chunk);
    sl_splice_close(&b->splice);
}

int sl_body_take(sl_body *b, uint8_t *data, size_t len, size_t *ret_len, size_t *ret_used)
{
    size_t n = len;
    size_t used = len;
    if (b->kind == SL_BODY_CHUNKED) {
        int r = sl_h1_chunk_feed(&b->chunk, data, len, &n, &used);
        if (r < 0) {
            return r;
        }
        b->done = sl_h1_chunk_at_end(&b->chunk);
    } else if (b->kind == SL_BODY_LENGTH) {
        n = used = (size_t)SL_MIN((uint64_t)len, b->left);
        b->left -= n;
        b->done = b->left == 0;
    }
    b->bytes += n;
    *ret_len = n;
    *ret_used = used;
    return 0;
}

int sl_body_send(sl_h1_room *room, sl_body *b, sl_side *to, const sl_buf *head, uint8_t *data,
                 size_t len)
{
    struct iovec iov[SL_CONN_IOV_MAX];
    char size[24];
    int n = 0;
    if (head != NULL && head->len > 0) {
        iov[n++] = (struct iovec){sl_buf_head(head), head->len};
    }
    if (len > 0 && b->chunk_out) {
        int digits = snprintf(size, sizeof(size), "%zx\r\n", len);
        iov[n++] = (struct iovec){size, (size_t)digits};
    }
    if (len > 0) {
        iov[n++] = (struct iovec){data, len};
    }
    if (len > 0 && b->chunk_out) {
        iov[n++] = (struct iovec){"\r\n", 2};
    }
    if (b->done && b->chunk_out) {
        sl_buf_consume(&room->tail, room->tail.len);
        int r = sl_h1_write_trailers(&room->tail, &b->chunk.trailer);
        if (r < 0) {
            return r;
        }
        iov[n++] = (struct iovec){sl_buf_head(&room->tail), room->tail.len};
    }
    return n == 0 ? 0 : sl_side_send(to, iov, n);
}

bool sl_body_may_splice(sl_body *b, const sl_side *from, const sl_side *to)
{
    if (sl_splice_is_open(&b->splice)) {
        return true;
    }
    return b->kind == SL_BODY_LENGTH && b->left >= SPLICE_MIN && from->in.len == 0 &&
           to->out.len == 0 && sl_conn_raw_fd(from->conn) >= 0 && sl_conn_raw_fd(to->conn) >= 0 &&
           !sl_conn_pending(from->conn) && sl_splice_open(&b->splice) == 0;
}

int sl_body_splice(sl_body *b, sl_side *from, sl_side *to)
{
    sl_splice_moved m;
    sl_splice_move(&b->splice, sl_conn_raw_fd(from->conn), sl_conn_raw_fd(to->conn), b->left,
                   SPLICE_BUDGET, &m);
    b->left -= m.taken;
    b->bytes += m.delivered;
    b->sink_full = m.want_write;
    if (m.error_out != 0) {
        return -EPIPE;
    }
    if (m.error_in != 0) {
        return m.error_in == -EPIPE ? -ECONNRESET : m.error_in;
    }
    if (m.end) {
        from->eof = true;
        return -ECONNRESET; /* less than was announced */
    }
    b->done = b->left == 0 && b->splice.held == 0;
    if (b->done) {
        sl_splice_close(&b->splice);
    }
    return m.delivered > 0 ? 1 : 0;
}
