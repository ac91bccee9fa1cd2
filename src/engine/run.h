/* One run, from the frozen policy to the exit code. */
#ifndef SANDLOCK_ENGINE_RUN_H
#define SANDLOCK_ENGINE_RUN_H

#include "engine/prepare.h"

/* Becomes the guardian, forks the engine, runs the command, waits for the end of everything.
 * Returns the exit code (0..255; 124 timeout, 125 sandlock's own failure, 128+n signal). Messages
 * of failures have been printed to stderr as one line "sandlock: ...". Call it once, from a process
 * with one thread; the standard descriptors are the child's. */
int sl_run(const sl_run_options *options);

#endif
