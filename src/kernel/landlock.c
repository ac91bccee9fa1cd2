/* Owns the speech with Landlock. Knows no policy: what is asked for is granted, less what this
 * kernel does not know. */
#include "kernel/landlock.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/util.h"
#include "kernel/older_int.h"

#define CREATE_RULESET_VERSION 1u

/* The kernel's interface (landlock(7)); the headers of the oldest system we build on know ABI 2. */
struct ruleset_attr {
    uint64_t handled_access_fs;
    uint64_t handled_access_net;
    uint64_t scoped;
};
struct path_beneath_attr {
    uint64_t allowed_access;
    int32_t parent_fd;
} __attribute__((packed));
struct net_port_attr {
    uint64_t allowed_access;
    uint64_t port;
};
enum { RULE_PATH_BENEATH = 1, RULE_NET_PORT = 2 };
enum { NET_BIND_TCP = 1 << 0, NET_CONNECT_TCP = 1 << 1 };
enum { SCOPE_ABSTRACT_UNIX = 1 << 0, SCOPE_SIGNAL = 1 << 1 };
enum {
    FS_EXECUTE = 1 << 0,
    FS_WRITE_FILE = 1 << 1,
    FS_READ_FILE = 1 << 2,
    FS_READ_DIR = 1 << 3,
    FS_REMOVE_DIR = 1 << 4,
    FS_REMOVE_FILE = 1 << 5,
    FS_MAKE_CHAR = 1 << 6,
    FS_MAKE_DIR = 1 << 7,
    FS_MAKE_REG = 1 << 8,
    FS_MAKE_SOCK = 1 << 9,
    FS_MAKE_FIFO = 1 << 10,
    FS_MAKE_BLOCK = 1 << 11,
    FS_MAKE_SYM = 1 << 12,
    FS_REFER = 1 << 13,
    FS_TRUNCATE = 1 << 14,
    FS_IOCTL_DEV = 1 << 15,
    FS_RESOLVE_UNIX = 1 << 16,
};
#define FS_ALL ((1u << 17) - 1)
/* Device nodes are made for nobody: a node is a door to the driver (FS-18). A socket is a door to
 * whoever listens, and no directory opens those below it (NET-28). */
#define FS_WRITABLE (FS_ALL & ~(uint64_t)(FS_MAKE_CHAR | FS_MAKE_BLOCK | FS_RESOLVE_UNIX))
#define FS_ON_FILE                                                                                 \
    (FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV | FS_RESOLVE_UNIX)

/* What this ABI knows of the file rights: the one ladder (landlock(7), VERSIONS). */
static uint64_t known_fs(int abi)
{
    uint64_t known = FS_ALL;
    if (abi < SL_LANDLOCK_ABI_UNIX) {
        known &= ~(uint64_t)FS_RESOLVE_UNIX;
    }
    if (abi < 5) {
        known &= ~(uint64_t)FS_IOCTL_DEV;
    }
    if (abi < 3) {
        known &= ~(uint64_t)FS_TRUNCATE;
    }
    if (abi < 2) {
        known &= ~(uint64_t)FS_REFER;
    }
    return known;
}

const sl_landlock_protection sl_landlock_protections[SL_HOLDS_COUNT] = {
    [SL_HOLDS_TRUNCATE] = {"truncate", 3, "6.2", "emptying files outside write grants",
                           "supervisor", "truncate(2), and opens that empty, are trapped"},
    [SL_HOLDS_TCP_PORTS] = {"tcp-ports", 4, "6.7", "TCP ports outside --net-connect and --net-bind",
                            "supervisor", "connect(2), bind(2) and listen(2) are trapped"},
    [SL_HOLDS_IOCTL_DEV] = {"ioctl-dev", 5, "6.10", "commanding devices that may only be read",
                            "rules", "no device may only be read"},
    [SL_HOLDS_ABSTRACT] = {"abstract-sockets", 6, "6.12", "abstract sockets of others",
                           "supervisor", "connect(2), and sends with an address, are trapped"},
    [SL_HOLDS_SIGNALS] = {"signals", 6, "6.12", "signals to others", "supervisor",
                          "kill(2) and its kin are trapped"},
    [SL_HOLDS_UNIX] = {"unix-sockets", SL_LANDLOCK_ABI_UNIX, "7.1",
                       "Unix sockets of others by their path", "supervisor",
                       "connect(2), and sends with an address, are trapped"},
};

