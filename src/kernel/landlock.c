/* Owns the Landlock ruleset. What the kernel's ABI does not know is masked in one ladder; what a
 * policy needs and the kernel lacks refuses the start. */
#include "kernel/landlock.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/util.h"
#include "policy/verdict.h"
#include "sandbox/fsview.h"
#include "sandbox/probe.h"

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
};
#define FS_ALL ((1u << 16) - 1)
/* Device nodes are made for nobody: a node is a door to the driver (FS-18). */
#define FS_WRITABLE (FS_ALL & ~(uint64_t)(FS_MAKE_CHAR | FS_MAKE_BLOCK))
#define FS_ON_FILE  (FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV)

/* What this ABI knows of the file rights: the one ladder (landlock(7), VERSIONS). */
static uint64_t known_fs(int abi)
{
    uint64_t known = FS_ALL;
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
    uint64_t access = rights_of(rights) & known_fs(sl_probe_landlock_abi());
    struct path_beneath_attr attr = {.allowed_access = access, .parent_fd = fd};
    if (!S_ISDIR(st.st_mode)) {
        attr.allowed_access &= FS_ON_FILE;
    }
    if (syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &attr, 0) < 0) {
        return -errno;
    }
    return 0;
}

static int allow_ports(int ruleset, const sl_ports *ports, uint64_t access, sl_error *err)
{
    for (size_t i = 0; i < ports->count; i++) {
        for (uint32_t p = ports->ranges[i].lo; p <= ports->ranges[i].hi; p++) {
            struct net_port_attr attr = {.allowed_access = access, .port = p};
            if (syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT, &attr, 0) < 0) {
                return sl_error_set(err, errno, "Landlock refused a rule for port %u: %s", p,
                                    strerror(errno));
            }
        }
    }
    return 0;
}

/* TCP: the ports of net_bind and net_connect, which Landlock judges alone. Where rules name hosts,
 * connects are made on behalf and nothing at all is granted here: a backstop. So is bind(2) under
 * port_remap, where the ports of net_bind are names inside. */
static int add_net(const sl_policy *policy, int ruleset, uint64_t handled, sl_error *err)
{
    int r = 0;
    if ((handled & NET_BIND_TCP) != 0 && !policy->port_remap) {
        r = allow_ports(ruleset, &policy->net_bind, NET_BIND_TCP, err);
    }
    if (r == 0 && (handled & NET_CONNECT_TCP) != 0 && !sl_policy_restricts_net(policy)) {
        r = allow_ports(ruleset, &policy->net_connect, NET_CONNECT_TCP, err);
    }
    return r;
}

/* What the policy asks of the kernel, less what the kernel does not know. */
static struct ruleset_attr make_attr(const sl_policy *policy, int abi)
{
    bool net = sl_policy_restricts_net(policy);
    struct ruleset_attr attr = {.handled_access_fs = known_fs(abi)};
    if (sl_policy_restricts_bind(policy)) {
        attr.handled_access_net |= NET_BIND_TCP;
    }
    if (net || policy->net_connect.count > 0) {
        attr.handled_access_net |= NET_CONNECT_TCP;
    }
    if (net || policy->isolate_ipc) {
        attr.scoped |= SCOPE_ABSTRACT_UNIX;
    }
    if (policy->isolate_signals) {
        attr.scoped |= SCOPE_SIGNAL;
    }
    attr.handled_access_net = abi < 4 ? 0 : attr.handled_access_net;
    attr.scoped = abi < 6 ? 0 : attr.scoped;
    return attr;
}

int sl_landlock_build(const sl_policy *policy, int *ret_fd, sl_fsview **ret_view, sl_error *err)
{
    int abi = sl_probe_landlock_abi();
    SL_AUTO(sl_fsview) view = NULL;
    if (abi < SL_LANDLOCK_ABI_MIN && !sl_strv_has(&policy->allow_degraded, "landlock")) {
        return sl_error_set(err, ENOSYS,
                            "this kernel has no Landlock ABI %d (it has %d; Linux 6.12 with "
                            "CONFIG_SECURITY_LANDLOCK and 'landlock' in its lsm= list does); see "
                            "'sandlock check', or start with less by '--allow-degraded landlock'",
                            SL_LANDLOCK_ABI_MIN, abi);
    }
    struct ruleset_attr attr = make_attr(policy, abi);
    size_t size = abi >= 6   ? sizeof(attr)
                  : abi >= 4 ? offsetof(struct ruleset_attr, scoped)
                             : offsetof(struct ruleset_attr, handled_access_net);
    sl_autoclose int ruleset =
        abi == 0 ? -1 : (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
    if (ruleset < 0 && abi > 0) {
        return sl_error_set(err, errno, "Landlock refused a ruleset: %s", strerror(errno));
    }
    int r = sl_fsview_build(policy, ruleset, &view, err);
    if (r == 0 && ruleset >= 0) {
        r = add_net(policy, ruleset, attr.handled_access_net, err);
    }
    if (r < 0) {
        return r;
    }
    *ret_view = sl_steal(&view);
    *ret_fd = sl_steal_fd(&ruleset);
    return 0;
}
