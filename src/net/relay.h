/* Two connections joined, both ways, untouched: tunnels, WebSockets, TLS that is passed through. */
#ifndef SANDLOCK_NET_RELAY_H
#define SANDLOCK_NET_RELAY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "net/conn.h"
#include "net/splice.h"

#define SL_RELAY_HELD_MAX (512u << 10) /* bytes that wait for a slow reader, a direction */

typedef struct sl_relay_half {
    sl_conn *from;
    sl_conn *to;
    sl_buf held;
    sl_splice splice;
    uint64_t bytes;
    bool ended;  /* the source ended and the sink was told */
    bool paused; /* nothing is read from the source */
    bool want_read;
    bool want_write;
} sl_relay_half;

typedef struct sl_relay {
    sl_relay_half up;   /* client to upstream */
    sl_relay_half down; /* upstream to client */
    uint8_t *scratch;   /* shared by the whole loop; holds nothing between calls */
    size_t scratch_len;
} sl_relay;

/* The connections stay the caller's. */
void sl_relay_init(sl_relay *r, sl_conn *client, sl_conn *upstream, uint8_t *scratch,
                   size_t scratch_len);
void sl_relay_done(sl_relay *r);

/* Bytes that were received already and go first. 0, -ENOBUFS, -ENOMEM. */
int sl_relay_feed(sl_relay_half *half, const void *data, size_t len);

/* Moves what can be moved and tells the loop what to wait for: -EAGAIN. Both ways ended: 0. A
 * broken connection: its -errno. */
int sl_relay_pump(sl_relay *r);

#endif
