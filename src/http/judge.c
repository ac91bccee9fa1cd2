/* Owns the reading of a request's authority and target, and asks the policy. Never lets a request
 * speak for another host than the one its flow was opened for. */
#include "http/judge.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/num.h"
#include "core/util.h"
#include "http/audit.h"
#include "http/gateway.h"

#define PORT_DIGITS_MAX 5

static int parse_port(const char *text, size_t len, uint16_t *ret)
{
    uint64_t value;
    if (len > PORT_DIGITS_MAX || sl_num_parse(text, len, UINT16_MAX, &value) < 0 || value == 0) {
        return -EINVAL;
    }
    *ret = (uint16_t)value;
    return 0;
}

int sl_judge_authority(const char *text, size_t len, char ret_host[SL_HOST_NAME_MAX],
                       sl_addr *ret_addr, uint16_t *ret_port)
{
    char host[SL_HOST_NAME_MAX + 2];
    uint16_t port = 0;
    size_t host_len = len;
    const char *colon = memchr(text, ':', len);
    if (len > 0 && text[0] == '[') { /* RFC 3986 section 3.2.2: an IPv6 literal */
        const char *close = memchr(text, ']', len);
        if (close == NULL) {
            return -EINVAL;
        }
        host_len = (size_t)(close - text) + 1;
        colon = host_len < len ? close + 1 : NULL;
    } else if (colon != NULL) {
        host_len = (size_t)(colon - text);
    }
    if (colon != NULL && (*colon != ':' || parse_port(colon + 1, len - host_len - 1, &port) < 0)) {
        return -EINVAL;
    }
    if (host_len == 0 || host_len >= sizeof(host)) {
        return -EINVAL;
    }
    memcpy(host, text, host_len);
    host[host_len] = '\0';
    sl_addr addr = {0};
    char formatted[SL_ADDR_STR_MAX];
    if (sl_addr_parse(host, &addr) == 0) {
        snprintf(ret_host, SL_HOST_NAME_MAX, "%s", sl_addr_format(&addr, formatted));
    } else if (sl_addr_looks_numeric(host) || sl_host_name_normalise(host, ret_host) < 0) {
        return -EINVAL;
    }
    *ret_addr = addr;
    *ret_port = port;
    return 0;
}

bool sl_judge_names_flow(const sl_target *target, const char *host, const sl_addr *addr)
{
    if (target->name[0] != '\0') {
        return addr->family == 0 && strcmp(target->name, host) == 0;
    }
    if (addr->family != 0) {
        return sl_addr_equal(addr, &target->addr);
    }
    /* "localhost" is answered with a loopback address, which the flow then carries. */
    return sl_host_is_localhost(host) && (sl_addr_classify(&target->addr) & SL_ADDR_LOOPBACK) != 0;
}

static void refuse(sl_judged *j, unsigned status, bool malformed, const char *reason)
{
    j->allow = false;
    j->status = status;
    j->malformed = malformed;
    j->reason = reason;
}

/* RFC 9112 section 3.2: Host, the absolute form and the flow must say the same. False: refused. */
static bool check_authority(const sl_request *r, const sl_request_words *w, sl_judged *j,
                            char *host)
{
    const sl_target *t = &r->flow->target;
    sl_addr addr;
    uint16_t port;
    if (w->authority.text == NULL ||
        sl_judge_authority(w->authority.text, w->authority.len, host, &addr, &port) < 0) {
        refuse(j, 400, true, "malformed Host");
        return false;
    }
    bool asterisk = w->path.text != NULL && w->path.len == 1 && w->path.text[0] == '*';
    if (w->path.text == NULL || (asterisk && strcmp(r->method, "OPTIONS") != 0)) {
        refuse(j, 400, true, "malformed request target");
        return false;
    }
    if (w->again.text != NULL) {
        char other[SL_HOST_NAME_MAX];
        sl_addr other_addr;
        uint16_t other_port;
        if (sl_judge_authority(w->again.text, w->again.len, other, &other_addr, &other_port) < 0 ||
            strcmp(host, other) != 0 ||
            (port == 0 ? t->port : port) != (other_port == 0 ? t->port : other_port)) {
            refuse(j, 400, true, "request target and Host differ");
            return false;
        }
    }
    if (port != 0 && port != t->port) {
        refuse(j, 400, true, "Host names another port");
        return false;
    }
    snprintf(j->authority, sizeof(j->authority), addr.family == 6 ? "[%s]" : "%s", host);
    if (!sl_judge_names_flow(t, host, &addr)) {
        refuse(j, 421, false, "authority"); /* RFC 9110 section 15.5.20 */
        return false;
    }
    return true;
}

