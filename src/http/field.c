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
    {"sandlock-verdict", SL_HTTP_FIELD_HOP}, /* only we say it */
};

enum sl_http_field_id sl_http_field_identify(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if ((known[i].name[0] ^ name[0]) % 32 == 0 && strncasecmp(known[i].name, name, len) == 0 &&
            known[i].name[len] == '\0') {
            return known[i].id;
        }
    }
    if (len > 6 && strncasecmp(name, "proxy-", 6) == 0) {
        return SL_HTTP_FIELD_HOP;
    }
    return SL_HTTP_FIELD_OTHER;
}

bool sl_http_field_is(const sl_http_field *field, const char *text)
{
    return field->value_len == strlen(text) &&
           strncasecmp(field->value, text, field->value_len) == 0;
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
    if (id != SL_HTTP_FIELD_OTHER && id != SL_HTTP_FIELD_PROTECTED) {
        return false;
    }
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        if (strlen(refused[i]) == len && strncasecmp(refused[i], name, len) == 0) {
            return false;
        }
    }
    return true;
}
