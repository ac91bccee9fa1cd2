/* The chunked transfer coding, read strictly (RFC 9112 section 7.1). Pure. */
#ifndef SANDLOCK_HTTP_H1_CHUNK_H
#define SANDLOCK_HTTP_H1_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"

#define SL_H1_CHUNK_EXT_MAX (1u << 10) /* bytes behind the size of one chunk; they are dropped */
#define SL_H1_TRAILER_MAX   (8u << 10)

typedef struct sl_h1_chunk {
    int state;
    uint64_t left; /* of the chunk being read */
    unsigned digits;
    unsigned ext;
    bool padded;    /* blanks behind a size are borne: what servers pad for a later length */
    sl_buf trailer; /* raw field lines, each with its CRLF, without the final empty line */
} sl_h1_chunk;

void sl_h1_chunk_init(sl_h1_chunk *d);
void sl_h1_chunk_done(sl_h1_chunk *d);
bool sl_h1_chunk_at_end(const sl_h1_chunk *d);

/* Reads coded bytes in place: the body bytes among them are moved to the front of `data`.
 * `ret_used` coded bytes were read, up to the end of the coding. 0, -EBADMSG, -ENOBUFS. */
int sl_h1_chunk_feed(sl_h1_chunk *d, uint8_t *data, size_t len, size_t *ret_body, size_t *ret_used);

#endif
