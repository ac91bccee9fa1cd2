/* Owns how bytes wait: what a side received and has not used, what it must still send, and the
 * framing of bodies. Never holds more than the named maxima. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/util.h"
#include "http/h1/exchange_int.h"

#define SPLICE_MIN    (512u << 10) /* bodies below this are copied */
#define SPLICE_BUDGET (8u << 20)   /* then the others have their turn */

void sl_side_init(sl_side *s, sl_conn *conn)
{
    *s = (sl_side){.conn = conn};
    sl_buf_init(&s->in, SL_SIDE_IN_MAX);
    sl_buf_init(&s->out, SL_SIDE_OUT_MAX);
}

void sl_side_done(sl_side *s)
{
    sl_buf_done(&s->in);
    sl_buf_done(&s->out);
    sl_conn_close(s->conn);
    sl_side_init(s, NULL);
}

int sl_side_view(sl_gateway *gw, sl_side *s, sl_view *ret)
{
    if (s->in.len > s->seen) {
        *ret = (sl_view){.data = sl_buf_head(&s->in), .len = s->in.len};
        return 1;
    }
    if (s->eof) {
        return 0;
    }
    ssize_t n = sl_conn_recv(s->conn, gw->scratch, SL_SCRATCH_SIZE);
    if (n <= 0) {
        s->eof = n == 0;
        return (int)n;
    }
    if (s->in.len == 0) {
        *ret = (sl_view){.data = gw->scratch, .len = (size_t)n, .scratch = true};
        return 1;
    }
    int r = sl_buf_append(&s->in, gw->scratch, (size_t)n);
    if (r < 0) {
        return r;
    }
    *ret = (sl_view){.data = sl_buf_head(&s->in), .len = s->in.len};
    return 1;
}

int sl_side_keep(sl_side *s, const sl_view *v, size_t used, bool stuck)
{
    int r = 0;
    if (v->scratch) {
        r = sl_buf_append(&s->in, v->data + used, v->len - used);
    } else {
        sl_buf_consume(&s->in, used);
        sl_buf_release_if_empty(&s->in);
    }
    s->seen = stuck ? s->in.len : 0;
    return r;
}

static int advance(struct iovec **iov, int *count, size_t n)
{
    while (*count > 0 && n >= (*iov)->iov_len) {
        n -= (*iov)->iov_len;
        (*iov)++;
        (*count)--;
    }
    if (*count > 0) {
        (*iov)->iov_base = (char *)(*iov)->iov_base + n;
        (*iov)->iov_len -= n;
    }
    return *count;
}

int sl_side_send(sl_side *s, struct iovec *iov, int count)
{
    while (s->out.len == 0 && count > 0) {
        ssize_t n = sl_conn_send(s->conn, iov, count);
        if (n == -EAGAIN) {
            break;
        }
        if (n < 0) {
            return (int)n;
        }
        advance(&iov, &count, (size_t)n);
    }
    for (int i = 0; i < count; i++) {
        int r = sl_buf_append(&s->out, iov[i].iov_base, iov[i].iov_len);
        if (r < 0) {
            return r;
        }
    }
    s->blocked = s->out.len > 0 || sl_conn_flush(s->conn) == -EAGAIN;
    return 0;
}

int sl_side_flush(sl_side *s)
{
    if (s->conn == NULL) {
        return 0;
    }
    while (s->out.len > 0) {
        struct iovec iov = {.iov_base = sl_buf_head(&s->out), .iov_len = s->out.len};
        ssize_t n = sl_conn_send(s->conn, &iov, 1);
        if (n < 0) {
            s->blocked = n == -EAGAIN;
            return (int)n;
        }
        sl_buf_consume(&s->out, (size_t)n);
    }
    sl_buf_release_if_empty(&s->out);
    int r = sl_conn_flush(s->conn);
    s->blocked = r == -EAGAIN;
    return r;
}

/* ---- bodies ---- */

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
