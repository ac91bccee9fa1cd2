/* Owns the grammar of HTTP rules and the comparison of one request with one rule. Never orders
 * rules and never repairs a malformed one. */
#include "policy/http/rule.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/util.h"
#include "policy/http/path.h"
#include "policy/http/query.h"
#include "policy/ports.h"

#define SHOWN_MAX 160 /* bytes of a rule that an error repeats */

/* The parts of a rule's text while it is taken apart. */
struct parser {
    char what[SHOWN_MAX + 32]; /* "HTTP rule 'GET ...'" */
    char *copy;
    sl_http_rule rule;
    sl_error *err;
};

#define EXAMPLE "'GET api.example.com/v1/*'"

static bool is_token_char(char c) /* RFC 9110 section 5.6.2 */
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

bool sl_http_method_valid(const char *method)
{
    size_t n = 0;
    while (is_token_char(method[n])) {
        n++;
    }
    return n > 0 && method[n] == '\0' && n < SL_HTTP_METHOD_MAX;
}

static int add_method(struct parser *p, const char *word)
{
    static const char *const known[] = {"GET",   "HEAD",    "POST",    "PUT",  "DELETE",
                                        "PATCH", "OPTIONS", "CONNECT", "TRACE"};
    sl_http_rule *r = &p->rule;
    for (size_t i = 0; i < SL_ARRAY_LEN(known); i++) {
        if (strcasecmp(word, known[i]) == 0 && strcmp(word, known[i]) != 0) {
            return sl_error_usage(p->err, "%s: method '%s' is case-sensitive: write '%s'", p->what,
                                  word, known[i]);
        }
    }
    if (!sl_http_method_valid(word) || strchr(word, '*') != NULL) {
        return sl_error_usage(p->err,
                              "%s: '%.40s' is not a method: expected METHOD, 'GET,HEAD' or '*', "
                              "then a space and the host, as in " EXAMPLE,
                              p->what, word);
    }
    if (r->method_count == SL_HTTP_METHODS_MAX) {
        return sl_error_usage(p->err, "%s: more than %d methods; write '*' for any", p->what,
                              SL_HTTP_METHODS_MAX);
    }
    snprintf(r->methods[r->method_count++], SL_HTTP_METHOD_MAX, "%s", word);
    return 0;
}

static int parse_methods(struct parser *p, char *text)
{
    if (strcmp(text, "*") == 0) {
        p->rule.any_method = true;
        return 0;
    }
    int r = 0;
    for (char *word = text; r == 0 && word != NULL;) {
        char *comma = strchr(word, ',');
        if (comma != NULL) {
            *comma++ = '\0';
        }
        r = add_method(p, word);
        word = comma;
    }
    return r;
}

/* Takes "https://" or "http://" off the front. */
static int take_scheme(struct parser *p, char **text)
{
    enum sl_http_scheme scheme;
    size_t n;
    if (strncmp(*text, "https://", 8) == 0) {
        scheme = SL_HTTP_SCHEME_HTTPS;
        n = 8;
    } else if (strncmp(*text, "http://", 7) == 0) {
        scheme = SL_HTTP_SCHEME_HTTP;
        n = 7;
    } else {
        return 0;
    }
    if (p->rule.scheme != SL_HTTP_SCHEME_ANY) {
        return sl_error_usage(p->err, "%s: the scheme is written twice", p->what);
    }
    p->rule.scheme = scheme;
    *text += n;
    return 0;
}

static int parse_port(struct parser *p, const char *text)
{
    sl_ports ports = {0};
    int r = sl_ports_add(&ports, text, false, p->what, p->err);
    if (r == 0 && (ports.count != 1 || ports.ranges[0].lo != ports.ranges[0].hi)) {
        r = sl_error_usage(p->err, "%s: '%s': a rule has one port or none; see --http-ports",
                           p->what, text);
    }
    if (r == 0) {
        p->rule.port = ports.ranges[0].lo;
    }
    sl_ports_done(&ports);
    return r;
}

static int parse_host(struct parser *p, char *text)
{
    char *colon = strchr(text, ':');
    if (text[0] == '[') {
        char *close = strchr(text, ']');
        colon = close != NULL && close[1] != '\0' ? close + 1 : NULL;
        if (colon != NULL && *colon != ':') {
            return sl_error_usage(p->err, "%s: '%s': expected ':port' or a path after ']'", p->what,
                                  text);
        }
    } else if (colon != NULL && strchr(colon + 1, ':') != NULL) {
        return sl_error_usage(p->err, "%s: '%s': write an IPv6 address in brackets", p->what, text);
    }
    if (colon != NULL) {
        *colon = '\0';
        int r = parse_port(p, colon + 1);
        if (r < 0) {
            return r;
        }
    }
    return sl_host_pattern_parse(text, false, p->what, &p->rule.host, p->err);
}

