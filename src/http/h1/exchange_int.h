/* One HTTP/1 connection of the child and the upstream connection behind it: shared by the files of
 * this room that are about one. */
#ifndef SANDLOCK_HTTP_H1_EXCHANGE_INT_H
#define SANDLOCK_HTTP_H1_EXCHANGE_INT_H

#include "http/flow.h"
#include "http/gateway.h"
#include "http/h1/chunk.h"
#include "http/h1/handshake.h"
#include "http/h1/parse.h"
#include "http/h1/write.h"
#include "http/request.h"
#include "net/relay.h"
#include "net/splice.h"

#define SL_SIDE_IN_MAX  (SL_HEAD_MAX + SL_SCRATCH_SIZE)
#define SL_SIDE_OUT_MAX (SL_SCRATCH_SIZE + SL_HEAD_MAX + (32u << 10))
#define SL_INTERIM_MAX  32 /* 1xx answers to one request */
_Static_assert(SL_HEAD_TARGET_MAX <= SL_TARGET_MAX, "what the head check passes can be judged");

/* Shared by all flows, for one event; nothing is kept here between two. */
typedef struct sl_h1_room {
    sl_h1_head head;
    sl_buf wire;
    sl_buf tail;
} sl_h1_room;

typedef struct sl_side {
    sl_conn *conn;
    sl_buf in;    /* received, not yet used */
    size_t seen;  /* of `in`, looked at and found too little */
    sl_buf out;   /* to be sent before anything else */
    bool eof;     /* nothing more will come */
    bool blocked; /* `out`, or the filter's queue, waits for the socket */
} sl_side;

typedef struct sl_view {
    uint8_t *data;
    size_t len;
    bool scratch; /* in the gateway's scratch: keep what is left of it */
} sl_view;

enum sl_body_kind { SL_BODY_NONE, SL_BODY_LENGTH, SL_BODY_CHUNKED, SL_BODY_CLOSE };

typedef struct sl_body {
    enum sl_body_kind kind;
    bool done;      /* its framing says that nothing follows */
    bool chunk_out; /* written with chunks of our own */
    bool sink_full; /* while splicing */
    uint64_t left;
    uint64_t bytes;
    sl_h1_chunk chunk;
    sl_splice splice;
} sl_body;

/* What the head of a request says; never changed afterwards. */
typedef struct sl_h1_facts {
    bool one_one;    /* HTTP/1.1, else 1.0 */
    bool keep;       /* the client means to go on behind it */
    bool idempotent; /* may be sent a second time */
    bool websocket;  /* asks for one: `handshake` knows how */
    bool expects;    /* the client may wait for leave to send its body */
    bool unexpected; /* ... or for something that nobody knows */
    bool odd_body;   /* has a body where servers overlook one */
    bool binds;      /* authenticates the connection, not itself */
} sl_h1_facts;

/* The connection as a whole: what is waited for. */
enum sl_exchange_state {
    SL_EXCHANGE_IDLE,    /* waits for a request head */
    SL_EXCHANGE_OPENING, /* the request is judged; its upstream is being opened */
    SL_EXCHANGE_RELAY,   /* body up, response down */
    SL_EXCHANGE_DRAIN,   /* answered by us; the rest of the request's body is thrown away */
    SL_EXCHANGE_FLUSH,   /* the last bytes to the client */
    SL_EXCHANGE_LINGER,  /* said our last; the flow goes on without the exchange */
    SL_EXCHANGE_TUNNEL,  /* after 101 */
    SL_EXCHANGE_ENDED,
};

/* The request's side: what becomes of its body. */
enum sl_h1_up {
    SL_H1_UP_NONE,    /* no request is in hand */
    SL_H1_UP_BODY,    /* the body goes up as it comes */
    SL_H1_UP_DROPPED, /* the upstream takes no more of it; the rest is left unread */
    SL_H1_UP_DRAIN,   /* we answered; the rest is read and thrown away */
    SL_H1_UP_DONE,    /* all of it was read */
};

/* The response's side. In this order: from BODY on there is no answer of ours any more. */
enum sl_h1_down {
    SL_H1_DOWN_NONE,   /* nothing came */
    SL_H1_DOWN_HEAD,   /* a byte came: the request is not sent a second time */
    SL_H1_DOWN_BODY,   /* its head went to the client */
    SL_H1_DOWN_SWITCH, /* it is 101, and a tunnel begins behind it */
    SL_H1_DOWN_DONE,   /* all of it went, or an answer of ours */
};

/* What happens to the client's connection behind this response; it only ever gets worse. */
enum sl_h1_client_end {
    SL_CLIENT_KEEP,
    SL_CLIENT_CLOSE,  /* we end it, and the client may still be sending */
    SL_CLIENT_LAST,   /* the client said that nothing follows */
    SL_CLIENT_LINGER, /* ended, and read on for a moment */
    SL_CLIENT_BREAK,  /* as if the line broke: what came must not be taken for complete */
};

