/* Owns flows: the list of them, their deadlines, and what each turns out to be by its first bytes.
 * What cannot be read is closed, never passed on. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/util.h"
#include "http/gateway_int.h"
#include "http/judge.h"
#include "http/why/doubt.h"
#include "net/tls/tls.h"

/* TLS alerts, level fatal (RFC 8446 section 6), in a record that every client understands. */
#define ALERT_DECODE_ERROR      50
#define ALERT_UNRECOGNIZED_NAME 112

const char *sl_flow_host(const sl_flow *flow, char out[SL_HOST_NAME_MAX])
{
    if (flow->target.name[0] != '\0') {
        return flow->target.name;
    }
    return sl_addr_format(&flow->target.addr, out);
}

void sl_flow_denied(const sl_flow *flow, const char *what, const char *allow_with, const char *why)
{
    char host[SL_HOST_NAME_MAX];
    sl_denial d = {.port = flow->target.port};
    snprintf(d.what, sizeof(d.what), "%s", what);
    snprintf(d.allow_with, sizeof(d.allow_with), "%s", allow_with);
    snprintf(d.why, sizeof(d.why), "%s", why);
    snprintf(d.host, sizeof(d.host), "%s", sl_flow_host(flow, host));
    sl_denial_by(&d, flow->process.exe);
    sl_audit_denied(flow->gw->audit, &d);
}

void sl_flow_hint(const sl_flow *flow, const char *kind, const sl_failure *f, const sl_addr *peer)
{
    char host[SL_HOST_NAME_MAX];
    char what[SL_SUGGESTION_MAX];
    char allow_with[SL_SUGGESTION_MAX];
    const char *why = f->detail[0] != '\0' ? f->detail : sl_denial_reason(f->reason);
    sl_failure_option(flow->gw->policy, f, &flow->target, peer, allow_with);
    snprintf(what, sizeof(what), "%s %s:%u", kind, sl_flow_host(flow, host), flow->target.port);
    sl_flow_denied(flow, what, allow_with, why);
}

static void tell(sl_flow *flow, const char *kind, const sl_failure *f, bool allow,
                 uint64_t bytes_out, uint64_t bytes_in)
{
    char host[SL_HOST_NAME_MAX];
    sl_audit_event e = {
        .allow = allow,
        .pid = flow->process.pid,
        .exe = flow->process.exe,
        .kind = kind,
        .host = sl_flow_host(flow, host),
        .port = flow->target.port,
        .peer = &flow->peer,
        .rule = flow->verdict.rule,
        .reason = f->reason,
        .detail = f->detail,
        .bytes_out = bytes_out,
        .bytes_in = bytes_in,
        .duration_ms = uv_now(flow->gw->loop) - flow->started_ms,
        .timed = allow,
    };
    SL_FLOW_TRACE(flow, SL_TRACE_FLOW, "%s %s: %s, %llu bytes up, %llu down", kind,
                  allow ? "allowed" : "denied", f->reason != NULL ? f->reason : "complete",
                  (unsigned long long)bytes_out, (unsigned long long)bytes_in);
    sl_audit_write(flow->gw->audit, &e);
    sl_audit_count(flow->gw->audit, allow, bytes_out, bytes_in);
    if (!allow) {
        sl_flow_hint(flow, kind, f, &flow->peer);
    }
}

/* What would have helped where the first bytes were not what may pass. */
static enum sl_remedy remedy_of(const sl_flow *flow, const char *reason)
{
    if (strcmp(reason, "no_rule") == 0) {
        return flow->verdict.rule == NULL ? SL_REMEDY_NET_ALLOW : SL_REMEDY_NONE;
    }
    if (strcmp(reason, "http2") == 0) {
        return SL_REMEDY_TCP_ALLOW;
    }
    bool other = strcmp(reason, "not_http") == 0 || strcmp(reason, "not_tls") == 0;
    return other ? SL_REMEDY_NET_ALLOW : SL_REMEDY_NONE;
}

void sl_flow_log(sl_flow *flow, const char *kind, const char *reason, const char *detail,
                 uint64_t bytes_out, uint64_t bytes_in)
{
    sl_failure f;
    bool left = reason != NULL && strcmp(reason, "client_gone") == 0; /* nobody refused it */
    sl_failure_set(&f, reason, detail != NULL ? detail : "");
    if (reason != NULL) {
        f.remedy = remedy_of(flow, reason);
    }
    tell(flow, kind, &f, reason == NULL || left, bytes_out, bytes_in);
}

