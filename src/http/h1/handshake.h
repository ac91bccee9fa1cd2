/* The opening handshake of a WebSocket (RFC 6455 section 4): what a request asks for, and whether a
 * 101 answers it. */
#ifndef SANDLOCK_HTTP_H1_HANDSHAKE_H
#define SANDLOCK_HTTP_H1_HANDSHAKE_H

#include "core/buf.h"
#include "http/h1/parse.h"
#include "net/tls/digest.h"

#define SL_H1_HANDSHAKE_KEY_MAX 128 /* honest ones have 24 bytes */

/* What was asked for, kept until it is answered. */
typedef struct sl_h1_handshake {
    char accept[SL_DIGEST_SHA1_TEXT]; /* the answer to its key */
    sl_buf protocols;                 /* offered: comma-separated, as they came */
    sl_buf extensions;
} sl_h1_handshake;

/* Allocates nothing. */
void sl_h1_handshake_init(sl_h1_handshake *s);
void sl_h1_handshake_done(sl_h1_handshake *s);

/* Does the request ask for a WebSocket, and for nothing else, with a key that can be answered? */
bool sl_h1_handshake_asks(const sl_h1_head *request);
/* Keeps what such a request asked for, in place of what was kept before. 0 or -errno. */
int sl_h1_handshake_keep(sl_h1_handshake *s, const sl_h1_head *request);
/* NULL when this 101 answers it, else why not: constant text. */
const char *sl_h1_handshake_refuses(sl_h1_handshake *s, const sl_h1_head *response);

#endif
