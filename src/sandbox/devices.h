/* Devices where Landlock knows no ioctl(2), before ABI 5: whoever may read one may command it. */
#ifndef SANDLOCK_SANDBOX_DEVICES_H
#define SANDLOCK_SANDBOX_DEVICES_H

#include "core/err.h"
#include "core/strv.h"
#include "policy/policy.h"

enum sl_devices_relation {
    SL_DEVICES_APART,
    SL_DEVICES_ABOVE,  /* a directory of devices lies below */
    SL_DEVICES_WITHIN, /* it is one, or lies in one */
};

/* True if no device may only be read: Landlock does not know it, and the policy has not said that
 * this can be done without. */
bool sl_devices_are_guarded(const sl_policy *policy);

/* Adds the directories of devices: /dev, and what is mounted elsewhere of its kind. 0 or -errno. */
int sl_devices_where(sl_strv *ret);

/* How a path stands to these directories; none of them: apart. */
enum sl_devices_relation sl_devices_relate(const sl_strv *where, const char *path);

/* What a read grant of something there gives (enum sl_landlock_rights; 0: nothing): the names of a
 * directory, and no device. One that is named is an error. */
int sl_devices_rights(int fd, const char *path, bool named, unsigned *ret_rights, sl_error *err);

#endif
