/* Owns the way down: reading the upstream's response and writing it anew to the client. What the
 * upstream says beyond one response to one request never reaches anybody. */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "core/util.h"
#include "http/h1/exchange_int.h"
#include "net/tls/tls.h"

/* RFC 9112 section 6.3: how long the body is. */
static enum sl_body_kind body_kind(const sl_exchange *x, const sl_h1_head *h)
{
    if (strcmp(x->request.method, "HEAD") == 0 || h->status == 204 || h->status == 304) {
        return SL_BODY_NONE;
    }
    if (h->chunked) {
        return SL_BODY_CHUNKED;
    }
    return h->has_length ? SL_BODY_LENGTH : SL_BODY_CLOSE;
}

static int protocol_error(sl_exchange *x, const char *why)
{
    sl_exchange_upstream_failed(x, "protocol", why);
    return -EPROTO;
}

/* 1xx: passed on to those who know them, a bounded number of times. */
static int take_interim(sl_exchange *x, const sl_h1_head *h)
{
    if (++x->interim > SL_INTERIM_MAX || h->chunked || h->has_length) {
        return protocol_error(
            x, "too many interim responses, or one with a body (RFC 9110 section 15.2)");
    }
    if (!x->facts.one_one) {
        return 0;
    }
    sl_h1_framing none = {.chunked = false};
    if (sl_h1_write_response(&x->room->wire, h, &none) < 0) {
        return protocol_error(x, "interim response too large");
    }
    return 0;
}

/* The client's side of the framing, and what becomes of both connections. */
static int write_head(sl_exchange *x, const sl_h1_head *h, enum sl_body_kind kind)
{
    sl_h1_framing f = {0};
    sl_body_done(&x->resp);
    sl_body_init(&x->resp, kind, h->length);
    x->resp.chunk.padded = true;
    if (kind == SL_BODY_CLOSE || (kind == SL_BODY_CHUNKED && !x->facts.one_one)) {
        /* the end of the connection is the end of the body */
        sl_exchange_end_client(x, SL_CLIENT_CLOSE);
    } else if (kind == SL_BODY_CHUNKED) {
        f.chunked = x->resp.chunk_out = true;
    } else {
        f.has_length = h->has_length && h->status != 204;
        f.length = h->length;
    }
    if (h->binding_auth) {
        x->bound = true;
        sl_exchange_end_upstream(x, SL_UPSTREAM_OWN);
    }
    if (!h->keep_alive || kind == SL_BODY_CLOSE) {
        sl_exchange_end_upstream(x, SL_UPSTREAM_CLOSE);
    }
    if (x->up != SL_H1_UP_DONE) {
        sl_exchange_end_client(x, SL_CLIENT_CLOSE);
    }
    f.close = x->client_end != SL_CLIENT_KEEP;
    f.keep_alive = !f.close && !x->facts.one_one;
    x->request.status = h->status;
    return sl_h1_write_response(&x->room->wire, h, &f);
}

/* RFC 6455 section 4.1: 101 that does not answer what was asked begins no tunnel. Until here the
 * client's bytes were kept, and what stands behind this head goes nowhere. */
static int take_switch(sl_exchange *x, const sl_h1_head *h)
{
    const char *why = x->facts.websocket ? sl_h1_handshake_refuses(&x->handshake, h)
                                         : "101 without being asked (RFC 9110 section 15.2.2)";
    if (why != NULL) {
        return protocol_error(x, why);
    }
    sl_h1_handshake_done(&x->handshake);
    sl_h1_framing framing = {.upgrade = true};
    x->request.status = 101;
    sl_exchange_end_upstream(x, SL_UPSTREAM_CLOSE);
    if (sl_h1_write_response(&x->room->wire, h, &framing) < 0) {
        return protocol_error(x, "response head too large");
    }
    sl_exchange_down(x, SL_H1_DOWN_SWITCH);
    return 0;
}

/* A complete head. 0: the final one, 1: an interim one, or -errno with the exchange gone on. */
static int take_head(sl_exchange *x, const uint8_t *data, size_t len)
{
    sl_h1_head *h = &x->room->head;
    const char *why = "malformed response (RFC 9112 section 2.1)";
    if (sl_head_check_response(data, len, &why) != SL_HEAD_OK) {
        return protocol_error(x, why);
    }
    if (sl_h1_parse(data, len, true, h) < 0) {
        return protocol_error(x, "malformed response (RFC 9112 section 2.1)");
    }
    if (h->status == 101) {
        return take_switch(x, h);
    }
    if (h->status < 200) {
        int r = take_interim(x, h);
        return r < 0 ? r : 1;
    }
    sl_failure uncertified;
    if (sl_failure_uncertified(x->upstream.conn, h->status, &uncertified)) {
        sl_flow_fail(x->flow, "tls", &uncertified);
    }
    if (write_head(x, h, body_kind(x, h)) < 0) {
        return protocol_error(x, "response head too large");
    }
    return 0;
}

/* Looks for the head in the view. 0: found and written to the gateway's wire; -EAGAIN: more bytes
 * are needed or an interim one was passed; -EPROTO. */
