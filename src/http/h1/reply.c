/* Owns the sending of our own answers on an HTTP/1 connection, and whether it goes on behind one.
 * Never decides what is answered. */
#include <string.h>

#include "http/answer.h"
#include "http/h1/exchange_int.h"

/* Whether the connection can go on after an answer that did not read the request's body. */
static bool can_drain(const sl_exchange *x)
{
    return x->client_end < SL_CLIENT_LAST && !x->facts.expects && !x->client.eof &&
           (x->up == SL_H1_UP_DONE || x->req.kind == SL_BODY_CHUNKED ||
            x->req.left <= SL_DRAIN_MAX);
}

static void send_answer(sl_exchange *x, const sl_http_answer *a, bool keep)
{
    sl_buf *head = &x->room->wire;
    bool no_body = x->request.method != NULL && strcmp(x->request.method, "HEAD") == 0;
    sl_buf_consume(head, head->len);
    (void)sl_buf_printf(head,
                        "HTTP/1.1 %u %s\r\nContent-Type: " SL_ANSWER_TYPE "\r\n"
                        "Content-Length: %zu\r\n%s%s%s\r\n",
                        a->status, sl_http_answer_phrase(a->status), a->body.len,
                        a->verdict ? "Sandlock-Verdict: " SL_ANSWER_VERDICT "\r\n" : "",
                        a->status == 405 ? "Allow: " SL_ANSWER_METHODS "\r\n" : "",
                        !keep              ? "Connection: close\r\n"
                        : x->facts.one_one ? ""
                                           : "Connection: keep-alive\r\n");
    struct iovec iov[2] = {{sl_buf_head(head), head->len}, {sl_buf_head(&a->body), a->body.len}};
    x->request.status = a->status;
    SL_FLOW_TRACE(x->flow, SL_TRACE_HTTP, "an answer of ours, %u, and the connection %s", a->status,
                  keep ? "goes on" : "ends");
    sl_exchange_down(x, SL_H1_DOWN_DONE);
    if (sl_side_send(&x->client, iov, no_body ? 1 : 2) < 0) {
        sl_exchange_break(x);
        return;
    }
    if (keep) {
        if (x->up != SL_H1_UP_DONE) {
            sl_exchange_up(x, SL_H1_UP_DRAIN);
        }
        sl_exchange_go(x, SL_EXCHANGE_DRAIN);
    } else {
        sl_exchange_end_client(x, SL_CLIENT_LINGER);
        sl_exchange_go(x, SL_EXCHANGE_FLUSH);
    }
}

void sl_reply_denied(sl_exchange *x, const sl_judged *j)
{
    sl_http_answer a;
    sl_http_answer_denied(&x->request, j, &a);
    sl_request_deny(&x->request, j);
    send_answer(x, &a, !j->malformed && can_drain(x));
    sl_http_answer_done(&a);
}

static void refuse(sl_exchange *x, unsigned status, bool keep, const char *why)
{
    sl_judged j = {.status = status, .malformed = true, .reason = why};
    sl_http_answer a;
    sl_http_answer_refused(status, why, &a);
    sl_request_deny(&x->request, &j);
    send_answer(x, &a, keep);
    sl_http_answer_done(&a);
}

void sl_reply_malformed(sl_exchange *x, unsigned status, const char *why)
{
    sl_request_forget(&x->request);
    refuse(x, status, false, why);
}

void sl_reply_status(sl_exchange *x, unsigned status, const char *why)
{
    refuse(x, status, can_drain(x), why);
}

void sl_reply_failed(sl_exchange *x, const sl_failure *failure)
{
    sl_http_answer a;
    sl_http_answer_failed(&x->request, failure, &a);
    x->request.status = a.status;
    sl_request_fail(&x->request, failure, x->req.bytes + x->relay.up.bytes,
                    x->resp.bytes + x->relay.down.bytes);
    /* After nonsense from upstream nothing more is tried on this connection. */
    send_answer(x, &a, strcmp(failure->reason, "protocol") != 0 && can_drain(x));
    sl_http_answer_done(&a);
}