/* What happens to the upstream's connection; it only gets worse until it carries the next. */
enum sl_h1_upstream_end {
    SL_UPSTREAM_POOL, /* may serve anybody */
    SL_UPSTREAM_OWN,  /* authentication tied it to this flow */
    SL_UPSTREAM_CLOSE,
};

typedef struct sl_exchange {
    sl_flow *flow;
    sl_gateway *gw;
    sl_h1_room *room;
    sl_side client;
    sl_side upstream;
    sl_head_scan request_scan;
    sl_head_scan response_scan;
    sl_upstream *opening;
    sl_relay relay;

    /* Changed by the functions of state.c alone. */
    enum sl_exchange_state state;
    enum sl_h1_up up;
    enum sl_h1_down down;
    enum sl_h1_client_end client_end;
    enum sl_h1_upstream_end upstream_end;

    /* the request */
    sl_request request;
    sl_h1_facts facts;
    sl_body req;
    sl_buf wire; /* its head as sent, until the response begins */
    sl_h1_handshake handshake;

    /* the response */
    sl_body resp;
    unsigned interim;

    /* the connections */
    bool reused;       /* the upstream's served before, and may have died meanwhile */
    bool bound;        /* authentication tied this flow's to it */
    bool tunnel_ready; /* `relay` has both */
} sl_exchange;

/* state.c: each is the one place where its state changes, and traces it. A step that is not legal
 * is a mistake of ours: the flow ends. */
void sl_exchange_go(sl_exchange *x, enum sl_exchange_state state);
void sl_exchange_up(sl_exchange *x, enum sl_h1_up up);
void sl_exchange_down(sl_exchange *x, enum sl_h1_down down);
/* Whatever is milder than what was decided already changes nothing. */
void sl_exchange_end_client(sl_exchange *x, enum sl_h1_client_end end);
void sl_exchange_end_upstream(sl_exchange *x, enum sl_h1_upstream_end end);
/* A request is sent on it: how it ends is open again. */
void sl_exchange_use_upstream(sl_exchange *x);

/* side.c */
void sl_side_init(sl_side *s, sl_conn *conn);
void sl_side_done(sl_side *s); /* closes the connection too */
/* Bytes to look at: 1, 0 at the end, -EAGAIN, -errno. */
int sl_side_view(sl_gateway *gw, sl_side *s, sl_view *ret);
/* Says how many were used; `stuck`: the rest is too little to go on. 0 or -errno. */
int sl_side_keep(sl_side *s, const sl_view *v, size_t used, bool stuck);
/* Sends, or queues what the socket does not take. 0 or -errno. */
int sl_side_send(sl_side *s, struct iovec *iov, int count);
int sl_side_flush(sl_side *s); /* sets `blocked` */

/* body.c */
void sl_body_init(sl_body *b, enum sl_body_kind kind, uint64_t length);
void sl_body_done(sl_body *b);
/* Takes body bytes out of `data`: they are `*ret_len` at its front. 0 or -EBADMSG, -ENOBUFS. */
int sl_body_take(sl_body *b, uint8_t *data, size_t len, size_t *ret_len, size_t *ret_used);
/* Sends head bytes (may be empty) and body bytes to `to` in one go, framed as `b` says. */
int sl_body_send(sl_h1_room *room, sl_body *b, sl_side *to, const sl_buf *head, uint8_t *data,
                 size_t len);
bool sl_body_may_splice(sl_body *b, const sl_side *from, const sl_side *to);
/* 1: moved something; 0: nothing now; -EPIPE: the sink broke; other -errno: the source did. */
int sl_body_splice(sl_body *b, sl_side *from, sl_side *to);

/* exchange.c */
void sl_exchange_finish(sl_exchange *x); /* the response is complete */
void sl_exchange_log(sl_exchange *x, const char *reason, const char *detail);
void sl_exchange_break(sl_exchange *x); /* nothing can be said any more */

/* request.c: true when something moved */
bool sl_exchange_step_head(sl_exchange *x);
bool sl_exchange_step_body(sl_exchange *x);
bool sl_exchange_step_drain(sl_exchange *x);
void sl_exchange_watch_client(sl_exchange *x);
/* The upstream stopped reading. */
void sl_exchange_upstream_deaf(sl_exchange *x);

/* acquire.c: the connection that a request goes up on */
void sl_exchange_acquire(sl_exchange *x, bool fresh);
void sl_exchange_drop_upstream(sl_exchange *x);
void sl_exchange_upstream_failed(sl_exchange *x, const char *reason, const char *detail);

/* response.c: true when something moved */
bool sl_exchange_step_response(sl_exchange *x);

/* reply.c: our own responses. `malformed`: nothing is known of the request, and the connection ends
 * behind it. */
void sl_reply_denied(sl_exchange *x, const sl_judged *j);
void sl_reply_malformed(sl_exchange *x, unsigned status, const char *why);
void sl_reply_failed(sl_exchange *x, const sl_failure *failure);
void sl_reply_status(sl_exchange *x, unsigned status, const char *why);

#endif
