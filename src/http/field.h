/* Fields of requests and responses, whatever protocol carried them: what their names mean to an
 * intermediary, and which pass it (RFC 9110). */
#ifndef SANDLOCK_HTTP_FIELD_H
#define SANDLOCK_HTTP_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Fields that mean something to an intermediary. */
enum sl_http_field_id {
    SL_HTTP_FIELD_OTHER = 0,
    SL_HTTP_FIELD_HOST,
    SL_HTTP_FIELD_CONTENT_LENGTH,
    SL_HTTP_FIELD_TRANSFER_ENCODING,
    SL_HTTP_FIELD_CONNECTION,
    SL_HTTP_FIELD_UPGRADE,
    SL_HTTP_FIELD_EXPECT,
    SL_HTTP_FIELD_TRAILER,
    SL_HTTP_FIELD_HOP,       /* Keep-Alive, TE, Proxy-*, HTTP2-Settings, Alt-Svc: dropped */
    SL_HTTP_FIELD_OVERRIDE,  /* X-HTTP-Method-Override and its like: dropped */
    SL_HTTP_FIELD_AUTH,      /* Authorization, WWW-Authenticate: may bind a connection to a user */
    SL_HTTP_FIELD_PROTECTED, /* what Connection may not take away */
    SL_HTTP_FIELD_WS_KEY,    /* Sec-WebSocket-*: a handshake's, and Connection takes none away */
    SL_HTTP_FIELD_WS_ACCEPT,
    SL_HTTP_FIELD_WS_PROTOCOL,
    SL_HTTP_FIELD_WS_EXTENSIONS,
    SL_HTTP_FIELD_LOOKALIKE, /* others may read one of these in it: refused or dropped */
};

typedef struct sl_http_field {
    const char *name;
    const char *value;
    uint32_t name_len;
    uint32_t value_len;
    enum sl_http_field_id id;
} sl_http_field;

/* What a field name means, in whatever case it is written; for trailers too. */
enum sl_http_field_id sl_http_field_identify(const char *name, size_t len);
/* Would it be `known` to a server that makes one sign of `-`, `_` and the like, or to a proxy that
 * trims such a sign off its ends, without being it? Case does not count. */
bool sl_http_field_resembles(const char *name, size_t len, const char *known);
/* Does it resemble a field that frames, routes, authenticates or belongs to one connection? */
bool sl_http_field_is_lookalike(const char *name, size_t len);
/* Is this its whole value (case-insensitive)? */
bool sl_http_field_is(const sl_http_field *field, const char *text);
/* Calls back for each element of its comma-separated list (RFC 9110 section 5.6.1); stops when told
 * true, and answers whether it was. */
bool sl_http_field_any(const sl_http_field *field,
                       bool (*is)(const char *item, size_t len, void *arg), void *arg);
/* Does it go from end to end by its name alone? Those that Connection names do not either. */
bool sl_http_field_passes(enum sl_http_field_id id);
/* May it stand in a trailer (RFC 9110 section 6.5.1)? Nothing that a head decides may: framing,
 * routing, authentication, control. */
bool sl_http_field_in_trailer(const char *name, size_t len);

#endif
