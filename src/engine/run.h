/* One run, from the frozen policy to the exit code. */
#ifndef SANDLOCK_ENGINE_RUN_H
#define SANDLOCK_ENGINE_RUN_H

#include <stdbool.h>

#include "core/err.h"
#include "core/strv.h"
#include "policy/policy.h"

typedef struct sl_run_options {
    const sl_policy *policy; /* frozen */
    char *const *argv;       /* the command; argv[0] is looked up in PATH as execvp(3) does */
    char *const *environ; /* the caller's environment; the policy's env fields are applied to it */
    int status_fd;        /* -1: none. One JSON line at the end (INTERFACES, exit codes) */
    bool quiet;           /* no end summary, no warnings on stderr */
    bool interactive;     /* a terminal of its own for the command; standard input is one */
    bool no_supervisor;   /* kernel rules alone, exec in place */
} sl_run_options;

/* Becomes the guardian, forks the engine, runs the command, waits for the end of everything.
 * Returns the exit code (0..255; 124 timeout, 125 sandlock's own failure, 128+n signal). Messages
 * of failures have been printed to stderr as one line "sandlock: ...". Call it once, from a process
 * with one thread; the standard descriptors are the child's. */
int sl_run(const sl_run_options *options);

#endif
