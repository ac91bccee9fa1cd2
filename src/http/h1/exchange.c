/* Owns an HTTP/1 connection of the child from its first request to its last byte: what is
 * waited for, and the end of each exchange. Its states are changed in state.c. Never forwards what
 * was not judged. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/util.h"
#include "http/h1/exchange_int.h"
#include "http/h1/h1.h"
#include "net/tls/tls.h"

#define ROUNDS_MAX 32 /* steps in one turn; then the other flows have theirs */

void sl_exchange_break(sl_exchange *x)
{
    sl_exchange_end_client(x, SL_CLIENT_BREAK);
    sl_exchange_go(x, SL_EXCHANGE_ENDED);
}

void sl_exchange_log(sl_exchange *x, const char *reason, const char *detail)
{
    sl_request_log(&x->request, reason, detail, x->req.bytes + x->relay.up.bytes,
                   x->resp.bytes + x->relay.down.bytes);
}

void sl_exchange_finish(sl_exchange *x)
{
    sl_exchange_log(x, NULL, NULL);
    sl_exchange_down(x, SL_H1_DOWN_DONE);
    if (x->up != SL_H1_UP_DONE || x->upstream.in.len > 0 || x->upstream_end == SL_UPSTREAM_CLOSE) {
        sl_exchange_drop_upstream(x);
    }
    if (x->client_end == SL_CLIENT_KEEP && !x->client.eof) {
        sl_exchange_up(x, SL_H1_UP_NONE);
        sl_exchange_down(x, SL_H1_DOWN_NONE);
        sl_exchange_go(x, SL_EXCHANGE_IDLE);
        return;
    }
    if (x->client_end != SL_CLIENT_BREAK &&
        (x->client_end == SL_CLIENT_CLOSE || x->up != SL_H1_UP_DONE || x->client.in.len > 0)) {
        sl_exchange_end_client(x, SL_CLIENT_LINGER); /* it may be sending */
    }
    sl_exchange_go(x, SL_EXCHANGE_FLUSH);
}

/* ---- the steps that belong to no direction ---- */

/* Between requests an upstream has nothing to say: what it says, or its end, ends it. */
static void watch_upstream(sl_exchange *x)
{
    if (x->upstream.conn != NULL &&
        sl_conn_recv(x->upstream.conn, x->gw->scratch, SL_SCRATCH_SIZE) != -EAGAIN) {
        sl_exchange_drop_upstream(x);
    }
}

static bool step_flush(sl_exchange *x)
{
    if (x->client.blocked) {
        return false;
    }
    if (x->client_end < SL_CLIENT_LINGER && sl_conn_raw_fd(x->client.conn) < 0 &&
        sl_conn_shutdown(x->client.conn) == -EAGAIN) { /* a close_notify that waits */
        sl_exchange_end_client(x, SL_CLIENT_LINGER);
    }
    sl_exchange_go(x, x->client_end == SL_CLIENT_LINGER ? SL_EXCHANGE_LINGER : SL_EXCHANGE_ENDED);
    return true;
}

static int begin_tunnel(sl_exchange *x)
{
    x->tunnel_ready = true;
    sl_relay_init(&x->relay, x->client.conn, x->upstream.conn, x->gw->scratch, SL_SCRATCH_SIZE);
    int r = sl_relay_feed(&x->relay.down, sl_buf_head(&x->client.out), x->client.out.len);
    x->relay.down.bytes = 0; /* the head is no payload */
    r = r == 0 ? sl_relay_feed(&x->relay.down, sl_buf_head(&x->upstream.in), x->upstream.in.len)
               : r;
    r = r == 0 ? sl_relay_feed(&x->relay.up, sl_buf_head(&x->client.in), x->client.in.len) : r;
    sl_buf_done(&x->client.out);
    sl_buf_done(&x->client.in);
    sl_buf_done(&x->upstream.in);
    return r;
}

static void step_tunnel(sl_exchange *x)
{
    int r = x->tunnel_ready ? 0 : begin_tunnel(x);
    r = r == 0 ? sl_relay_pump(&x->relay) : r;
    if (r != -EAGAIN) {
        sl_exchange_log(x, NULL, NULL);
        sl_exchange_go(x, SL_EXCHANGE_ENDED);
    }
}

