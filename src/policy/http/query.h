/* What this room alone may see of query strings. */
#ifndef SANDLOCK_POLICY_HTTP_QUERY_H
#define SANDLOCK_POLICY_HTTP_QUERY_H

#include <stdbool.h>

#include "core/err.h"
#include "core/strv.h"

/* Reads "key=value&key=value" of a rule into decoded "key=value" strings. `what` names the rule. */
int sl_http_query_parse(const char *text, const char *what, sl_strv *ret_pairs, sl_error *err);

/* Is every pair present in the raw query (NULL: none)? A key that comes more than once must have
 * only values that the rule writes: servers differ in which one they believe. */
bool sl_http_query_allows(const sl_strv *pairs, const char *query);
/* For a deny rule: present is enough, under each way of splitting the query. */
bool sl_http_query_denies(const sl_strv *pairs, const char *query);

#endif