static size_t count_char(const char *text, char c)
{
    size_t n = 0;
    for (; *text != '\0'; text++) {
        n += *text == c ? 1 : 0;
    }
    return n;
}

static int parse_path(struct parser *p, const char *text)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t len = strlen(text);
    sl_autofree char *coded = malloc(3 * len + 1);
    sl_autofree char *normal = malloc(3 * len + 2);
    size_t n = 0;
    if (coded == NULL || normal == NULL) {
        return sl_error_set(p->err, ENOMEM, "no memory for a rule");
    }
    for (size_t i = 0; i < len; i++) { /* a rule may write "é" where a request must send %C3%A9 */
        uint8_t c = (uint8_t)text[i];
        if (c < 0x80) {
            coded[n++] = text[i];
        } else {
            coded[n++] = '%';
            coded[n++] = digits[c >> 4];
            coded[n++] = digits[c & 15];
        }
    }
    coded[n] = '\0';
    sl_http_path path = {.normal = normal};
    if (sl_http_path_normalise(coded, n, &path) < 0) {
        return sl_error_usage(p->err,
                              "%s: no request can have the path '%.*s': a path has no space, "
                              "control character, '\\' or '#'",
                              p->what, SHOWN_MAX, text);
    }
    if (path.unclear) {
        return sl_error_usage(
            p->err,
            "%s: servers differ in what the path '%.*s' is: write it without a "
            "lone '%%', and without dots beside ';' or an encoded '/', '\\' or '%%'",
            p->what, SHOWN_MAX, text);
    }
    if (strchr(coded, '*') != NULL && count_char(coded, '/') != count_char(normal, '/')) {
        return sl_error_usage(p->err, "%s: path '%.*s': '*' cannot stand with '.' or '..'", p->what,
                              SHOWN_MAX, text);
    }
    p->rule.path_odd = sl_http_path_is_odd(normal);
    p->rule.path = sl_steal(&normal);
    return 0;
}

/* What follows the space: host[:port][/path][?query]. */
static int parse_target(struct parser *p, char *text)
{
    if (strchr(text, '#') != NULL) {
        return sl_error_usage(p->err, "%s: '#': a request never carries a fragment", p->what);
    }
    size_t host_len = strcspn(text, "/?");
    char *rest = text + host_len;
    char *query = strchr(rest, '?');
    sl_autofree char *host = strndup(text, host_len);
    if (host == NULL) {
        return sl_error_set(p->err, ENOMEM, "no memory for a rule");
    }
    if (query != NULL) {
        *query++ = '\0';
    }
    int r = parse_host(p, host);
    if (r == 0 && *rest == '/') {
        r = parse_path(p, rest);
    }
    if (r == 0 && query != NULL) {
        r = sl_http_query_parse(query, p->what, &p->rule.query, p->err);
    }
    return r;
}

static int parse_text(struct parser *p)
{
    char *text = p->copy;
    int r = take_scheme(p, &text);
    if (r < 0) {
        return r;
    }
    char *space = strchr(text, ' ');
    if (space == NULL) {
        return sl_error_usage(p->err, "%s: expected 'METHOD host[:port][/path]', as in " EXAMPLE,
                              p->what);
    }
    *space++ = '\0';
    space += strspn(space, " ");
    r = parse_methods(p, text);
    if (r == 0) {
        r = take_scheme(p, &space);
    }
    return r == 0 ? parse_target(p, space) : r;
}

int sl_http_rule_parse(const char *text, sl_http_rule *ret_rule, sl_error *err)
{
    if (strnlen(text, SL_HTTP_RULE_MAX + 1) > SL_HTTP_RULE_MAX) {
        return sl_error_usage(err, "HTTP rule '%.40s...' is longer than %d bytes", text,
                              SL_HTTP_RULE_MAX);
    }
    struct parser p = {.err = err};
    snprintf(p.what, sizeof(p.what), "HTTP rule '%.*s'", SHOWN_MAX, text);
    p.rule.text = strdup(text);
    sl_autofree char *copy = strdup(text);
    p.copy = copy;
    int r = p.rule.text == NULL || copy == NULL ? sl_error_set(err, ENOMEM, "no memory for a rule")
                                                : parse_text(&p);
    if (r < 0) {
        sl_http_rule_done(&p.rule);
        return r;
    }
    *ret_rule = p.rule;
    return 0;
}

