/* Which objects a system call names: the one table of the calls that are judged by a path, or may
 * be. What such a path means to the caller is found by pin.h. */
#ifndef SANDLOCK_SUPERVISOR_PATH_H
#define SANDLOCK_SUPERVISOR_PATH_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "supervisor/notify.h"

/* One object that a call names. Nothing of the caller's memory has been read yet. */
typedef struct sl_path_arg {
    int dirfd;        /* AT_FDCWD for calls without one */
    uint64_t address; /* of the path's text */
    unsigned at;      /* AT_*: the call's own flags, and AT_SYMLINK_NOFOLLOW where it means so */
    bool whole;       /* the descriptor itself: there is no path */
    int next;         /* the first argument of what is asked or told besides; -1: nothing is */
} sl_path_arg;

#define SL_PATH_NAMES_MAX 2 /* rename(2) and its kin name two */

/* True if this is a call that takes a path, or changes a file by its descriptor. */
bool sl_path_is_call(int nr);

/* The object at place `which` (0, or 1 for the second) of this call. False when it has none there.
 * openat2(2)'s flags are in memory: there `at` is 0. */
bool sl_path_arg_of(const sl_call *call, unsigned which, sl_path_arg *ret_arg);

/* What the call says besides: its argument `next` + `which`; 0 where there is none. */
uint64_t sl_path_said(const sl_call *call, const sl_path_arg *arg, unsigned which);

/* Copies the text; an address of 0 with AT_EMPTY_PATH is an empty one. 0, -EFAULT, -ENAMETOOLONG.
 */
int sl_path_read(const sl_call *call, const sl_path_arg *arg, char text[PATH_MAX]);

#endif
