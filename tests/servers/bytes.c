/* Owns: growing byte strings of the test server and their JSON forms. Never: grows past `max`. */
#include <mbedtls/base64.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server.h"

void bytes_init(bytes *b, size_t max)
{
    memset(b, 0, sizeof(*b));
    b->max = max;
}

void bytes_done(bytes *b)
{
    free(b->data);
    bytes_init(b, b->max);
}

void bytes_clear(bytes *b)
{
    b->len = 0;
    b->dropped = 0;
}

void bytes_add(bytes *b, const void *data, size_t len)
{
    if (len > b->max - b->len) {
        b->dropped += len - (b->max - b->len);
        len = b->max - b->len;
    }
    if (len == 0) {
        return;
    }
    if (b->len + len > b->cap) {
        size_t cap = (b->len + len) * 2;
        unsigned char *grown = realloc(b->data, cap);
        if (!grown) {
            b->dropped += len;
            return;
        }
        b->data = grown;
        b->cap = cap;
    }
    memcpy(b->data + b->len, data, len);
    b->len += len;
}

void bytes_text(bytes *b, const char *text)
{
    bytes_add(b, text, strlen(text));
}

void bytes_format(bytes *b, const char *format, ...)
{
    char text[2048];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (len > 0) {
        bytes_add(b, text, (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1);
    }
}

void bytes_json_string(bytes *b, const void *data, size_t len)
{
    const unsigned char *p = data;
    bytes_text(b, "\"");
    for (size_t i = 0; i < len; i++) {
        if (p[i] == '"' || p[i] == '\\') {
            char pair[2] = {'\\', (char)p[i]};
            bytes_add(b, pair, 2);
        } else if (p[i] < 0x20 || p[i] > 0x7e) {
            bytes_format(b, "\\u%04x", (unsigned)p[i]);
        } else {
            bytes_add(b, &p[i], 1);
        }
    }
    bytes_text(b, "\"");
}

void bytes_json_base64(bytes *b, const void *data, size_t len)
{
    size_t room = 4 * ((len + 2) / 3) + 1;
    unsigned char *text = malloc(room);
    size_t written = 0;
    bytes_text(b, "\"");
    if (text && len > 0 && mbedtls_base64_encode(text, room, &written, data, len) == 0) {
        bytes_add(b, text, written);
    }
    bytes_text(b, "\"");
    free(text);
}
