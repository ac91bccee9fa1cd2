/* How much the kernel holds for one socket: its buffers made small, and what fits in them then.
 * socket(7): an option's value is doubled, which is the size that counts here. */
#ifndef SANDLOCK_FEATURES_KMEM_BOUNDS_H
#define SANDLOCK_FEATURES_KMEM_BOUNDS_H

#include <stdbool.h>
#include <stdint.h>

#include "features/kmem/ledger.h"

/* Of the machine; read once. */
typedef struct sl_bounds {
    uint64_t ordinary; /* the buffer that the kernel gives a socket by itself */
    uint64_t queue;    /* datagrams of strangers that a Unix socket takes */
    uint64_t datagram; /* the buffer that we give a Unix datagram socket */
    uint64_t page;
} sl_bounds;

void sl_bounds_init(sl_bounds *b, uint64_t budget);

/* What a pipe of this size can hold, with what it is made of; and one of the usual size. */
uint64_t sl_bounds_pipe(const sl_bounds *b, uint64_t size);
uint64_t sl_bounds_usual_pipe(const sl_bounds *b);

/* Makes the buffers of a socket of the tree's smaller where the budget asks for it, and says what
 * it can hold: *ret_item without a number. `is_pair`: its peer is bounded alike, now and here. 0,
 * or -ENOTSOCK. */
int sl_bounds_socket(const sl_bounds *b, const sl_ledger *l, int fd, bool is_pair,
                     sl_ledger_item *ret_item);

/* What a Unix datagram socket can hold beyond that once it has a name. */
uint64_t sl_bounds_named(const sl_bounds *b);

/* A Unix stream socket that the kernel makes for whoever accepts it, and what is sent to it. */
uint64_t sl_bounds_accepted(const sl_bounds *b);

/* How many connections may wait on this listener, of those asked for; its buffers, which whoever is
 * accepted inherits, are made smaller for it. *ret_item is the listener with all of them. */
int sl_bounds_listener(const sl_bounds *b, const sl_ledger *l, int fd, int asked,
                       sl_ledger_item *ret_item);

/* A TCP socket that has more than its part of a budget that is short: gives it less. What it can
 * hold then, with what lies in it. */
uint64_t sl_bounds_pressed(const sl_ledger *l); /* the part */
uint64_t sl_bounds_press(const sl_ledger *l, int fd);

/* Never more than it has: SO_SNDBUF or SO_RCVBUF. 0 or -errno. */
int sl_bounds_lower(int fd, int option, int value);

/* The size that this buffer gets; what it has then. */
uint64_t sl_bounds_set(int fd, int option, uint64_t size);

#endif
