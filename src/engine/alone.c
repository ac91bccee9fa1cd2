/* Owns a run without a supervisor: what it cannot have, and the way into it. */
#include "engine/alone.h"

#include "engine/caller/say.h"
#include "engine/privileges.h"
#include "policy/verdict.h"

int sl_alone_check(const sl_run_options *options, sl_error *err)
{
    const sl_policy *p = options->policy;
    const char *promise = sl_sandbox_promise(p);
    const char *needs = promise != NULL           ? promise
                        : p->timeout_ms > 0       ? "--timeout"
                        : p->audit != NULL        ? "--audit"
                        : options->interactive    ? "--interactive"
                        : options->status_fd >= 0 ? "--status-fd"
                                                  : NULL;
    return needs == NULL ? 0 : sl_error_usage(err, "--no-supervisor cannot be had with %s", needs);
}

int sl_alone_enter(const sl_prepared *p, sl_error *err)
{
    sl_spawn_limit limits[SL_SPAWN_LIMITS];
    sl_spawn spawn;
    sl_prepared_spawn(p, limits, &spawn);
    if (!p->options->quiet) {
        sl_sandbox_say_notes(p->sandbox, sl_say);
    }
    int r = sl_privileges_drop(sl_policy_wants_identity(p->policy), err);
    return r < 0 ? r : sl_sandbox_enter(p->sandbox, &spawn, err);
}
