/* What the two files of verdicts share. */
#ifndef SANDLOCK_POLICY_VERDICT_INT_H
#define SANDLOCK_POLICY_VERDICT_INT_H

#include "policy/verdict.h"

/* No allow list of any kind: what no rule denies passes. */
bool sl_verdict_is_open(const sl_policy *p);
/* HTTP deny rules and no allow list: the rest of HTTP passes. */
bool sl_verdict_deny_only(const sl_policy *p);

/* The net_deny rule that names the destination, or NULL. */
const sl_net_rule *sl_verdict_net_denied(const sl_policy *p, const sl_dest *dest);
/* The text of the net rule that allows it, or NULL. Deny rules are the caller's. */
const char *sl_verdict_net_allowed(const sl_policy *p, const sl_dest *dest);
/* Does an http_allow rule concern this host and port, whatever the request? */
const sl_http_rule *sl_verdict_http_concerns(const sl_policy *p, const sl_dest *dest);
/* Under deny-only HTTP rules: may HTTP go there? */
bool sl_verdict_http_default(const sl_policy *p, const sl_dest *dest);

#endif
