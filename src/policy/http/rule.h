/* HTTP rules: [https://|http://]METHOD host[:port][/path][?key=value&...], METHOD may be "*" or
 * "GET,HEAD"; the scheme may as well stand before the host. Parsing and matching only; the order of
 * rules is verdict.h's. */
#ifndef SANDLOCK_POLICY_HTTP_RULE_H
#define SANDLOCK_POLICY_HTTP_RULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/strv.h"
#include "policy/host.h"

#define SL_HTTP_RULE_MAX    4096 /* bytes of one rule */
#define SL_HTTP_METHOD_MAX  32
#define SL_HTTP_METHODS_MAX 16

enum sl_http_scheme { SL_HTTP_SCHEME_ANY, SL_HTTP_SCHEME_HTTP, SL_HTTP_SCHEME_HTTPS };

typedef struct sl_http_rule {
    char *text; /* as the user wrote it; what messages and logs show */
    enum sl_http_scheme scheme;
    bool any_method;
    size_t method_count;
    char methods[SL_HTTP_METHODS_MAX][SL_HTTP_METHOD_MAX];
    sl_host_pattern host;
    uint16_t port; /* 0: any of http_ports */
    char *path;    /* normal form with wildcards; NULL: everything */
    bool path_odd; /* it has more than one reading itself */
    sl_strv query; /* decoded "key=value" pairs that must be present */
} sl_http_rule;

/* One request, as judged. Strings are normalised by the caller (host by sl_host_name_normalise or
 * sl_addr_format, path by sl_http_path_normalise) and outlive the call. */
typedef struct sl_http_view {
    bool tls;
    const char *method;
    const char *host; /* name, or address text without brackets */
    bool host_is_addr;
    sl_addr addr;      /* the literal address of the flow when there is one; family 0 if by name */
    uint16_t port;     /* the port that the child connected to */
    const char *path;  /* normal form, "/" at least; "*" for OPTIONS * */
    bool path_unclear; /* of sl_http_path */
    const char *query; /* raw, without '?', or NULL */
} sl_http_view;

int sl_http_rule_parse(const char *text, sl_http_rule *ret_rule, sl_error *err);
void sl_http_rule_done(sl_http_rule *rule);

/* How well a request meets a rule: which parts agree. ALL is a match. */
enum sl_http_part {
    SL_HTTP_PART_SCHEME = 1 << 0,
    SL_HTTP_PART_HOST = 1 << 1,
    SL_HTTP_PART_PORT = 1 << 2,
    SL_HTTP_PART_METHOD = 1 << 3,
    SL_HTTP_PART_PATH = 1 << 4,
    SL_HTTP_PART_QUERY = 1 << 5,
    SL_HTTP_PART_ALL = (1 << 6) - 1
};
/* As an allow rule. `port_is_http`: what a rule without a port says to the view's port. */
unsigned sl_http_rule_match(const sl_http_rule *rule, const sl_http_view *view, bool port_is_http);
/* As a deny rule, where every doubt counts as a match. */
bool sl_http_rule_denies(const sl_http_rule *rule, const sl_http_view *view, bool port_is_http);

/* A token of RFC 9110 section 5.6.2, short enough for us. */
bool sl_http_method_valid(const char *method);

/* Two forms of one path; each buffer has room for its length + 2. */
typedef struct sl_http_path {
    char *normal; /* judged: dot segments removed, unreserved percent-codes decoded, the others in
                     upper case (RFC 3986 section 6.2.2) */
    char *sent;   /* as it was written, dot segments removed; NULL: not asked for */
    bool unclear; /* it has readings that cannot be judged one by one */
} sl_http_path;

/* Returns the length of the normal form, or -EINVAL for what must be refused with 400: no leading
 * '/', raw control or 8-bit byte, '#', '\\', encoded NUL or control byte, overlong or invalid
 * UTF-8.
 */
int sl_http_path_normalise(const char *path, size_t len, sl_http_path *ret);

#endif
