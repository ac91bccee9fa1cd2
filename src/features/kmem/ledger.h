/* What the kernel may have to hold for the tree: pipes and sockets, each with all that fits into
 * it, and a budget for their sum. Pure: asks nobody. One thread. */
#ifndef SANDLOCK_FEATURES_KMEM_LEDGER_H
#define SANDLOCK_FEATURES_KMEM_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/util.h"

#define SL_LEDGER_ITEMS_MAX 65536 /* objects at once; one more is refused */

enum sl_ledger_kind {
    SL_LEDGER_PIPE,
    SL_LEDGER_SOCKET,
    SL_LEDGER_TCP, /* may go on sending when nobody has it any more */
};

/* One object. Its number is its inode's, in pipefs or sockfs. */
typedef struct sl_ledger_item {
    uint64_t ino;
    uint64_t charge; /* bytes it can hold at most */
    uint64_t child;  /* a listener's: what each socket that it accepts can hold; 0: no listener */
    uint64_t cookie; /* TCP: SO_COOKIE */
    uint32_t round;  /* of the look that saw it last */
    uint32_t next;   /* the ledger's */
    enum sl_ledger_kind kind;
    bool hears_all; /* a datagram socket that strangers reach */
} sl_ledger_item;

typedef struct sl_ledger sl_ledger;

/* NULL: no memory. */
sl_ledger *sl_ledger_new(uint64_t budget);
void sl_ledger_free(sl_ledger *l);
SL_DEFINE_AUTO(sl_ledger, sl_ledger_free);

uint64_t sl_ledger_budget(const sl_ledger *l);
/* What is left of the budget. */
uint64_t sl_ledger_left(const sl_ledger *l);
/* True once so much was charged since the last look that one more is worth its price. */
bool sl_ledger_wants_look(const sl_ledger *l);
/* A part of what is left, within these bounds. */
uint64_t sl_ledger_share(const sl_ledger *l, unsigned parts, uint64_t least, uint64_t most);

/* Puts an object down, or changes one. False when its charge is more than is left (nothing is
 * changed then), or when there are too many objects. */
bool sl_ledger_put(sl_ledger *l, const sl_ledger_item *item);
/* Charges for an object that will be met at the next look. False when there is no room. */
bool sl_ledger_expect(sl_ledger *l, uint64_t charge);
/* Charges for what is never given back. */
bool sl_ledger_keep(sl_ledger *l, uint64_t charge);
/* NULL: not known. Valid until the next put. */
const sl_ledger_item *sl_ledger_find(const sl_ledger *l, uint64_t ino);

/* A look at what the tree really has: begin, see each, end. */
void sl_ledger_look(sl_ledger *l);
/* This object is there. True if it was known; else it is to be met. */
bool sl_ledger_see(sl_ledger *l, uint64_t ino);
/* An object that nobody put down: with its charge, whatever is left. */
void sl_ledger_meet(sl_ledger *l, const sl_ledger_item *item);
/* True: it stays, though nobody has it. */
typedef bool (*sl_ledger_stays)(void *arg, const sl_ledger_item *item);
/* Forgets what was not seen, but for what stays. Unless `whole`: then whatever was not seen may be
 * there all the same, and only what was expected and met is not charged twice. */
void sl_ledger_looked(sl_ledger *l, bool whole, sl_ledger_stays stays, void *arg);
/* How many TCP sockets the look has not seen. */
size_t sl_ledger_missing_tcp(const sl_ledger *l);

#endif
