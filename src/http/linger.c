/* Owns the end of a flow that was told something last: an alert, a GOAWAY, an answer. To close a
 * socket with bytes unread resets the line, and a client that is still sending would hear of the
 * reset instead (RFC 9112 section 9.6). Never looks at what comes, and never takes more of it, or
 * longer, than SL_DRAIN_MAX and SL_TIMEOUT_LINGER_MS. */
#include <errno.h>

#include "http/gateway_int.h"

static int start(sl_flow *flow)
{
    int r = sl_conn_shutdown(flow->client);
    flow->deadline_ms = uv_now(flow->gw->loop) + SL_TIMEOUT_LINGER_MS;
    flow->lingered = 0;
    sl_conn_close(flow->upstream);
    flow->upstream = NULL;
    if (r < 0 && r != -EAGAIN) {
        sl_flow_end(flow); /* nobody is there any more */
    }
    return 0;
}

static void pump(sl_flow *flow)
{
    while (flow->lingered <= SL_DRAIN_MAX) {
        ssize_t n = sl_conn_discard(flow->client, flow->gw->scratch, SL_SCRATCH_SIZE);
        if (n == -EAGAIN) {
            sl_conn_want(flow->client, true, false);
            return;
        }
        if (n == 0 && sl_conn_flush(flow->client) == -EAGAIN) {
            sl_conn_want(flow->client, false, false); /* its end came before ours was sent */
            return;
        }
        if (n <= 0) {
            break;
        }
        flow->lingered += (uint64_t)n;
    }
    sl_flow_end(flow);
}

const sl_protocol sl_protocol_linger = {
    .name = "linger",
    .start = start,
    .pump = pump,
    .expire = sl_flow_end,
};
