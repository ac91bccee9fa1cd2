/* Owns the opening of upstream connections: name, permitted address, TCP, TLS. Never dials an
 * address that the policy did not judge, and never asks for a name twice for one connection. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/trace.h"
#include "core/util.h"
#include "http/gateway_int.h"
#include "net/dial.h"
#include "net/tls/tls.h"

static const uint8_t alpn_http11[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

struct sl_upstream {
    sl_gateway *gw;
    sl_target target;
    sl_upstream_cb cb;
    void *arg;
    sl_resolver_query *query;
    sl_dial *dial;
    sl_conn *conn; /* in the TLS handshake */
    sl_addr peer;
    uv_timer_t timer;
    bool timing;
    bool done;
};

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void release(sl_upstream *u)
{
    sl_resolver_cancel(u->query);
    if (u->dial != NULL) {
        sl_dial_cancel(u->dial);
    }
    sl_conn_close(u->conn);
    u->query = NULL;
    u->dial = NULL;
    u->conn = NULL;
    if (u->timing) {
        uv_close((uv_handle_t *)&u->timer, on_timer_closed);
    } else {
        free(u);
    }
}

static void trace_end(const sl_upstream *u, const char *what, const char *detail)
{
    char peer[SL_ADDR_STR_MAX];
    if (sl_trace_is_on(SL_TRACE_FLOW)) {
        sl_trace_write(SL_TRACE_FLOW, "upstream '%s' port %u at %s: %s%s%s", u->target.name,
                       u->target.port,
                       u->peer.family != 0 ? sl_addr_format(&u->peer, peer) : "no address", what,
                       detail[0] != '\0' ? ", " : "", detail);
    }
}

static void end(sl_upstream *u, sl_conn *conn, const sl_failure *failure)
{
    sl_upstream_cb cb = u->cb;
    void *arg = u->arg;
    sl_addr peer = u->peer;
    trace_end(u, conn != NULL ? "open" : failure->reason, failure->detail);
    if (conn != NULL) {
        u->conn = NULL;
        sl_conn_on_event(conn, NULL, NULL);
        sl_conn_want(conn, false, false); /* nobody listens until somebody uses it */
    }
    release(u);
    cb(arg, conn, &peer, failure);
}

static void succeed(sl_upstream *u)
{
    sl_failure none = {0};
    end(u, u->conn, &none);
}

static void fail(sl_upstream *u, const char *reason, const char *detail)
{
    sl_failure f;
    sl_failure_set(&f, reason, detail);
    end(u, NULL, &f);
}

void sl_upstream_cancel(sl_upstream *u)
{
    if (u != NULL) {
        release(u);
    }
}

/* ---- TLS ---- */

static void on_handshake(void *arg)
{
    sl_upstream *u = arg;
    int r = sl_conn_connect(u->conn);
    if (r == 0) {
        SL_TRACE(SL_TRACE_TLS, "upstream '%s': handshake done, its certificate is believed",
                 u->target.name);
        succeed(u);
        return;
    }
    if (r == -EAGAIN) {
        sl_conn_want(u->conn, true, false);
        return;
    }
    sl_failure f;
    const char *why;
    (void)sl_tls_untrusted(u->conn, &why);
    sl_failure_upstream(u->conn, "protocol", why, &f);
    end(u, NULL, &f);
}

static void on_shake_timeout(uv_timer_t *timer)
{
    fail(timer->data, "timeout", "no answer to the TLS handshake");
}

static void begin_tls(sl_upstream *u)
{
    sl_error err;
    if (sl_trust_client_ctx(u->gw, &err) < 0) {
        fail(u, "tls_verify", err.message);
        return;
    }
    const sl_target *t = &u->target;
    const char *name = t->tls_name[0] != '\0' ? t->tls_name : NULL;
    int r = sl_tls_push_client(u->conn, u->gw->client_ctx, name, &t->addr, alpn_http11,
                               t->alpn ? sizeof(alpn_http11) : 0);
    if (r < 0 || uv_timer_init(u->gw->loop, &u->timer) < 0) {
        fail(u, "protocol", "no memory");
        return;
    }
    u->timer.data = u;
    u->timing = true;
    uv_timer_start(&u->timer, on_shake_timeout, SL_TIMEOUT_DIAL_MS, 0);
    sl_conn_on_event(u->conn, on_handshake, u);
    on_handshake(u);
}

/* ---- TCP ---- */

static void on_dialled(void *arg, int fd, const sl_dial_target *used)
{
    sl_upstream *u = arg;
    u->dial = NULL;
    if (fd < 0) {
        fail(u, fd == -ETIMEDOUT ? "timeout" : "refused", strerror(-fd));
        return;
    }
    u->peer = used->addr;
    if (sl_conn_new(u->gw->loop, fd, &u->conn) < 0) {
        fail(u, "refused", "no memory");
        return;
    }
    if (u->target.tls) {
        begin_tls(u);
    } else {
        succeed(u);
    }
}

