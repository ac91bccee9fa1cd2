/* Owns the joining of two connections. Never looks at the bytes and never keeps more than
 * SL_RELAY_HELD_MAX of them. */
#include "net/relay.h"

#include <errno.h>
#include <string.h>

#include "core/util.h"

#define SPLICE_AFTER (1u << 20) /* a direction that moved this much is worth a pipe */
#define TURN_BUDGET  (4u << 20) /* then the others have their turn */

void sl_relay_init(sl_relay *r, sl_conn *client, sl_conn *upstream, uint8_t *scratch,
                   size_t scratch_len)
{
    *r = (sl_relay){.scratch = scratch, .scratch_len = scratch_len};
    r->up = (sl_relay_half){.from = client, .to = upstream, .splice = SL_SPLICE_NONE};
    r->down = (sl_relay_half){.from = upstream, .to = client, .splice = SL_SPLICE_NONE};
    sl_buf_init(&r->up.held, SL_RELAY_HELD_MAX);
    sl_buf_init(&r->down.held, SL_RELAY_HELD_MAX);
}

void sl_relay_done(sl_relay *r)
{
    sl_buf_done(&r->up.held);
    sl_buf_done(&r->down.held);
    sl_splice_close(&r->up.splice);
    sl_splice_close(&r->down.splice);
}

int sl_relay_feed(sl_relay_half *half, const void *data, size_t len)
{
    half->bytes += len;
    return sl_buf_append(&half->held, data, len);
}

static int end_half(sl_relay_half *h)
{
    h->ended = true;
    int r = sl_conn_shutdown(h->to);
    return r == -EAGAIN || r == -ENOTCONN ? 0 : r;
}

static int flush_held(sl_relay_half *h)
{
    while (h->held.len > 0) {
        struct iovec iov = {.iov_base = sl_buf_head(&h->held), .iov_len = h->held.len};
        ssize_t n = sl_conn_send(h->to, &iov, 1);
        if (n < 0) {
            h->want_write = n == -EAGAIN;
            return (int)n;
        }
        sl_buf_consume(&h->held, (size_t)n);
    }
    sl_buf_release_if_empty(&h->held);
    int r = sl_conn_flush(h->to);
    h->want_write = r == -EAGAIN;
    return r;
}

static int splice_half(sl_relay_half *h)
{
    sl_splice_moved m;
    sl_splice_move(&h->splice, sl_conn_raw_fd(h->from), sl_conn_raw_fd(h->to), UINT64_MAX,
                   TURN_BUDGET, &m);
    h->bytes += m.taken;
    if (m.error_in != 0 || m.error_out != 0) {
        return m.error_in != 0 ? m.error_in : m.error_out;
    }
    if (m.end) {
        return end_half(h);
    }
    h->want_write = m.want_write;
    h->want_read = !m.want_write;
    return m.want_read || m.want_write ? -EAGAIN : 1;
}

static bool may_splice(sl_relay_half *h)
{
    if (sl_splice_is_open(&h->splice)) {
        return true;
    }
    return h->bytes > SPLICE_AFTER && sl_conn_raw_fd(h->from) >= 0 && sl_conn_raw_fd(h->to) >= 0 &&
           !sl_conn_pending(h->from) && sl_splice_open(&h->splice) == 0;
}

/* 1 when the turn's budget is spent, 0 at the end, -EAGAIN, -errno. */
static int pump_half(sl_relay *r, sl_relay_half *h)
{
    size_t moved = 0;
    h->want_read = false;
    h->want_write = false;
    if (h->ended) {
        return 0;
    }
    while (moved < TURN_BUDGET) {
        int flushed = flush_held(h);
        if (flushed < 0) {
            return flushed;
        }
        if (h->paused) {
            h->want_read = true; /* its holder looks at what comes */
            return -EAGAIN;
        }
        if (may_splice(h)) {
            return splice_half(h);
        }
        ssize_t n = sl_conn_recv(h->from, r->scratch, r->scratch_len);
        if (n == -EAGAIN) {
            h->want_read = true;
            return -EAGAIN;
        }
        if (n <= 0) {
            return n == 0 ? end_half(h) : (int)n;
        }
        moved += (size_t)n;
        h->bytes += (uint64_t)n;
        struct iovec iov = {.iov_base = r->scratch, .iov_len = (size_t)n};
        ssize_t sent = sl_conn_send(h->to, &iov, 1);
        if (sent < 0 && sent != -EAGAIN) {
            return (int)sent;
        }
        size_t done = sent > 0 ? (size_t)sent : 0;
        int kept = sl_buf_append(&h->held, r->scratch + done, (size_t)n - done);
        if (kept < 0) {
            return kept;
        }
    }
    h->want_read = true;
    return 1;
}

/* Ended, and the sink's filters have nothing left to send: a close_notify is still to come. */
static bool is_over(sl_relay_half *h)
{
    return h->ended && h->held.len == 0 && sl_conn_flush(h->to) != -EAGAIN;
}

int sl_relay_pump(sl_relay *r)
{
    int up = pump_half(r, &r->up);
    int down = pump_half(r, &r->down);
    if (up < 0 && up != -EAGAIN) {
        return up;
    }
    if (down < 0 && down != -EAGAIN) {
        return down;
    }
    if (is_over(&r->up) && is_over(&r->down)) {
        return 0;
    }
    sl_conn_want(r->up.from, r->up.want_read, r->down.want_write);
    sl_conn_want(r->down.from, r->down.want_read, r->up.want_write);
    if (up == 1 || down == 1) {
        sl_conn_kick(r->up.from);
    }
    return -EAGAIN;
}
