/* Owns the time between a ClientHello and the first request: the upstream's handshake first, then
 * the child's with a leaf made for the name. When the upstream fails the child's handshake is done
 * all the same, and its first request hears the reason. */
#include <errno.h>
#include <string.h>

#include "core/util.h"
#include "http/gateway_int.h"
#include "net/tls/tls.h"

static void shake_client(sl_flow *flow)
{
    int r = sl_conn_connect(flow->client);
    if (r == -EAGAIN) {
        sl_conn_acknowledge(flow->client); /* clients say their last word in two small pieces */
        sl_conn_want(flow->client, true, false);
        return;
    }
    if (r < 0) {
        sl_failure f;
        sl_failure_client(flow->client, &flow->hello, flow->target.alpn, &f);
        SL_FLOW_TRACE(flow, SL_TRACE_TLS, "client's handshake failed: %s", f.detail);
        if (strcmp(f.reason, "client_gone") == 0) {
            sl_flow_log(flow, "tls", f.reason, NULL, 0, 0);
        } else {
            f.denies = true;
            sl_flow_fail(flow, "tls", &f);
        }
        sl_flow_become(flow, &sl_protocol_linger); /* behind the alert that OpenSSL wrote */
        return;
    }
    SL_FLOW_TRACE(flow, SL_TRACE_TLS, "client's handshake done, as '%s'", flow->target.tls_name);
    flow->shaken_ms = uv_now(flow->gw->loop);
    sl_flow_become(flow, flow->gw->http1);
}

static int begin_client(sl_flow *flow)
{
    const sl_target *t = &flow->target;
    const char *name = t->tls_name[0] != '\0' ? t->tls_name : NULL;
    int r = sl_conn_unread(flow->client, sl_buf_head(&flow->sniffed), flow->sniffed.len);
    sl_buf_done(&flow->sniffed);
    if (r == 0) {
        r = sl_tls_push_server(flow->client, flow->gw->server_ctx, flow->gw->ca, name, &t->addr);
    }
    flow->deadline_ms = uv_now(flow->gw->loop) + SL_TIMEOUT_SHAKE_MS;
    flow->shaking = r == 0;
    return r;
}

static void on_opened(void *arg, sl_conn *conn, const sl_addr *peer, const sl_failure *failure)
{
    sl_flow *flow = arg;
    flow->opening = NULL;
    flow->upstream = conn;
    flow->peer = *peer;
    SL_FLOW_TRACE(flow, SL_TRACE_TLS, "upstream: %s%s%s", conn != NULL ? "ready" : failure->reason,
                  conn != NULL ? "" : ", ", failure->detail);
    flow->failure = *failure;
    int r = begin_client(flow);
    if (r < 0) {
        sl_flow_log(flow, "tls", "memory", strerror(-r), 0, 0);
        sl_flow_end(flow);
        return;
    }
    shake_client(flow);
}

/* A handshake that must fail anyway needs no upstream. */
static bool hopeless(const sl_client_hello *h, bool alpn_ok)
{
    return h->version_max < TLS1_2_VERSION || (h->alpn_len > 0 && !alpn_ok);
}

static int start(sl_flow *flow)
{
    sl_gateway *gw = flow->gw;
    flow->deadline_ms = 0; /* the opening has its own */
    if (gw->ca == NULL && gw->trust != NULL) {
        (void)gw->trust(gw);
    }
    if (gw->ca == NULL || gw->server_ctx == NULL) {
        return -ENOTSUP;
    }
    if (hopeless(&flow->hello, flow->target.alpn) || sl_pool_has(gw->pool, &flow->target)) {
        return begin_client(flow);
    }
    /* What comes meanwhile, its end included, waits in the socket; to watch it would be to spin. */
    sl_conn_want(flow->client, false, false);
    const char *failed = gw->open(gw, &flow->target, on_opened, flow, &flow->opening);
    if (failed == NULL) {
        return 0;
    }
    sl_failure_set(&flow->failure, failed, "refused before dialling");
    return begin_client(flow);
}

static void pump(sl_flow *flow)
{
    if (flow->shaking) {
        shake_client(flow);
    }
}

static void expire(sl_flow *flow)
{
    sl_flow_log(flow, "tls", "timeout", NULL, 0, 0);
    sl_flow_end(flow);
}

const sl_protocol sl_protocol_shake = {
    .name = "tls",
    .start = start,
    .pump = pump,
    .expire = expire,
};
