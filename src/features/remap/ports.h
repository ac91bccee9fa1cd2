/* Under --port-remap a port has two names: the list of them, for who asks from outside. */
#ifndef SANDLOCK_FEATURES_REMAP_PORTS_H
#define SANDLOCK_FEATURES_REMAP_PORTS_H

#include <stddef.h>
#include <stdint.h>

#include "policy/net_rule.h"
#include "supervisor/supervisor.h"

typedef struct sl_remap_port {
    enum sl_proto proto;
    uint16_t inside; /* what the tree calls it */
    uint16_t real;   /* what everybody else calls it */
} sl_remap_port;

/* The ports that sockets of the tree answer on now, listeners of TCP and sockets of UDP that asked
 * for a port. Returns how many of at most `max`; none without the feature. */
size_t sl_remap_list(const sl_supervisor *sv, sl_remap_port *list, size_t max);

#endif
