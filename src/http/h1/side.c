/* Owns how bytes wait: what a side received and has not used, and what it must still send. Never
 * holds more than the named maxima. */
#include <errno.h>

#include "http/h1/exchange_int.h"

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
