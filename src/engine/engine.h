/* The second process of a run: parent of the confined tree. */
#ifndef SANDLOCK_ENGINE_ENGINE_H
#define SANDLOCK_ENGINE_ENGINE_H

#include <sys/types.h>

#include "engine/prepare.h"
#include "engine/wire.h"

/* Its life, in the forked process. The exit code is the run's. */
int sl_engine_main(sl_prepared *prepared, sl_wire *wire, pid_t guardian);

#endif
