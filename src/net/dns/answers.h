/* What DNS said lately about names, for as long as it said that it holds. Bounded; knows no policy
 * and asks nobody. */
#ifndef SANDLOCK_NET_DNS_ANSWERS_H
#define SANDLOCK_NET_DNS_ANSWERS_H

#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"

#define SL_ANSWERS_MAX       128 /* names; the one that ends first makes room */
#define SL_ANSWERS_TTL_MAX_S 60  /* a name that moves is followed within a minute */
#define SL_ANSWERS_ADDRS_MAX 16u /* a name */

typedef struct sl_answers sl_answers;

sl_answers *sl_answers_new(void);
/* NULL is accepted. */
void sl_answers_free(sl_answers *a);

/* Keeps the addresses of a name for min(ttl_s, SL_ANSWERS_TTL_MAX_S) from `now_ms`, instead of what
 * was kept before. Nothing is kept for a TTL of 0 or less (RFC 2181 section 8), or for no address.
 * Without memory nothing is kept either. */
void sl_answers_put(sl_answers *a, const char *name, const sl_addr *addrs, size_t count,
                    int64_t ttl_s, uint64_t now_ms);
/* How many addresses are known; they are written to `ret`. 0: none, or none any more. */
size_t sl_answers_get(sl_answers *a, const char *name, uint64_t now_ms,
                      sl_addr ret[SL_ANSWERS_ADDRS_MAX]);
void sl_answers_clear(sl_answers *a);

#endif
