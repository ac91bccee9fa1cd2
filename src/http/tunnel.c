/* Owns flows that pass untouched: TLS that no HTTP rule concerns, and raw protocols that a net rule
 * names. Where HTTP rules concern the host, a server that speaks first does not open a door for
 * HTTP or TLS behind its greeting. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/util.h"
#include "http/gateway_int.h"
#include "net/relay.h"

typedef struct tunnel {
    sl_relay relay;
    bool open;
    bool guarded; /* the client's first bytes must still be looked at */
    sl_conn *client;
    sl_conn *upstream;
} tunnel;

static const char *kind_of(const sl_flow *flow)
{
    return flow->hello.version_max != 0 ? "tls" : "tcp";
}

static void on_opened(void *arg, sl_conn *conn, const sl_addr *peer, const sl_failure *failure)
{
    sl_flow *flow = arg;
    tunnel *t = flow->state;
    flow->opening = NULL;
    flow->peer = *peer;
    if (conn == NULL) {
        sl_flow_fail(flow, kind_of(flow), failure);
        sl_flow_end(flow);
        return;
    }
    t->upstream = conn;
    t->open = true;
    sl_relay_init(&t->relay, t->client, conn, flow->gw->scratch, SL_SCRATCH_SIZE);
    t->relay.up.paused = t->guarded;
    if (sl_relay_feed(&t->relay.up, sl_buf_head(&flow->sniffed), flow->sniffed.len) < 0) {
        sl_flow_end(flow);
        return;
    }
    sl_buf_done(&flow->sniffed);
    sl_conn_on_event(conn, sl_flow_on_event, flow);
    flow->protocol->pump(flow);
}

static int start(sl_flow *flow)
{
    tunnel *t = calloc(1, sizeof(*t));
    if (t == NULL) {
        return -ENOMEM;
    }
    t->client = flow->client;
    t->guarded = flow->sniffed.len == 0 && flow->verdict.mode == SL_FLOW_INSPECT;
    flow->client = NULL;
    flow->state = t;
    flow->deadline_ms = 0;
    sl_conn_want(t->client, false, false); /* until there is somewhere to put what comes */
    const char *failed = flow->gw->open(flow->gw, &flow->target, on_opened, flow, &flow->opening);
    if (failed != NULL) {
        sl_failure f;
        sl_failure_set(&f, failed, "");
        sl_flow_fail(flow, kind_of(flow), &f);
        sl_flow_end(flow);
    }
    return 0;
}

/* Ends the flow with a reason of its own. */
static void end_told(sl_flow *flow, tunnel *t, const char *reason)
{
    sl_flow_log(flow, "tcp", reason, NULL, t->relay.up.bytes, t->relay.down.bytes);
    sl_relay_done(&t->relay);
    t->open = false; /* logged already */
    sl_flow_end(flow);
}

/* The first bytes of a client that let its server speak first. True: go on with the pump. */
static bool guard(sl_flow *flow, tunnel *t)
{
    uint8_t *to = sl_buf_reserve(&flow->sniffed, SL_SNIFF_MAX - flow->sniffed.len);
    ssize_t n =
        to == NULL ? -ENOMEM : sl_conn_recv(t->client, to, SL_SNIFF_MAX - flow->sniffed.len);
    if (n == -EAGAIN) {
        return true;
    }
    if (n > 0) {
        sl_buf_commit(&flow->sniffed, (size_t)n);
    }
    enum sl_sniff_kind kind =
        n > 0 ? sl_sniff(sl_buf_head(&flow->sniffed), flow->sniffed.len, &flow->hello)
              : SL_SNIFF_OTHER;
    if (kind == SL_SNIFF_MORE && flow->sniffed.len < SL_SNIFF_MAX) {
        return true;
    }
    const char *reason = NULL;
    if (n < 0) {
        reason = n == -ENOMEM ? "memory" : "client_gone";
    } else if (kind != SL_SNIFF_OTHER) {
        reason = "http_behind_greeting";
    } else if (sl_relay_feed(&t->relay.up, sl_buf_head(&flow->sniffed), flow->sniffed.len) < 0) {
        reason = "memory";
    }
    sl_buf_done(&flow->sniffed);
    t->guarded = t->relay.up.paused = false;
    if (reason != NULL) {
        end_told(flow, t, reason);
    }
    return reason == NULL;
}

static void pump(sl_flow *flow)
{
    tunnel *t = flow->state;
    if (!t->open) {
        return;
    }
    if (t->guarded && !guard(flow, t)) {
        return;
    }
    if (sl_relay_pump(&t->relay) != -EAGAIN) {
        sl_flow_end(flow);
    }
}

static void expire(sl_flow *flow)
{
    flow->deadline_ms = 0;
}

static void end(sl_flow *flow)
{
    tunnel *t = flow->state;
    if (t == NULL) {
        return;
    }
    if (t->open) {
        sl_flow_log(flow, kind_of(flow), NULL, NULL, t->relay.up.bytes, t->relay.down.bytes);
        sl_relay_done(&t->relay);
    }
    sl_conn_close(t->client);
    sl_conn_close(t->upstream);
    free(t);
    flow->state = NULL;
}

static enum sl_flow_rank weigh(const sl_flow *flow, uint64_t *ret_bytes)
{
    const tunnel *t = flow->state;
    *ret_bytes = t != NULL && t->open ? t->relay.up.bytes + t->relay.down.bytes : 0;
    return SL_FLOW_BUSY;
}

const sl_protocol sl_protocol_tunnel = {
    .name = "tcp",
    .start = start,
    .pump = pump,
    .expire = expire,
    .end = end,
    .weigh = weigh,
};
