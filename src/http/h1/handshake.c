/* Owns what a client asked of a WebSocket's upstream, and the proof that the upstream understood
 * it. Never reads a byte of what follows the handshake. */
#include "http/h1/handshake.h"

#include <string.h>

#define KEY_SUFFIX "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" /* RFC 6455 section 1.3 */

void sl_h1_handshake_init(sl_h1_handshake *s)
{
    s->accept[0] = '\0';
    sl_buf_init(&s->protocols, SL_HEAD_MAX);
    sl_buf_init(&s->extensions, SL_HEAD_MAX);
}

void sl_h1_handshake_done(sl_h1_handshake *s)
{
    sl_buf_done(&s->protocols);
    sl_buf_done(&s->extensions);
    s->accept[0] = '\0';
}

/* The field of that kind, when there is one alone. */
static const sl_http_field *only(const sl_h1_head *h, enum sl_http_field_id id)
{
    const sl_http_field *found = NULL;
    for (size_t i = 0; i < h->count; i++) {
        if (h->fields[i].id != id) {
            continue;
        }
        if (found != NULL) {
            return NULL;
        }
        found = &h->fields[i];
    }
    return found;
}

/* Connection: upgrade, and an Upgrade that names one protocol: this one. */
static bool is_websocket(const sl_h1_head *h)
{
    const sl_http_field *f = only(h, SL_HTTP_FIELD_UPGRADE);
    return h->upgrade && h->one_one && f != NULL && sl_http_field_is(f, "websocket");
}

bool sl_h1_handshake_asks(const sl_h1_head *h)
{
    const sl_http_field *key = only(h, SL_HTTP_FIELD_WS_KEY);
    return is_websocket(h) && strcmp(h->method, "GET") == 0 && !h->chunked && h->length == 0 &&
           key != NULL && key->value_len > 0 && key->value_len <= SL_H1_HANDSHAKE_KEY_MAX;
}

static int keep_offers(sl_buf *to, const sl_h1_head *h, enum sl_http_field_id id)
{
    int r = 0;
    for (size_t i = 0; i < h->count && r == 0; i++) {
        const sl_http_field *f = &h->fields[i];
        if (f->id == id) {
            r = to->len > 0 ? sl_buf_append(to, ",", 1) : 0;
            r = r == 0 ? sl_buf_append(to, f->value, f->value_len) : r;
        }
    }
    return r;
}

int sl_h1_handshake_keep(sl_h1_handshake *s, const sl_h1_head *h)
{
    const sl_http_field *key = only(h, SL_HTTP_FIELD_WS_KEY);
    char text[SL_H1_HANDSHAKE_KEY_MAX + sizeof(KEY_SUFFIX)];
    memcpy(text, key->value, key->value_len);
    memcpy(text + key->value_len, KEY_SUFFIX, sizeof(KEY_SUFFIX));
    sl_h1_handshake_done(s);
    int r = sl_digest_sha1(text, key->value_len + strlen(KEY_SUFFIX), s->accept);
    r = r == 0 ? keep_offers(&s->protocols, h, SL_HTTP_FIELD_WS_PROTOCOL) : r;
    return r == 0 ? keep_offers(&s->extensions, h, SL_HTTP_FIELD_WS_EXTENSIONS) : r;
}

/* ---- the answer ---- */

typedef struct word {
    const char *text;
    size_t len;
} word;

/* Of an extension the name alone: what stands before its parameters (RFC 6455 section 9.1). */
static word name_of(const char *item, size_t len)
{
    const char *semicolon = memchr(item, ';', len);
    size_t n = semicolon != NULL ? (size_t)(semicolon - item) : len;
    while (n > 0 && (item[n - 1] == ' ' || item[n - 1] == '\t')) {
        n--;
    }
    return (word){item, n};
}

static bool same_name(const char *item, size_t len, void *arg)
{
    const word *w = arg;
    word mine = name_of(item, len);
    return mine.len == w->len && memcmp(mine.text, w->text, mine.len) == 0;
}

/* Both are compared with case, as clients do. */
static bool was_offered(const sl_buf *offers, word w)
{
    sl_http_field f = {.value = (const char *)sl_buf_head(offers),
                       .value_len = (uint32_t)offers->len};
    return offers->len > 0 && sl_http_field_any(&f, same_name, &w);
}

static bool is_not_offered(const char *item, size_t len, void *arg)
{
    return !was_offered(arg, name_of(item, len));
}

const char *sl_h1_handshake_refuses(sl_h1_handshake *s, const sl_h1_head *h)
{
    const sl_http_field *accept = only(h, SL_HTTP_FIELD_WS_ACCEPT);
    const sl_http_field *protocol = only(h, SL_HTTP_FIELD_WS_PROTOCOL);
    if (!is_websocket(h)) {
        return "101 to another protocol than was asked for";
    }
    if (h->chunked || h->has_length) {
        return "101 with a body"; /* RFC 9110 section 8.6 */
    }
    if (accept == NULL || accept->value_len != strlen(s->accept) ||
        memcmp(accept->value, s->accept, accept->value_len) != 0) {
        return "101 without the right Sec-WebSocket-Accept";
    }
    if (sl_h1_find(h, SL_HTTP_FIELD_WS_PROTOCOL) != NULL &&
        (protocol == NULL ||
         !was_offered(&s->protocols, (word){protocol->value, protocol->value_len}))) {
        return "101 with a WebSocket protocol that was not offered";
    }
    for (size_t i = 0; i < h->count; i++) {
        if (h->fields[i].id == SL_HTTP_FIELD_WS_EXTENSIONS &&
            sl_http_field_any(&h->fields[i], is_not_offered, &s->extensions)) {
            return "101 with a WebSocket extension that was not offered";
        }
    }
    return NULL;
}