static const char *dial(sl_upstream *u, const struct sl_link_addr *addrs, size_t count)
{
    sl_dial_target targets[SL_DIAL_TARGETS_MAX];
    count = SL_MIN(count, (size_t)SL_DIAL_TARGETS_MAX);
    for (size_t i = 0; i < count; i++) {
        targets[i] = (sl_dial_target){.addr = addrs[i].addr, .port = addrs[i].port};
    }
    int r = sl_dial_start(u->gw->loop, targets, count, SL_TIMEOUT_DIAL_MS, on_dialled, u, &u->dial);
    return r < 0 ? "refused" : NULL;
}

/* ---- names ---- */

size_t sl_upstream_known(const sl_gateway *gw, const char *name, uint16_t port,
                         struct sl_link_addr ret[SL_LINK_ADDRS_MAX])
{
    const sl_resolve *fixed = sl_policy_resolve(gw->policy, name);
    if (fixed != NULL) {
        ret[0].addr = fixed->addr;
        ret[0].port = fixed->port != 0 ? fixed->port : port;
        return 1;
    }
    if (sl_host_is_localhost(name)) { /* RFC 6761 section 6.3 */
        (void)sl_addr_parse("127.0.0.1", &ret[0].addr);
        (void)sl_addr_parse("::1", &ret[1].addr);
        ret[0].port = ret[1].port = port;
        return 2;
    }
    return 0;
}

size_t sl_upstream_permitted(const sl_gateway *gw, const char *name, uint16_t port,
                             const sl_addr *addrs, size_t count,
                             struct sl_link_addr ret[SL_LINK_ADDRS_MAX])
{
    size_t kept = 0;
    for (size_t i = 0; i < count && kept < SL_LINK_ADDRS_MAX; i++) {
        if (sl_policy_may_dial(gw->policy, name, &addrs[i], port)) {
            ret[kept].addr = addrs[i];
            ret[kept++].port = port;
        }
    }
    return kept;
}

static void on_resolved(void *arg, int status, const sl_addr *addrs, size_t count)
{
    sl_upstream *u = arg;
    u->query = NULL;
    if (status < 0 || count == 0) {
        fail(u, status == -ETIMEDOUT ? "timeout" : "dns",
             status == -ETIMEDOUT ? "no answer from the resolver" : "the name has no address");
        return;
    }
    struct sl_link_addr permitted[SL_LINK_ADDRS_MAX];
    const sl_target *t = &u->target;
    size_t kept = sl_upstream_permitted(u->gw, t->name, t->port, addrs, count, permitted);
    if (kept == 0) {
        char text[SL_ADDR_STR_MAX];
        u->peer = addrs[0];
        sl_failure f;
        sl_failure_set(&f, "address_denied", "");
        snprintf(f.detail, sizeof(f.detail),
                 "the name leads to %s, where no name may lead by itself",
                 sl_addr_format(&addrs[0], text));
        f.remedy = SL_REMEDY_RESOLVE;
        end(u, NULL, &f);
        return;
    }
    const char *failed = dial(u, permitted, kept);
    if (failed != NULL) {
        fail(u, failed, "cannot dial");
    }
}

static const char *begin(sl_upstream *u)
{
    const sl_target *t = &u->target;
    struct sl_link_addr addrs[SL_LINK_ADDRS_MAX];
    memset(addrs, 0, sizeof(addrs));
    if (t->name[0] == '\0') {
        size_t kept = sl_upstream_permitted(u->gw, NULL, t->port, &t->addr, 1, addrs);
        return kept == 0 ? "address_denied" : dial(u, addrs, kept);
    }
    size_t known = sl_upstream_known(u->gw, t->name, t->port, addrs);
    if (known > 0) {
        size_t kept = 0;
        for (size_t i = 0; i < known; i++) {
            if (sl_policy_may_dial(u->gw->policy, t->name, &addrs[i].addr, addrs[i].port)) {
                addrs[kept++] = addrs[i];
            }
        }
        return kept == 0 ? "address_denied" : dial(u, addrs, kept);
    }
    int r = sl_resolver_start(u->gw->resolver, t->name, on_resolved, u, &u->query);
    return r < 0 ? "dns" : NULL;
}

const char *sl_upstream_open(sl_gateway *gw, const sl_target *target, sl_upstream_cb cb, void *arg,
                             sl_upstream **ret)
{
    sl_upstream *u = calloc(1, sizeof(*u));
    if (u == NULL) {
        return "refused";
    }
    u->gw = gw;
    u->target = *target;
    u->cb = cb;
    u->arg = arg;
    u->timer.data = u;
    const char *failed = begin(u);
    if (failed != NULL) {
        trace_end(u, failed, "");
        release(u);
        return failed;
    }
    *ret = u;
    return NULL;
}
