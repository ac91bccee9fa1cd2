/* Owns the doubt about TLS connections on which nothing was asked. A client that compares the
 * certificate with one of its own does so after the handshake, and no alert tells of it. One that
 * opened a connection beforehand looks the same, but asks something on another: a doubt stands only
 * where a program never asked anything of that host. */
#include "http/why/doubt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/util.h"

typedef struct doubt {
    sl_target target;
    struct sl_link_process process;
    uint64_t count; /* 0: none, it asked */
    bool asked;
} doubt;

struct sl_doubts {
    size_t count;
    doubt items[SL_DOUBTS_MAX];
};

sl_doubts *sl_doubts_new(void)
{
    return calloc(1, sizeof(sl_doubts));
}

void sl_doubts_free(sl_doubts *doubts)
{
    free(doubts);
}

static bool is_about(const doubt *d, const sl_flow *flow)
{
    const sl_target *t = &flow->target;
    return d->target.port == t->port && strcmp(d->target.name, t->name) == 0 &&
           (t->name[0] != '\0' || sl_addr_equal(&d->target.addr, &t->addr)) &&
           strcmp(d->process.exe, flow->process.exe) == 0;
}

/* The one about this program and destination; NULL when there is no room for another. */
static doubt *find(sl_doubts *doubts, const sl_flow *flow)
{
    for (size_t i = 0; i < doubts->count; i++) {
        if (is_about(&doubts->items[i], flow)) {
            return &doubts->items[i];
        }
    }
    if (doubts->count == SL_DOUBTS_MAX) {
        return NULL;
    }
    doubt *d = &doubts->items[doubts->count++];
    *d = (doubt){.target = flow->target, .process = flow->process};
    return d;
}

void sl_doubt_clear(const sl_flow *flow)
{
    if (flow->shaken_ms != 0 && flow->gw->doubts != NULL) {
        doubt *d = find(flow->gw->doubts, flow);
        if (d != NULL) {
            d->asked = true;
        }
    }
}

void sl_doubt_flow(sl_flow *flow)
{
    sl_gateway *gw = flow->gw;
    if (flow->shaken_ms == 0 || flow->asked || gw->doubts == NULL) {
        return;
    }
    if (flow->failure.reason != NULL) { /* no request heard of it */
        sl_flow_fail(flow, "tls", &flow->failure);
        return;
    }
    doubt *d = uv_now(gw->loop) - flow->shaken_ms <= SL_DOUBT_MS ? find(gw->doubts, flow) : NULL;
    if (d != NULL) {
        d->count++;
    }
}

static void tell(sl_gateway *gw, const doubt *d)
{
    sl_flow flow = {.gw = gw, .target = d->target, .process = d->process};
    sl_failure f;
    sl_failure_set(&f, "tls_unasked",
                   "the client left without a request when it had seen the certificate of the run: "
                   "it may expect a certain one");
    f.remedy = SL_REMEDY_NO_INSPECT;
    flow.started_ms = uv_now(gw->loop);
    for (uint64_t i = 0; i < d->count; i++) {
        sl_flow_fail(&flow, "tls", &f);
    }
}

void sl_doubts_tell(sl_gateway *gw)
{
    for (size_t i = 0; gw->doubts != NULL && i < gw->doubts->count; i++) {
        if (!gw->doubts->items[i].asked) {
            tell(gw, &gw->doubts->items[i]);
        }
    }
}
