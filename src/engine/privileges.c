/* Owns the dropping of privileges. Nothing here can be taken back. */
#include "engine/privileges.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/util.h"

static int drop_capabilities(bool to_map)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {0};
    if (syscall(SYS_capget, &header, data) < 0) {
        return -errno;
    }
    if ((data[0].permitted | data[1].permitted | data[0].inheritable | data[1].inheritable) == 0 &&
        geteuid() != 0) {
        return 0; /* nothing to lose; the bounding set gives nothing under NO_NEW_PRIVS */
    }
    if ((data[0].effective & (1u << CAP_SETPCAP)) != 0) {
        unsigned cap = 0;
        while (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0) {
            cap++;
        }
        if (errno != EINVAL || cap == 0) { /* EINVAL: one past the last that this kernel knows */
            return -errno;
        }
    }
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    uint32_t kept = to_map ? data[0].permitted & (1u << CAP_SETFCAP) : 0;
    memset(data, 0, sizeof(data));
    data[0].permitted = kept;
    data[0].effective = kept;
    return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

int sl_privileges_drop(bool to_map, sl_error *err)
{
    int r = drop_capabilities(to_map);
    if (r < 0) {
        return sl_error_set(err, -r, "cannot drop capabilities: %s", strerror(-r));
    }
    /* No program that one of ours starts gains anything; the child says so once more for itself. */
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
        return sl_error_set(err, errno, "cannot give up new privileges: %s", strerror(errno));
    }
    /* No core file either: a process that is not dumpable leaves none (core(5)). */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) {
        return sl_error_set(err, errno, "cannot hide the supervisor's memory: %s", strerror(errno));
    }
    return 0;
}
