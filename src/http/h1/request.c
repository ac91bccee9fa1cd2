/* Owns the way up: reading a request, having it judged, opening its upstream, sending it on. No
 * byte goes up before the whole head was judged. */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "core/clock.h"
#include "core/util.h"
#include "http/h1/exchange_int.h"
#include "http/judge.h"

/* RFC 6455 section 4.1; every other protocol is struck out. */
static bool is_websocket(const sl_h1_head *h)
{
    const sl_h1_field *f = sl_h1_find(h, SL_H1_UPGRADE);
    return h->upgrade && f != NULL && sl_h1_value_is(f, "websocket") && h->one_one &&
           strcmp(h->method, "GET") == 0 && !h->chunked && (!h->has_length || h->length == 0);
}

static void begin_exchange(sl_exchange *x, const sl_h1_head *h)
{
    sl_request_begin(&x->request, h->method);
    x->client_one_one = h->one_one;
    x->client_keep = h->keep_alive;
    x->idempotent = sl_request_is_idempotent(h->method);
    x->websocket = is_websocket(h);
    x->expects = false;
    x->interim = 0;
    x->response_begun = x->head_sent = x->retried = x->closing = x->req_dropped = x->switching =
        false;
    sl_body_done(&x->req);
    sl_body_done(&x->resp);
    sl_body_init(&x->req,
                 h->chunked      ? SL_BODY_CHUNKED
                 : h->has_length ? SL_BODY_LENGTH
                                 : SL_BODY_NONE,
                 h->length);
    sl_body_init(&x->resp, SL_BODY_NONE, 0);
    x->resp.done = false;
    memset(&x->response_scan, 0, sizeof(x->response_scan));
}

/* The request as it goes up, kept until the response begins. */
static int write_request(sl_exchange *x, const sl_h1_head *h, const sl_judged *j)
{
    bool odd_body = !x->req.done && !sl_request_takes_body(h->method);
    sl_h1_framing framing = {
        .chunked = x->req.kind == SL_BODY_CHUNKED,
        .has_length = h->has_length,
        .length = h->length,
        .upgrade = x->websocket,
        /* A server that overlooks this body must not take it for a request (HTTP-14). */
        .close = odd_body,
    };
    x->req.chunk_out = framing.chunked;
    x->request_keep = !odd_body;
    sl_buf_consume(&x->wire, x->wire.len);
    return sl_h1_write_request(&x->wire, h, j->authority, j->path, j->query, &framing);
}

/* RFC 9110 section 10.1.1: one expectation exists. */
static bool expectation_ok(sl_exchange *x, const sl_h1_head *h)
{
    const sl_h1_field *f = sl_h1_find(h, SL_H1_EXPECT);
    if (f == NULL) {
        return true;
    }
    x->expects = true;
    return sl_h1_value_is(f, "100-continue");
}

/* RFC 9112 section 3.2: origin, absolute and asterisk form; the others are no targets here. */
static void say_words(const sl_h1_head *h, bool tls, sl_request_words *ret)
{
    const sl_h1_field *host = sl_h1_find(h, SL_H1_HOST);
    const char *t = h->target;
    const char *end = t + h->target_len;
    const char *scheme = tls ? "https://" : "http://";
    size_t n = strlen(scheme);
    *ret = (sl_request_words){.target = {t, h->target_len}};
    if (host != NULL) {
        ret->authority = (sl_slice){host->value, host->value_len};
    }
    if (t[0] == '/' || (h->target_len == 1 && t[0] == '*')) {
        ret->path = ret->target;
        return;
    }
    if (h->target_len < n || strncasecmp(t, scheme, n) != 0) {
        return;
    }
    const char *p = t + n;
    while (p < end && *p != '/' && *p != '?') {
        p++;
    }
    ret->again = (sl_slice){t + n, (size_t)(p - (t + n))};
    ret->path = (sl_slice){p, (size_t)(end - p)};
}

static void take_request(sl_exchange *x, const uint8_t *data, size_t len)
{
    sl_h1_head *h = &x->room->head;
    const char *why = "malformed request";
    enum sl_head_result r = sl_head_check_request(data, len, &why);
    if (r != SL_HEAD_OK) {
        sl_reply_malformed(x, r == SL_HEAD_VERSION ? 505 : 400, why);
        return;
    }
    if (sl_h1_parse(data, len, false, h) < 0) {
        sl_reply_malformed(x, 400, "malformed request");
        return;
    }
    begin_exchange(x, h);
    bool expected = expectation_ok(x, h);
    sl_judged j;
    sl_request_words words;
    say_words(h, x->flow->target.tls, &words);
    sl_judge_request(&x->request, &words, &j);
    if (!j.allow) {
        sl_reply_denied(x, &j);
        return;
    }
    if (!expected) {
        sl_reply_status(x, 417, "unknown expectation");
        return;
    }
    x->request.rule = j.rule;
    x->bound |= h->binding_auth;
    if (write_request(x, h, &j) < 0) {
        sl_exchange_break(x);
        return;
    }
    sl_exchange_acquire(x, false);
}