void sl_flow_fail(sl_flow *flow, const char *kind, const sl_failure *failure)
{
    tell(flow, kind, failure, !sl_failure_is_denial(failure), 0, 0);
}

/* ---- the list ---- */

void sl_flow_end(sl_flow *flow)
{
    sl_gateway *gw = flow->gw;
    if (flow->ended) {
        return;
    }
    flow->ended = true;
    SL_FLOW_TRACE(flow, SL_TRACE_FLOW, "ended");
    if (flow->protocol != NULL && flow->protocol->end != NULL) {
        flow->protocol->end(flow);
    }
    sl_doubt_flow(flow);
    sl_upstream_cancel(flow->opening);
    flow->opening = NULL;
    sl_conn_close(flow->client);
    sl_conn_close(flow->upstream);
    sl_buf_done(&flow->sniffed);
    *flow->prev = flow->next;
    if (flow->next != NULL) {
        flow->next->prev = flow->prev;
    }
    gw->flow_count--;
    flow->next = gw->dead;
    gw->dead = flow;
}

void sl_flow_reap(sl_gateway *gw)
{
    while (gw->dead != NULL) {
        sl_flow *flow = gw->dead;
        gw->dead = flow->next;
        free(flow);
    }
}

static enum sl_flow_rank weigh(sl_flow *flow, uint64_t now_ms)
{
    uint64_t bytes = 0;
    enum sl_flow_rank rank =
        flow->protocol->weigh != NULL ? flow->protocol->weigh(flow, &bytes) : SL_FLOW_SENDING;
    if (bytes < flow->moved_bytes || bytes - flow->moved_bytes >= SL_FLOW_PROGRESS) {
        flow->moved_bytes = bytes;
        flow->moved_ms = now_ms;
    }
    return rank;
}

/* HTTP-24: slow flows cost nobody anything until their number does. The one that is missed least
 * makes room. */
static void make_room(sl_gateway *gw)
{
    sl_flow *least = NULL;
    enum sl_flow_rank least_rank = SL_FLOW_BUSY;
    uint64_t now = uv_now(gw->loop);
    for (sl_flow *flow = gw->flows; flow != NULL; flow = flow->next) {
        enum sl_flow_rank rank = weigh(flow, now);
        if (least == NULL || rank < least_rank ||
            (rank == least_rank && flow->moved_ms <= least->moved_ms)) {
            least = flow;
            least_rank = rank;
        }
    }
    if (least != NULL) {
        SL_FLOW_TRACE(least, SL_TRACE_FLOW, "makes room for another: of %zu it moved least",
                      gw->flow_count);
        least->asked = true; /* nobody can say whether it would have */
        sl_flow_end(least);
    }
}

void sl_flow_expire_all(sl_gateway *gw, uint64_t now_ms)
{
    sl_flow *next;
    for (sl_flow *flow = gw->flows; flow != NULL; flow = next) {
        next = flow->next;
        (void)weigh(flow, now_ms);
        if (flow->deadline_ms != 0 && now_ms >= flow->deadline_ms) {
            flow->protocol->expire(flow);
        }
    }
}

void sl_flow_end_all(sl_gateway *gw)
{
    while (gw->flows != NULL) {
        gw->flows->asked = true; /* it is we who end it */
        sl_flow_end(gw->flows);
    }
    sl_flow_reap(gw);
}

void sl_flow_on_event(void *arg)
{
    sl_flow *flow = arg;
    flow->protocol->pump(flow);
}

void sl_flow_become(sl_flow *flow, const sl_protocol *protocol)
{
    sl_conn *client = flow->client;
    SL_FLOW_TRACE(flow, SL_TRACE_FLOW, "%s -> %s",
                  flow->protocol != NULL ? flow->protocol->name : "new", protocol->name);
    flow->protocol = protocol;
    sl_conn_on_event(client, sl_flow_on_event, flow);
    int r = protocol->start(flow);
    if (r < 0) {
        sl_flow_log(flow, protocol->name, "memory", strerror(-r), 0, 0);
        sl_flow_end(flow);
        return;
    }
    if (!flow->ended && flow->protocol == protocol) {
        protocol->pump(flow);
    }
}

static void trace_verdict(const sl_flow *flow)
{
    static const char *const modes[] = {
        [SL_FLOW_REFUSE] = "refused",
        [SL_FLOW_INSPECT] = "inspected",
        [SL_FLOW_TLS_PASS] = "TLS passes",
    };
    char host[SL_HOST_NAME_MAX];
    const char *rule = flow->verdict.rule;
    SL_FLOW_TRACE(flow, SL_TRACE_FLOW, "process %d to '%s' port %u: %s%s by '%s'",
                  (int)flow->process.pid, sl_flow_host(flow, host), flow->target.port,
                  modes[flow->verdict.mode], flow->verdict.raw ? ", raw bytes too," : "",
                  rule != NULL ? rule : "no rule");
}

