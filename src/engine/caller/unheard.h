/* Connects to ports of this host that nobody listens on: a denial only if nobody ever does. A
 * client that waits for its server asks again and again until it is there. A value: no locks, no
 * I/O. */
#ifndef SANDLOCK_ENGINE_CALLER_UNHEARD_H
#define SANDLOCK_ENGINE_CALLER_UNHEARD_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "policy/verdict.h"

#define SL_UNHEARD_MAX 32 /* destinations; what comes beyond is a denial at once */

/* Who met a verdict, and when. */
typedef struct sl_met {
    uint64_t count;
    uint64_t first_ms;
    uint64_t last_ms;
    pid_t pid;
    sl_dest dest; /* `name` is borrowed; what is kept here has none */
    char exe[PATH_MAX];
} sl_met;

typedef struct sl_unheard_item {
    sl_met met;
    sl_net_verdict verdict; /* its texts are the policy's, or constants */
} sl_unheard_item;

typedef struct sl_unheard {
    size_t count;
    sl_unheard_item items[SL_UNHEARD_MAX];
} sl_unheard;

/* False: there is no place for it. */
bool sl_unheard_add(sl_unheard *u, const sl_met *met, const sl_net_verdict *verdict);
/* How often anybody met any of them. */
uint64_t sl_unheard_sum(const sl_unheard *u);
/* Somebody listens there now. */
void sl_unheard_drop(sl_unheard *u, uint16_t port);

#endif
