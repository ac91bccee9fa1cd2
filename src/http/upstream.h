/* Connections to upstreams: opening them, and keeping those that may serve again. */
#ifndef SANDLOCK_HTTP_UPSTREAM_H
#define SANDLOCK_HTTP_UPSTREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "http/why/failure.h"
#include "net/conn.h"
#include "policy/link.h"

#define SL_TIMEOUT_DIAL_MS 15000 /* connect, all addresses */
#define SL_TIMEOUT_POOL_MS 60000

struct sl_gateway;
typedef struct sl_upstream sl_upstream;
typedef struct sl_pool sl_pool;

/* Whom to dial. Plain value. */
typedef struct sl_target {
    char name[SL_HOST_NAME_MAX]; /* "" for a literal address */
    sl_addr addr;
    uint16_t port;
    bool tls;
    bool alpn;                       /* the child offered what we speak: offer "http/1.1" */
    char tls_name[SL_HOST_NAME_MAX]; /* SNI and certificate name; "" for the address */
} sl_target;

/* Told once, later. `conn` is NULL on failure, and `failure` says why. */
typedef void (*sl_upstream_cb)(void *arg, sl_conn *conn, const sl_addr *peer,
                               const sl_failure *failure);

/* NULL when started (the callback comes later), else the reason of the failure. */
const char *sl_upstream_open(struct sl_gateway *gw, const sl_target *target, sl_upstream_cb cb,
                             void *arg, sl_upstream **ret);
/* No callback will come. NULL is accepted. */
void sl_upstream_cancel(sl_upstream *u);
/* RESOLVE: which of `addrs` may be dialled under `name`, --resolve included. */
size_t sl_upstream_permitted(const struct sl_gateway *gw, const char *name, uint16_t port,
                             const sl_addr *addrs, size_t count,
                             struct sl_link_addr ret[SL_LINK_ADDRS_MAX]);
/* Addresses that need no look-up: --resolve, localhost. 0 when there are none. */
size_t sl_upstream_known(const struct sl_gateway *gw, const char *name, uint16_t port,
                         struct sl_link_addr ret[SL_LINK_ADDRS_MAX]);

/* pool.c: idle, clean connections. */
sl_pool *sl_pool_new(void); /* NULL: no memory */
void sl_pool_free(sl_pool *pool);
/* Takes the connection over; one that is not quiet is closed instead. */
void sl_pool_put(sl_pool *pool, const sl_target *target, const sl_addr *peer, sl_conn *conn);
/* One that still stands, the caller's from now on, or NULL. */
sl_conn *sl_pool_take(sl_pool *pool, const sl_target *target, sl_addr *ret_peer);
bool sl_pool_has(const sl_pool *pool, const sl_target *target);
bool sl_pool_any(const sl_pool *pool);
void sl_pool_expire(sl_pool *pool, uint64_t now_ms);

#endif
