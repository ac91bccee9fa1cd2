/* Writes HTTP/1 heads anew from what was parsed: never the bytes that came. */
#ifndef SANDLOCK_HTTP_H1_WRITE_H
#define SANDLOCK_HTTP_H1_WRITE_H

#include <stdbool.h>

#include "core/buf.h"
#include "http/h1/parse.h"

/* How the body that follows is framed. */
typedef struct sl_h1_framing {
    bool chunked;
    bool has_length;
    uint64_t length;
    bool upgrade;    /* "Connection: Upgrade" with the Upgrade field */
    bool close;      /* responses: "Connection: close" */
    bool keep_alive; /* responses to HTTP/1.0: "Connection: keep-alive" */
} sl_h1_framing;

/* `authority`: what goes into Host. `path`, `query` (NULL: none): the target, as judged.
 * 0 or -errno. */
int sl_h1_write_request(sl_buf *out, const sl_h1_head *head, const char *authority,
                        const char *path, const char *query, const sl_h1_framing *framing);
int sl_h1_write_response(sl_buf *out, const sl_h1_head *head, const sl_h1_framing *framing);

/* The end of a chunked body: the last chunk, those trailer lines that may pass (RFC 9110 section
 * 6.5.1), the empty line. -EBADMSG when a line is malformed. */
int sl_h1_write_trailers(sl_buf *out, const sl_buf *lines);

#endif