static bool step(sl_exchange *x)
{
    switch (x->state) {
    case SL_EXCHANGE_IDLE:
        watch_upstream(x);
        return sl_exchange_step_head(x);
    case SL_EXCHANGE_OPENING:
        sl_exchange_watch_client(x);
        return false;
    case SL_EXCHANGE_RELAY: {
        bool up = sl_exchange_step_body(x);
        if (x->state == SL_EXCHANGE_RELAY && x->up == SL_H1_UP_DONE) {
            sl_exchange_watch_client(x);
        }
        bool down = x->state == SL_EXCHANGE_RELAY && sl_exchange_step_response(x);
        if (down && x->state == SL_EXCHANGE_RELAY && x->client.eof) {
            x->flow->deadline_ms = uv_now(x->gw->loop) + SL_TIMEOUT_GONE_MS; /* not quiet */
        }
        return down || up;
    }
    case SL_EXCHANGE_DRAIN:
        watch_upstream(x);
        return sl_exchange_step_drain(x);
    case SL_EXCHANGE_FLUSH:
        return step_flush(x);
    default:
        return false;
    }
}

static void flush_sides(sl_exchange *x)
{
    int r = x->client.blocked ? sl_side_flush(&x->client) : 0;
    if (r < 0 && r != -EAGAIN) {
        sl_exchange_log(x, "client_gone", NULL);
        sl_exchange_break(x);
        return;
    }
    r = x->upstream.blocked ? sl_side_flush(&x->upstream) : 0;
    if (r == 0 || r == -EAGAIN) {
        return;
    }
    if (x->state == SL_EXCHANGE_RELAY) {
        sl_exchange_upstream_deaf(x); /* its answer, if it gave one, can still be read */
    } else {
        sl_exchange_drop_upstream(x); /* the request was answered: by it, or by us */
    }
}

static void wish(sl_exchange *x)
{
    bool relay = x->state == SL_EXCHANGE_RELAY;
    bool want = true; /* from the client */
    if (relay && x->up != SL_H1_UP_DONE) {
        want = x->up == SL_H1_UP_BODY && !x->upstream.blocked && !x->req.sink_full;
    } else if (relay || x->state == SL_EXCHANGE_OPENING) {
        want = x->client.in.len == 0 && !x->client.eof;
    } else if (x->state == SL_EXCHANGE_FLUSH || x->state == SL_EXCHANGE_IDLE) {
        want = !x->client.blocked;
    }
    sl_conn_want(x->client.conn, want, x->client.blocked || x->resp.sink_full);
    if (x->upstream.conn != NULL) {
        sl_conn_want(x->upstream.conn, !relay || (!x->client.blocked && !x->resp.sink_full),
                     x->upstream.blocked || x->req.sink_full);
    }
}

static void end(sl_flow *flow);

/* The exchange is over; the client's connection is not. */
static void linger(sl_flow *flow)
{
    sl_exchange *x = flow->state;
    flow->client = x->client.conn;
    x->client.conn = NULL;
    end(flow);
    sl_flow_become(flow, &sl_protocol_linger);
}

static void pump(sl_flow *flow)
{
    sl_exchange *x = flow->state;
    for (int i = 0; i < ROUNDS_MAX; i++) {
        flush_sides(x);
        if (x->state == SL_EXCHANGE_TUNNEL) {
            step_tunnel(x);
            if (x->state == SL_EXCHANGE_TUNNEL) {
                return;
            }
        }
        if (x->state == SL_EXCHANGE_ENDED) {
            sl_flow_end(flow);
            return;
        }
        if (x->state == SL_EXCHANGE_LINGER) {
            linger(flow);
            return;
        }
        if (!step(x)) {
            if (x->state != SL_EXCHANGE_ENDED) {
                wish(x);
                return;
            }
        }
    }
    wish(x);
    sl_conn_kick(x->client.conn);
}

static void expire(sl_flow *flow)
{
    sl_exchange *x = flow->state;
    flow->deadline_ms = 0;
    switch (x->state) {
    case SL_EXCHANGE_IDLE:
        if (x->client.in.len > 0) {
            sl_reply_malformed(x, 408, "the request head took too long");
        } else {
            sl_exchange_go(x, SL_EXCHANGE_ENDED);
        }
        break;
    case SL_EXCHANGE_DRAIN:
        sl_exchange_end_client(x, SL_CLIENT_LINGER);
        sl_exchange_go(x, SL_EXCHANGE_FLUSH);
        break;
    default:
        if (!sl_conn_peer_gone(x->client.conn)) { /* it waits, or reads slowly */
            flow->deadline_ms = uv_now(x->gw->loop) + SL_TIMEOUT_GONE_MS;
            return;
        }
        sl_exchange_log(x, "client_gone", NULL);
        sl_exchange_break(x);
        break;
    }
    pump(flow);
}

void sl_h1_room_free(void *room)
{
    sl_h1_room *shared = room;
    if (shared != NULL) {
        sl_buf_done(&shared->wire);
        sl_buf_done(&shared->tail);
        free(shared);
    }
}

