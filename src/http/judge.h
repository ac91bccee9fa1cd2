/* One authority, one request, one verdict: what the parsed head means under the flow it came on. */
#ifndef SANDLOCK_HTTP_JUDGE_H
#define SANDLOCK_HTTP_JUDGE_H

#include "http/flow.h"
#include "http/gateway.h"
#include "http/h1/parse.h"

typedef struct sl_judged {
    bool allow;
    unsigned status;    /* of our answer when not allowed */
    bool malformed;     /* the connection ends after it */
    const char *reason; /* constant text */
    const char *rule;
    const char *nearest;
    char allow_with[SL_SUGGESTION_MAX];
    char authority[SL_HOST_NAME_MAX + 8]; /* for Host, and for URLs */
    const char *path;                     /* normal form, in the gateway's scratch */
    const char *query;                    /* raw, or NULL; in the gateway's scratch */
} sl_judged;

/* `head` passed the raw check and the parser. `url` gets the whole URL of what was judged. */
void sl_judge_request(sl_flow *flow, const sl_h1_head *head, sl_judged *ret, sl_buf *url);

/* "host[:port]" text as a request names it: name normalised, or address. 0 or -EINVAL. `port` 0
 * when none was written. */
int sl_judge_authority(const char *text, size_t len, char ret_host[SL_HOST_NAME_MAX],
                       sl_addr *ret_addr, uint16_t *ret_port);

/* May this name be used on this flow (as SNI, as Host)? */
bool sl_judge_names_flow(const sl_target *target, const char *host, const sl_addr *addr);

#endif
