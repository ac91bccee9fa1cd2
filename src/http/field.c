/* Owns what the names of fields mean. Never keeps one, and never lets pass what belongs to one
 * connection alone. */
#include "http/field.h"

#include <string.h>
#include <strings.h>

static const struct {
    const char *name;
    enum sl_http_field_id id;
} known[] = {
    {"host", SL_HTTP_FIELD_HOST},
    {"content-length", SL_HTTP_FIELD_CONTENT_LENGTH},
    {"transfer-encoding", SL_HTTP_FIELD_TRANSFER_ENCODING},
    {"connection", SL_HTTP_FIELD_CONNECTION},
    {"upgrade", SL_HTTP_FIELD_UPGRADE},
    {"expect", SL_HTTP_FIELD_EXPECT},
    {"trailer", SL_HTTP_FIELD_TRAILER},
    {"keep-alive", SL_HTTP_FIELD_HOP},
    {"te", SL_HTTP_FIELD_HOP},
    {"http2-settings", SL_HTTP_FIELD_HOP},
    {"alt-svc", SL_HTTP_FIELD_HOP}, /* RFC 7838: QUIC, which would be denied, or another port */
    {"x-http-method-override", SL_HTTP_FIELD_OVERRIDE},
    {"x-http-method", SL_HTTP_FIELD_OVERRIDE},
    {"x-method-override", SL_HTTP_FIELD_OVERRIDE},
    {"authorization", SL_HTTP_FIELD_AUTH},
    {"www-authenticate", SL_HTTP_FIELD_AUTH},
    {"cookie", SL_HTTP_FIELD_PROTECTED},
    {"set-cookie", SL_HTTP_FIELD_PROTECTED},
    {"location", SL_HTTP_FIELD_PROTECTED},
    {"accept", SL_HTTP_FIELD_PROTECTED},
    {"content-type", SL_HTTP_FIELD_PROTECTED},
    {"content-encoding", SL_HTTP_FIELD_PROTECTED},
    {"content-range", SL_HTTP_FIELD_PROTECTED},
    {"range", SL_HTTP_FIELD_PROTECTED},
    {"date", SL_HTTP_FIELD_PROTECTED},
    {"cache-control", SL_HTTP_FIELD_PROTECTED},
    {"sec-websocket-key", SL_HTTP_FIELD_WS_KEY},
    {"sec-websocket-accept", SL_HTTP_FIELD_WS_ACCEPT},
    {"sec-websocket-protocol", SL_HTTP_FIELD_WS_PROTOCOL},
    {"sec-websocket-extensions", SL_HTTP_FIELD_WS_EXTENSIONS},
    {"sandlock-verdict", SL_HTTP_FIELD_HOP}, /* only we say it */
};

#define PROXY_PREFIX "proxy-"

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Signs at the ends do not count. */
static void trim_signs(const char **name, size_t *len)
{
    while (*len > 0 && !is_alnum(**name)) {
        (*name)++;
        (*len)--;
    }
    while (*len > 0 && !is_alnum((*name)[*len - 1])) {
        (*len)--;
    }
}

/* Does it begin with the `n` bytes of `text`, when every sign equals every other? */
static bool folds_to(const char *name, size_t len, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (i == len ||
            (is_alnum(text[i]) ? strncasecmp(name + i, text + i, 1) != 0 : is_alnum(name[i]))) {
            return false;
        }
    }
    return true;
}

bool sl_http_field_resembles(const char *name, size_t len, const char *text)
{
    size_t n = strlen(text);
    if (len == n && strncasecmp(name, text, n) == 0) {
        return false;
    }
    trim_signs(&name, &len);
    return len == n && folds_to(name, len, text, n);
}

/* CGI (RFC 3875 section 4.1.18) writes `_` for `-`, and so does WSGI; some write it for every sign.
 * A name of letters, digits and inner hyphens has one reading, and most names are such. */
static bool has_one_reading(const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!is_alnum(name[i]) && (name[i] != '-' || i == 0 || i == len - 1)) {
            return false;
        }
    }
    return true;
}

static bool is_end_to_end(enum sl_http_field_id id)
{
    return id == SL_HTTP_FIELD_OTHER || id == SL_HTTP_FIELD_PROTECTED;
}

bool sl_http_field_is_lookalike(const char *name, size_t len)
{
    size_t prefix = strlen(PROXY_PREFIX);
    if (has_one_reading(name, len)) {
        return false;
    }
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (!is_end_to_end(known[i].id) && sl_http_field_resembles(name, len, known[i].name)) {
            return true;
        }
    }
    trim_signs(&name, &len);
    return len > prefix && folds_to(name, len, PROXY_PREFIX, prefix);
}

enum sl_http_field_id sl_http_field_identify(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if ((known[i].name[0] ^ name[0]) % 32 == 0 && strncasecmp(known[i].name, name, len) == 0 &&
            known[i].name[len] == '\0') {
            return known[i].id;
        }
    }
    if (len > strlen(PROXY_PREFIX) && strncasecmp(name, PROXY_PREFIX, strlen(PROXY_PREFIX)) == 0) {
        return SL_HTTP_FIELD_HOP;
    }
    return sl_http_field_is_lookalike(name, len) ? SL_HTTP_FIELD_LOOKALIKE : SL_HTTP_FIELD_OTHER;
}

bool sl_http_field_is(const sl_http_field *field, const char *text)
{
    return field->value_len == strlen(text) &&
           strncasecmp(field->value, text, field->value_len) == 0;
}

bool sl_http_field_any(const sl_http_field *field,
                       bool (*is)(const char *item, size_t len, void *arg), void *arg)
{
    const char *p = field->value;
    const char *end = field->value + field->value_len;
    while (p < end) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        const char *stop = comma == NULL ? end : comma;
        const char *last = stop;
        while (p < last && (*p == ' ' || *p == '\t')) {
            p++;
        }
        while (last > p && (last[-1] == ' ' || last[-1] == '\t')) {
            last--;
        }
        if (last > p && is(p, (size_t)(last - p), arg)) {
            return true;
        }
        p = stop + 1;
    }
    return false;
}

/* RFC 9110 section 7.6.1 */
bool sl_http_field_passes(enum sl_http_field_id id)
{
    switch (id) {
    case SL_HTTP_FIELD_OTHER:
    case SL_HTTP_FIELD_EXPECT:
    case SL_HTTP_FIELD_TRAILER:
    case SL_HTTP_FIELD_AUTH:
    case SL_HTTP_FIELD_PROTECTED:
    case SL_HTTP_FIELD_WS_KEY:
    case SL_HTTP_FIELD_WS_ACCEPT:
    case SL_HTTP_FIELD_WS_PROTOCOL:
    case SL_HTTP_FIELD_WS_EXTENSIONS:
        return true;
    default:
        return false;
    }
}

bool sl_http_field_in_trailer(const char *name, size_t len)
{
    static const char *const refused[] = {
        "cache-control", "max-forwards",  "if-match",
        "if-none-match", "pragma",        "range",
        "content-type",  "content-range", "set-cookie",
        "cookie",        "age",           "expires",
        "date",          "location",      "retry-after",
        "vary",          "warning",       "content-encoding",
    };
    enum sl_http_field_id id = sl_http_field_identify(name, len);
    if (!is_end_to_end(id)) {
        return false;
    }
    trim_signs(&name, &len);
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        if (strlen(refused[i]) == len && folds_to(name, len, refused[i], len)) {
            return false;
        }
    }
    return true;
}
