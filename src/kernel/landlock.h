/* Landlock: files, TCP ports, abstract Unix sockets and signals (landlock(7)). What this kernel's
 * ABI does not know is masked in one ladder, here. */
#ifndef SANDLOCK_KERNEL_LANDLOCK_H
#define SANDLOCK_KERNEL_LANDLOCK_H

#include <stdint.h>

#define SL_LANDLOCK_ABI_MIN  6 /* scopes; Linux 6.12 */
#define SL_LANDLOCK_ABI_UNIX 9 /* Unix sockets by their path; Linux 7.1 */

/* What a ruleset takes charge of: it is refused but where a rule allows it. */
enum sl_landlock_scope {
    SL_LANDLOCK_FILES = 1 << 0, /* every right to files that there is */
    SL_LANDLOCK_BIND_TCP = 1 << 1,
    SL_LANDLOCK_CONNECT_TCP = 1 << 2,
    SL_LANDLOCK_ABSTRACT = 1 << 3, /* abstract sockets whose owner has not the same ruleset */
    SL_LANDLOCK_SIGNALS = 1 << 4,
};

enum sl_landlock_rights {
    SL_LANDLOCK_READ = 1 << 0,   /* read, list, execute */
    SL_LANDLOCK_WRITE = 1 << 1,  /* everything below, READ included */
    SL_LANDLOCK_LIST = 1 << 2,   /* names only */
    SL_LANDLOCK_DEVICE = 1 << 3, /* read, write and ioctl one device node */
    SL_LANDLOCK_EXECUTE = 1 << 4,
    SL_LANDLOCK_LOOK = 1 << 5,   /* read and list, no more */
    SL_LANDLOCK_SOCKET = 1 << 6, /* reach one Unix socket of whoever; no other right has it */
};

/* The ABI of this kernel; 0 when it has no Landlock. */
int sl_landlock_abi(void);

/* A ruleset in charge of these (enum sl_landlock_scope), as far as the kernel knows them. The
 * caller owns the descriptor. -errno; -ENOSYS without Landlock. */
int sl_landlock_new(unsigned scope);

/* Adds one rule beneath the object of `fd` (enum sl_landlock_rights). A ruleset of -1 stands for
 * none: nothing is added. 0 or -errno. */
int sl_landlock_allow(int ruleset, int fd, unsigned rights);

/* Adds a rule for a port, under BIND_TCP or CONNECT_TCP, of which the ruleset must be in charge;
 * nothing where the kernel does not know it. 0 or -errno. */
int sl_landlock_allow_port(int ruleset, enum sl_landlock_scope scope, uint16_t port);

/* Binds the calling thread and what it starts, for good. Async-signal-safe. 0 or -errno. */
int sl_landlock_enter(int ruleset);

#endif
