/* Owns the life of a run: starts gateway and child, serves the loop, ends everything. It parses
 * nothing from the network. */
#include "engine/engine.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "core/clock.h"
#include "core/trace.h"
#include "core/util.h"
#include "engine/caller/outcome.h"
#include "engine/caller/report.h"
#include "engine/caller/say.h"
#include "engine/killall.h"
#include "engine/privileges.h"
#include "engine/runs/control.h"
#include "engine/runs/describe.h"
#include "engine/service.h"

#define GOODBYE_MS      3000 /* how long the gateway may take for its summary */
#define PORTS_SHOWN_MAX 256
#define TERMINAL_MS     10000 /* how long the guardian may take to give the terminal back */

enum state { STARTING, RUNNING, SAYING_GOODBYE, OVER };

struct engine {
    sl_prepared *prepared;
    sl_wire *wire;
    sl_service *service;
    sl_report *report;
    sl_outcome outcome;
    uv_loop_t loop;
    uv_poll_t children; /* signalfd of SIGCHLD */
    uv_poll_t guardian; /* pidfd: readable when it is dead */
    uv_poll_t signals;  /* the guardian's pipe */
    uv_timer_t timeout;
    uv_timer_t goodbye;
    sl_control *control; /* NULL: nobody can ask */
    enum state state;
    pid_t pid;
    bool main_alive;
    uint64_t started_ns;
};

static void set_state(struct engine *e, enum state next)
{
    if (next <= e->state) {
        abort(); /* our own mistake: a run only goes forward */
    }
    e->state = next;
}

static void finish(struct engine *e)
{
    if (e->state != OVER) {
        set_state(e, OVER);
        uv_stop(&e->loop);
    }
}

static void on_goodbye_timeout(uv_timer_t *timer)
{
    finish(timer->data);
}

/* Ends the tree. What the gateway has to tell is waited for, if it was ever asked anything. */
static void end_run(struct engine *e)
{
    if (e->state != RUNNING) {
        return;
    }
    set_state(e, SAYING_GOODBYE);
    sl_sandbox_end(e->prepared->sandbox);
    sl_killall(sl_service_pid(e->service));
    if (!sl_outcome_is_failure(&e->outcome) && sl_service_quit(e->service)) {
        uv_timer_start(&e->goodbye, on_goodbye_timeout, GOODBYE_MS, 0);
        return;
    }
    finish(e);
}

/* Sandlock's own failure while the command runs: never open, always over. */
static void fail_run(struct engine *e, const char *message)
{
    if (e->state == RUNNING) {
        sl_outcome_failed(&e->outcome, message);
        end_run(e);
    }
}

static void on_main_exit(struct engine *e, int status)
{
    e->main_alive = false;
    if (sl_sandbox_is_over_memory(e->prepared->sandbox)) {
        sl_outcome_over_memory(&e->outcome, e->prepared->policy->max_memory);
    } else {
        sl_outcome_exited(&e->outcome, status);
    }
    end_run(e);
}

static void on_children(uv_poll_t *poll, int uv_status, int events)
{
    struct engine *e = poll->data;
    struct signalfd_siginfo info;
    (void)uv_status;
    (void)events;
    int fd;
    uv_fileno((uv_handle_t *)poll, &fd);
    while (read(fd, &info, sizeof(info)) > 0) {
    }
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        if (WIFSTOPPED(status)) {
            continue; /* held still (supervisor/freeze.h), which goes by */
        }
        if (pid == e->pid) {
            on_main_exit(e, status);
        } else if (pid == sl_service_pid(e->service)) {
            if (e->state == SAYING_GOODBYE) {
                continue; /* its last words are read from the link */
            }
            fail_run(e, "the gateway ended unexpectedly");
        }
    }
}

static void on_guardian_died(uv_poll_t *poll, int status, int events)
{
    struct engine *e = poll->data;
    (void)status;
    (void)events;
    uv_poll_stop(poll);
    sl_outcome_orphaned(&e->outcome);
    end_run(e);
    sl_rundir_end(e->prepared->dir); /* nobody else is left to do it */
    finish(e);
}

static void on_signals(uv_poll_t *poll, int status, int events)
{
    struct engine *e = poll->data;
    unsigned char sigs[64];
    (void)status;
    (void)events;
    ssize_t n = read(e->wire->signals[0], sigs, sizeof(sigs));
    if (n == 0) {
        uv_poll_stop(poll);
    }
    for (ssize_t i = 0; i < n; i++) {
        if (e->main_alive) {
            kill(e->pid, sigs[i]);
        }
    }
}

