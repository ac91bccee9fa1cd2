/* Owns the choice of the connection that a request goes up on, and what happens when it breaks
 * before its response is complete. Never sends a request twice that may do its work twice. */
#include "http/h1/exchange_int.h"

void sl_exchange_drop_upstream(sl_exchange *x)
{
    sl_side_done(&x->upstream);
    sl_splice_close(&x->req.splice);
    sl_splice_close(&x->resp.splice);
}

static void send_request(sl_exchange *x)
{
    struct iovec iov = {sl_buf_head(&x->wire), x->wire.len};
    sl_exchange_use_upstream(x);
    if (x->facts.odd_body) {
        sl_exchange_end_upstream(x, SL_UPSTREAM_CLOSE);
    }
    sl_exchange_go(x, SL_EXCHANGE_RELAY);
    if (sl_side_send(&x->upstream, &iov, 1) < 0) {
        sl_exchange_upstream_failed(x, "protocol", "the connection broke");
        return;
    }
    if (x->up == SL_H1_UP_DONE && (!x->reused || !x->facts.idempotent)) {
        sl_buf_consume(&x->wire, x->wire.len); /* it will not be needed again */
    }
}

static void on_opened(void *arg, sl_conn *conn, const sl_addr *peer, const sl_failure *failure);

static void use_upstream(sl_exchange *x, sl_conn *conn, const sl_addr *peer, bool reused)
{
    sl_side_done(&x->upstream);
    sl_side_init(&x->upstream, conn);
    x->request.peer = *peer;
    x->reused = reused;
    sl_conn_on_event(conn, sl_flow_on_event, x->flow);
}

static void open_fresh(sl_exchange *x)
{
    sl_exchange_go(x, SL_EXCHANGE_OPENING);
    const char *failed = x->gw->open(x->gw, &x->flow->target, on_opened, x, &x->opening);
    if (failed != NULL) {
        sl_failure f;
        sl_failure_set(&f, failed, "refused before dialling");
        sl_reply_failed(x, &f);
    }
}

/* Finds the connection that the request goes up on: this flow's own, an idle one, or a new one. */
void sl_exchange_acquire(sl_exchange *x, bool fresh)
{
    sl_flow *flow = x->flow;
    bool plain = x->up == SL_H1_UP_DONE && x->facts.idempotent && !x->facts.websocket;
    if (!fresh && x->upstream.conn != NULL) {
        if (x->upstream.in.len == 0 && sl_conn_is_quiet(x->upstream.conn)) {
            x->reused = true;
            send_request(x);
            return;
        }
    }
    sl_exchange_drop_upstream(x);
    if (!fresh && flow->upstream != NULL) {
        sl_conn *conn = flow->upstream;
        flow->upstream = NULL;
        use_upstream(x, conn, &flow->peer, true);
        send_request(x);
        return;
    }
    if (flow->failure.reason != NULL) {
        sl_failure f = flow->failure;
        flow->failure.reason = NULL;
        x->request.peer = flow->peer;
        sl_reply_failed(x, &f);
        return;
    }
    sl_addr peer;
    sl_conn *idle =
        plain && !fresh && !x->bound ? sl_pool_take(x->gw->pool, &flow->target, &peer) : NULL;
    if (idle != NULL) {
        use_upstream(x, idle, &peer, true);
        send_request(x);
        return;
    }
    open_fresh(x);
}

static void on_opened(void *arg, sl_conn *conn, const sl_addr *peer, const sl_failure *failure)
{
    sl_exchange *x = arg;
    sl_flow *flow = x->flow;
    x->opening = NULL;
    if (conn == NULL) {
        x->request.peer = *peer;
        sl_reply_failed(x, failure);
    } else {
        use_upstream(x, conn, peer, false);
        send_request(x);
    }
    flow->protocol->pump(flow);
}

/* The upstream broke before its response was complete. */
void sl_exchange_upstream_failed(sl_exchange *x, const char *reason, const char *detail)
{
    bool again = x->reused && x->down == SL_H1_DOWN_NONE && x->facts.idempotent &&
                 x->up == SL_H1_UP_DONE && x->req.bytes == 0 && x->wire.len > 0;
    sl_failure f;
    sl_failure_upstream(x->upstream.conn, reason, detail, &f);
    sl_exchange_drop_upstream(x);
    if (again) {
        sl_exchange_acquire(x, true); /* a fresh one is not reused: there is no third time */
    } else if (x->down < SL_H1_DOWN_BODY) {
        sl_reply_failed(x, &f);
    } else {
        sl_exchange_log(x, "upstream_broke", f.detail);
        sl_exchange_break(x);
    }
}
