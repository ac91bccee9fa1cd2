/* Owns the connects that wait to be denials. A name of the loopback interface may be several
 * addresses, of which a server takes one: the port alone tells. */
#include "engine/caller/unheard.h"

#include <string.h>

bool sl_unheard_add(sl_unheard *u, const sl_met *met, const sl_net_verdict *verdict)
{
    if (met->dest.name != NULL) {
        return false;
    }
    for (size_t i = 0; i < u->count; i++) {
        sl_met *known = &u->items[i].met;
        if (known->dest.port == met->dest.port &&
            sl_addr_equal(&known->dest.addr, &met->dest.addr) &&
            strcmp(known->exe, met->exe) == 0) {
            known->count += met->count;
            known->last_ms = met->last_ms;
            return true;
        }
    }
    if (u->count == SL_UNHEARD_MAX) {
        return false;
    }
    u->items[u->count++] = (sl_unheard_item){.met = *met, .verdict = *verdict};
    return true;
}

uint64_t sl_unheard_sum(const sl_unheard *u)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < u->count; i++) {
        sum += u->items[i].met.count;
    }
    return sum;
}

void sl_unheard_drop(sl_unheard *u, uint16_t port)
{
    size_t kept = 0;
    for (size_t i = 0; i < u->count; i++) {
        if (u->items[i].met.dest.port != port) {
            if (kept != i) {
                u->items[kept] = u->items[i];
            }
            kept++;
        }
    }
    u->count = kept;
}