/* A CRLF before a request is what some clients leave behind a body (RFC 9112 section 2.2). */
static size_t leading_crlf(const sl_exchange *x, const sl_view *v)
{
    return x->request_scan.pos == 0 && v->len >= 2 && v->data[0] == '\r' && v->data[1] == '\n' ? 2
                                                                                               : 0;
}

bool sl_exchange_step_head(sl_exchange *x)
{
    sl_view v;
    size_t len = 0;
    if (x->client.blocked) {
        return false;
    }
    int r = sl_side_view(x->gw, &x->client, &v);
    if (r == -EAGAIN) {
        return false;
    }
    if (r <= 0) { /* the client is done, between requests or within one */
        sl_exchange_go(x, SL_EXCHANGE_ENDED);
        return true;
    }
    size_t skip = leading_crlf(x, &v);
    if (skip == v.len) {
        return sl_side_keep(&x->client, &v, skip, false) == 0;
    }
    bool begins = x->request_scan.pos == 0;
    enum sl_head_result h =
        sl_head_scan_next(&x->request_scan, v.data + skip, v.len - skip, false, &len);
    if (h == SL_HEAD_MORE) {
        if (begins) {
            x->flow->deadline_ms = uv_now(x->gw->loop) + SL_TIMEOUT_HEAD_MS;
        }
        if (sl_side_keep(&x->client, &v, skip, true) < 0) {
            sl_exchange_break(x);
        }
        return true;
    }
    const char *why = x->request_scan.why;
    memset(&x->request_scan, 0, sizeof(x->request_scan));
    x->flow->deadline_ms = 0;
    if (h != SL_HEAD_OK) {
        unsigned status = h == SL_HEAD_TARGET    ? 414
                          : h == SL_HEAD_LARGE   ? 431
                          : h == SL_HEAD_VERSION ? 505
                                                 : 400;
        sl_reply_malformed(x, status, why);
        return true;
    }
    /* What follows the head is kept first: the scratch may be used again while judging. */
    if (v.scratch && v.len > skip + len &&
        sl_buf_append(&x->client.in, v.data + skip + len, v.len - skip - len) < 0) {
        sl_exchange_break(x);
        return true;
    }
    take_request(x, v.data + skip, len);
    if (!v.scratch && x->client.conn != NULL) {
        sl_buf_consume(&x->client.in, skip + len);
        sl_buf_release_if_empty(&x->client.in);
    }
    x->client.seen = 0;
    return true;
}

/* ---- the upstream connection ---- */

static void send_request(sl_exchange *x)
{
    struct iovec iov = {sl_buf_head(&x->wire), x->wire.len};
    x->upstream_keep = x->request_keep;
    sl_exchange_go(x, SL_EXCHANGE_RELAY);
    if (sl_side_send(&x->upstream, &iov, 1) < 0) {
        sl_exchange_upstream_failed(x, "protocol", "the connection broke");
        return;
    }
    if (x->req.done && (!x->reused || !x->idempotent)) {
        sl_buf_consume(&x->wire, x->wire.len); /* it will not be needed again */
    }
}

static void on_opened(void *arg, sl_conn *conn, const sl_addr *peer, const char *reason,
                      const char *detail);

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
        sl_reply_failed(x, failed, "refused before dialling");
    }
}

