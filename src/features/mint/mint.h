/* Sockets where descriptors cannot be fetched from their owners (sl_place_fetches): the engine
 * makes each socket of the tree and keeps a descriptor of its own. docs/internals/places.md. */
#ifndef SANDLOCK_FEATURES_MINT_MINT_H
#define SANDLOCK_FEATURES_MINT_MINT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "supervisor/supervisor.h"

/* Our descriptor of the socket that this number of the caller's means: a duplicate, which
 * the caller of this closes. -EBADF, -ENOTSOCK, -EACCES; -ENODEV for a socket that we did not make,
 * or have let go. */
int sl_mint_find(const sl_call *call, int fd);

/* Keeps a socket that another feature makes for the caller; nothing where they can be fetched. 0 or
 * -ENFILE. */
int sl_mint_keep(sl_supervisor *sv, int fd);

/* This socket needs no more verdicts: it is the tree's alone from now on. */
void sl_mint_let_go(sl_supervisor *sv, int fd);

/* What a socket that we did not make is, as far as it matters to a send. */
enum sl_mint_foreign {
    SL_MINT_UNKNOWN, /* also: no socket, no such descriptor */
    SL_MINT_STREAM,  /* takes no address with a message: TCP, and Unix streams */
};
enum sl_mint_foreign sl_mint_foreign(const sl_call *call, int fd);

/* A TCP socket that we do not have, by the kernel's word (sock_diag(7)). */
typedef struct sl_mint_named {
    uint64_t cookie;
    int domain;
    struct sockaddr_storage own;
    struct sockaddr_storage peer; /* of a listener unspecified */
    socklen_t len;
} sl_mint_named;

/* For who only wants to know its names. False when there is none. */
bool sl_mint_name(const sl_call *call, int fd, sl_mint_named *ret);

#endif