static void on_timeout(uv_timer_t *timer)
{
    struct engine *e = timer->data;
    sl_outcome_timeout(&e->outcome);
    end_run(e);
}

/* What was decided here, and what the gateway shows of its own. */
static void count_decisions(const struct engine *e, uint64_t *ret_allowed, uint64_t *ret_denied)
{
    uint64_t allowed = 0;
    uint64_t denied = 0;
    sl_report_counts(e->report, ret_allowed, ret_denied);
    if (e->state == RUNNING) { /* later its last word has been added */
        sl_service_counts(e->service, &allowed, &denied);
    }
    *ret_allowed += allowed;
    *ret_denied += denied;
}

static int kill_main(const struct engine *e, uint32_t sig, sl_buf *out)
{
    if (sig < 1 || sig > (uint32_t)SIGRTMAX) {
        return -EINVAL;
    }
    bool sent = e->main_alive && kill(e->pid, (int)sig) == 0;
    return sl_buf_printf(out, "{\"sent\":%s}", sent ? "true" : "false");
}

/* `kill` does what the same signal to the guardian does: the command gets it. */
static int on_control(void *arg, const struct sl_control_request *request, sl_buf *out)
{
    struct engine *e = arg;
    const sl_prepared *p = e->prepared;
    sl_remap_port ports[PORTS_SHOWN_MAX];
    if (request->what == SL_CONTROL_KILL) {
        return kill_main(e, request->signal, out);
    }
    if (request->what != SL_CONTROL_LIST && request->what != SL_CONTROL_INSPECT) {
        return -EINVAL;
    }
    struct sl_facts facts = {.policy = p->policy,
                             .argv = p->options->argv,
                             .pid = e->pid,
                             .guardian = getppid(),
                             .engine = getpid(),
                             .gateway = sl_service_pid(e->service),
                             .started_ns = e->started_ns,
                             .ending = e->state != RUNNING,
                             .interactive = p->terminal != NULL};
    if (p->policy->port_remap) {
        facts.ports = ports;
        facts.port_count = sl_sandbox_ports(p->sandbox, ports, PORTS_SHOWN_MAX);
    }
    if (request->what == SL_CONTROL_INSPECT) {
        count_decisions(e, &facts.allowed, &facts.denied);
    }
    return sl_describe(&facts, request->what == SL_CONTROL_INSPECT, out);
}

static void on_bye(void *arg)
{
    finish(arg);
}

static void on_failed(void *arg, const char *message)
{
    struct engine *e = arg;
    if (e->state == SAYING_GOODBYE) {
        finish(e);
        return;
    }
    fail_run(e, message);
}

static int start_child(struct engine *e, sl_error *err)
{
    sl_prepared *p = e->prepared;
    sl_spawn_limit limits[SL_SPAWN_LIMITS];
    sl_spawn spawn;
    sl_prepared_spawn(p, limits, &spawn);
    sl_caller_give_back(&p->caller, &spawn);
    sl_caller_raise_files(&p->caller);
    e->started_ns = sl_clock_now_ns();
    int r = sl_sandbox_spawn(p->sandbox, &spawn, &e->pid, err);
    if (r == 0) {
        e->outcome.end.pid = e->pid;
        e->main_alive = true;
        r = sl_privileges_drop(false, err);
    }
    return r;
}

static int start(struct engine *e, sl_error *err)
{
    int r = sl_service_begin(e->prepared, e->report, &e->service, err);
    r = r < 0 ? r : start_child(e, err);
    return r < 0 ? r : sl_service_start(e->service, err);
}

static int watch(struct engine *e, uv_poll_t *poll, int fd, uv_poll_cb cb)
{
    if (fd < 0 || uv_poll_init(&e->loop, poll, fd) != 0) {
        return -EIO;
    }
    poll->data = e;
    return uv_poll_start(poll, UV_READABLE, cb) == 0 ? 0 : -EIO;
}

static void start_timers(struct engine *e)
{
    uv_timer_init(&e->loop, &e->timeout);
    uv_timer_init(&e->loop, &e->goodbye);
    e->timeout.data = e;
    e->goodbye.data = e;
    if (e->prepared->policy->timeout_ms > 0) {
        uv_timer_start(&e->timeout, on_timeout, e->prepared->policy->timeout_ms, 0);
    }
}

