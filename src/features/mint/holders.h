/* Who of the tree has a socket: the links of /proc/PID/fd, "socket:[NUMBER]". */
#ifndef SANDLOCK_FEATURES_MINT_HOLDERS_H
#define SANDLOCK_FEATURES_MINT_HOLDERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A socket that is being looked for. */
typedef struct sl_look {
    uint64_t ino;
    pid_t tid; /* where it was last, under which number; 0: nobody knows */
    int number;
    unsigned uses; /* the asker's */
    bool seen;
} sl_look;

/* The socket that a descriptor of this thread is of. 0, -EBADF, -ENOTSOCK, -EACCES. */
int sl_holders_socket(pid_t tid, int fd, uint64_t *ret_ino);

/* Looks for all of them: where each was last, then through the whole tree (without `spare`). Sorts
 * them. False when some were not seen and that is no proof that nobody has them. */
bool sl_holders_find(pid_t spare, sl_look *looks, size_t count);

#endif
