/* What the parts of isolate_pids share: pids.c and pids_meta.c. */
#ifndef SANDLOCK_FEATURES_PROCFS_PIDS_INT_H
#define SANDLOCK_FEATURES_PROCFS_PIDS_INT_H

#include <limits.h>
#include <stdbool.h>

#include "supervisor/notify.h"

enum sl_pids_place {
    SL_PIDS_ELSEWHERE, /* Landlock's matter alone */
    SL_PIDS_TOP,       /* /proc itself */
    SL_PIDS_OWN,       /* below the directory of a process of the tree */
    SL_PIDS_FOREIGN,   /* of another, or of a proc file system that is not ours */
};

/* Where a pinned object lies; `path` is its name then, but for ELSEWHERE outside of proc. */
enum sl_pids_place sl_pids_place_of(const sl_call *call, int fd, char path[PATH_MAX]);

/* pids_meta.c */
sl_answer sl_pids_handle_stat(sl_call *call); /* stat, lstat, newfstatat */
sl_answer sl_pids_handle_statx(sl_call *call);
sl_answer sl_pids_handle_access(sl_call *call); /* access, faccessat, faccessat2 */
sl_answer sl_pids_handle_readlink(sl_call *call);

#endif
