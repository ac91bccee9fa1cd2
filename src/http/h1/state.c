/* Owns the states of an exchange: which step may follow which, and that each is traced. Never acts
 * on a step, but for the deadline that a state has. */
#include <assert.h>

#include "core/util.h"
#include "http/h1/exchange_int.h"

/* A state machine as a table: the names of its states, and a bit for each step. */
typedef struct machine {
    const char *name;
    const char *const *states;
    const unsigned char *legal;
} machine;

static const machine whole = {
    "exchange",
    (const char *const[]){"idle", "opening", "relay", "drain", "flush", "linger", "tunnel",
                          "ended"},
    (const unsigned char[]){
        [SL_EXCHANGE_IDLE] = 1 << SL_EXCHANGE_OPENING | 1 << SL_EXCHANGE_RELAY |
                             1 << SL_EXCHANGE_DRAIN | 1 << SL_EXCHANGE_FLUSH |
                             1 << SL_EXCHANGE_ENDED,
        [SL_EXCHANGE_OPENING] = 1 << SL_EXCHANGE_RELAY | 1 << SL_EXCHANGE_DRAIN |
                                1 << SL_EXCHANGE_FLUSH | 1 << SL_EXCHANGE_ENDED,
        [SL_EXCHANGE_RELAY] = 1 << SL_EXCHANGE_IDLE | 1 << SL_EXCHANGE_OPENING |
                              1 << SL_EXCHANGE_DRAIN | 1 << SL_EXCHANGE_FLUSH |
                              1 << SL_EXCHANGE_TUNNEL | 1 << SL_EXCHANGE_ENDED,
        [SL_EXCHANGE_DRAIN] =
            1 << SL_EXCHANGE_IDLE | 1 << SL_EXCHANGE_FLUSH | 1 << SL_EXCHANGE_ENDED,
        [SL_EXCHANGE_FLUSH] = 1 << SL_EXCHANGE_LINGER | 1 << SL_EXCHANGE_ENDED,
        [SL_EXCHANGE_LINGER] = 1 << SL_EXCHANGE_ENDED,
        [SL_EXCHANGE_TUNNEL] = 1 << SL_EXCHANGE_ENDED,
        [SL_EXCHANGE_ENDED] = 0,
    },
};

static const machine up_side = {
    "request",
    (const char *const[]){"none", "body", "dropped", "drain", "done"},
    (const unsigned char[]){
        [SL_H1_UP_NONE] = 1 << SL_H1_UP_BODY | 1 << SL_H1_UP_DONE,
        [SL_H1_UP_BODY] = 1 << SL_H1_UP_DROPPED | 1 << SL_H1_UP_DRAIN | 1 << SL_H1_UP_DONE,
        [SL_H1_UP_DROPPED] = 1 << SL_H1_UP_DRAIN,
        [SL_H1_UP_DRAIN] = 1 << SL_H1_UP_DONE,
        [SL_H1_UP_DONE] = 1 << SL_H1_UP_NONE,
    },
};

static const machine down_side = {
    "response",
    (const char *const[]){"none", "head", "body", "switch", "done"},
    (const unsigned char[]){
        [SL_H1_DOWN_NONE] = 1 << SL_H1_DOWN_HEAD | 1 << SL_H1_DOWN_DONE,
        [SL_H1_DOWN_HEAD] = 1 << SL_H1_DOWN_BODY | 1 << SL_H1_DOWN_SWITCH | 1 << SL_H1_DOWN_DONE,
        [SL_H1_DOWN_BODY] = 1 << SL_H1_DOWN_DONE,
        [SL_H1_DOWN_SWITCH] = 0,
        [SL_H1_DOWN_DONE] = 1 << SL_H1_DOWN_NONE,
    },
};

static const machine client_side = {
    "client's connection",
    (const char *const[]){"keep", "close", "last", "linger", "break"},
    (const unsigned char[]){
        [SL_CLIENT_KEEP] = 1 << SL_CLIENT_CLOSE | 1 << SL_CLIENT_LAST | 1 << SL_CLIENT_LINGER |
                           1 << SL_CLIENT_BREAK,
        [SL_CLIENT_CLOSE] = 1 << SL_CLIENT_LAST | 1 << SL_CLIENT_LINGER | 1 << SL_CLIENT_BREAK,
        [SL_CLIENT_LAST] = 1 << SL_CLIENT_LINGER | 1 << SL_CLIENT_BREAK,
        [SL_CLIENT_LINGER] = 1 << SL_CLIENT_BREAK,
        [SL_CLIENT_BREAK] = 0,
    },
};

static const machine upstream_side = {
    "upstream's connection",
    (const char *const[]){"pool", "own", "close"},
    (const unsigned char[]){
        [SL_UPSTREAM_POOL] = 1 << SL_UPSTREAM_OWN | 1 << SL_UPSTREAM_CLOSE,
        [SL_UPSTREAM_OWN] = 1 << SL_UPSTREAM_CLOSE,
        [SL_UPSTREAM_CLOSE] = 1 << SL_UPSTREAM_POOL | 1 << SL_UPSTREAM_OWN,
    },
};

/* True when the step may be made; else the exchange is over, for it must not go on in doubt. */
static bool may_step(sl_exchange *x, const machine *m, unsigned from, unsigned to)
{
    bool legal = from == to || (m->legal[from] >> to & 1) != 0;
    if (from != to) {
        SL_FLOW_TRACE(x->flow, SL_TRACE_HTTP, "%s %s -> %s%s", m->name, m->states[from],
                      m->states[to], legal ? "" : ", which must not be");
    }
    assert(legal);
    if (!legal) {
        x->state = SL_EXCHANGE_ENDED;
        x->client_end = SL_CLIENT_BREAK;
    }
    return legal;
}

void sl_exchange_go(sl_exchange *x, enum sl_exchange_state state)
{
    uint64_t now = uv_now(x->gw->loop);
    if (!may_step(x, &whole, x->state, state)) {
        return;
    }
    x->state = state;
    switch (state) {
    case SL_EXCHANGE_DRAIN:
        x->flow->deadline_ms = now + SL_TIMEOUT_DRAIN_MS;
        break;
    case SL_EXCHANGE_FLUSH:
        x->flow->deadline_ms = now + SL_TIMEOUT_GONE_MS;
        break;
    default:
        /* Bodies, streams and pauses may be quiet for ever, while somebody waits for them. */
        x->flow->deadline_ms = x->client.eof ? now + SL_TIMEOUT_GONE_MS : 0;
        break;
    }
}

void sl_exchange_up(sl_exchange *x, enum sl_h1_up up)
{
    if (may_step(x, &up_side, x->up, up)) {
        x->up = up;
    }
}

void sl_exchange_down(sl_exchange *x, enum sl_h1_down down)
{
    if (may_step(x, &down_side, x->down, down)) {
        x->down = down;
    }
}

void sl_exchange_end_client(sl_exchange *x, enum sl_h1_client_end end)
{
    if (end > x->client_end && may_step(x, &client_side, x->client_end, end)) {
        x->client_end = end;
    }
}

void sl_exchange_end_upstream(sl_exchange *x, enum sl_h1_upstream_end end)
{
    if (end > x->upstream_end && may_step(x, &upstream_side, x->upstream_end, end)) {
        x->upstream_end = end;
    }
}

void sl_exchange_use_upstream(sl_exchange *x)
{
    enum sl_h1_upstream_end end = x->bound ? SL_UPSTREAM_OWN : SL_UPSTREAM_POOL;
    if (may_step(x, &upstream_side, x->upstream_end, end)) {
        x->upstream_end = end;
    }
}
