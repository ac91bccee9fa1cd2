/* Pure verdicts: a frozen policy and a question in, an answer out. No I/O, no state. */
#ifndef SANDLOCK_POLICY_VERDICT_H
#define SANDLOCK_POLICY_VERDICT_H

#include <stdbool.h>

#include "core/addr.h"
#include "policy/policy.h"

/* What the policy restricts, hence what must be trapped. */
bool sl_policy_restricts_net(const sl_policy *p); /* any net or HTTP rule, net_connect excepted */
bool sl_policy_has_http(const sl_policy *p);      /* any HTTP rule, or an explicit empty list */
bool sl_policy_needs_names(const sl_policy *p);   /* rules that name hosts: our DNS answers */
bool sl_policy_needs_gateway(const sl_policy *p); /* HTTP, host or DNS rules exist */
bool sl_policy_needs_trust(
    const sl_policy *p); /* TLS may be intercepted: the child must trust our CA */
/* Only the run's CA is of use to the child, for all TLS that is permitted ends at the gateway. */
bool sl_policy_owns_trust(const sl_policy *p);
bool sl_policy_wants_identity(const sl_policy *p); /* privileged, uid or gid: a user namespace */
bool sl_policy_restricts_bind(
    const sl_policy *p); /* net_bind given, or net_allow given and empty */

/* Files: no grant is given, and what everybody may see is seen. Such a run is a safe one by itself:
 * it isolates abstract sockets and signals, unless that is taken back. */
bool sl_policy_has_default_view(const sl_policy *p);
bool sl_policy_isolates_abstract(const sl_policy *p); /* Unix sockets by abstract name */
bool sl_policy_isolates_signals(const sl_policy *p);

/* Where a socket wants to go. By name when the child used one of our synthetic addresses. */
typedef struct sl_dest {
    enum sl_proto proto;
    const char *name; /* normalised, or NULL for a literal address; UNIX: the path */
    sl_addr addr;     /* literal address; ignored when name is set */
    uint16_t port;
} sl_dest;

enum sl_net_action {
    SL_NET_DENY,
    SL_NET_DIRECT, /* the engine connects on behalf to the address (of the name) */
    SL_NET_STEER,  /* the gateway takes the flow and inspects it */
};

typedef struct sl_net_verdict {
    enum sl_net_action action;
    const char *rule; /* text of the deciding rule, or NULL */
    const char
        *reason; /* "no_rule", "denied_by_rule", "udp_disabled", "metadata", ...: a constant */
} sl_net_verdict;

void sl_policy_judge_net(const sl_policy *p, const sl_dest *dest, sl_net_verdict *ret);

/* May the child look this name up at all? True when some allow rule (net, HTTP or resolve) names
 * it, or any name (deny-only HTTP rules, `*`). */
bool sl_policy_grants_name(const sl_policy *p, const char *name);

/* Does some rule, for or against, speak of this name (normalised) by its own or its domain's? `*`
 * and addresses do not. */
bool sl_policy_speaks_of(const sl_policy *p, const char *name);

/* How the gateway treats a steered flow to (name or addr, port). */
enum sl_flow_mode {
    SL_FLOW_REFUSE,   /* nothing may pass */
    SL_FLOW_INSPECT,  /* HTTP rules concern it: TLS is intercepted, each request judged */
    SL_FLOW_TLS_PASS, /* only a net rule, or http_no_inspect: TLS spliced after the SNI check; other
                         bytes pass only if `raw` */
};
typedef struct sl_flow_verdict {
    enum sl_flow_mode mode;
    bool raw; /* a net rule names this host and port: bytes that are not TLS or HTTP may pass */
    bool h2c; /* one says tcp:// and the port: HTTP/2 without TLS may pass too, unjudged */
    bool governed; /* HTTP rules concern it: what is plain HTTP/1 is judged, whatever the mode */
    const char *rule;
} sl_flow_verdict;
void sl_policy_judge_flow(const sl_policy *p, const sl_dest *dest, sl_flow_verdict *ret);

/* May what is sent to this destination pass unseen, should somebody allow it? A rule of http_deny
 * that concerns it must see requests, and wins. */
bool sl_policy_may_pass(const sl_policy *p, const sl_dest *dest);
/* Why the child may not look this name up: the text of a net_deny rule, or NULL where no rule
 * grants it. */
const char *sl_policy_name_denied(const sl_policy *p, const char *name);

/* Suggestions are complete command-line words, shell-quoted. */
#define SL_SUGGESTION_MAX 512

typedef struct sl_http_verdict {
    bool allow;
    const char *rule;    /* text of the deciding rule, or NULL */
    const char *reason;  /* "no_rule", "denied_by_rule", "method", "path", "host", "query": the part
                            in which the nearest rule differs */
    const char *nearest; /* text of the nearest allow rule, or NULL */
    char allow_with[SL_SUGGESTION_MAX]; /* "--http-allow 'POST api.example.com/v1/files'" */
} sl_http_verdict;

/* `allow_with` is filled only on denial. */
void sl_policy_judge_http(const sl_policy *p, const sl_http_view *view, sl_http_verdict *ret);

/* The flag that would allow a denied destination: "--net-allow 'db.example.com:5432'". */
void sl_policy_suggest_net(const sl_dest *dest, char ret[SL_SUGGESTION_MAX]);

/* The same for TCP alone, which is what lets HTTP/2 without TLS pass where HTTP rules concern the
 * host: "--net-allow 'tcp://api.example.com:8080'". */
void sl_policy_suggest_tcp(const sl_dest *dest, char ret[SL_SUGGESTION_MAX]);

/* For a name that leads to this address: "--resolve 'db.example.com=192.0.2.1'". "" for addresses
 * where no hint sends anybody: a name that leads to cloud metadata is an attack more often than a
 * wish. */
void sl_policy_suggest_resolve(const char *name, const sl_addr *addr, char ret[SL_SUGGESTION_MAX]);

/* May the gateway dial `addr`, which `name` resolved to (name NULL: a literal)? Loopback,
 * link-local and metadata only if the literal, a covering set or CIDR, or --resolve names it;
 * private ranges also for a name written out in full by a rule; "localhost" names mean loopback. */
bool sl_policy_may_dial(const sl_policy *p, const char *name, const sl_addr *addr, uint16_t port);

/* The --resolve entry for a name, or NULL. */
const sl_resolve *sl_policy_resolve(const sl_policy *p, const char *name);

#endif
