/* Owns the verdict on one request, and the words that help when it is denied: the nearest rule and
 * the flag that would allow it. Pure. Deny rules, allow rules, deny. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "policy/http/path.h"
#include "policy/text/suggest.h"
#include "policy/verdict.h"
#include "policy/verdict_int.h"

/* ---- the nearest rule ---- */

static size_t common_prefix(const char *a, const char *b)
{
    size_t n = 0;
    while (a[n] != '\0' && a[n] == b[n]) {
        n++;
    }
    return n;
}

/* The last two labels of a name: who runs it, near enough for a hint. */
static const char *last_labels(const char *name)
{
    const char *p = name + strlen(name);
    int dots = 0;
    while (p > name && !(p[-1] == '.' && ++dots == 2)) {
        p--;
    }
    return p;
}

/* Does a rule of another host deserve to be shown? */
static bool host_is_near(const sl_host_pattern *host, const sl_http_view *view)
{
    if (view->host_is_addr || (host->kind != SL_HOST_NAME && host->kind != SL_HOST_WILDCARD)) {
        return false;
    }
    size_t distance = sl_suggest_distance(host->name, view->host);
    return strcmp(last_labels(host->name), last_labels(view->host)) == 0 ||
           (distance != SIZE_MAX && distance <= 2);
}

/* Higher is nearer; 0: not worth showing. Host before port and scheme before path before method. */
static unsigned nearness(const sl_http_rule *rule, const sl_http_view *view, unsigned parts)
{
    if ((parts & SL_HTTP_PART_HOST) == 0 && !host_is_near(&rule->host, view)) {
        return 0;
    }
    unsigned score = 1;
    score += (parts & SL_HTTP_PART_HOST) != 0 ? 4096 : 0;
    score += (parts & SL_HTTP_PART_PORT) != 0 ? 2048 : 0;
    score += (parts & SL_HTTP_PART_SCHEME) != 0 ? 1024 : 0;
    score += (parts & SL_HTTP_PART_METHOD) != 0 ? 200 : 0;
    score += (parts & SL_HTTP_PART_QUERY) != 0 ? 20 : 0;
    if ((parts & SL_HTTP_PART_PATH) != 0) {
        score += 512;
    } else {
        score += (unsigned)SL_MIN(common_prefix(rule->path, view->path), (size_t)255);
    }
    return score;
}

static const char *first_difference(unsigned parts)
{
    static const struct {
        unsigned part;
        const char *reason;
    } order[] = {
        {SL_HTTP_PART_HOST, "host"},     {SL_HTTP_PART_PORT, "port"},
        {SL_HTTP_PART_SCHEME, "scheme"}, {SL_HTTP_PART_METHOD, "method"},
        {SL_HTTP_PART_PATH, "path"},     {SL_HTTP_PART_QUERY, "query"},
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(order); i++) {
        if ((parts & order[i].part) == 0) {
            return order[i].reason;
        }
    }
    return "no_rule";
}

static void find_nearest(const sl_policy *p, const sl_http_view *view, bool port_is_http,
                         sl_http_verdict *ret)
{
    unsigned best = 0;
    ret->reason = p->http_allow_count == 0 ? "no_rule" : "host";
    for (size_t i = 0; i < p->http_allow_count; i++) {
        const sl_http_rule *rule = &p->http_allow[i];
        unsigned parts = sl_http_rule_match(rule, view, port_is_http);
        unsigned score = nearness(rule, view, parts);
        if (score > best) {
            best = score;
            ret->nearest = rule->text;
            ret->reason = first_difference(parts);
        }
    }
}

/* ---- the flag that would allow it ---- */

/* The path as a rule writes it: a star of the request is no wildcard. Returns the length, or 0 when
 * it does not fit. */
static size_t rule_path(const char *path, char *out, size_t size)
{
    size_t n = 0;
    for (; *path != '\0'; path++) {
        const char *piece = *path == '*' ? "%2A" : path;
        size_t len = *path == '*' ? 3 : 1;
        if (n + len >= size) {
            return 0;
        }
        memcpy(out + n, piece, len);
        n += len;
    }
    out[n] = '\0';
    return n;
}

