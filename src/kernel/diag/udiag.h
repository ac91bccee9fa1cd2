/* Unix sockets by the kernel's word: sock_diag(7), unix_diag. */
#ifndef SANDLOCK_KERNEL_DIAG_UDIAG_H
#define SANDLOCK_KERNEL_DIAG_UDIAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SL_UDIAG_LISTEN (1u << 10) /* TCP_LISTEN, which is what AF_UNIX says too */
#define SL_UDIAG_ANY    UINT32_MAX

/* One socket of this network namespace. */
typedef struct sl_udiag_socket {
    int type;
    uint64_t cookie;  /* SO_COOKIE */
    const char *name; /* bytes, as they were bound: an abstract one begins with NUL */
    size_t name_len;  /* 0: none */
    bool has_file;    /* bound to a path: the file's device and the low half of its number */
    dev_t dev;
    uint32_t ino;
} sl_udiag_socket;

typedef void (*sl_udiag_each_cb)(void *arg, const sl_udiag_socket *socket);

/* All that are in one of these states (SL_UDIAG_*). False when the list is not complete. */
bool sl_udiag_each(uint32_t states, sl_udiag_each_cb each, void *arg);

#endif
