/* Owns the sums. Never gives back a charge but for what a whole look has not seen. */
#include "features/kmem/ledger.h"

#include <stdlib.h>

#define HEADS      4096u /* a power of two */
#define LOOK_SHARE 2     /* a look is worth so much of what was left, */
#define LOOK_LEAST 64    /* and at least so much of the budget */

struct sl_ledger {
    uint64_t budget;
    uint64_t sum;      /* of all items */
    uint64_t expected; /* for objects that no look has met yet */
    uint64_t met;      /* by this look, of those */
    uint64_t kept;
    uint64_t mark; /* what was left after the last look */
    uint32_t round;
    uint32_t heads[HEADS]; /* index + 1 */
    uint32_t free;         /* index + 1 */
    size_t used;           /* places that were ever taken */
    bool crowded;          /* this look has met one too many */
    sl_ledger_item *items; /* ino 0: an empty place */
};

sl_ledger *sl_ledger_new(uint64_t budget)
{
    sl_autofree sl_ledger *l = calloc(1, sizeof(*l));
    if (l == NULL || (l->items = calloc(SL_LEDGER_ITEMS_MAX, sizeof(*l->items))) == NULL) {
        return NULL;
    }
    l->budget = budget;
    l->mark = budget;
    return sl_steal(&l);
}

void sl_ledger_free(sl_ledger *l)
{
    if (l != NULL) {
        free(l->items);
        free(l);
    }
}

uint64_t sl_ledger_budget(const sl_ledger *l)
{
    return l->budget;
}

uint64_t sl_ledger_left(const sl_ledger *l)
{
    uint64_t taken = l->sum + l->expected + l->kept;
    return taken < l->budget ? l->budget - taken : 0;
}

bool sl_ledger_wants_look(const sl_ledger *l)
{
    uint64_t left = sl_ledger_left(l);
    return left < l->mark && l->mark - left >= SL_MAX(l->mark / LOOK_SHARE, l->budget / LOOK_LEAST);
}

uint64_t sl_ledger_share(const sl_ledger *l, unsigned parts, uint64_t least, uint64_t most)
{
    return SL_MIN(SL_MAX(sl_ledger_left(l) / parts, least), most);
}

static uint32_t *head_of(sl_ledger *l, uint64_t ino)
{
    return &l->heads[ino & (HEADS - 1)];
}

static sl_ledger_item *find(const sl_ledger *l, uint64_t ino)
{
    for (uint32_t at = l->heads[ino & (HEADS - 1)]; at != 0; at = l->items[at - 1].next) {
        if (l->items[at - 1].ino == ino) {
            return &l->items[at - 1];
        }
    }
    return NULL;
}

const sl_ledger_item *sl_ledger_find(const sl_ledger *l, uint64_t ino)
{
    return find(l, ino);
}

static sl_ledger_item *take_place(sl_ledger *l, uint64_t ino)
{
    uint32_t at = l->free;
    if (at != 0) {
        l->free = l->items[at - 1].next;
    } else if (l->used < SL_LEDGER_ITEMS_MAX) {
        at = (uint32_t)++l->used;
    } else {
        return NULL;
    }
    l->items[at - 1] = (sl_ledger_item){.ino = ino, .next = *head_of(l, ino)};
    *head_of(l, ino) = at;
    return &l->items[at - 1];
}

static bool set(sl_ledger *l, const sl_ledger_item *item)
{
    sl_ledger_item *place = find(l, item->ino);
    place = place != NULL ? place : take_place(l, item->ino);
    if (place == NULL) {
        return false;
    }
    uint32_t next = place->next;
    l->sum += item->charge - place->charge;
    *place = *item;
    place->next = next;
    place->round = l->round;
    return true;
}

bool sl_ledger_put(sl_ledger *l, const sl_ledger_item *item)
{
    const sl_ledger_item *old = find(l, item->ino);
    uint64_t had = old == NULL ? 0 : old->charge;
    if (item->ino == 0 || (item->charge > had && item->charge - had > sl_ledger_left(l))) {
        return false;
    }
    return set(l, item);
}

bool sl_ledger_expect(sl_ledger *l, uint64_t charge)
{
    bool fits = charge <= sl_ledger_left(l);
    l->expected += fits ? charge : 0;
    return fits;
}

bool sl_ledger_keep(sl_ledger *l, uint64_t charge)
{
    bool fits = charge <= sl_ledger_left(l);
    l->kept += fits ? charge : 0;
    return fits;
}

void sl_ledger_look(sl_ledger *l)
{
    l->round++;
    l->met = 0;
    l->crowded = false;
}

bool sl_ledger_see(sl_ledger *l, uint64_t ino)
{
    sl_ledger_item *item = find(l, ino);
    if (item != NULL) {
        item->round = l->round;
    }
    return item != NULL;
}

void sl_ledger_meet(sl_ledger *l, const sl_ledger_item *item)
{
    if (set(l, item)) {
        l->met += item->charge;
    } else {
        l->crowded = true;
    }
}

size_t sl_ledger_missing_tcp(const sl_ledger *l)
{
    size_t count = 0;
    for (size_t i = 0; i < l->used; i++) {
        const sl_ledger_item *item = &l->items[i];
        count += item->ino != 0 && item->kind == SL_LEDGER_TCP && item->round != l->round;
    }
    return count;
}

static void forget(sl_ledger *l, uint32_t at)
{
    sl_ledger_item *item = &l->items[at - 1];
    uint32_t *link = head_of(l, item->ino);
    while (*link != at) {
        link = &l->items[*link - 1].next;
    }
    *link = item->next;
    l->sum -= item->charge;
    *item = (sl_ledger_item){.next = l->free};
    l->free = at;
}

void sl_ledger_looked(sl_ledger *l, bool whole, sl_ledger_stays stays, void *arg)
{
    if (!whole || l->crowded) {
        l->expected -= SL_MIN(l->expected, l->met);
        l->mark = sl_ledger_left(l);
        return;
    }
    l->expected = 0;
    for (uint32_t at = 1; at <= l->used; at++) {
        const sl_ledger_item *item = &l->items[at - 1];
        if (item->ino != 0 && item->round != l->round && !stays(arg, item)) {
            forget(l, at);
        }
    }
    l->mark = sl_ledger_left(l);
}
