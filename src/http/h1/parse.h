/* One HTTP/1 head as a value: the parser's (llhttp) view of bytes that passed the raw check. */
#ifndef SANDLOCK_HTTP_H1_PARSE_H
#define SANDLOCK_HTTP_H1_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/field.h"
#include "http/h1/head.h"

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
    sl_http_field fields[SL_HEAD_FIELDS_MAX];

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
const sl_http_field *sl_h1_find(const sl_h1_head *head, enum sl_http_field_id id);
/* Does a Connection field name this option (case-insensitive)? */
bool sl_h1_connection_has(const sl_h1_head *head, const char *option, size_t len);

#endif