static int attach(struct engine *e, int guardian_fd, int child_fd)
{
    const sl_service_events events = {.arg = e, .on_bye = on_bye, .on_failed = on_failed};
    int r = watch(e, &e->children, child_fd, on_children);
    r = r < 0 ? r : watch(e, &e->guardian, guardian_fd, on_guardian_died);
    r = r < 0 ? r : watch(e, &e->signals, e->wire->signals[0], on_signals);
    r = r < 0 ? r : sl_sandbox_attach(e->prepared->sandbox, &e->loop);
    r = r < 0 ? r : sl_service_attach(e->service, &e->loop, &events);
    start_timers(e);
    if (r == 0) {
        (void)sl_control_open(&e->loop, e->prepared->dir, on_control, e, &e->control);
    }
    return r;
}

/* Everybody's last words. Lines of ours must not come between those of the command, nor while the
 * terminal is raw. */
static int tell(struct engine *e)
{
    const sl_run_options *options = e->prepared->options;
    struct sl_report_end *end = &e->outcome.end;
    sl_wire_tell(e->wire, SL_NEWS_ENDED);
    if (e->prepared->terminal != NULL && !sl_wire_await_restored(e->wire, TERMINAL_MS)) {
        sl_terminal_restore_left(e->prepared->terminal); /* the guardian was killed */
    }
    end->wall_ns = e->started_ns == 0 ? 0 : sl_clock_now_ns() - e->started_ns;
    end->peak_memory = sl_sandbox_peak_memory(e->prepared->sandbox);
    return sl_outcome_tell(&e->outcome, e->report, options->status_fd, options->quiet);
}

static int fail_start(struct engine *e, const sl_error *err)
{
    sl_outcome_not_started(&e->outcome, err);
    sl_service_kill(e->service);
    sl_sandbox_end(e->prepared->sandbox);
    sl_killall(0);
    return tell(e);
}

/* What is the process's own, before anything is started. A signalfd of SIGCHLD, or -1. */
static int become_engine(const sl_prepared *p, sl_wire *wire)
{
    sigset_t chld;
    sl_caller_leave_group();
    sl_wire_keep_engine(wire);
    if (p->terminal != NULL) {
        sl_terminal_close_master(p->terminal);
    }
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    prctl(PR_SET_NAME, "sandlock-engine");
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    return signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int serve(struct engine *e, int guardian_fd, int child_fd)
{
    if (attach(e, guardian_fd, child_fd) < 0) {
        fail_run(e, "cannot watch the run: not enough memory");
    }
    if (e->state != OVER) {
        on_children(&e->children, 0, 0); /* it may have ended before the loop was there */
    }
    if (e->state != OVER) {
        uv_run(&e->loop, UV_RUN_DEFAULT);
    }
    sl_service_kill(e->service);
    int code = tell(e);
    sl_killall(0);
    return code; /* the process ends: memory and descriptors go with it */
}

int sl_engine_main(sl_prepared *prepared, sl_wire *wire, pid_t guardian)
{
    sl_trace_rename("engine");
    struct engine e = {.prepared = prepared, .wire = wire};
    sl_error err = {.kind = SL_ERROR_SYSTEM, .code = ENOMEM, .message = "not enough memory"};
    int guardian_fd = (int)syscall(SYS_pidfd_open, guardian, 0);
    if (guardian_fd < 0 || getppid() != guardian) {
        return 125; /* it is gone already */
    }
    sl_outcome_init(&e.outcome, prepared->policy->name);
    int child_fd = become_engine(prepared, wire);
    e.report = sl_report_new(prepared->files.audit_fd, prepared->options->status_fd);
    if (e.report == NULL || sl_report_proxies(e.report, &prepared->proxies) < 0 ||
        sl_report_files(e.report, prepared->policy) < 0 || child_fd < 0 || start(&e, &err) < 0) {
        return fail_start(&e, &err);
    }
    if (!prepared->options->quiet) {
        sl_sandbox_say_notes(prepared->sandbox, sl_say);
    }
    sl_wire_tell(wire, SL_NEWS_STARTED);
    e.state = RUNNING;
    return uv_loop_init(&e.loop) == 0 ? serve(&e, guardian_fd, child_fd) : fail_start(&e, &err);
}
