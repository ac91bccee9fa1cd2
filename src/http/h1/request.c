/* Owns the way up: reading a request, having it judged, sending it on (acquire.c has the
 * upstream's connection). No byte goes up before the whole head was judged. */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "core/util.h"
#include "http/h1/exchange_int.h"
#include "http/judge.h"

static sl_h1_facts facts_of(const sl_h1_head *h)
{
    const sl_http_field *expect = sl_h1_find(h, SL_HTTP_FIELD_EXPECT);
    bool body = h->chunked || (h->has_length && h->length > 0);
    return (sl_h1_facts){
        .one_one = h->one_one,
        .keep = h->keep_alive,
        .idempotent = sl_request_is_idempotent(h->method),
        .websocket = sl_h1_handshake_asks(h), /* every other upgrade is struck out */
        .expects = expect != NULL,
        /* RFC 9110 section 10.1.1: one expectation exists */
        .unexpected = expect != NULL && !sl_http_field_is(expect, "100-continue"),
        .odd_body = body && !sl_request_takes_body(h->method),
        .binds = h->binding_auth,
    };
}

static void begin_exchange(sl_exchange *x, const sl_h1_head *h)
{
    enum sl_body_kind kind = h->chunked      ? SL_BODY_CHUNKED
                             : h->has_length ? SL_BODY_LENGTH
                                             : SL_BODY_NONE;
    sl_request_begin(&x->request, h->method);
    x->facts = facts_of(h);
    x->interim = 0;
    sl_body_done(&x->req);
    sl_body_done(&x->resp);
    sl_body_init(&x->req, kind, h->length);
    sl_body_init(&x->resp, SL_BODY_NONE, 0);
    memset(&x->response_scan, 0, sizeof(x->response_scan));
    sl_exchange_up(x, x->req.done ? SL_H1_UP_DONE : SL_H1_UP_BODY);
    if (!x->facts.keep) {
        sl_exchange_end_client(x, SL_CLIENT_LAST);
    }
}

/* The request as it goes up, kept until the response begins. */
static int write_request(sl_exchange *x, const sl_h1_head *h, const sl_judged *j)
{
    sl_h1_framing framing = {
        .chunked = x->req.kind == SL_BODY_CHUNKED,
        .has_length = h->has_length,
        .length = h->length,
        .upgrade = x->facts.websocket,
        /* A server that overlooks this body must not take it for a request (HTTP-14). */
        .close = x->facts.odd_body,
    };
    x->req.chunk_out = framing.chunked;
    sl_buf_consume(&x->wire, x->wire.len);
    return sl_h1_write_request(&x->wire, h, j->authority, j->sent, j->query, &framing);
}

/* RFC 9112 section 3.2: origin, absolute and asterisk form; the others are no targets here. */
static void say_words(const sl_h1_head *h, bool tls, sl_request_words *ret)
{
    const sl_http_field *host = sl_h1_find(h, SL_HTTP_FIELD_HOST);
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
    sl_judged j;
    sl_request_words words;
    say_words(h, x->flow->target.tls, &words);
    sl_judge_request(&x->request, &words, &j);
    if (!j.allow) {
        sl_reply_denied(x, &j);
        return;
    }
    if (x->facts.unexpected) {
        sl_reply_status(x, 417, "unknown expectation");
        return;
    }
    x->request.rule = j.rule;
    x->bound |= x->facts.binds;
    if ((x->facts.websocket && sl_h1_handshake_keep(&x->handshake, h) < 0) ||
        write_request(x, h, &j) < 0) {
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

/* ---- the body ---- */

/* Its end was read: the next byte is another request's. */
static void note_end(sl_exchange *x)
{
    if (x->req.done) {
        sl_exchange_up(x, SL_H1_UP_DONE);
    }
}

/* It may have answered early, so its response is read all the same. What the client still sends has
 * no taker, and its connection ends behind the response. */
void sl_exchange_upstream_deaf(sl_exchange *x)
{
    x->upstream.blocked = false;
    sl_buf_consume(&x->upstream.out, x->upstream.out.len);
    if (x->up == SL_H1_UP_BODY) {
        sl_exchange_up(x, SL_H1_UP_DROPPED);
    }
    sl_exchange_end_client(x, SL_CLIENT_CLOSE);
    sl_exchange_end_upstream(x, SL_UPSTREAM_CLOSE);
}

static bool splice_body(sl_exchange *x)
{
    int r = sl_body_splice(&x->req, &x->client, &x->upstream);
    if (r == -EPIPE) {
        sl_exchange_upstream_deaf(x);
        return true;
    }
    if (r < 0) {
        sl_exchange_log(x, "client_gone", NULL);
        sl_exchange_break(x);
        return true;
    }
    note_end(x);
    return r > 0;
}

/* Half a request is up there: end both, and the upstream sees that it is incomplete. */
static void refuse_body(sl_exchange *x, unsigned status, const char *why)
{
    sl_exchange_drop_upstream(x);
    if (x->down >= SL_H1_DOWN_BODY) {
        sl_exchange_break(x);
        return;
    }
    sl_exchange_end_client(x, SL_CLIENT_LAST); /* what follows cannot be read as requests */
    sl_reply_status(x, status, why);
}

bool sl_exchange_step_body(sl_exchange *x)
{
    sl_view v;
    size_t len;
    size_t used;
    if (x->up != SL_H1_UP_BODY || x->upstream.blocked || x->upstream.conn == NULL) {
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
    note_end(x);
    if (r < 0) {
        sl_exchange_upstream_deaf(x);
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
    if (x->up == SL_H1_UP_DONE) {
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
        sl_exchange_end_client(x, SL_CLIENT_LINGER);
        sl_exchange_go(x, SL_EXCHANGE_FLUSH);
        return true;
    }
    note_end(x);
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
        sl_conn_probe_peer(x->client.conn);
        sl_exchange_end_client(x, SL_CLIENT_LAST);
        x->flow->deadline_ms = uv_now(x->gw->loop) + SL_TIMEOUT_GONE_MS;
    } else if (n != -EAGAIN) {
        sl_exchange_log(x, "client_gone", NULL);
        sl_exchange_break(x);
    }
}
