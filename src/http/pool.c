/* Owns idle upstream connections between two flows of the run. Never keeps one on which anything
 * was left over, or that said anything while idle. */
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/trace.h"
#include "core/util.h"
#include "http/upstream.h"

#define POOL_MAX  128
#define POOL_EACH 32 /* to one target */

typedef struct idle {
    sl_pool *pool;
    sl_conn *conn;
    sl_target target;
    sl_addr peer;
    uint64_t since_ms;
    struct idle *next;
    struct idle **prev;
} idle;

struct sl_pool {
    idle *first; /* the newest, which is the one most surely alive */
    size_t count;
};

sl_pool *sl_pool_new(void)
{
    return calloc(1, sizeof(sl_pool));
}

static sl_conn *unlink_idle(idle *i)
{
    sl_conn *conn = i->conn;
    *i->prev = i->next;
    if (i->next != NULL) {
        i->next->prev = i->prev;
    }
    i->pool->count--;
    free(i);
    return conn;
}

void sl_pool_free(sl_pool *pool)
{
    while (pool != NULL && pool->first != NULL) {
        sl_conn_close(unlink_idle(pool->first));
    }
    free(pool);
}

static bool same(const sl_target *a, const sl_target *b)
{
    return a->port == b->port && a->tls == b->tls && a->alpn == b->alpn &&
           strcmp(a->name, b->name) == 0 && strcmp(a->tls_name, b->tls_name) == 0 &&
           (a->name[0] != '\0' || sl_addr_equal(&a->addr, &b->addr));
}

/* An end or unasked-for bytes: either way it is no longer clean. */
static void on_idle_event(void *arg)
{
    sl_conn_close(unlink_idle(arg));
}

static idle *oldest(const sl_pool *pool, const sl_target *target, size_t *ret_count)
{
    idle *found = NULL;
    *ret_count = 0;
    for (idle *i = pool->first; i != NULL; i = i->next) {
        if (target == NULL || same(&i->target, target)) {
            found = i;
            (*ret_count)++;
        }
    }
    return found;
}

void sl_pool_put(sl_pool *pool, const sl_target *target, const sl_addr *peer, sl_conn *conn)
{
    size_t count;
    idle *old = oldest(pool, target, &count);
    if (count >= POOL_EACH) {
        sl_conn_close(unlink_idle(old));
    } else if (pool->count >= POOL_MAX) {
        sl_conn_close(unlink_idle(oldest(pool, NULL, &count)));
    }
    idle *i = malloc(sizeof(*i));
    if (i == NULL || sl_conn_pending(conn)) {
        free(i);
        sl_conn_close(conn);
        return;
    }
    *i = (idle){.pool = pool,
                .conn = conn,
                .target = *target,
                .peer = *peer,
                .since_ms = sl_clock_now_ms(),
                .next = pool->first,
                .prev = &pool->first};
    if (i->next != NULL) {
        i->next->prev = &i->next;
    }
    pool->first = i;
    pool->count++;
    SL_TRACE(SL_TRACE_FLOW, "upstream '%s' port %u: kept, one of %zu", target->name, target->port,
             pool->count);
    sl_conn_on_event(conn, on_idle_event, i);
    sl_conn_want(conn, true, false);
}

sl_conn *sl_pool_take(sl_pool *pool, const sl_target *target, sl_addr *ret_peer)
{
    idle *next;
    for (idle *i = pool->first; i != NULL; i = next) {
        next = i->next;
        if (!same(&i->target, target)) {
            continue;
        }
        sl_addr peer = i->peer;
        sl_conn *conn = unlink_idle(i);
        sl_conn_on_event(conn, NULL, NULL);
        if (sl_conn_is_quiet(conn)) {
            SL_TRACE(SL_TRACE_FLOW, "upstream '%s' port %u: an idle one serves again", target->name,
                     target->port);
            *ret_peer = peer;
            return conn;
        }
        sl_conn_close(conn); /* it ended, and the loop has not told us yet */
    }
    return NULL;
}

bool sl_pool_has(const sl_pool *pool, const sl_target *target)
{
    size_t count;
    return oldest(pool, target, &count) != NULL;
}

bool sl_pool_any(const sl_pool *pool)
{
    return pool->first != NULL;
}

void sl_pool_expire(sl_pool *pool, uint64_t now_ms)
{
    idle *next;
    for (idle *i = pool->first; i != NULL; i = next) {
        next = i->next;
        if (now_ms - i->since_ms > SL_TIMEOUT_POOL_MS) {
            sl_conn_close(unlink_idle(i));
        }
    }
}
