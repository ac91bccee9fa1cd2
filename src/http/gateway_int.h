/* What the files of this room share: the gateway, its flows, and the protocol of a flow. */
#ifndef SANDLOCK_HTTP_GATEWAY_INT_H
#define SANDLOCK_HTTP_GATEWAY_INT_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "core/buf.h"
#include "http/audit.h"
#include "http/h1_parse.h"
#include "net/ca.h"
#include "net/conn.h"
#include "net/resolver.h"
#include "net/responder.h"
#include "net/sniff.h"
#include "policy/artefact.h"
#include "policy/link.h"
#include "policy/policy.h"
#include "policy/synth.h"
#include "policy/verdict.h"

#define SL_FLOWS_MAX         16384
#define SL_SCRATCH_SIZE      (256u << 10) /* one receive; shared by all flows, empty between events */
#define SL_TIMEOUT_FIRST_MS  60000        /* a flow that says nothing at all */
#define SL_TIMEOUT_HEAD_MS   20000        /* from a head's first byte to its end */
#define SL_TIMEOUT_IDLE_MS   180000       /* between requests */
#define SL_TIMEOUT_SHAKE_MS  20000        /* the child's TLS handshake */
#define SL_TIMEOUT_DIAL_MS   15000        /* connect, all addresses */
#define SL_TIMEOUT_LINGER_MS 5000
#define SL_TIMEOUT_DRAIN_MS  15000 /* the rest of a denied request's body */
#define SL_TIMEOUT_BODY_MS   20000 /* in which a request's body must get on by ... */
#define SL_BODY_PROGRESS     1024  /* ... this many bytes */
#define SL_TIMEOUT_GONE_MS   60000 /* quiet response to a client that said its last byte */
#define SL_TIMEOUT_POOL_MS   60000
#define SL_SPEAKS_FIRST_MS   300 /* then a raw flow's server may have the first word */
#define SL_DRAIN_MAX         (1u << 20)

typedef struct sl_flow sl_flow;
typedef struct sl_gateway sl_gateway;
typedef struct sl_upstream sl_upstream;
typedef struct sl_pool sl_pool;

/* Whom to dial. Plain value. */
typedef struct sl_target {
    char name[SL_HOST_NAME_MAX]; /* "" for a literal address */
    sl_addr addr;
    uint16_t port;
    bool tls;
    bool alpn;                       /* offer "http/1.1" */
    char tls_name[SL_HOST_NAME_MAX]; /* SNI and certificate name; "" for the address */
} sl_target;

/* Told once, later. `conn` is NULL on failure, with a reason of INTERFACES and a sentence. */
typedef void (*sl_upstream_cb)(void *arg, sl_conn *conn, const sl_addr *peer, const char *reason,
                               const char *detail);

struct sl_gateway {
    uv_loop_t *loop;
    int link;
    sl_policy *policy;
    sl_synth_map *synth;
    sl_resolver *resolver;
    sl_responder *responder;
    sl_audit *audit;
    sl_pool *pool;
    sl_ca *ca;                    /* NULL until the child must trust it */
    int (*trust)(sl_gateway *gw); /* makes it when it is first wanted; 0 or -errno */
    SSL_CTX *server_ctx;          /* towards the child */
    SSL_CTX *client_ctx;          /* towards upstreams; made for the first TLS flow */
    char *upstream_pem;           /* http_upstream_ca */
    size_t upstream_pem_len;

    sl_flow *flows; /* all that are open */
    sl_flow *dead;  /* ended in this turn; freed between turns */
    size_t flow_count;

    /* Room for one event; nothing is kept here between two. */
    uint8_t *scratch;
    sl_h1_head head;
    char path[SL_HEAD_TARGET_MAX + 2];
    char query[SL_HEAD_TARGET_MAX + 2];
    sl_buf wire;
    sl_buf tail;

    /* Opens an upstream connection; a test may put its own here. */
    const char *(*open)(sl_gateway *gw, const sl_target *target, sl_upstream_cb cb, void *arg,
                        sl_upstream **ret);
};

/* What a flow does with its bytes once it is known what they are. */
typedef struct sl_protocol {
    const char *name;
    int (*start)(sl_flow *flow);   /* 0 or -errno */
    void (*pump)(sl_flow *flow);   /* something may be possible; may end the flow */
    void (*expire)(sl_flow *flow); /* deadline_ms has come */
    void (*end)(sl_flow *flow);    /* free what `state` holds; may log */
} sl_protocol;

