/* Everything that is made before the first fork. */
#ifndef SANDLOCK_ENGINE_PREPARE_H
#define SANDLOCK_ENGINE_PREPARE_H

#include <stdbool.h>

#include "core/err.h"
#include "core/strv.h"
#include "engine/caller/caller.h"
#include "engine/caller/terminal.h"
#include "engine/files.h"
#include "engine/runs/rundir.h"
#include "policy/policy.h"
#include "sandbox/sandbox.h"

typedef struct sl_run_options {
    const sl_policy *policy; /* frozen */
    char *const *argv;       /* the command; argv[0] is looked up in PATH as execvp(3) does */
    char *const *environ; /* the caller's environment; the policy's env fields are applied to it */
    int status_fd;        /* -1: none. One JSON line at the end (docs/man/sandlock.1) */
    bool quiet;           /* no end summary, no warnings on stderr */
    bool interactive;     /* a terminal of its own for the command, if standard input is one */
    bool no_supervisor;   /* kernel rules alone, exec in place */
} sl_run_options;

typedef struct sl_prepared {
    const sl_run_options *options;
    const sl_policy *policy;
    sl_caller caller;
    sl_sandbox *sandbox;
    sl_rundir *dir;        /* NULL: no place, and none is needed */
    sl_cgroup *cgroup;     /* NULL: none, limits are counted */
    sl_terminal *terminal; /* NULL: the command has the caller's */
    char *gateway_path;    /* NULL: no gateway */
    sl_files files;
    sl_strv trusted; /* bundles that the caller's environment named */
    sl_strv proxies; /* that caller and policy name (engine/start/proxies.h) */
    sl_strv env;
    char *program;
} sl_prepared;

/* Makes it all. The options outlive it. On failure too there is something to be done with. */
int sl_prepare(const sl_run_options *options, sl_prepared *ret_prepared, sl_error *err);
/* Removes the run's directory and cgroup as well. */
void sl_prepared_done(sl_prepared *prepared);
/* Removes these two alone, where nobody else is left to do it. */
void sl_prepared_remove(const sl_prepared *prepared);

/* What the command is started with; `limits` is the caller's memory. */
void sl_prepared_spawn(const sl_prepared *prepared, sl_spawn_limit limits[SL_SPAWN_LIMITS],
                       sl_spawn *ret_spawn);

/* The guardian's: lets go of the key, which is the gateway's alone, and of the memory of what the
 * engine has now. */
void sl_prepared_forget(sl_prepared *prepared);

#endif
