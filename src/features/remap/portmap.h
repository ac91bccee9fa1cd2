/* The port space of one tree: which socket believes to have which port, and which it really has.
 * Plain memory: no system call, no lock. */
#ifndef SANDLOCK_FEATURES_REMAP_PORTMAP_H
#define SANDLOCK_FEATURES_REMAP_PORTMAP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "policy/net_rule.h"

#define SL_PORTMAP_MAX 1024 /* bound sockets of one tree that are remembered */

/* One bound socket. It is not told when a socket is closed: an entry is a claim to be checked. */
typedef struct sl_bound {
    uint64_t cookie; /* SO_COOKIE: never reused */
    enum sl_proto proto;
    sl_addr addr;
    bool any;       /* `addr` is every address of its family */
    bool both;      /* and, being IPv6 without IPV6_V6ONLY, every IPv4 address */
    bool listening; /* listen(2) was called */
    bool asked;     /* bind(2) named the port */
    uint16_t inside;
    uint16_t real;
} sl_bound;

typedef struct sl_portmap {
    sl_bound items[SL_PORTMAP_MAX];
    size_t count;
    /* Entries whose two ports differ. Read without a lock, to leave at once when there are none. */
    atomic_uint moved_tcp;
    atomic_uint moved_udp;
} sl_portmap;

/* Fills `addr`, `any` and `both`. */
void sl_bound_set_addr(sl_bound *b, const sl_addr *addr, bool v6only);
/* True if what is sent to this address can reach the socket. */
bool sl_bound_covers(const sl_bound *b, const sl_addr *addr);
/* True if some address reaches both: the kernel lets them share a port only by agreement. */
bool sl_bound_overlaps(const sl_bound *a, const sl_bound *b);

/* Adds it, or replaces the entry of the same socket. Older claims to the same real port by another
 * name are dead and go. 0, or -ENOBUFS when the table is full. */
int sl_portmap_put(sl_portmap *map, const sl_bound *b);
void sl_portmap_drop(sl_portmap *map, uint64_t cookie);
sl_bound *sl_portmap_get(sl_portmap *map, uint64_t cookie);

/* The real ports that sockets covering `addr` (NULL: any) have under this name, each once, those
 * bound to exactly that address first. Returns how many of at most `max`. */
size_t sl_portmap_reals(const sl_portmap *map, enum sl_proto proto, const sl_addr *addr,
                        uint16_t inside, uint16_t *reals, size_t max);
/* The name of a real port at this address; 0 when the tree has none for it. */
uint16_t sl_portmap_inside(const sl_portmap *map, enum sl_proto proto, const sl_addr *addr,
                           uint16_t real);
/* A name that no socket has yet: `wish` itself if it is free. */
uint16_t sl_portmap_free_name(const sl_portmap *map, enum sl_proto proto, uint16_t wish);

#endif
