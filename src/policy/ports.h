/* Sets of TCP/UDP ports, written "80,443,9000-9005". */
#ifndef SANDLOCK_POLICY_PORTS_H
#define SANDLOCK_POLICY_PORTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

#define SL_PORTS_MAX 256 /* ranges in one set */

typedef struct sl_port_range {
    uint16_t lo;
    uint16_t hi;
} sl_port_range;

typedef struct sl_ports {
    sl_port_range *ranges; /* owned; sorted, disjoint */
    size_t count;
} sl_ports;

/* Adds what `text` names to the set, all of it or nothing. Ports are 1..65535 (0 only where
 * `zero_ok`: bind's "any"). 0, -EINVAL (message names `what` and the word at fault) or -ENOMEM. */
int sl_ports_add(sl_ports *ports, const char *text, bool zero_ok, const char *what, sl_error *err);
int sl_ports_add_range(sl_ports *ports, uint16_t lo, uint16_t hi);
bool sl_ports_has(const sl_ports *ports, uint16_t port);
void sl_ports_done(sl_ports *ports);

#endif