static int step_head(sl_exchange *x, const sl_view *v, size_t *ret_used)
{
    size_t len = 0;
    sl_exchange_down(x, SL_H1_DOWN_HEAD);
    sl_buf_consume(&x->room->wire, x->room->wire.len);
    for (;;) {
        enum sl_head_result r = sl_head_scan_next(&x->response_scan, v->data + *ret_used,
                                                  v->len - *ret_used, true, &len);
        if (r == SL_HEAD_MORE) {
            return -EAGAIN;
        }
        if (r != SL_HEAD_OK) {
            return protocol_error(x, x->response_scan.why);
        }
        memset(&x->response_scan, 0, sizeof(x->response_scan));
        int taken = take_head(x, v->data + *ret_used, len);
        *ret_used += len;
        if (taken <= 0) {
            return taken;
        }
        if (*ret_used == v->len) {
            return -EAGAIN;
        }
    }
}

/* What 1xx wrote goes out although the final head is not here. */
static void send_interim(sl_exchange *x)
{
    sl_buf *wire = &x->room->wire;
    struct iovec iov = {sl_buf_head(wire), wire->len};
    if (wire->len > 0 && sl_side_send(&x->client, &iov, 1) < 0) {
        sl_exchange_log(x, "client_gone", NULL);
        sl_exchange_break(x);
    }
}

static void upstream_ended(sl_exchange *x, int error)
{
    if (x->down == SL_H1_DOWN_BODY && x->resp.kind == SL_BODY_CLOSE &&
        (error == 0 || sl_tls_cut(x->upstream.conn))) {
        if (error != 0) { /* without close_notify the client gets none either, and judges itself */
            sl_exchange_end_client(x, SL_CLIENT_BREAK);
        }
        sl_exchange_finish(x);
        return;
    }
    sl_exchange_upstream_failed(x, "protocol",
                                x->down != SL_H1_DOWN_NONE
                                    ? "the response ended early (RFC 9112 section 8)"
                                    : "the connection was closed without a response");
}

static bool splice_response(sl_exchange *x)
{
    int r = sl_body_splice(&x->resp, &x->upstream, &x->client);
    if (r == -EPIPE) {
        sl_exchange_log(x, "client_gone", NULL);
        sl_exchange_break(x);
        return true;
    }
    if (r < 0) {
        upstream_ended(x, r);
        return true;
    }
    if (x->resp.done) {
        sl_exchange_finish(x);
    }
    return r > 0;
}

/* Body bytes, behind the head when that was found in the same view. */
static void send_body(sl_exchange *x, const sl_view *v, size_t used, const sl_buf *head)
{
    size_t len = 0;
    size_t taken = 0;
    int r = 0;
    if (!x->resp.done) {
        r = sl_body_take(&x->resp, v->data + used, v->len - used, &len, &taken);
    }
    if (r < 0) {
        (void)protocol_error(x, "malformed chunked response (RFC 9112 section 7.1)");
        return;
    }
    r = sl_body_send(x->room, &x->resp, &x->client, head, v->data + used, len);
    if (r == -EBADMSG) { /* nothing of it was sent */
        (void)protocol_error(x, "malformed trailer (RFC 9112 section 7.1.2)");
        return;
    }
    if (r < 0) {
        sl_exchange_log(x, "client_gone", NULL);
        sl_exchange_break(x);
        return;
    }
    if (x->down == SL_H1_DOWN_HEAD) {
        sl_exchange_down(x, SL_H1_DOWN_BODY);
    }
    if (sl_side_keep(&x->upstream, v, used + taken, false) < 0) {
        sl_exchange_break(x);
        return;
    }
    if (x->down == SL_H1_DOWN_SWITCH) {
        sl_exchange_go(x, SL_EXCHANGE_TUNNEL);
    } else if (x->resp.done) {
        sl_exchange_finish(x);
    }
}

bool sl_exchange_step_response(sl_exchange *x)
{
    sl_view v;
    size_t used = 0;
    if (x->down > SL_H1_DOWN_BODY || x->client.blocked || x->upstream.conn == NULL) {
        return false;
    }
    if (x->down == SL_H1_DOWN_BODY && sl_body_may_splice(&x->resp, &x->upstream, &x->client)) {
        return splice_response(x);
    }
    int r = sl_side_view(x->gw, &x->upstream, &v);
    if (r == -EAGAIN) {
        return false;
    }
    if (r <= 0) {
        upstream_ended(x, r);
        return true;
    }
    const sl_buf *head = NULL;
    if (x->down != SL_H1_DOWN_BODY) {
        r = step_head(x, &v, &used);
        if (r == -EAGAIN) {
            send_interim(x);
            if (x->state == SL_EXCHANGE_RELAY && sl_side_keep(&x->upstream, &v, used, true) < 0) {
                sl_exchange_break(x);
            }
            return true;
        }
        if (r < 0) {
            return true;
        }
        sl_buf_consume(&x->wire, x->wire.len);
        head = &x->room->wire;
    }
    send_body(x, &v, used, head);
    return true;
}