static int pretended = INT_MAX;

void sl_landlock_pretend(int abi)
{
    pretended = abi;
}

bool sl_landlock_holds(enum sl_landlock_hold what)
{
    return sl_landlock_abi() >= sl_landlock_protections[what].abi;
}

int sl_landlock_abi(void)
{
    static int known = -1;
    if (known < 0) {
        long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);
        known = abi < 0 ? 0 : (int)abi;
    }
    return SL_MIN(known, pretended);
}

int sl_landlock_new(unsigned scope)
{
    int abi = sl_landlock_abi();
    struct ruleset_attr attr = {0};
    if (abi == 0) {
        return -ENOSYS;
    }
    attr.handled_access_fs = (scope & SL_LANDLOCK_FILES) != 0 ? known_fs(abi) : 0;
    attr.handled_access_net |= (scope & SL_LANDLOCK_BIND_TCP) != 0 ? NET_BIND_TCP : 0;
    attr.handled_access_net |= (scope & SL_LANDLOCK_CONNECT_TCP) != 0 ? NET_CONNECT_TCP : 0;
    attr.scoped |= (scope & SL_LANDLOCK_ABSTRACT) != 0 ? SCOPE_ABSTRACT_UNIX : 0;
    attr.scoped |= (scope & SL_LANDLOCK_SIGNALS) != 0 ? SCOPE_SIGNAL : 0;
    /* An older kernel reads less of it. */
    size_t size = abi >= 6   ? sizeof(attr)
                  : abi >= 4 ? offsetof(struct ruleset_attr, scoped)
                             : offsetof(struct ruleset_attr, handled_access_net);
    long fd = syscall(SYS_landlock_create_ruleset, &attr, size, 0);
    return fd < 0 ? -errno : (int)fd;
}

static uint64_t rights_of(unsigned rights)
{
    uint64_t access = 0;
    if ((rights & SL_LANDLOCK_READ) != 0) {
        access |= FS_EXECUTE | FS_READ_FILE | FS_READ_DIR;
    }
    if ((rights & SL_LANDLOCK_EXECUTE) != 0) {
        access |= FS_EXECUTE;
    }
    if ((rights & SL_LANDLOCK_WRITE) != 0) {
        access |= FS_WRITABLE;
    }
    if ((rights & SL_LANDLOCK_LIST) != 0) {
        access |= FS_READ_DIR;
    }
    if ((rights & SL_LANDLOCK_DEVICE) != 0) {
        access |= FS_READ_FILE | FS_WRITE_FILE | FS_TRUNCATE | FS_IOCTL_DEV;
    }
    if ((rights & SL_LANDLOCK_SOCKET) != 0) {
        access |= FS_RESOLVE_UNIX;
    }
    if ((rights & SL_LANDLOCK_LOOK) != 0) {
        access |= FS_READ_FILE | FS_READ_DIR;
    }
    if ((rights & SL_LANDLOCK_FILL) != 0) {
        access |= FS_WRITE_FILE | FS_TRUNCATE;
    }
    return access;
}

int sl_landlock_allow(int ruleset, int fd, unsigned rights)
{
    struct stat st;
    if (fstat(fd, &st) < 0) {
        return -errno;
    }
    if (ruleset < 0) {
        return 0; /* no Landlock, as --allow-degraded let it be */
    }
    uint64_t access = rights_of(rights) & known_fs(sl_landlock_abi());
    struct path_beneath_attr attr = {.allowed_access = access, .parent_fd = fd};
    if (!S_ISDIR(st.st_mode)) {
        attr.allowed_access &= FS_ON_FILE;
    }
    if (attr.allowed_access == 0) {
        return 0; /* nothing that this kernel knows of */
    }
    if (syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &attr, 0) < 0) {
        return -errno;
    }
    return 0;
}

int sl_landlock_allow_port(int ruleset, enum sl_landlock_scope scope, uint16_t port)
{
    struct net_port_attr attr = {.port = port};
    attr.allowed_access = scope == SL_LANDLOCK_BIND_TCP ? NET_BIND_TCP : NET_CONNECT_TCP;
    if (sl_landlock_abi() < 4) {
        return 0;
    }
    return syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT, &attr, 0) < 0 ? -errno : 0;
}

int sl_landlock_enter(int ruleset)
{
    return syscall(SYS_landlock_restrict_self, ruleset, 0) < 0 ? -errno : 0;
}
