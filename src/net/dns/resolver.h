/* Upstream name resolution with c-ares on the libuv loop. Asks only when somebody connects.
 *
 * Mechanism only: which names and which answers are allowed is the caller's. */
#ifndef SANDLOCK_NET_DNS_RESOLVER_H
#define SANDLOCK_NET_DNS_RESOLVER_H

#include <stddef.h>
#include <uv.h>

#include "core/addr.h"
#include "core/err.h"

#define SL_RESOLVER_ADDRS_MAX   16
#define SL_RESOLVER_QUERIES_MAX 1024 /* at once; one more is -EBUSY */
#define SL_RESOLVER_TIMEOUT_MS  10000

typedef struct sl_resolver sl_resolver;
typedef struct sl_resolver_query sl_resolver_query;

/* `status`: 0 with addresses (IPv4 first), -ENOENT no such name or no address, -ETIMEDOUT, -EIO (no
 * resolver can be reached, or it fails). The query is gone when this is called; the addresses are
 * valid until it returns. */
typedef void (*sl_resolver_cb)(void *arg, int status, const sl_addr *addrs, size_t count);

/* Allocates; c-ares itself is initialised at the first query (reads /etc/resolv.conf, /etc/hosts).
 */
sl_resolver *sl_resolver_new(uv_loop_t *loop);
/* Drops all queries without calling back. */
void sl_resolver_free(sl_resolver *resolver);

/* For tests: these servers ("127.0.0.1:5353", several with commas) and this hosts file instead of
 * the system's, before the first query. 0 or -ENOMEM. */
int sl_resolver_set_servers(sl_resolver *resolver, const char *servers);
int sl_resolver_set_hosts_file(sl_resolver *resolver, const char *path);
/* For tests: the whole time that one query may take. */
void sl_resolver_set_timeout(sl_resolver *resolver, uint64_t timeout_ms);

/* Starts one look-up of A and AAAA, without search domains: the name asked is the name given. A
 * name in /etc/hosts is answered from there alone; an answer of DNS serves for its TTL, a minute at
 * most (answers.h). The callback always comes later, never from
 * inside this call, and exactly once unless cancelled. 0 with *ret_query, -EBUSY, -ENOMEM, -EINVAL
 * (not a host name in lower case). */
int sl_resolver_start(sl_resolver *resolver, const char *name, sl_resolver_cb cb, void *arg,
                      sl_resolver_query **ret_query);
/* No callback will come. NULL is accepted. */
void sl_resolver_cancel(sl_resolver_query *query);

#endif
