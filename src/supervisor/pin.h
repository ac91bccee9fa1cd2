/* What a path of the caller means: pinned as an object, whatever it is spelt like. */
#ifndef SANDLOCK_SUPERVISOR_PIN_H
#define SANDLOCK_SUPERVISOR_PIN_H

#include <limits.h>
#include <stdbool.h>

#include "supervisor/notify.h"

enum sl_pin_flags {
    SL_PIN_NOFOLLOW = 1 << 0, /* a link at the end is what is meant */
    SL_PIN_EMPTY = 1 << 1,    /* AT_EMPTY_PATH: "" means dirfd itself */
};

/* Finds what `path` means to the caller, from its own directory or `dirfd` (AT_FDCWD), with its own
 * /proc/self and /proc/thread-self. Links that jump to an object (/proc/PID/cwd, fd/N...) are
 * followed for processes of the tree only; others are -EACCES. Returns a descriptor of the object
 * (O_PATH but for SL_PIN_EMPTY), which the caller closes, or the -errno that the plain call would
 * give. The caller still has to be confirmed (sl_call_valid). */
int sl_pin(const sl_call *call, int dirfd, const char *path, unsigned flags);

/* The same under RESOLVE_* (openat2(2)), which the kernel keeps to: its errors are the caller's
 * own. No link that jumps is followed, asked for or not: -ELOOP. */
int sl_pin_bounded(const sl_call *call, int dirfd, const char *path, unsigned flags,
                   uint64_t resolve);

/* The directory that the last name of `path` is in, for who makes or removes what has that name.
 * -EISDIR: the path ends in a slash. */
int sl_pin_parent(const sl_call *call, int dirfd, const char *path, char ret_name[NAME_MAX + 1]);

/* Where a relative path of the caller begins: its own directory (AT_FDCWD) or that descriptor. The
 * caller of this closes it. -errno. */
int sl_pin_start(const sl_call *call, int dirfd);

/* True if the object is on a proc file system. */
bool sl_pin_is_proc(int fd);

#endif
