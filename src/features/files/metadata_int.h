/* A change of metadata that a confined process asked for, copied whole: what metadata.c reads and
 * metadata_act.c does. */
#ifndef SANDLOCK_FEATURES_FILES_METADATA_INT_H
#define SANDLOCK_FEATURES_FILES_METADATA_INT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <time.h>

#include "supervisor/worker.h"

#define SL_META_NAME_MAX  255   /* XATTR_NAME_MAX, xattr(7) */
#define SL_META_VALUE_MAX 65536 /* XATTR_SIZE_MAX */
#define SL_META_IOCTL_MAX 28    /* struct fsxattr */

enum sl_meta_kind {
    SL_META_MODE,
    SL_META_OWNER,
    SL_META_TIMES,
    SL_META_XATTR_SET,
    SL_META_XATTR_REMOVE,
    SL_META_IOCTL,
};

typedef struct sl_meta_change {
    enum sl_meta_kind kind;
    mode_t mode;
    uid_t uid;
    gid_t gid;
    bool now; /* both times are "now" */
    struct timespec times[2];
    char name[SL_META_NAME_MAX + 1];
    void *value; /* owned */
    size_t size;
    int flags;
    unsigned long command;
    unsigned char argument[SL_META_IOCTL_MAX];
} sl_meta_change;

typedef struct sl_meta_job {
    sl_job job;
    int at;      /* owned; where a relative path begins, or with an empty path the object itself */
    bool follow; /* a symlink at the end */
    char path[PATH_MAX]; /* absolute when `at` is -1 */
    sl_meta_change change;
} sl_meta_job;

void sl_meta_job_free(sl_meta_job *job);

/* Hands the job to the worker, which answers the call. Takes it over, also on failure. */
sl_answer sl_meta_start(sl_meta_job *job);

/* True if the policy lets this object's metadata be changed: it lies below a write grant, or has no
 * name in any directory (a pipe, a memory file, what was deleted). */
bool sl_meta_may_change(const struct sl_supervisor *sv, int fd);

#endif
