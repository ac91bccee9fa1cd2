/* Owns the way from one process to guardian and engine, and what is told when it ends before. */
#include "engine/run.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "engine/alone.h"
#include "engine/caller/report.h"
#include "engine/caller/say.h"
#include "engine/engine.h"
#include "engine/guardian.h"
#include "engine/privileges.h"
#include "policy/verdict.h"

/* In the forked process. */
_Noreturn static void run_engine(sl_prepared *p, sl_wire *wire, pid_t guardian)
{
    int code = sl_engine_main(p, wire, guardian);
    if (getppid() != guardian) {
        sl_prepared_remove(p); /* nobody else is left to do it */
    }
    _exit(code);
}

static int run_guardian(sl_prepared *p, sl_wire *wire, pid_t engine, sl_error *err)
{
    int r = sl_privileges_drop(false, err);
    if (r < 0) {
        kill(engine, SIGKILL);
        return r;
    }
    sl_prepared_forget(p);
    sl_guardian guardian = {.engine = engine,
                            .wire = wire,
                            .terminal = p->terminal,
                            .status_fd = p->options->status_fd,
                            .name = p->policy->name};
    return sl_guardian_main(&guardian);
}

static int fork_engine(sl_prepared *p, sl_wire *wire, sl_error *err)
{
    int r = prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0 ? -errno
                                                          : sl_wire_open(wire, p->terminal != NULL);
    if (r < 0) {
        return sl_error_set(err, -r, "cannot become the guardian: %s", strerror(-r));
    }
    r = sl_privileges_drop(sl_policy_wants_identity(p->policy), err);
    if (r < 0) {
        return r;
    }
    sl_caller_leave_signals(&p->caller);
    pid_t guardian = getpid();
    pid_t engine = fork();
    if (engine < 0) {
        return sl_error_set(err, errno, "cannot start the engine: %s", strerror(errno));
    }
    if (engine == 0) {
        run_engine(p, wire, guardian);
    }
    return run_guardian(p, wire, engine, err);
}

/* What ends a run before there is an engine. Returns the exit code. */
static int tell_failure(const sl_run_options *options, const sl_error *err)
{
    int code = sl_error_exit_code(err->kind);
    sl_say(err->message);
    if (options->status_fd >= 0) {
        struct sl_report_end end = {.exit_code = code,
                                    .reason = "error",
                                    .message = err->message,
                                    .name = options->policy->name};
        sl_report_status(NULL, options->status_fd, &end);
    }
    return code;
}

int sl_run(const sl_run_options *options)
{
    sl_error err;
    sl_wire wire;
    sl_prepared prepared;
    int r = options->no_supervisor ? sl_alone_check(options, &err) : 0;
    if (r < 0) {
        return tell_failure(options, &err);
    }
    sl_wire_init(&wire);
    r = sl_prepare(options, &prepared, &err);
    if (r == 0) {
        r = options->no_supervisor ? sl_alone_enter(&prepared, &err)
                                   : fork_engine(&prepared, &wire, &err);
    }
    if (r < 0) {
        r = tell_failure(options, &err);
    }
    sl_wire_done(&wire);
    sl_prepared_done(&prepared);
    return r;
}
