/* What guardian and engine share: everything that was made before the fork. */
#ifndef SANDLOCK_ENGINE_ENGINE_INT_H
#define SANDLOCK_ENGINE_ENGINE_INT_H

#include <signal.h>
#include <sys/resource.h>

#include "core/strv.h"
#include "engine/link.h"
#include "engine/run.h"
#include "engine/rundir.h"
#include "engine/terminal.h"
#include "sandbox/sandbox.h"

/* Signals whose disposition the engine changes: the child gets the caller's back. */
extern const int sl_engine_ignored[];
extern const size_t sl_engine_ignored_count;

/* Limits that guardian and engine change for themselves. */
extern const int sl_engine_limited[SL_SPAWN_LIMITS];

struct sl_run {
    const sl_run_options *options;
    const sl_policy *policy;
    sl_sandbox *sandbox;
    sl_rundir *dir;     /* NULL: no place, and none is needed */
    sl_cgroup *cgroup;  /* NULL: none, limits are counted */
    char *gateway_path; /* NULL: no gateway */
    sl_link_files files;
    sl_strv trusted; /* bundles that the caller's environment named */
    sl_strv env;
    char *program;
    sigset_t ignored; /* by the caller, of sl_engine_ignored */
    sigset_t mask;
    sl_spawn_limit limits[SL_SPAWN_LIMITS]; /* of the caller, of sl_engine_limited */
    pid_t pgid;
    int signal_pipe[2];    /* guardian to engine: a byte is a signal to pass on */
    sl_terminal *terminal; /* NULL: the command has the caller's */
    int news_pipe[2];      /* with a terminal, engine to guardian: enum sl_news */
    bool interacts;        /* guardian: between the two news */
};

enum sl_news { SL_NEWS_STARTED = 's', SL_NEWS_ENDED = 'e' };

/* On the signal pipe: the caller's terminal is as it was. No signal has this number. */
#define SL_SIGNAL_RESTORED 0

/* The engine's life; its exit code is the run's. In the forked process. */
int sl_engine_main(struct sl_run *run, pid_t guardian);

/* The guardian's life: until the engine and all that fell to it are gone. Returns the exit code. */
int sl_guardian_main(struct sl_run *run, pid_t engine);

/* The limits of the command: the caller's, but for what the policy says. */
void sl_run_limits(const struct sl_run *run, sl_spawn_limit ret_limits[SL_SPAWN_LIMITS]);

/* One line on standard error: "sandlock: ...". */
void sl_run_say(const char *message);

#endif
