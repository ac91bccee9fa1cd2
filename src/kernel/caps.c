/* Owns the dropping of capabilities. */
#include "kernel/caps.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int drop_bounding_set(void)
{
    unsigned cap = 0;
    while (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0) {
        cap++;
    }
    return errno == EINVAL && cap > 0 ? 0 : -errno; /* one past the last that this kernel knows */
}

int sl_caps_drop(uint32_t kept)
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
        int r = drop_bounding_set();
        if (r < 0) {
            return r;
        }
    }
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    kept &= data[0].permitted;
    memset(data, 0, sizeof(data));
    data[0].permitted = kept;
    data[0].effective = kept;
    return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}
