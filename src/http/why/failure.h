/* What went wrong with a connection, and the option that would have helped. */
#ifndef SANDLOCK_HTTP_WHY_FAILURE_H
#define SANDLOCK_HTTP_WHY_FAILURE_H

#include <stdbool.h>

#include "core/addr.h"
#include "net/conn.h"
#include "policy/policy.h"
#include "policy/verdict.h"

enum sl_remedy {
    SL_REMEDY_NONE,
    SL_REMEDY_NET_ALLOW,   /* bytes that no HTTP rule judges */
    SL_REMEDY_TCP_ALLOW,   /* the same, where HTTP rules concern the host: said with its scheme */
    SL_REMEDY_NO_INSPECT,  /* TLS from end to end */
    SL_REMEDY_UPSTREAM_CA, /* an issuer that is not known */
    SL_REMEDY_RESOLVE,     /* an address that no name may lead to by itself */
};

#define SL_FAILURE_DETAIL_MAX 192

typedef struct sl_failure {
    const char *reason; /* of the audit log, constant text; NULL: nothing failed */
    bool denies;        /* it is a denial, whatever the reason */
    enum sl_remedy remedy;
    char detail[SL_FAILURE_DETAIL_MAX]; /* a sentence for people */
} sl_failure;

struct sl_target;
struct sl_client_hello;

void sl_failure_set(sl_failure *f, const char *reason, const char *detail);

/* What failed on a connection to an upstream, which may have TLS on top. `reason` and `detail` are
 * what is known without it. */
void sl_failure_upstream(sl_conn *upstream, const char *reason, const char *detail,
                         sl_failure *ret);
/* True for a response that a server gives which asked for the client's certificate and did without:
 * nginx says 400, others 403. `ret` is what is told then. */
bool sl_failure_uncertified(const sl_conn *upstream, unsigned status, sl_failure *ret);
/* What failed in the handshake with the child. */
void sl_failure_client(const sl_conn *client, const struct sl_client_hello *hello, bool alpn_ok,
                       sl_failure *ret);

/* True when it is the policy, or inspection itself, that was in the way; false for a failure of the
 * network or the upstream. */
bool sl_failure_is_denial(const sl_failure *f);

/* The option, in words for a command line; "" when none would help. */
void sl_failure_option(const sl_policy *p, const sl_failure *f, const struct sl_target *target,
                       const sl_addr *peer, char ret[SL_SUGGESTION_MAX]);

#endif
