/* Owns the text of our own responses. They tell the child nothing that the policy's own words do
 * not. */
#include "http/answer.h"

#include "core/json.h"
#include "http/gateway.h"

#define BODY_MAX (192u << 10)

const char *sl_http_answer_phrase(unsigned status)
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

static sl_buf *begin(sl_http_answer *a, unsigned status, bool verdict, const char *error)
{
    *a = (sl_http_answer){.status = status, .verdict = verdict};
    sl_buf_init(&a->body, BODY_MAX);
    (void)sl_buf_append_str(&a->body, "{");
    (void)sl_json_member(&a->body, "error", error);
    return &a->body;
}

void sl_http_answer_done(sl_http_answer *a)
{
    sl_buf_done(&a->body);
}

void sl_http_answer_denied(const sl_request *r, const sl_judged *j, sl_http_answer *ret)
{
    sl_buf *body =
        begin(ret, j->status, true, j->status == 400 ? "bad_request" : "denied_by_sandlock");
    (void)sl_json_member(body, "method", r->method);
    (void)sl_json_member(body, "url", sl_request_url(r));
    (void)sl_json_member(body, "reason", j->reason);
    (void)sl_json_member(body, "rule", j->rule);
    (void)sl_json_member(body, "nearest", j->nearest);
    (void)sl_json_member(body, "allow_with", j->allow_with[0] != '\0' ? j->allow_with : NULL);
    (void)sl_buf_append_str(body, "}\n");
}

void sl_http_answer_refused(unsigned status, const char *why, sl_http_answer *ret)
{
    sl_buf *body = begin(ret, status, true, "bad_request");
    (void)sl_json_member(body, "reason", why);
    (void)sl_buf_append_str(body, "}\n");
}

void sl_http_answer_failed(const sl_request *r, const sl_failure *failure, sl_http_answer *ret)
{
    char option[SL_SUGGESTION_MAX] = "";
    if (r->flow != NULL && r->flow->gw != NULL) {
        sl_failure_option(r->flow->gw->policy, failure, &r->flow->target, &r->peer, option);
    }
    sl_buf *body = begin(ret, 502, false, "upstream_failed");
    (void)sl_json_member(body, "method", r->method);
    (void)sl_json_member(body, "reason", failure->reason);
    (void)sl_json_member(body, "detail", failure->detail);
    (void)sl_json_member(body, "allow_with", option[0] != '\0' ? option : NULL);
    (void)sl_buf_append_str(body, "}\n");
}