int sl_flow_new(sl_gateway *gw, int fd, const struct sl_link_flow *msg)
{
    int one = 1;
    size_t most = gw->flows_max != 0 ? gw->flows_max : SL_FLOWS_MAX;
    if (gw->flow_count >= most) {
        make_room(gw);
    }
    if (gw->flow_count >= most) {
        sl_close(fd);
        return -EMFILE;
    }
    sl_flow *flow = calloc(1, sizeof(*flow));
    if (flow == NULL) {
        sl_close(fd);
        return -ENOMEM;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    int r = sl_conn_new(gw->loop, fd, &flow->client);
    if (r < 0) {
        free(flow);
        return r;
    }
    flow->gw = gw;
    flow->id = msg->id;
    flow->process = msg->process;
    memcpy(flow->target.name, msg->name, sizeof(flow->target.name));
    flow->target.addr = msg->addr;
    flow->target.port = msg->port;
    flow->started_ms = flow->moved_ms = uv_now(gw->loop);
    sl_buf_init(&flow->sniffed, SL_SNIFF_MAX);
    flow->next = gw->flows;
    flow->prev = &gw->flows;
    if (flow->next != NULL) {
        flow->next->prev = &flow->next;
    }
    gw->flows = flow;
    gw->flow_count++;
    sl_dest dest = {.proto = SL_PROTO_TCP,
                    .name = msg->name[0] != '\0' ? flow->target.name : NULL,
                    .addr = msg->addr,
                    .port = msg->port};
    sl_policy_judge_flow(gw->policy, &dest, &flow->verdict);
    trace_verdict(flow);
    sl_flow_become(flow, &sl_protocol_sniff);
    return 0;
}

/* ---- sniffing ---- */

static void refuse(sl_flow *flow, const char *kind, const char *reason)
{
    sl_flow_log(flow, kind, reason, NULL, 0, 0);
    sl_flow_end(flow);
}

static void refuse_tls(sl_flow *flow, const char *reason, uint8_t alert)
{
    uint8_t record[] = {21, 3, 1, 0, 2, 2, alert};
    struct iovec iov = {record, sizeof(record)};
    (void)sl_conn_send(flow->client, &iov, 1);
    sl_flow_log(flow, "tls", reason, NULL, 0, 0);
    sl_flow_become(flow, &sl_protocol_linger);
}

/* RFC 9113 section 5.4.1: our SETTINGS, then GOAWAY with HTTP_1_1_REQUIRED. */
static void refuse_h2(sl_flow *flow)
{
    static const uint8_t frames[] = {0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 8, 7,
                                     0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 13};
    struct iovec iov = {(void *)frames, sizeof(frames)};
    (void)sl_conn_send(flow->client, &iov, 1);
    sl_flow_log(flow, "http", "http2", "HTTP/2 without TLS, which is not inspected", 0, 0);
    sl_flow_become(flow, &sl_protocol_linger);
}

/* One authority: the name in the ClientHello is the flow's, or there is none. */
static void decide_tls(sl_flow *flow)
{
    const sl_client_hello *h = &flow->hello;
    const sl_addr no_addr = {0};
    const char *name = flow->target.name;
    SL_FLOW_TRACE(flow, SL_TRACE_TLS, "client's hello: server name '%s', at most version %04x%s",
                  h->has_sni ? h->sni : "", h->version_max,
                  h->has_ech ? ", perhaps another name encrypted" : "");
    if (h->has_sni && !h->sni_is_addr) {
        if (!sl_judge_names_flow(&flow->target, h->sni, &no_addr)) {
            refuse_tls(flow, "sni", ALERT_UNRECOGNIZED_NAME);
            return;
        }
        name = h->sni;
    }
    if (flow->verdict.mode == SL_FLOW_TLS_PASS) {
        if (h->has_ech) { /* the name that counts is one we cannot read */
            refuse_tls(flow, "ech", ALERT_UNRECOGNIZED_NAME);
            return;
        }
        sl_flow_become(flow, &sl_protocol_tunnel);
        return;
    }
    flow->target.tls = true;
    flow->target.alpn = sl_tls_alpn_has(h->alpn, h->alpn_len, "http/1.1") ||
                        sl_tls_alpn_has(h->alpn, h->alpn_len, "http/1.0");
    snprintf(flow->target.tls_name, sizeof(flow->target.tls_name), "%s", name);
    sl_flow_become(flow, &sl_protocol_shake);
}

static void decide(sl_flow *flow, enum sl_sniff_kind kind)
{
    static const char *const kinds[] = {
        [SL_SNIFF_MORE] = "too little", [SL_SNIFF_TLS] = "TLS",     [SL_SNIFF_HTTP1] = "HTTP/1",
        [SL_SNIFF_HTTP2] = "HTTP/2",    [SL_SNIFF_OTHER] = "other", [SL_SNIFF_BAD] = "bad TLS",
    };
    bool inspect = flow->verdict.mode == SL_FLOW_INSPECT;
    SL_FLOW_TRACE(flow, SL_TRACE_FLOW, "first bytes: %s", kinds[kind]);
    if (kind == SL_SNIFF_TLS) {
        decide_tls(flow);
    } else if (kind == SL_SNIFF_BAD) {
        bool name = flow->hello.has_sni; /* it is the name that is wrong */
        refuse_tls(flow, name ? "sni" : "malformed_tls",
                   name ? ALERT_UNRECOGNIZED_NAME : ALERT_DECODE_ERROR);
    } else if (flow->verdict.governed && kind == SL_SNIFF_HTTP1) {
        sl_flow_become(flow, flow->gw->http1); /* also where TLS would pass unseen */
    } else if (kind == SL_SNIFF_HTTP2 && flow->verdict.h2c) {
        sl_flow_become(flow, &sl_protocol_tunnel);
    } else if (flow->verdict.governed && kind == SL_SNIFF_HTTP2) {
        refuse_h2(flow);
    } else if (flow->verdict.raw) {
        sl_flow_become(flow, &sl_protocol_tunnel);
    } else if (inspect) { /* no HTTP either: its reader says so, and how */
        sl_flow_become(flow, flow->gw->http1);
    } else {
        refuse(flow, "tcp", "not_tls");
    }
}

static int sniff_start(sl_flow *flow)
{
    /* A connection that is opened beforehand may be quiet for long. */
    flow->deadline_ms = flow->verdict.raw ? uv_now(flow->gw->loop) + SL_SPEAKS_FIRST_MS : 0;
    if (flow->verdict.mode == SL_FLOW_REFUSE) {
        refuse(flow, "tcp", flow->verdict.rule != NULL ? "denied_by_rule" : "no_rule");
    }
    return 0;
}

static void sniff_pump(sl_flow *flow)
{
    uint8_t *to =
        sl_buf_reserve(&flow->sniffed, SL_MIN((size_t)4096, SL_SNIFF_MAX - flow->sniffed.len));
    if (to == NULL) {
        refuse(flow, "tcp", "memory");
        return;
    }
    size_t room = SL_MIN(flow->sniffed.cap - flow->sniffed.off - flow->sniffed.len,
                         SL_SNIFF_MAX - flow->sniffed.len);
    ssize_t n = sl_conn_recv(flow->client, to, room);
    if (n == -EAGAIN) {
        sl_conn_want(flow->client, true, false);
        return;
    }
    if (n <= 0) {
        sl_flow_end(flow); /* it came and went without a word */
        return;
    }
    if (flow->sniffed.len == 0) {
        flow->deadline_ms = uv_now(flow->gw->loop) + SL_TIMEOUT_HEAD_MS;
    }
    sl_buf_commit(&flow->sniffed, (size_t)n);
    enum sl_sniff_kind kind =
        sl_sniff(sl_buf_head(&flow->sniffed), flow->sniffed.len, &flow->hello);
    if (kind != SL_SNIFF_MORE) {
        decide(flow, kind);
    } else if (flow->sniffed.len >= SL_SNIFF_MAX) {
        refuse(flow, "tcp", "not_http");
    } else {
        sl_conn_want(flow->client, true, false);
        sl_conn_kick(flow->client);
    }
}

static void sniff_expire(sl_flow *flow)
{
    if (flow->sniffed.len == 0 && flow->verdict.raw) {
        sl_flow_become(flow, &sl_protocol_tunnel); /* the server may speak first */
        return;
    }
    if (flow->sniffed.len > 0) {
        sl_flow_log(flow, "tcp", "timeout", NULL, 0, 0);
    }
    sl_flow_end(flow);
}

const sl_protocol sl_protocol_sniff = {
    .name = "sniff",
    .start = sniff_start,
    .pump = sniff_pump,
    .expire = sniff_expire,
};
