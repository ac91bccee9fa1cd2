/* Opens one TCP connection to the first of several addresses that answers (RFC 8305 order, 250 ms
 * between attempts). The sockets are non-blocking, close-on-exec, TCP_NODELAY. */
#ifndef SANDLOCK_NET_DIAL_H
#define SANDLOCK_NET_DIAL_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "core/addr.h"

#define SL_DIAL_TARGETS_MAX 16

typedef struct sl_dial sl_dial;
typedef struct sl_dial_target {
    sl_addr addr;
    uint16_t port;
} sl_dial_target;

/* `fd`: owned by the callee, or -errno of the attempt that says most: a refusal before silence,
 * silence (-ETIMEDOUT) before a family that this host has no route for. `used` is NULL then. */
typedef void (*sl_dial_cb)(void *arg, int fd, const sl_dial_target *used);

/* Tries the targets in their order, but IPv6 and IPv4 in turn where both are there. -EINVAL: none,
 * or more than SL_DIAL_TARGETS_MAX; -ENOMEM. The callback comes later, exactly once unless
 * cancelled; the dial is gone then. */
int sl_dial_start(uv_loop_t *loop, const sl_dial_target *targets, size_t count, uint64_t timeout_ms,
                  sl_dial_cb cb, void *arg, sl_dial **ret_dial);
/* NULL is accepted. */
void sl_dial_cancel(sl_dial *dial);

#endif
