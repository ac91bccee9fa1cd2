/* One HTTP/1 head as a value: the parser's (llhttp) view of bytes that passed the raw check. */
#ifndef SANDLOCK_HTTP_H1_PARSE_H
#define SANDLOCK_HTTP_H1_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/h1/head.h"

/* Fields that mean something to an intermediary. */
enum sl_h1_id {
    SL_H1_OTHER = 0,
    SL_H1_HOST,
    SL_H1_CONTENT_LENGTH,
    SL_H1_TRANSFER_ENCODING,
    SL_H1_CONNECTION,
    SL_H1_UPGRADE,
    SL_H1_EXPECT,
    SL_H1_TRAILER,
    SL_H1_HOP,       /* Keep-Alive, TE, Proxy-*, HTTP2-Settings: dropped */
    SL_H1_OVERRIDE,  /* X-HTTP-Method-Override and its like: dropped */
    SL_H1_AUTH,      /* Authorization, WWW-Authenticate: may bind a connection to a user */
    SL_H1_PROTECTED, /* what Connection may not take away */
};

typedef struct sl_h1_field {
    const char *name;
    const char *value;
    uint32_t name_len;
    uint32_t value_len;
    enum sl_h1_id id;
} sl_h1_field;

typedef struct sl_h1_head {
    bool response;
    bool one_one; /* HTTP/1.1, else 1.0 */
    const char *method;
    const char *target;
    size_t target_len;
    unsigned status;
    const char *reason;
    size_t reason_len;
    size_t count;
    sl_h1_field fields[SL_HEAD_FIELDS_MAX];

    bool chunked;
    bool has_length;
    uint64_t length;
    bool keep_alive;
    bool upgrade;      /* Connection: upgrade and an Upgrade field */
    bool nominates;    /* Connection names fields of its own */
    bool binding_auth; /* NTLM or Negotiate: the connection is the user's from now on */
} sl_h1_head;

/* Parses a head that sl_head_check_* accepted; the slices point into it. 0, or -EBADMSG when the
 * parser disagrees. */
int sl_h1_parse(const uint8_t *data, size_t len, bool response, sl_h1_head *ret);

/* The first field of that kind, or NULL. */
const sl_h1_field *sl_h1_find(const sl_h1_head *head, enum sl_h1_id id);
/* Does a Connection field name this option (case-insensitive)? */
bool sl_h1_connection_has(const sl_h1_head *head, const char *option, size_t len);
bool sl_h1_value_is(const sl_h1_field *field, const char *text);
/* What a field name means; for trailers too. */
enum sl_h1_id sl_h1_identify(const char *name, size_t len);

#endif
