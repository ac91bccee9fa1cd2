/* The gateway of one run: what all its flows share. */
#ifndef SANDLOCK_HTTP_GATEWAY_H
#define SANDLOCK_HTTP_GATEWAY_H

#include <openssl/ssl.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "http/audit.h"
#include "http/flow.h"
#include "http/upstream.h"
#include "net/dns/resolver.h"
#include "net/dns/responder.h"
#include "net/tls/ca.h"
#include "policy/policy.h"
#include "policy/synth.h"

#define SL_SCRATCH_SIZE (256u << 10) /* one receive; shared by all flows, empty between events */
#define SL_TARGET_MAX   (16u << 10)  /* bytes of a request's target */

struct sl_gateway {
    uv_loop_t *loop;
    int link;
    sl_policy *policy;
    sl_synth_map *synth;
    sl_resolver *resolver;
    sl_responder *responder;
    sl_audit *audit;
    sl_pool *pool;
    struct sl_doubts *doubts;           /* of clients that left without a request; NULL: not kept */
    sl_ca *ca;                          /* NULL until the child must trust it */
    int (*trust)(sl_gateway *gw);       /* makes it when it is first wanted; 0 or -errno */
    void (*expect_tls)(sl_gateway *gw); /* something will soon speak it: makes that, and more */
    SSL_CTX *server_ctx;                /* towards the child */
    SSL_CTX *client_ctx;                /* towards upstreams; made for the first TLS flow */
    char *upstream_pem;                 /* http_upstream_ca */
    size_t upstream_pem_len;

    sl_flow *flows; /* all that are open */
    sl_flow *dead;  /* ended in this turn; freed between turns */
    size_t flow_count;
    size_t flows_max; /* 0: SL_FLOWS_MAX */

    const sl_protocol *http1; /* what reads HTTP/1 */
    void *http1_room;         /* its own, for one event; NULL until its first flow */

    /* Room for one event; nothing is kept here between two. */
    uint8_t *scratch;
    char path[SL_TARGET_MAX + 2];
    char sent[SL_TARGET_MAX + 2];
    char query[SL_TARGET_MAX + 2];

    /* Opens an upstream connection; a test may put its own here. */
    const char *(*open)(sl_gateway *gw, const sl_target *target, sl_upstream_cb cb, void *arg,
                        sl_upstream **ret);
};

/* The program sandlock-gateway: serves one run over its link until the run is over. `link`: the
 * gateway's end of the socket pair. Returns the exit code. */
int sl_gateway_run(int link, const sl_protocol *http1);

#endif
