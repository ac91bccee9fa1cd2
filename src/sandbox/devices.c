/* Owns what a read grant means for devices where Landlock knows no ioctl(2). A filter cannot tell a
 * device from another descriptor, and trapping every ioctl(2) is too dear: what cannot be opened
 * cannot be commanded. docs/internals/kernels.md */
#include "sandbox/devices.h"

#include <errno.h>
#include <limits.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "kernel/landlock.h"
#include "supervisor/fsview.h"

bool sl_devices_are_guarded(const sl_policy *policy)
{
    return !sl_landlock_holds(SL_HOLDS_IOCTL_DEV) &&
           !sl_strv_has(&policy->allow_degraded, sl_landlock_protections[SL_HOLDS_IOCTL_DEV].name);
}

int sl_devices_where(sl_strv *ret)
{
    char line[2 * PATH_MAX];
    struct mntent entry;
    int r = sl_strv_add(ret, "/dev");
    FILE *mounts = setmntent("/proc/self/mounts", "re");
    if (mounts == NULL) {
        return -errno;
    }
    while (r == 0 && getmntent_r(mounts, &entry, line, sizeof(line)) != NULL) {
        bool devices =
            strcmp(entry.mnt_type, "devtmpfs") == 0 || strcmp(entry.mnt_type, "devpts") == 0;
        if (devices && !sl_fsview_is_below(entry.mnt_dir, "/dev")) {
            r = sl_strv_add(ret, entry.mnt_dir);
        }
    }
    endmntent(mounts);
    return r;
}

enum sl_devices_relation sl_devices_relate(const sl_strv *where, const char *path)
{
    enum sl_devices_relation relation = SL_DEVICES_APART;
    if (sl_fsview_is_below(path, "/dev/shm") || sl_fsview_is_below(path, "/dev/mqueue")) {
        return SL_DEVICES_APART; /* memory, by custom */
    }
    for (size_t i = 0; i < where->count; i++) {
        if (sl_fsview_is_below(path, where->items[i])) {
            return SL_DEVICES_WITHIN;
        }
        relation = sl_fsview_is_below(where->items[i], path) ? SL_DEVICES_ABOVE : relation;
    }
    return relation;
}

int sl_devices_rights(int fd, const char *path, bool named, unsigned *ret_rights, sl_error *err)
{
    struct stat st;
    bool known = fstat(fd, &st) == 0;
    bool device = !known || S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode);
    if (named && device) {
        return sl_error_set(err, ENOTSUP,
                            "cannot grant the device '%s' for reading alone: this kernel's "
                            "Landlock (ABI %d) does not know ioctl(2); grant it with -w, or start "
                            "with less by '--allow-degraded %s'",
                            path, sl_landlock_abi(),
                            sl_landlock_protections[SL_HOLDS_IOCTL_DEV].name);
    }
    *ret_rights = device ? 0 : S_ISDIR(st.st_mode) ? SL_LANDLOCK_LIST : SL_LANDLOCK_READ;
    return 0;
}
