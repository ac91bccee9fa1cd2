/* Synthetic addresses: each granted name gets one of 198.18.0.0/15 (RFC 2544) of its own, and
 * beside it the one of 2001:2::/48 (RFC 5180) that ends in the same four bytes.
 *
 * The table is one shared page range: only the gateway writes it, the engine reads it. An entry is
 * complete before it counts, and is never changed or reassigned. The reader trusts nothing: it
 * copies an entry, checks that it is a host name, and judges the name. */
#ifndef SANDLOCK_POLICY_SYNTH_H
#define SANDLOCK_POLICY_SYNTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "policy/host.h"

#define SL_SYNTH_MAX 8192 /* names of one run */

typedef struct sl_synth_map sl_synth_map;

/* Creates the memfd (close-on-exec, sealed in size). Returns it or -errno. */
int sl_synth_create(void);
/* Maps it. `writable` for the gateway. NULL with errno. */
sl_synth_map *sl_synth_map_open(int fd, bool writable);
void sl_synth_map_close(sl_synth_map *map);

/* Writer: the address of `name`, given before or now. 0, or -ENOSPC when the pool is used up. */
int sl_synth_assign(sl_synth_map *map, const char *name, sl_addr *ret_addr);

/* The IPv6 address of the name that has this IPv4 address. */
void sl_synth_to_v6(const sl_addr *v4, sl_addr *ret_v6);

/* True if the address is in a synthetic range at all (also as v4-mapped). */
bool sl_synth_is(const sl_addr *addr);
/* Reader: copies the name. 0, or -ENOENT when not assigned or not a valid name. */
int sl_synth_lookup(const sl_synth_map *map, const sl_addr *addr, char ret_name[SL_HOST_NAME_MAX]);

/* Behind the table: how many requests the writer decided, for those who ask while the run goes on.
 * The end's numbers come by the link (SL_LINK_BYE). */
void sl_synth_count(sl_synth_map *map, bool allow);
void sl_synth_counts(const sl_synth_map *map, uint64_t *ret_allowed, uint64_t *ret_denied);

#endif
