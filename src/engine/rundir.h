/* The private directories of runs: where the canary's file is, and the trust files of one run. */
#ifndef SANDLOCK_ENGINE_RUNDIR_H
#define SANDLOCK_ENGINE_RUNDIR_H

#include <limits.h>
#include <stdbool.h>

#include "core/err.h"
#include "core/util.h"

typedef struct sl_rundir {
    int base_fd;
    char base[PATH_MAX];   /* "$XDG_RUNTIME_DIR/sandlock", "~/.cache/sandlock" or
                              "/var/tmp/sandlock-UID" */
    char canary[PATH_MAX]; /* an empty 0600 file */
    int run_fd;            /* -1: this run has no directory of its own */
    char run_name[64];
    char ca[PATH_MAX]; /* empty files that the child sees: their content is injected */
    char bundle[PATH_MAX];
} sl_rundir;

/* Chooses and makes the base directory: the first candidate for which `usable` says yes. -ENOENT
 * when there is none. */
int sl_rundir_open(sl_rundir **ret_dir, bool (*usable)(void *arg, const char *path), void *arg,
                   sl_error *err);
/* Makes the directory of this run with its files; removes those of runs that died. */
int sl_rundir_begin(sl_rundir *dir, sl_error *err);
/* Removes this run's directory, by the names we made through the descriptor we hold. */
void sl_rundir_end(sl_rundir *dir);
void sl_rundir_free(sl_rundir *dir);
SL_DEFINE_AUTO(sl_rundir, sl_rundir_free);

#endif
