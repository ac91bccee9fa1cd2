/* Owns: the WebSocket echo of the test server (RFC 6455). Never: fragments; a frame over
 * FRAME_MAX ends the connection. */
#include <mbedtls/base64.h>
#include <mbedtls/sha1.h>
#include <stdio.h>
#include <string.h>

#include "server.h"

#define FRAME_MAX (256u << 10)

static bool read_all(conn *c, unsigned char *data, size_t len)
{
    while (len > 0) {
        size_t n = conn_read(c, data, len);
        if (n == 0) {
            return false;
        }
        data += n;
        len -= n;
    }
    return true;
}

/* Reads one frame (RFC 6455 section 5.2) and sends it back unmasked; false: over. */
static bool echo_frame(conn *c, bytes *frame)
{
    unsigned char head[14];
    if (!read_all(c, head, 2)) {
        return false;
    }
    unsigned opcode = head[0] & 0x0f;
    uint64_t len = head[1] & 0x7f;
    size_t more = len == 126 ? 2 : len == 127 ? 8 : 0;
    if (!read_all(c, head + 2, more)) {
        return false;
    }
    if (more > 0) {
        len = 0;
        for (size_t i = 0; i < more; i++) {
            len = len << 8 | head[2 + i];
        }
    }
    unsigned char mask[4] = {0};
    if (len > FRAME_MAX || ((head[1] & 0x80) && !read_all(c, mask, 4))) {
        return false;
    }
    bytes_clear(frame);
    head[1] &= 0x7f;
    head[0] = opcode == 9 ? (unsigned char)(0x80 | 10) : head[0]; /* ping: pong */
    bytes_add(frame, head, 2 + more);
    for (uint64_t i = 0; i < len; i++) {
        int byte = conn_getc(c);
        if (byte < 0) {
            return false;
        }
        unsigned char plain = (unsigned char)((unsigned)byte ^ mask[i & 3]);
        bytes_add(frame, &plain, 1);
    }
    return conn_write(c, frame->data, frame->len) == 0 && opcode != 8;
}

bool route_websocket(conn *c, request *r)
{
    const char *key = request_header(r, "sec-websocket-key");
    if (!key || !request_header(r, "upgrade")) {
        return answer(c, r, 400, "text/plain", NULL, "no upgrade asked for\n", 21);
    }
    char text[256];
    unsigned char hash[20];
    unsigned char accept[64];
    size_t accept_len = 0;
    int len = snprintf(text, sizeof(text), "%.100s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    mbedtls_sha1_ret((const unsigned char *)text, (size_t)len, hash);
    mbedtls_base64_encode(accept, sizeof(accept), &accept_len, hash, sizeof(hash));
    snprintf(text, sizeof(text),
             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
             "Upgrade\r\nSec-WebSocket-Accept: %.*s\r\n\r\n",
             (int)accept_len, (const char *)accept);
    conn_text(c, text);
    bytes frame;
    bytes_init(&frame, FRAME_MAX + 16);
    while (echo_frame(c, &frame)) {
    }
    bytes_done(&frame);
    return false;
}
