/* What a run is given beside its policy, so that ordinary programs find their way in it. Nothing
 * here is a boundary: where one of them cannot be had the run starts without it. */
#ifndef SANDLOCK_ENGINE_START_COMFORTS_H
#define SANDLOCK_ENGINE_START_COMFORTS_H

#include "core/strv.h"
#include "engine/runs/rundir.h"
#include "policy/policy.h"
#include "sandbox/sandbox.h"

/* In the default view TMPDIR names what can be written: /tmp, where it named something else, or
 * where /tmp had to be left out, since something hidden lies below, a directory of the user's own
 * there. 0 or -ENOMEM. */
int sl_comforts_temporary(const sl_policy *policy, sl_sandbox *sandbox, sl_strv *env);

/* Where the command is root to itself and may read /etc/apt: APT_CONFIG with a file that keeps apt
 * from becoming its user `_apt`, which without capabilities it cannot. One that is set stays. 0 or
 * -ENOMEM. */
int sl_comforts_apt(const sl_policy *policy, sl_sandbox *sandbox, const sl_rundir *dir,
                    sl_strv *env);

#endif
