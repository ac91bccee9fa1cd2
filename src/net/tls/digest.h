/* Digests that a protocol asks for by name. For nothing that must be secret or hard to forge. */
#ifndef SANDLOCK_NET_TLS_DIGEST_H
#define SANDLOCK_NET_TLS_DIGEST_H

#include <stddef.h>

#define SL_DIGEST_SHA1_TEXT 29 /* base64 of SHA-1, terminated */

/* SHA-1 of `len` bytes in base64 (RFC 4648 section 4). 0, or -EIO with `ret` untouched. */
int sl_digest_sha1(const void *data, size_t len, char ret[SL_DIGEST_SHA1_TEXT]);

#endif