static void suggest(const sl_http_view *view, bool port_is_http, char ret[SL_SUGGESTION_MAX])
{
    char port[8] = "";
    char path[SL_SUGGESTION_MAX] = "";
    char word[SL_SUGGESTION_MAX * 2];
    ret[0] = '\0';
    if (!sl_http_method_valid(view->method)) {
        return;
    }
    if (!port_is_http) {
        snprintf(port, sizeof(port), ":%u", view->port);
    }
    bool v6 = view->host_is_addr && strchr(view->host, ':') != NULL;
    bool whole = view->path[0] != '/' ||
                 (!view->path_unclear && rule_path(view->path, path, sizeof(path)) > 0 &&
                  (!sl_http_path_is_odd(path) || sl_http_path_reads(path, view->path, false)));
    snprintf(word, sizeof(word), v6 ? "%s [%s]%s%s" : "%s %s%s%s", view->method, view->host, port,
             view->path[0] == '/' ? path : "");
    if (!whole || sl_suggest_option("--http-allow", word, ret, SL_SUGGESTION_MAX) < 0) {
        /* Too long to paste: any path of that host says it in one line. */
        snprintf(word, sizeof(word), v6 ? "%s [%s]%s/*" : "%s %s%s/*", view->method, view->host,
                 port);
        (void)sl_suggest_option("--http-allow", word, ret, SL_SUGGESTION_MAX);
    }
}

/* ---- the verdict ---- */

static const char *denied_by(const sl_policy *p, const sl_http_view *view, const sl_dest *dest,
                             bool port_is_http)
{
    const sl_net_rule *net = sl_verdict_net_denied(p, dest);
    if (net != NULL) {
        return net->text;
    }
    for (size_t i = 0; i < p->http_deny_count; i++) {
        if (sl_http_rule_denies(&p->http_deny[i], view, port_is_http)) {
            return p->http_deny[i].text;
        }
    }
    return NULL;
}

static bool allowed_by(const sl_policy *p, const sl_http_view *view, const sl_dest *dest,
                       bool port_is_http, const char **ret_rule)
{
    *ret_rule = NULL;
    for (size_t i = 0; i < p->http_allow_count; i++) {
        if (sl_http_rule_match(&p->http_allow[i], view, port_is_http) == SL_HTTP_PART_ALL) {
            *ret_rule = p->http_allow[i].text;
            return true;
        }
    }
    /* A net rule names the host and no HTTP allow rule narrows it: only deny rules were meant. */
    if (sl_verdict_http_concerns(p, dest) == NULL) {
        *ret_rule = sl_verdict_net_allowed(p, dest);
    }
    return *ret_rule != NULL || sl_verdict_http_default(p, dest);
}

void sl_policy_judge_http(const sl_policy *p, const sl_http_view *view, sl_http_verdict *ret)
{
    bool port_is_http =
        view->port == (view->tls ? 443 : 80) || sl_ports_has(&p->http_ports_given, view->port);
    sl_dest dest = {.proto = SL_PROTO_TCP, .addr = view->addr, .port = view->port};
    dest.name = view->addr.family == 0 ? view->host : NULL;
    *ret = (sl_http_verdict){.allow = false};
    const char *denied = denied_by(p, view, &dest, port_is_http);
    if (denied != NULL) {
        ret->rule = denied;
        ret->reason = "denied_by_rule";
        return;
    }
    if (dest.name != NULL && view->host_is_addr) {
        ret->reason = "host"; /* a literal Host on a flow by name: never what the flow is for */
        return;
    }
    if (allowed_by(p, view, &dest, port_is_http, &ret->rule)) {
        ret->allow = true;
        return;
    }
    ret->rule = NULL;
    find_nearest(p, view, port_is_http, ret);
    suggest(view, port_is_http, ret->allow_with);
}
