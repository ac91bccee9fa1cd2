/* Landlock: files, TCP ports, abstract Unix sockets and signals (landlock(7)). What this kernel's
 * ABI does not know is masked in one ladder, here. */
#ifndef SANDLOCK_KERNEL_LANDLOCK_H
#define SANDLOCK_KERNEL_LANDLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SL_LANDLOCK_ABI_MIN  2 /* files may be moved between directories; Linux 5.19 */
#define SL_LANDLOCK_ABI_UNIX 9 /* Unix sockets by their path; Linux 7.1 */

/* What Landlock holds by itself, from some ABI on. Before that it is somebody else's matter:
 * docs/internals/kernels.md says whose. */
enum sl_landlock_hold {
    SL_HOLDS_TRUNCATE,
    SL_HOLDS_TCP_PORTS,
    SL_HOLDS_IOCTL_DEV,
    SL_HOLDS_ABSTRACT,
    SL_HOLDS_SIGNALS,
    SL_HOLDS_UNIX,
    SL_HOLDS_COUNT,
};

typedef struct sl_landlock_protection {
    const char *name;   /* what --allow-degraded and `sandlock check` call it */
    int abi;            /* the first that has it */
    const char *since;  /* the first kernel with it: "6.2" */
    const char *keeps;  /* from what */
    const char *holder; /* who keeps it where Landlock does not: "supervisor", or the "rules" */
    const char *before; /* and how */
} sl_landlock_protection;
extern const sl_landlock_protection sl_landlock_protections[SL_HOLDS_COUNT];

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
    SL_LANDLOCK_FILL = 1 << 7,   /* write and empty what is there; no reading */
    SL_LANDLOCK_SOCKET = 1 << 6, /* reach one Unix socket of whoever; no other right has it */
};

/* The ABI of this kernel; 0 when it has no Landlock. */
int sl_landlock_abi(void);
/* True if Landlock holds this here: the one place that says so. */
bool sl_landlock_holds(enum sl_landlock_hold what);

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
