/* The first process of a run, once the engine is forked. */
#ifndef SANDLOCK_ENGINE_GUARDIAN_H
#define SANDLOCK_ENGINE_GUARDIAN_H

#include <stdbool.h>
#include <sys/types.h>

#include "engine/caller/terminal.h"
#include "engine/wire.h"

typedef struct sl_guardian {
    pid_t engine;
    sl_wire *wire;
    sl_terminal *terminal; /* NULL: the command has the caller's */
    int status_fd;         /* -1: none */
    const char *name;      /* of the run, NULL: none */
    bool interacts;        /* between the two news; false at first */
} sl_guardian;

/* Its life: until the engine and all that fell to it are gone. Returns the exit code. */
int sl_guardian_main(sl_guardian *guardian);

#endif
