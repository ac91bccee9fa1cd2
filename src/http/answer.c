/* Owns our own responses: denials, refusals of malformed requests, upstream failures. They are JSON
 * of INTERFACES, and they tell the child nothing that the policy's own words do not. */
#include <stdio.h>
#include <string.h>

#include "core/json.h"
#include "core/util.h"
#include "http/h1/exchange_int.h"

#define BODY_MAX (192u << 10)

static const char *reason_of(unsigned status)
{
    switch (status) {
    case 400:
        return "Bad Request";
    case 403:
        return "Forbidden";
    case 405:
        return "Method Not Allowed";
    case 408:
        return "Request Timeout";
    case 414:
        return "URI Too Long";
    case 417:
        return "Expectation Failed";
    case 421:
        return "Misdirected Request";
    case 431:
        return "Request Header Fields Too Large";
    case 502:
        return "Bad Gateway";
    case 505:
        return "HTTP Version Not Supported";
    default:
        return "Error";
    }
}

/* Whether the connection can go on after an answer that did not read the request's body. */
static bool can_drain(const sl_exchange *x)
{
    return x->client_keep && !x->expects && !x->client.eof &&
           (x->req.done || x->req.kind == SL_BODY_CHUNKED || x->req.left <= SL_DRAIN_MAX);
}

static void send_answer(sl_exchange *x, unsigned status, bool verdict, bool keep,
                        const sl_buf *body)
{
    sl_buf *head = &x->room->wire;
    bool no_body = x->method != NULL && strcmp(x->method, "HEAD") == 0;
    sl_buf_consume(head, head->len);
    (void)sl_buf_printf(
        head,
        "HTTP/1.1 %u %s\r\nContent-Type: application/json\r\n"
        "Content-Length: %zu\r\n%s%s%s\r\n",
        status, reason_of(status), body->len, verdict ? "Sandlock-Verdict: deny\r\n" : "",
        status == 405 ? "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n" : "",
        !keep               ? "Connection: close\r\n"
        : x->client_one_one ? ""
                            : "Connection: keep-alive\r\n");
    struct iovec iov[2] = {{sl_buf_head(head), head->len}, {sl_buf_head(body), body->len}};
    x->status = status;
    x->head_sent = true;
    x->resp.done = true;
    if (sl_side_send(&x->client, iov, no_body ? 1 : 2) < 0) {
        sl_exchange_break(x);
        return;
    }
    if (keep) {
        x->flow->deadline_ms = 0;
        sl_exchange_go(x, SL_EXCHANGE_DRAIN);
    } else {
        x->linger = true;
        sl_exchange_go(x, SL_EXCHANGE_FLUSH);
    }
}

static void log_denial(sl_exchange *x, const sl_judged *j)
{
    char what[SL_SUGGESTION_MAX];
    sl_flow *flow = x->flow;
    const char *url = x->url.len > 0 ? (const char *)sl_buf_head(&x->url) : "";
    char host[SL_HOST_NAME_MAX];
    sl_audit_event e = {
        .process = &flow->process,
        .kind = "http",
        .method = x->method,
        .url = url,
        .host = sl_flow_host(flow, host),
        .port = flow->target.port,
        .status = j->status,
        .rule = j->rule,
        .reason = j->reason,
        .nearest = j->nearest,
    };
    sl_audit_write(flow->gw->audit, &e);
    sl_audit_count(flow->gw->audit, false, 0, 0);
    size_t plain = strcspn(url, "?");
    snprintf(what, sizeof(what), "%s %.*s", x->method != NULL ? x->method : "?", (int)plain, url);
    sl_audit_denied(flow->gw->audit, what, j->allow_with);
}

void sl_answer_denied(sl_exchange *x, const sl_h1_head *head, const sl_judged *j)
{
    sl_buf body;
    sl_buf_init(&body, BODY_MAX);
    (void)sl_buf_append_str(&body, "{");
    (void)sl_json_member(&body, "error", j->status == 400 ? "bad_request" : "denied_by_sandlock");
    (void)sl_json_member(&body, "method", head->method);
    (void)sl_json_member(&body, "url", x->url.len > 0 ? (char *)sl_buf_head(&x->url) : "");
    (void)sl_json_member(&body, "reason", j->reason);
    (void)sl_json_member(&body, "rule", j->rule);
    (void)sl_json_member(&body, "nearest", j->nearest);
    (void)sl_json_member(&body, "allow_with", j->allow_with[0] != '\0' ? j->allow_with : NULL);
    (void)sl_buf_append_str(&body, "}\n");
    log_denial(x, j);
    send_answer(x, j->status, true, !j->malformed && can_drain(x), &body);
    sl_buf_done(&body);
}

static void refuse_early(sl_exchange *x, unsigned status, bool keep, const char *why)
{
    sl_judged j = {.status = status, .malformed = true, .reason = why};
    sl_buf body;
    sl_buf_init(&body, BODY_MAX);
    (void)sl_buf_append_str(&body, "{");
    (void)sl_json_member(&body, "error", "bad_request");
    (void)sl_json_member(&body, "reason", why);
    (void)sl_buf_append_str(&body, "}\n");
    log_denial(x, &j);
    send_answer(x, status, true, keep, &body);
    sl_buf_done(&body);
}

void sl_answer_malformed(sl_exchange *x, unsigned status, const char *why)
{
    sl_buf_consume(&x->url, x->url.len);
    x->method = NULL;
    x->client_keep = false;
    refuse_early(x, status, false, why);
}

void sl_answer_status(sl_exchange *x, unsigned status, const char *why)
{
    refuse_early(x, status, can_drain(x), why);
}

void sl_answer_failed(sl_exchange *x, const char *reason, const char *detail)
{
    sl_buf body;
    sl_buf_init(&body, BODY_MAX);
    (void)sl_buf_append_str(&body, "{");
    (void)sl_json_member(&body, "error", "upstream_failed");
    (void)sl_json_member(&body, "method", x->method);
    (void)sl_json_member(&body, "reason", reason);
    (void)sl_json_member(&body, "detail", detail);
    (void)sl_buf_append_str(&body, "}\n");
    x->status = 502;
    sl_exchange_log(x, reason, detail);
    /* After nonsense from upstream nothing more is tried on this connection. */
    bool keep = strcmp(reason, "protocol") != 0 && can_drain(x);
    send_answer(x, 502, false, keep, &body);
    sl_buf_done(&body);
}