/* Finds the connection that the request goes up on: this flow's own, an idle one, or a new one. */
void sl_exchange_acquire(sl_exchange *x, bool fresh)
{
    sl_flow *flow = x->flow;
    bool plain = x->req.done && x->idempotent && !x->websocket;
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
    if (flow->failed != NULL) {
        const char *reason = flow->failed;
        flow->failed = NULL;
        sl_reply_failed(x, reason, flow->failed_detail);
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

static void on_opened(void *arg, sl_conn *conn, const sl_addr *peer, const char *reason,
                      const char *detail)
{
    sl_exchange *x = arg;
    sl_flow *flow = x->flow;
    x->opening = NULL;
    if (conn == NULL) {
        x->request.peer = *peer;
        sl_reply_failed(x, reason, detail);
    } else {
        use_upstream(x, conn, peer, false);
        send_request(x);
    }
    flow->protocol->pump(flow);
}

/* The upstream broke before its response was complete. */
void sl_exchange_upstream_failed(sl_exchange *x, const char *reason, const char *detail)
{
    bool again = x->reused && !x->retried && !x->response_begun && x->idempotent && x->req.done &&
                 x->req.bytes == 0 && x->wire.len > 0;
    sl_exchange_drop_upstream(x);
    if (again) {
        x->retried = true;
        sl_exchange_acquire(x, true);
    } else if (!x->head_sent) {
        sl_reply_failed(x, reason, detail);
    } else {
        sl_exchange_log(x, "upstream_broke", detail);
        sl_exchange_break(x);
    }
}

/* ---- the body ---- */

/* The upstream stopped reading: it may have answered early, so its response is read all the same.
 * What the client still sends has no taker, and its connection ends behind the response. */
static void upstream_deaf(sl_exchange *x)
{
    x->req_dropped = true;
    x->upstream.blocked = false;
    sl_buf_consume(&x->upstream.out, x->upstream.out.len);
    x->closing = true;
}

static bool splice_body(sl_exchange *x)
{
    int r = sl_body_splice(&x->req, &x->client, &x->upstream);
    if (r == -EPIPE) {
        upstream_deaf(x);
        return true;
    }
    if (r < 0) {
        sl_exchange_log(x, "client_gone", NULL);
        sl_exchange_break(x);
        return true;
    }
    return r > 0;
}

/* Half a request is up there: end both, and the upstream sees that it is incomplete. */
static void refuse_body(sl_exchange *x, unsigned status, const char *why)
{
    sl_exchange_drop_upstream(x);
    if (x->head_sent) {
        sl_exchange_break(x);
        return;
    }
    x->client_keep = false;
    sl_reply_status(x, status, why);
}

/* HTTP-24. Only what the client alone can hold up is timed: not while we do not read, not once its
 * answer has begun, and not while it waits for the leave to send that it asked for. */
void sl_exchange_time_body(sl_exchange *x)
{
    bool waits = x->expects && x->interim == 0 && x->req.bytes == 0;
    bool timed = x->state == SL_EXCHANGE_RELAY && !x->req.done && !x->req_dropped &&
                 !x->head_sent && !x->upstream.blocked && !x->req.sink_full && !waits;
    if (timed && !x->req_timed) {
        x->req_bytes = x->req.bytes;
        x->flow->deadline_ms = uv_now(x->gw->loop) + SL_TIMEOUT_BODY_MS;
    } else if (!timed && x->req_timed && !x->client.eof) {
        x->flow->deadline_ms = 0;
    }
    x->req_timed = timed;
}

void sl_exchange_body_overdue(sl_exchange *x)
{
    x->req_timed = false; /* the next stretch begins, or there is none */
    if (x->req.bytes - x->req_bytes < SL_BODY_PROGRESS) {
        refuse_body(x, 408, "the request body took too long");
    }
}

bool sl_exchange_step_body(sl_exchange *x)
{
    sl_view v;
    size_t len;
    size_t used;
    if (x->req.done || x->req_dropped || x->upstream.blocked || x->upstream.conn == NULL) {
        return false;
    }
    if (sl_body_may_splice(&x->req, &x->client, &x->upstream)) {
        return splice_body(x);
    }
    int r = sl_side_view(x->gw, &x->client, &v);
    if (r == -EAGAIN) {
        return false;
    }
    if (r <= 0) {
        sl_exchange_log(x, "client_gone", NULL);
        sl_exchange_break(x);
        return true;
    }
    r = sl_body_take(&x->req, v.data, v.len, &len, &used);
    if (r < 0) {
        refuse_body(x, 400, "malformed chunked body");
        return true;
    }
    r = sl_body_send(x->room, &x->req, &x->upstream, NULL, v.data, len);
    if (r == -EBADMSG) { /* in the trailer, of which nothing was sent */
        refuse_body(x, 400, "malformed chunked body");
        return true;
    }
    if (r < 0) {
        upstream_deaf(x);
    }
    if (sl_side_keep(&x->client, &v, used, false) < 0) {
        sl_exchange_break(x);
    }
    return true;
}

/* Throws the rest of a request away that we answered ourselves. */
bool sl_exchange_step_drain(sl_exchange *x)
{
    sl_view v;
    size_t len;
    size_t used;
    if (x->req.done) {
        sl_exchange_finish(x);
        return true;
    }
    int r = sl_side_view(x->gw, &x->client, &v);
    if (r == -EAGAIN) {
        return false;
    }
    if (r > 0) {
        r = sl_body_take(&x->req, v.data, v.len, &len, &used);
    } else {
        r = -ECONNRESET;
    }
    if (r < 0 || x->req.bytes > SL_DRAIN_MAX || sl_side_keep(&x->client, &v, used, false) < 0) {
        x->linger = true;
        sl_exchange_go(x, SL_EXCHANGE_FLUSH);
    }
    return true;
}

/* While a response is on its way nothing is asked of the client, but its end is noticed. */
void sl_exchange_watch_client(sl_exchange *x)
{
    if (x->client.in.len > 0 || x->client.eof) {
        return;
    }
    ssize_t n = sl_conn_recv(x->client.conn, x->gw->scratch, SL_SCRATCH_SIZE);
    if (n > 0) {
        if (sl_buf_append(&x->client.in, x->gw->scratch, (size_t)n) < 0) {
            sl_exchange_break(x);
        }
    } else if (n == 0) {
        x->client.eof = true; /* it may only have said its last word: give it its answer */
        x->client_keep = false;
        x->flow->deadline_ms = uv_now(x->gw->loop) + SL_TIMEOUT_GONE_MS;
    } else if (n != -EAGAIN) {
        sl_exchange_log(x, "client_gone", NULL);
        sl_exchange_break(x);
    }
}
