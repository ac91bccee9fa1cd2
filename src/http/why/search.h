/* Names that nobody typed: a resolver puts the search domains of resolv.conf(5) behind what it was
 * asked for, and with "ndots:5", as in containers of a cluster, before it asks for the name itself.
 */
#ifndef SANDLOCK_HTTP_WHY_SEARCH_H
#define SANDLOCK_HTTP_WHY_SEARCH_H

#include <stdbool.h>

#include "policy/policy.h"

/* Is this (normalised) a name that the policy grants, with a search domain behind it? Reads
 * /etc/resolv.conf. */
bool sl_search_is_expansion(const sl_policy *policy, const char *name);

/* The same with the text of that file. */
bool sl_search_expands(const sl_policy *policy, const char *name, const char *conf);

#endif
