/* A flow: one connection of the child, and the protocol that has it. What every protocol is built
 * on, and all that the rest knows of one. */
#ifndef SANDLOCK_HTTP_FLOW_H
#define SANDLOCK_HTTP_FLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/buf.h"
#include "core/trace.h"
#include "http/upstream.h"
#include "net/conn.h"
#include "net/sniff.h"
#include "policy/link.h"
#include "policy/verdict.h"

#define SL_FLOWS_MAX         16384
#define SL_FLOW_PROGRESS     1024  /* bytes that a flow moves and is no slow one */
#define SL_TIMEOUT_HEAD_MS   20000 /* from a head's first byte to its end */
#define SL_TIMEOUT_SHAKE_MS  20000 /* the child's TLS handshake */
#define SL_TIMEOUT_LINGER_MS 5000
#define SL_TIMEOUT_DRAIN_MS  15000 /* the rest of a denied request's body */
#define SL_TIMEOUT_GONE_MS                                                                         \
    60000                      /* then it is asked whether a client that said its last is there    \
                                */
#define SL_SPEAKS_FIRST_MS 300 /* then a raw flow's server may have the first word */
#define SL_DRAIN_MAX       (1u << 20)

typedef struct sl_flow sl_flow;
typedef struct sl_gateway sl_gateway;

/* What a flow is worth when there is no room for another: the lowest goes, of those the one that
 * moved nothing for longest. */
enum sl_flow_rank {
    SL_FLOW_IDLE,    /* between two requests; clients know how to go on (RFC 9112 section 9.3.1) */
    SL_FLOW_SENDING, /* not all of its request is here */
    SL_FLOW_BUSY,
};

/* What a flow does with its bytes once it is known what they are. */
typedef struct sl_protocol {
    const char *name;
    int (*start)(sl_flow *flow);   /* 0 or -errno */
    void (*pump)(sl_flow *flow);   /* something may be possible; may end the flow */
    void (*expire)(sl_flow *flow); /* deadline_ms has come */
    /* Free what `state` holds, also after a failed start; may log. NULL: nothing is held. */
    void (*end)(sl_flow *flow);
    /* NULL: it is sending, and moved nothing. `ret_bytes`: what it moved, for this request. */
    enum sl_flow_rank (*weigh)(const sl_flow *flow, uint64_t *ret_bytes);
} sl_protocol;

struct sl_flow {
    sl_gateway *gw;
    sl_flow *next;
    sl_flow **prev;
    uint64_t id; /* the engine's, for traces */
    struct sl_link_process process;
    uint64_t started_ms;
    uint64_t deadline_ms; /* 0: none */
    uint64_t moved_ms;    /* when it last had moved SL_FLOW_PROGRESS bytes more */
    uint64_t moved_bytes; /* ... of so many */
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
    sl_failure failure; /* why it could not be opened: the first request is answered so */

    uint64_t shaken_ms; /* when the handshake with the child was done; 0: it was not */
    bool asked;         /* a request came, or nobody can say whether one would have */
};

/* A line of the trace about a flow: it begins with which. */
#define SL_FLOW_TRACE(flow, topic, fmt, ...)                                                       \
    SL_TRACE(topic, "flow %llu: " fmt, (unsigned long long)(flow)->id, ##__VA_ARGS__)

/* Takes `fd` over, judges the flow, and looks at its first bytes. 0 or -errno, then closed. */
int sl_flow_new(sl_gateway *gw, int fd, const struct sl_link_flow *msg);
/* Ends it at once; its memory goes between turns. */
void sl_flow_end(sl_flow *flow);
void sl_flow_become(sl_flow *flow, const sl_protocol *protocol);
/* For sl_conn_on_event, with the flow: its protocol's pump. */
void sl_flow_on_event(void *flow);
void sl_flow_reap(sl_gateway *gw);
void sl_flow_expire_all(sl_gateway *gw, uint64_t now_ms);
void sl_flow_end_all(sl_gateway *gw);
/* One line for a flow that is not HTTP requests. `reason` NULL, or "client_gone": allowed. */
void sl_flow_log(sl_flow *flow, const char *kind, const char *reason, const char *detail,
                 uint64_t bytes_out, uint64_t bytes_in);
/* The same where something failed: denied only if that was our doing. */
void sl_flow_fail(sl_flow *flow, const char *kind, const sl_failure *failure);
/* A line of the summary: of what was denied on this flow, the option, and the reason. */
void sl_flow_denied(const sl_flow *flow, const char *what, const char *allow_with, const char *why);
/* The same for a failure. */
void sl_flow_hint(const sl_flow *flow, const char *kind, const sl_failure *f, const sl_addr *peer);
/* "name" or "192.0.2.1", as requests call it. */
const char *sl_flow_host(const sl_flow *flow, char out[SL_HOST_NAME_MAX]);

/* The last word is said, the flow is logged: reads on for a moment before it closes. */
extern const sl_protocol sl_protocol_linger;

#endif
