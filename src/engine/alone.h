/* --no-supervisor: the kernel's rules alone, and no process of ours that stays. */
#ifndef SANDLOCK_ENGINE_ALONE_H
#define SANDLOCK_ENGINE_ALONE_H

#include "core/err.h"
#include "engine/prepare.h"

/* Refuses what depends on run time: it cannot be had. Kind: USAGE. */
int sl_alone_check(const sl_run_options *options, sl_error *err);

/* Becomes the command. Returns only on failure. */
int sl_alone_enter(const sl_prepared *prepared, sl_error *err);

#endif