struct sl_flow {
    sl_gateway *gw;
    sl_flow *next;
    sl_flow **prev;
    struct sl_link_process process;
    uint64_t started_ms;
    uint64_t deadline_ms; /* 0: none */
    sl_flow_verdict verdict;
    sl_target target;
    bool ended;
    bool shaking; /* the TLS handshake with the child is on */
    sl_conn *client;
    const sl_protocol *protocol;
    void *state;
    sl_buf sniffed;    /* what was read to tell what the flow is; goes first */
    uint64_t lingered; /* bytes thrown away behind our last word */

    /* until a protocol has it */
    sl_client_hello hello;
    sl_upstream *opening;
    sl_conn *upstream; /* opened before the first request, or NULL */
    sl_addr peer;
    const char *failed; /* why it could not be opened: the first request is answered so */
    char failed_detail[160];
};

extern const sl_protocol sl_protocol_sniff;
extern const sl_protocol sl_protocol_shake;
extern const sl_protocol sl_protocol_h1;
extern const sl_protocol sl_protocol_tunnel;
extern const sl_protocol sl_protocol_linger; /* the last word is said; the flow is logged */

/* flow.c */
int sl_flow_new(sl_gateway *gw, int fd, const struct sl_link_flow *msg);
void sl_flow_end(sl_flow *flow);
void sl_flow_become(sl_flow *flow, const sl_protocol *protocol);
void sl_flow_reap(sl_gateway *gw);
void sl_flow_expire_all(sl_gateway *gw, uint64_t now_ms);
void sl_flow_end_all(sl_gateway *gw);
/* One line for a flow that is not HTTP requests. `reason` NULL, or "client_gone": allowed. */
void sl_flow_log(sl_flow *flow, const char *kind, const char *reason, const char *detail,
                 uint64_t bytes_out, uint64_t bytes_in);
/* "name" or "192.0.2.1", as requests call it. */
const char *sl_flow_host(const sl_flow *flow, char out[SL_HOST_NAME_MAX]);

/* upstream.c: NULL when started (the callback comes later), else the reason of the failure. */
const char *sl_upstream_open(sl_gateway *gw, const sl_target *target, sl_upstream_cb cb, void *arg,
                             sl_upstream **ret);
void sl_upstream_cancel(sl_upstream *u);
/* RESOLVE: which of `addrs` may be dialled under `name`, --resolve included. */
size_t sl_upstream_permitted(const sl_gateway *gw, const char *name, uint16_t port,
                             const sl_addr *addrs, size_t count,
                             struct sl_link_addr ret[SL_LINK_ADDRS_MAX]);
/* Addresses that need no look-up: --resolve, localhost. 0 when there are none. */
size_t sl_upstream_known(const sl_gateway *gw, const char *name, uint16_t port,
                         struct sl_link_addr ret[SL_LINK_ADDRS_MAX]);

/* pool.c: idle, clean HTTP/1 connections to upstreams. */
sl_pool *sl_pool_new(void);
void sl_pool_free(sl_pool *pool);
void sl_pool_put(sl_pool *pool, const sl_target *target, const sl_addr *peer, sl_conn *conn);
sl_conn *sl_pool_take(sl_pool *pool, const sl_target *target, sl_addr *ret_peer);
bool sl_pool_has(const sl_pool *pool, const sl_target *target);
bool sl_pool_any(const sl_pool *pool);
void sl_pool_expire(sl_pool *pool, uint64_t now_ms);

/* trust.c */
int sl_trust_make(sl_gateway *gw, const char *cert, size_t cert_len, const char *key,
                  size_t key_len, sl_error *err);
int sl_trust_client_ctx(sl_gateway *gw, sl_error *err);
/* Makes every trust artefact as a sealed memfd; `user` is PEM of what the child believed before.
 * What is made at a failure is in `fds` too, the caller's. */
int sl_trust_artefacts(sl_gateway *gw, const char *user, size_t user_len, int fds[SL_ARTEFACTS],
                       sl_error *err);

/* confine.c: no exec, no fork, no writes, few reads. Before any byte of the child is looked at. */
int sl_confine_self(sl_error *err);

#endif
