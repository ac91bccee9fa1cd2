/* Owns what is told of a request: one line in the log, whatever becomes of it. Never knows by which
 * protocol it came. */
#include "http/request.h"

#include <stdio.h>
#include <string.h>

#include "core/util.h"
#include "http/audit.h"
#include "http/gateway.h"
#include "http/why/doubt.h"

void sl_request_init(sl_request *r, sl_flow *flow)
{
    *r = (sl_request){.flow = flow};
    sl_buf_init(&r->url, 2 * SL_TARGET_MAX);
}

void sl_request_done(sl_request *r)
{
    sl_buf_done(&r->url);
}

void sl_request_begin(sl_request *r, const char *method)
{
    sl_buf_consume(&r->url, r->url.len);
    r->open = true;
    if (!r->flow->asked) {
        r->flow->asked = true;
        sl_doubt_clear(r->flow);
    }
    r->method = method;
    r->rule = NULL;
    r->status = 0;
    r->started_ms = uv_now(r->flow->gw->loop);
}

void sl_request_forget(sl_request *r)
{
    sl_buf_consume(&r->url, r->url.len);
    r->method = NULL;
}

const char *sl_request_url(const sl_request *r)
{
    return r->url.len > 0 ? (const char *)sl_buf_head(&r->url) : "";
}

static void write_line(sl_request *r, const char *reason, const char *detail, bool allow,
                       uint64_t bytes_out, uint64_t bytes_in)
{
    char host[SL_HOST_NAME_MAX];
    sl_flow *flow = r->flow;
    r->open = false;
    sl_audit_event e = {
        .allow = allow,
        .pid = flow->process.pid,
        .exe = flow->process.exe,
        .kind = r->status == 101 ? "websocket" : "http",
        .method = r->method,
        .url = sl_request_url(r),
        .host = sl_flow_host(flow, host),
        .port = flow->target.port,
        .peer = &r->peer,
        .status = r->status,
        .rule = r->rule,
        .reason = reason,
        .detail = detail,
        .bytes_out = bytes_out,
        .bytes_in = bytes_in,
        .duration_ms = uv_now(flow->gw->loop) - r->started_ms,
        .timed = true,
    };
    SL_FLOW_TRACE(flow, SL_TRACE_HTTP, "%s, status %u, %llu bytes up, %llu down",
                  reason != NULL ? reason : "complete", r->status, (unsigned long long)bytes_out,
                  (unsigned long long)bytes_in);
    sl_audit_write(flow->gw->audit, &e);
    sl_audit_count(flow->gw->audit, e.allow, bytes_out, bytes_in);
}

void sl_request_log(sl_request *r, const char *reason, const char *detail, uint64_t bytes_out,
                    uint64_t bytes_in)
{
    if (r->open) {
        write_line(r, reason, detail, true, bytes_out, bytes_in);
    }
}

void sl_request_fail(sl_request *r, const sl_failure *failure, uint64_t bytes_out,
                     uint64_t bytes_in)
{
    bool denied = sl_failure_is_denial(failure);
    if (!r->open) {
        return;
    }
    write_line(r, failure->reason, failure->detail, !denied, bytes_out, bytes_in);
    if (denied) { /* by host: all its requests have the same fate */
        sl_flow_hint(r->flow, r->flow->target.tls ? "tls" : "http", failure, &r->peer);
    }
}

static void describe_reason(const sl_judged *j, char out[SL_DENIAL_WHY_MAX])
{
    if (j->allow_with[0] != '\0') {
        out[0] = '\0'; /* the option says it all */
    } else if (j->rule != NULL) {
        snprintf(out, SL_DENIAL_WHY_MAX, "the deny rule '%s', which no option overrules", j->rule);
    } else {
        snprintf(out, SL_DENIAL_WHY_MAX, "%s", sl_denial_reason(j->reason));
    }
}

void sl_request_deny(sl_request *r, const sl_judged *j)
{
    char what[SL_SUGGESTION_MAX];
    char host[SL_HOST_NAME_MAX];
    sl_flow *flow = r->flow;
    const char *url = sl_request_url(r);
    sl_audit_event e = {
        .pid = flow->process.pid,
        .exe = flow->process.exe,
        .kind = "http",
        .method = r->method,
        .url = url,
        .host = sl_flow_host(flow, host),
        .port = flow->target.port,
        .status = j->status,
        .rule = j->rule,
        .reason = j->reason,
        .nearest = j->nearest,
    };
    r->open = false;
    flow->asked = true;
    sl_audit_write(flow->gw->audit, &e);
    sl_audit_count(flow->gw->audit, false, 0, 0);
    size_t plain = strcspn(url, "?"); /* a query may hold a secret: not for the summary */
    const char *method = r->method != NULL ? r->method : "?";
    if (plain > 0) {
        snprintf(what, sizeof(what), "%s %.*s", method, (int)plain, url);
    } else {
        snprintf(what, sizeof(what), "%s %s:%u", method, e.host, e.port);
    }
    char why[SL_DENIAL_WHY_MAX];
    describe_reason(j, why);
    sl_flow_denied(flow, what, j->allow_with, why);
}

bool sl_request_is_idempotent(const char *method)
{
    static const char *const methods[] = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PROPFIND"};
    for (size_t i = 0; i < SL_ARRAY_LEN(methods); i++) {
        if (strcmp(method, methods[i]) == 0) {
            return true;
        }
    }
    return false;
}

bool sl_request_takes_body(const char *method)
{
    return strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0 &&
           strcmp(method, "OPTIONS") != 0;
}