static sl_h1_room *room_of(sl_gateway *gw)
{
    if (gw->http1_room == NULL) {
        sl_h1_room *room = calloc(1, sizeof(*room));
        if (room != NULL) {
            sl_buf_init(&room->wire, 4 * SL_HEAD_MAX);
            sl_buf_init(&room->tail, 2 * SL_H1_TRAILER_MAX);
        }
        gw->http1_room = room;
    }
    return gw->http1_room;
}

static int start(sl_flow *flow)
{
    sl_h1_room *room = room_of(flow->gw);
    if (room == NULL) {
        return -ENOMEM;
    }
    sl_exchange *x = calloc(1, sizeof(*x));
    if (x == NULL) {
        return -ENOMEM;
    }
    x->flow = flow;
    x->gw = flow->gw;
    x->room = room;
    x->upstream_end = SL_UPSTREAM_CLOSE; /* until a request is sent on one */
    sl_side_init(&x->client, flow->client);
    sl_side_init(&x->upstream, NULL);
    sl_buf_init(&x->wire, 2 * SL_HEAD_MAX);
    sl_request_init(&x->request, flow);
    sl_h1_handshake_init(&x->handshake);
    sl_body_init(&x->req, SL_BODY_NONE, 0);
    sl_body_init(&x->resp, SL_BODY_NONE, 0);
    flow->client = NULL; /* the exchange's from now on */
    flow->state = x;
    int r = sl_buf_append(&x->client.in, sl_buf_head(&flow->sniffed), flow->sniffed.len);
    sl_buf_done(&flow->sniffed);
    flow->deadline_ms = x->client.in.len > 0 ? uv_now(x->gw->loop) + SL_TIMEOUT_HEAD_MS : 0;
    return r;
}

/* The client must not take what it got for complete: no close_notify, no orderly end. */
static void break_client(sl_exchange *x)
{
    struct linger reset = {.l_onoff = 1};
    sl_tls_break(x->client.conn);
    int fd = sl_conn_raw_fd(x->client.conn);
    if (fd >= 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    }
}

static void end(sl_flow *flow)
{
    sl_exchange *x = flow->state;
    if (x == NULL) { /* it never began */
        return;
    }
    /* Only between two exchanges: half a response on it would be the answer to somebody else. */
    bool between = !x->request.open && x->client_end != SL_CLIENT_BREAK &&
                   (x->up == SL_H1_UP_NONE || x->up == SL_H1_UP_DONE) &&
                   (x->down == SL_H1_DOWN_NONE || x->down == SL_H1_DOWN_DONE);
    bool clean = between && x->upstream.conn != NULL && x->upstream_end == SL_UPSTREAM_POOL &&
                 x->upstream.in.len == 0 && !x->upstream.blocked && x->upstream.out.len == 0;
    sl_exchange_log(x, "ended", NULL);
    sl_upstream_cancel(x->opening);
    if (x->client_end == SL_CLIENT_BREAK && x->client.conn != NULL) {
        break_client(x);
    }
    if (x->tunnel_ready) {
        sl_relay_done(&x->relay);
    }
    if (clean) {
        sl_pool_put(x->gw->pool, &flow->target, &x->request.peer, x->upstream.conn);
        x->upstream.conn = NULL;
    }
    sl_body_done(&x->req);
    sl_body_done(&x->resp);
    sl_side_done(&x->client);
    sl_side_done(&x->upstream);
    sl_buf_done(&x->wire);
    sl_request_done(&x->request);
    sl_h1_handshake_done(&x->handshake);
    free(x);
    flow->state = NULL;
}

static enum sl_flow_rank weigh(const sl_flow *flow, uint64_t *ret_bytes)
{
    const sl_exchange *x = flow->state;
    if (x == NULL) { /* it never began */
        return SL_FLOW_SENDING;
    }
    *ret_bytes = x->req.bytes + x->resp.bytes + x->relay.up.bytes + x->relay.down.bytes;
    if (x->state == SL_EXCHANGE_IDLE && x->client.in.len == 0) {
        return SL_FLOW_IDLE;
    }
    bool sending = x->state == SL_EXCHANGE_IDLE || x->state == SL_EXCHANGE_DRAIN ||
                   (x->state == SL_EXCHANGE_RELAY && x->up == SL_H1_UP_BODY);
    return sending ? SL_FLOW_SENDING : SL_FLOW_BUSY;
}

const sl_protocol sl_h1_protocol = {
    .name = "h1",
    .start = start,
    .pump = pump,
    .expire = expire,
    .end = end,
    .weigh = weigh,
};
