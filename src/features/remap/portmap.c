/* Owns the table of a tree's ports. Never asks the kernel: whether an entry still lives is for the
 * caller to find out. */
#include "features/remap/portmap.h"

#include <errno.h>
#include <string.h>

#define FIRST_UNPRIVILEGED 1024

void sl_bound_set_addr(sl_bound *b, const sl_addr *addr, bool v6only)
{
    static const uint8_t zero[16];
    b->addr = *addr;
    b->any = memcmp(addr->bytes, zero, sizeof(zero)) == 0;
    b->both = b->any && addr->family == 6 && !v6only;
}

bool sl_bound_covers(const sl_bound *b, const sl_addr *addr)
{
    if (b->any) {
        return b->both || b->addr.family == addr->family;
    }
    return sl_addr_equal(&b->addr, addr);
}

bool sl_bound_overlaps(const sl_bound *a, const sl_bound *b)
{
    if (a->any && b->any) {
        return a->both || b->both || a->addr.family == b->addr.family;
    }
    return b->any ? sl_bound_covers(b, &a->addr) : sl_bound_covers(a, &b->addr);
}

static void count_moved(sl_portmap *map, const sl_bound *b, unsigned by)
{
    if (b->inside != b->real) {
        atomic_fetch_add(b->proto == SL_PROTO_TCP ? &map->moved_tcp : &map->moved_udp, by);
    }
}

static void remove_at(sl_portmap *map, size_t i)
{
    count_moved(map, &map->items[i], -1u);
    map->items[i] = map->items[--map->count];
}

int sl_portmap_put(sl_portmap *map, const sl_bound *b)
{
    for (size_t i = map->count; i-- > 0;) {
        const sl_bound *old = &map->items[i];
        bool same_port = old->proto == b->proto && old->real == b->real;
        if (old->cookie == b->cookie ||
            (same_port && old->inside != b->inside && sl_bound_overlaps(old, b))) {
            remove_at(map, i);
        }
    }
    if (map->count == SL_PORTMAP_MAX) {
        return -ENOBUFS;
    }
    map->items[map->count++] = *b;
    count_moved(map, b, 1);
    return 0;
}

void sl_portmap_drop(sl_portmap *map, uint64_t cookie)
{
    for (size_t i = map->count; i-- > 0;) {
        if (map->items[i].cookie == cookie) {
            remove_at(map, i);
        }
    }
}

sl_bound *sl_portmap_get(sl_portmap *map, uint64_t cookie)
{
    for (size_t i = 0; i < map->count; i++) {
        if (map->items[i].cookie == cookie) {
            return &map->items[i];
        }
    }
    return NULL;
}

static size_t add_once(uint16_t *list, size_t count, size_t max, uint16_t port)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i] == port) {
            return count;
        }
    }
    if (count < max) {
        list[count++] = port;
    }
    return count;
}

size_t sl_portmap_reals(const sl_portmap *map, enum sl_proto proto, const sl_addr *addr,
                        uint16_t inside, uint16_t *reals, size_t max)
{
    size_t found = 0;
    for (int exact = 1; exact >= 0; exact--) {
        for (size_t i = map->count; i-- > 0;) { /* the newest is the likeliest to live */
            const sl_bound *b = &map->items[i];
            if (b->proto == proto && b->inside == inside && b->any == (exact == 0) &&
                (addr == NULL || sl_bound_covers(b, addr))) {
                found = add_once(reals, found, max, b->real);
            }
        }
    }
    return found;
}

uint16_t sl_portmap_inside(const sl_portmap *map, enum sl_proto proto, const sl_addr *addr,
                           uint16_t real)
{
    for (size_t i = map->count; i-- > 0;) {
        const sl_bound *b = &map->items[i];
        if (b->proto == proto && b->real == real && sl_bound_covers(b, addr)) {
            return b->inside;
        }
    }
    return 0;
}

uint16_t sl_portmap_free_name(const sl_portmap *map, enum sl_proto proto, uint16_t wish)
{
    uint16_t one;
    uint16_t name = wish;
    while (sl_portmap_reals(map, proto, NULL, name, &one, 1) > 0) {
        /* The table is smaller than the range: there is a free one. */
        name = name == UINT16_MAX ? FIRST_UNPRIVILEGED : (uint16_t)(name + 1);
    }
    return name;
}