/* Copies path and query to the gateway's scratch. */
static bool take_target(sl_gateway *gw, const sl_slice *said, sl_judged *j)
{
    const char *path = said->text;
    const char *end = path + said->len;
    if (said->len > SL_TARGET_MAX) {
        return false;
    }
    const char *mark = memchr(path, '?', (size_t)(end - path));
    size_t path_len = (size_t)((mark != NULL ? mark : end) - path);
    sl_http_path forms = {.normal = gw->path, .sent = gw->sent};
    bool asterisk = path_len == 1 && path[0] == '*';
    if (path_len == 0 || asterisk) { /* "http://host?query" */
        memcpy(gw->path, asterisk ? "*" : "/", 2);
        memcpy(gw->sent, gw->path, 2);
    } else if (sl_http_path_normalise(path, path_len, &forms) < 0) {
        return false;
    }
    j->path = gw->path;
    j->path_unclear = forms.unclear;
    j->sent = gw->sent;
    if (mark != NULL) {
        char *to = gw->query;
        size_t len = (size_t)(end - mark) - 1;
        memcpy(to, mark + 1, len);
        to[len] = '\0';
        j->query = to;
    }
    return true;
}

static void write_url(sl_request *r, const sl_request_words *w, const sl_judged *j)
{
    sl_buf *url = &r->url;
    sl_buf_consume(url, url->len);
    (void)sl_buf_append_str(url, r->flow->target.tls ? "https://" : "http://");
    (void)sl_buf_append_str(url, j->authority);
    if (j->path == NULL) { /* refused before it was understood: as it came */
        if (w->target.len > 0 && w->target.text[0] == '/') {
            (void)sl_buf_append(url, w->target.text, w->target.len);
        }
    } else if (j->path[0] == '/') {
        (void)sl_buf_append_str(url, j->path);
        if (j->query != NULL) {
            (void)sl_buf_append(url, "?", 1);
            (void)sl_buf_append_str(url, j->query);
        }
    }
    (void)sl_buf_append(url, "", 1);
}

static void ask_policy(const sl_request *r, const char *host, sl_judged *j)
{
    const sl_target *t = &r->flow->target;
    sl_addr host_addr;
    sl_http_view view = {
        .tls = t->tls,
        .method = r->method,
        .host = host,
        .host_is_addr = sl_addr_parse(host, &host_addr) == 0,
        .port = t->port,
        .path = j->path,
        .path_unclear = j->path_unclear,
        .query = j->query,
    };
    if (t->name[0] == '\0') {
        view.addr = t->addr;
    }
    sl_http_verdict v = {0};
    sl_policy_judge_http(r->flow->gw->policy, &view, &v);
    j->allow = v.allow;
    j->rule = v.rule;
    if (!v.allow) {
        j->nearest = v.nearest;
        if (j->path_unclear &&
            (strcmp(v.reason, "path") == 0 || strcmp(v.reason, "denied_by_rule") == 0)) {
            /* What would allow it would allow whatever it may mean: no option is suggested. */
            refuse(j, 400, true, "path that has more than one reading");
            return;
        }
        refuse(j, 403, false, v.reason);
        snprintf(j->allow_with, sizeof(j->allow_with), "%s", v.allow_with);
    }
}

static void add_port(const sl_target *t, sl_judged *j)
{
    if (t->port != (t->tls ? 443 : 80)) {
        size_t n = strlen(j->authority);
        snprintf(j->authority + n, sizeof(j->authority) - n, ":%u", t->port);
    }
}

void sl_judge_request(sl_request *request, const sl_request_words *words, sl_judged *ret)
{
    char host[SL_HOST_NAME_MAX] = "";
    const sl_flow *flow = request->flow;
    sl_judged *j = ret;
    *j = (sl_judged){.allow = false};
    /* Neither has a use inside, and both are tunnels or mirrors (RFC 9110 section 9.3). */
    if (strcmp(request->method, "CONNECT") == 0 || strcmp(request->method, "TRACE") == 0) {
        bool v6 = flow->target.name[0] == '\0' && flow->target.addr.family == 6;
        snprintf(j->authority, sizeof(j->authority), v6 ? "[%s]" : "%s", sl_flow_host(flow, host));
        add_port(&flow->target, j);
        refuse(j, 405, true, "method");
    } else if (check_authority(request, words, j, host)) {
        add_port(&flow->target, j);
        if (!take_target(flow->gw, &words->path, j)) {
            refuse(j, 400, true, "path that has more than one reading");
        } else {
            ask_policy(request, host, j);
        }
    }
    /* Not the query: secrets stand there. */
    SL_FLOW_TRACE(flow, SL_TRACE_HTTP, "%s '%s%s': %s, %s '%s'", request->method, j->authority,
                  j->path != NULL ? j->path : "", j->allow ? "allowed" : "denied",
                  j->allow ? "by" : j->reason, j->rule != NULL ? j->rule : "no rule");
    if (!j->allow || sl_audit_logging(flow->gw->audit)) {
        write_url(request, words, j);
    }
}
