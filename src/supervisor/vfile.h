/* Files that the child reads in place of the real ones: what the features that have some share.
 *
 * To add a file:
 *   1. give the feature rows: `static const sl_syscall_row rows[] = {SL_VFILE_ROWS(handle_open)};`
 *   2. make the content before the child starts: a sealed memfd (sl_fd_memfd), kept in its state;
 *   3. in the handler say which file it is and give it:
 *          if (!sl_vfile_means(call, "/etc/hostname")) {
 *              return SL_ANSWER_PASS;
 *          }
 *          return sl_vfile_give(call, state->memfd);
 *      or, where the content is made anew for each reader, sl_vfile_give_text.
 * Every other open goes on: Landlock judges it whatever the path says by then. A virtual file is a
 * view, so that a caller who changes the path behind our back gets what the policy grants. What
 * must be *kept* from the child is denied in sandbox/grants.c, and given by these here where it
 * may.
 *
 * Each feature has rows of its own; for one call all of them share one copy of the path and one
 * finding of what it means. Dispatcher thread only. */
#ifndef SANDLOCK_SUPERVISOR_VFILE_H
#define SANDLOCK_SUPERVISOR_VFILE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

#include "supervisor/feature.h"
#include "supervisor/notify.h"

#ifdef SYS_open
#define SL_VFILE_ROW_OPEN(handle)                                                                  \
    {.nr = SYS_open, .flags = SL_ROW_MAY_CONTINUE, .handler = (handle)},
#else
#define SL_VFILE_ROW_OPEN(handle)
#endif
/* Every way to open a file for reading; creat(2) only ever writes. */
#define SL_VFILE_ROWS(handle)                                                                      \
    SL_VFILE_ROW_OPEN(handle){                                                                     \
        .nr = SYS_openat, .flags = SL_ROW_MAY_CONTINUE, .handler = (handle)},                      \
    {                                                                                              \
        .nr = SYS_openat2, .flags = SL_ROW_MAY_CONTINUE, .handler = (handle)                       \
    }

/* What a call opens, as it was when it was copied. */
typedef struct sl_vfile_open {
    int dirfd;
    uint64_t flags;       /* O_* */
    uint64_t resolve;     /* RESOLVE_*, of openat2 alone */
    char given[PATH_MAX]; /* as written */
} sl_vfile_open;

/* What this open, openat or openat2 asks for; the same object for all who ask during one call. NULL
 * for every other call, and when it could not be copied. */
const sl_vfile_open *sl_vfile_copy(const sl_call *call);

/* The same when it may be the reading of a file: NULL for other access, O_PATH, O_DIRECTORY, and
 * RESOLVE_*, whose callers want to know what is there. */
const sl_vfile_open *sl_vfile_asked(const sl_call *call);

/* The object that is meant, or -errno (pin.h). It stays ours, until the next call. */
int sl_vfile_pin(const sl_call *call);

/* The absolute path that the words give, links not followed: also of what does not exist. NULL when
 * there is none for certain. */
const char *sl_vfile_path(const sl_call *call);

/* The kernel's name of what is meant, every link followed as the caller's (pin.h). NULL when there
 * is no such thing. */
const char *sl_vfile_meaning(const sl_call *call);

/* True if this absolute path is opened, by whatever spelling, and fs_denied does not cover it. */
bool sl_vfile_means(const sl_call *call, const char *path);
/* The same of several: which of them, or `count`. */
size_t sl_vfile_which(const sl_call *call, const char *const *paths, size_t count);

/* Answers with a descriptor of its own on this memfd, which stays the feature's: a shared offset
 * would start the second reader in the middle. */
sl_answer sl_vfile_give(const sl_call *call, int memfd);
/* The same for a deferred call, and for others that know their flags. */
sl_answer sl_vfile_inject(int memfd, bool cloexec);
/* The same with content for this reader alone. */
sl_answer sl_vfile_give_text(const sl_call *call, const char *text, size_t len);

void sl_vfile_done(struct sl_supervisor *sv);

#endif
