/* The private directories of runs: where the canary's file is, and the trust files of one run. */
#ifndef SANDLOCK_ENGINE_RUNS_RUNDIR_H
#define SANDLOCK_ENGINE_RUNS_RUNDIR_H

#include <limits.h>
#include <stdbool.h>

#include "core/err.h"
#include "core/util.h"
#include "policy/artefact.h"

typedef struct sl_rundir {
    int base_fd;
    char base[PATH_MAX];   /* "$XDG_RUNTIME_DIR/sandlock", "~/.cache/sandlock" or
                              "/var/tmp/sandlock-UID" */
    char canary[PATH_MAX]; /* an empty 0600 file */
    int run_fd;            /* -1: this run has no directory of its own */
    char run_name[64];
    /* empty files that the child sees: their content is injected */
    char trust[SL_ARTEFACTS][PATH_MAX];
    char control_name[64]; /* of the control socket in "control"; "": none yet */
} sl_rundir;

#define SL_RUNDIR_CONTROL_NAME_MAX 64 /* "GUARDIAN-RANDOM" and the terminator */

/* Chooses and makes the base directory: the first candidate for which `usable` says yes. -ENOENT
 * when there is none. */
int sl_rundir_open(sl_rundir **ret_dir, bool (*usable)(void *arg, const char *path), void *arg,
                   sl_error *err);
/* Makes the directory of this run with its files; removes those of runs that died. */
int sl_rundir_begin(sl_rundir *dir, sl_error *err);
/* Chooses the name of this run's control socket (engine/runs/control.h). 0 or -errno. */
int sl_rundir_name_control(sl_rundir *dir);
/* The directory of control sockets, made if it is missing: a descriptor or -errno. */
int sl_rundir_open_control(const sl_rundir *dir);
/* Gives each such directory of this user that is there; `fd` is closed afterwards. */
void sl_rundir_each_control(void (*each)(void *arg, int fd), void *arg);
/* Removes this run's directory and socket, by the names we made through the descriptor we hold. */
void sl_rundir_end(sl_rundir *dir);
void sl_rundir_free(sl_rundir *dir);
SL_DEFINE_AUTO(sl_rundir, sl_rundir_free);

#endif
