/* The gateway's HTTP/1 machine without sockets to anywhere: one client end, one upstream end, both
 * in the hands of the test. Used by unit tests and fuzzers. */
#ifndef SANDLOCK_TESTS_HTTP_RIG_H
#define SANDLOCK_TESTS_HTTP_RIG_H

#include "core/buf.h"
#include "http/flow.h"
#include "http/gateway.h"

#define RIG_NAME "example.test"
#define RIG_PORT 80

/* The two halves of a WebSocket's handshake, with the pair of RFC 6455 section 1.3. */
#define RIG_WS_ASK                                                                                 \
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define RIG_WS_PROOF  ": s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
#define RIG_WS_ACCEPT "Sec-WebSocket-Accept" RIG_WS_PROOF
#define RIG_WS_ANSWER                                                                              \
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "                         \
    "websocket\r\n" RIG_WS_ACCEPT

typedef struct rig {
    sl_gateway gw;
    uv_loop_t loop;
    int client;   /* the child's end */
    int upstream; /* the newest upstream connection's far end, or -1 */
    unsigned opened;
    sl_buf from_gateway; /* what the child got */
    sl_buf to_upstream;  /* what all upstream connections got, in order */
    const char *refuse;  /* a reason: opening fails with it */
    sl_upstream_cb cb;   /* an opening that waits */
    void *arg;
    bool client_ended;
    bool deaf;        /* the upstream reads nothing */
    bool hold;        /* openings wait */
    const char *name; /* whom the next flow is for; NULL: `addr` */
    sl_addr addr;
    uint16_t port;
    int log; /* what the gateway logs, from rig_keep_log on */
} rig;

typedef const char *rig_word[2]; /* a field of a policy and its value */

/* Allows everything on RIG_NAME but "/deny". */
void rig_init(rig *r);
void rig_done(rig *r);
/* Another policy, for the flows to come. */
void rig_policy(rig *r, const rig_word *words, size_t count);
/* Has an audit log kept from now on; rig_log gives what was written since the last look, for the
 * caller to free. */
void rig_keep_log(rig *r);
char *rig_log(rig *r);
/* A new flow of the child; the one before is ended. */
void rig_flow(rig *r);
/* One turn: the loop, and whatever arrived at both ends. True when something happened. */
bool rig_turn(rig *r);
/* Turns until nothing happens any more. */
void rig_settle(rig *r);
void rig_client_says(rig *r, const void *data, size_t len);
void rig_upstream_says(rig *r, const void *data, size_t len);
void rig_upstream_ends(rig *r);

#endif
