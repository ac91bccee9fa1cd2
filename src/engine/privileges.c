/* Owns the dropping of privileges. Nothing here can be taken back. */
#include "engine/privileges.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/caps.h"

int sl_privileges_drop(bool to_map, sl_error *err)
{
    int r = sl_caps_drop(to_map ? 1u << CAP_SETFCAP : SL_CAPS_NONE);
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