void sl_http_rule_done(sl_http_rule *rule)
{
    free(rule->text);
    free(rule->path);
    sl_strv_done(&rule->query);
    *rule = (sl_http_rule){0};
}

/* ---- comparison ---- */

static bool scheme_matches(const sl_http_rule *rule, const sl_http_view *view)
{
    return rule->scheme == SL_HTTP_SCHEME_ANY ||
           (rule->scheme == SL_HTTP_SCHEME_HTTPS) == view->tls;
}

/* On a flow to a literal address Host is that address, or localhost where that is what it means. */
static bool host_fits_literal(const sl_http_view *view)
{
    sl_addr addr;
    if (view->host_is_addr) {
        return sl_addr_parse(view->host, &addr) == 0 && sl_addr_equal(&addr, &view->addr);
    }
    return sl_host_is_localhost(view->host) &&
           (sl_addr_classify(&view->addr) & SL_ADDR_LOOPBACK) != 0;
}

static bool host_matches(const sl_host_pattern *host, const sl_http_view *view)
{
    if (view->addr.family == 0) {
        return !view->host_is_addr && sl_host_pattern_has_name(host, view->host);
    }
    if (!host_fits_literal(view) || !sl_host_pattern_has_addr(host, &view->addr)) {
        return false;
    }
    return host->kind != SL_HOST_LOCALHOST || view->host_is_addr ||
           sl_host_pattern_has_name(host, view->host);
}

static bool host_denied(const sl_host_pattern *host, const sl_http_view *view)
{
    if (!view->host_is_addr && sl_host_pattern_denies_name(host, view->host)) {
        return true;
    }
    return view->addr.family != 0 && sl_host_pattern_denies_addr(host, &view->addr);
}

static bool method_matches(const sl_http_rule *rule, const char *method)
{
    if (rule->any_method) {
        return true;
    }
    for (size_t i = 0; i < rule->method_count; i++) {
        if (strcmp(rule->methods[i], method) == 0 ||
            (strcmp(rule->methods[i], "GET") == 0 && strcmp(method, "HEAD") == 0)) {
            return true;
        }
    }
    return false;
}

static bool is_any(const char *pattern)
{
    return strcmp(pattern, "/*") == 0 || strcmp(pattern, "/**") == 0;
}

/* Servers read an odd path in more than one way. An allow rule must mean all of them, a deny rule
 * one. */
static bool path_matches(const sl_http_rule *rule, const sl_http_view *view, bool deny)
{
    const char *path = view->path;
    if (rule->path == NULL || (is_any(rule->path) && path[0] == '/')) {
        return true;
    }
    if (view->path_unclear) {
        return deny;
    }
    if (sl_http_path_is_odd(path) || (deny && rule->path_odd)) {
        return sl_http_path_reads(rule->path, path, deny);
    }
    return sl_http_path_match(rule->path, path);
}

static unsigned match(const sl_http_rule *rule, const sl_http_view *view, bool port_is_http,
                      bool deny)
{
    unsigned parts = 0;
    if (scheme_matches(rule, view)) {
        parts |= SL_HTTP_PART_SCHEME;
    }
    if (deny ? host_denied(&rule->host, view) : host_matches(&rule->host, view)) {
        parts |= SL_HTTP_PART_HOST;
    }
    if (rule->port == 0 ? port_is_http : rule->port == view->port) {
        parts |= SL_HTTP_PART_PORT;
    }
    if (method_matches(rule, view->method)) {
        parts |= SL_HTTP_PART_METHOD;
    }
    if (path_matches(rule, view, deny)) {
        parts |= SL_HTTP_PART_PATH;
    }
    if (deny ? sl_http_query_denies(&rule->query, view->query)
             : sl_http_query_allows(&rule->query, view->query)) {
        parts |= SL_HTTP_PART_QUERY;
    }
    return parts;
}

unsigned sl_http_rule_match(const sl_http_rule *rule, const sl_http_view *view, bool port_is_http)
{
    return match(rule, view, port_is_http, false);
}

bool sl_http_rule_denies(const sl_http_rule *rule, const sl_http_view *view, bool port_is_http)
{
    return match(rule, view, port_is_http, true) == SL_HTTP_PART_ALL;
}
