/* Owns the life of a run: starts gateway and child, serves the loop, ends everything. It parses
 * nothing from the network. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "core/clock.h"
#include "core/util.h"
#include "engine/control.h"
#include "engine/describe.h"
#include "engine/engine_int.h"
#include "engine/environ.h"
#include "engine/killall.h"
#include "engine/privileges.h"
#include "engine/report.h"
#include "policy/verdict.h"

#define GOODBYE_MS      3000 /* how long the gateway may take for its summary */
#define PORTS_SHOWN_MAX 256
#define TERMINAL_MS     10000 /* how long the guardian may take to give the terminal back */

const int sl_engine_ignored[] = {SIGTTOU, SIGPIPE};
const size_t sl_engine_ignored_count = SL_ARRAY_LEN(sl_engine_ignored);

const int sl_engine_limited[SL_SPAWN_LIMITS] = {RLIMIT_NOFILE, RLIMIT_CORE};

enum state { STARTING, RUNNING, SAYING_GOODBYE, OVER };

struct engine {
    struct sl_run *run;
    sl_gateway *gateway;
    sl_report *report;
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
    struct sl_report_end end;
    char message[SL_ERROR_MESSAGE_MAX];
    const char *unsaid; /* to be said once the terminal is the caller's again */
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
    sl_sandbox_end(e->run->sandbox);
    sl_killall(e->gateway != NULL ? sl_gateway_pid(e->gateway) : 0);
    if (e->gateway != NULL && sl_gateway_was_used(e->gateway) &&
        strcmp(e->end.reason, "error") != 0) {
        sl_gateway_quit(e->gateway);
        uv_timer_start(&e->goodbye, on_goodbye_timeout, GOODBYE_MS, 0);
        return;
    }
    finish(e);
}

/* Sandlock's own failure while the command runs: never open, always over. */
static void fail_run(struct engine *e, const char *message)
{
    if (e->state != RUNNING) {
        return;
    }
    snprintf(e->message, sizeof(e->message), "%s; the run is over", message);
    e->end.exit_code = 125;
    e->end.signal = 0;
    e->end.reason = "error";
    e->end.message = e->message;
    e->unsaid = e->message;
    end_run(e);
}

static void on_over_memory(struct engine *e)
{
    char size[SL_SIZE_TEXT_MAX];
    snprintf(e->message, sizeof(e->message), "the command went over its memory limit of %s",
             sl_size_text(e->run->policy->max_memory, size));
    e->end.exit_code = 128 + SIGKILL;
    e->end.signal = SIGKILL;
    e->end.reason = "memory";
    e->end.message = e->message;
    sl_run_say(e->message);
}

static void on_main_exit(struct engine *e, int status)
{
    e->main_alive = false;
    if (sl_sandbox_is_over_memory(e->run->sandbox)) {
        on_over_memory(e);
    } else if (strcmp(e->end.reason, "exited") == 0) {
        if (WIFSIGNALED(status)) {
            e->end.signal = WTERMSIG(status);
            e->end.exit_code = 128 + e->end.signal;
            e->end.reason = "signaled";
        } else {
            e->end.exit_code = WEXITSTATUS(status);
        }
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
            continue; /* held still (sandbox/freeze.c), which goes by */
        }
        if (pid == e->pid) {
            on_main_exit(e, status);
        } else if (e->gateway != NULL && pid == sl_gateway_pid(e->gateway)) {
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
    e->end.reason = "error";
    e->end.exit_code = 125;
    end_run(e);
    sl_rundir_end(e->run->dir); /* nobody else is left to do it */
    finish(e);
}

static void on_signals(uv_poll_t *poll, int status, int events)
{
    struct engine *e = poll->data;
    unsigned char sigs[64];
    (void)status;
    (void)events;
    ssize_t n = read(e->run->signal_pipe[0], sigs, sizeof(sigs));
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
    e->end.reason = "timeout";
    e->end.exit_code = 124;
    end_run(e);
}

/* What was decided here, and what the gateway shows of its own. */
static void count_decisions(const struct engine *e, uint64_t *ret_allowed, uint64_t *ret_denied)
{
    uint64_t allowed = 0;
    uint64_t denied = 0;
    sl_report_counts(e->report, ret_allowed, ret_denied);
    if (e->gateway != NULL && e->state == RUNNING) { /* later its last word has been added */
        sl_synth_counts(sl_gateway_synth(e->gateway), &allowed, &denied);
    }
    *ret_allowed += allowed;
    *ret_denied += denied;
}

/* `kill` does what the same signal to the guardian does: the command gets it. */
static int on_control(void *arg, const struct sl_control_request *request, sl_buf *out)
{
    struct engine *e = arg;
    struct sl_run *run = e->run;
    sl_remap_port ports[PORTS_SHOWN_MAX];
    bool sent;
    struct sl_facts facts = {.policy = run->policy,
                             .argv = run->options->argv,
                             .pid = e->pid,
                             .guardian = getppid(),
                             .engine = getpid(),
                             .gateway = e->gateway != NULL ? sl_gateway_pid(e->gateway) : 0,
                             .started_ns = e->started_ns,
                             .ending = e->state != RUNNING,
                             .interactive = run->terminal != NULL};
    if (run->policy->port_remap && request->what != SL_CONTROL_KILL) {
        facts.ports = ports;
        facts.port_count = sl_sandbox_ports(run->sandbox, ports, PORTS_SHOWN_MAX);
    }
    switch (request->what) {
    case SL_CONTROL_LIST:
        return sl_describe(&facts, false, out);
    case SL_CONTROL_INSPECT:
        count_decisions(e, &facts.allowed, &facts.denied);
        return sl_describe(&facts, true, out);
    case SL_CONTROL_KILL:
        if (request->signal < 1 || request->signal > (uint32_t)SIGRTMAX) {
            return -EINVAL;
        }
        sent = e->main_alive && kill(e->pid, (int)request->signal) == 0;
        return sl_buf_printf(out, "{\"sent\":%s}", sent ? "true" : "false");
    default:
        return -EINVAL;
    }
}

/* what the sandbox asks */

static int hook_flow(void *arg, const struct sl_link_flow *flow, int fd)
{
    return sl_gateway_send(arg, flow, sizeof(*flow), fd);
}

static int hook_dns(void *arg, const struct sl_link_dns *dns, int fd)
{
    return sl_gateway_send(arg, dns, sizeof(*dns), fd);
}

static int hook_resolve(void *arg, const struct sl_link_resolve *resolve)
{
    return sl_gateway_send(arg, resolve, sizeof(*resolve), -1);
}

static int hook_want_trust(void *arg)
{
    struct sl_link_header ask = {SL_LINK_TRUST, sizeof(ask)};
    return sl_gateway_send(arg, &ask, sizeof(ask), -1);
}

static void hook_decided(void *arg, pid_t pid, const sl_dest *dest, const sl_net_verdict *verdict,
                         bool allowed)
{
    sl_report_decided(arg, pid, dest, verdict, allowed);
}

static void hook_bound(void *arg, enum sl_proto proto, uint16_t inside, uint16_t real)
{
    sl_report_bound(arg, proto, inside, real);
}

/* what the gateway tells */

static void on_ready(void *arg, int ca_fd, int bundle_fd)
{
    struct engine *e = arg;
    const char *out = e->run->policy->http_ca_out;
    if (out != NULL && ca_fd >= 0) {
        char text[16384];
        ssize_t n = pread(ca_fd, text, sizeof(text), 0);
        sl_autoclose int fd = open(out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0644);
        if (n <= 0 || fd < 0 || write(fd, text, (size_t)n) != n) {
            snprintf(e->message, sizeof(e->message), "cannot write the CA certificate to '%s': %s",
                     out, strerror(errno));
            e->end.message = e->message;
        }
    }
    sl_sandbox_set_trust(e->run->sandbox, ca_fd, bundle_fd);
}

static void on_resolved(void *arg, const struct sl_link_resolved *resolved)
{
    struct engine *e = arg;
    sl_sandbox_resolved(e->run->sandbox, resolved);
}

static void on_denied(void *arg, const struct sl_link_denied *denied)
{
    struct engine *e = arg;
    sl_report_denied(e->report, denied);
}

static void on_bye(void *arg, const struct sl_link_bye *bye)
{
    struct engine *e = arg;
    sl_report_bye(e->report, bye);
    finish(e);
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

static bool must_wait_for_gateway(const sl_policy *p)
{
    return p->http_ca != NULL || p->http_ca_out != NULL || p->http_upstream_ca.count > 0;
}

static int run_gateway(struct engine *e, sl_error *err)
{
    struct sl_run *run = e->run;
    int r = sl_environ_read_trust(&run->trusted, &run->files.bundle);
    if (r < 0) {
        return sl_error_set(err, -r, "not enough memory");
    }
    r = sl_gateway_hello(e->gateway, run->policy, &run->files, err);
    sl_gateway_files_wipe(&run->files);
    return r < 0 ? r : sl_gateway_start(e->gateway, run->gateway_path, run->sandbox, err);
}

/* One's own certificates are checked before anything runs. */
static int wait_for_gateway(struct engine *e, sl_error *err)
{
    const sl_policy *p = e->run->policy;
    sl_gateway_events events = {.arg = e, .on_ready = on_ready};
    int r = run_gateway(e, err);
    if (r < 0) {
        return r;
    }
    r = sl_gateway_wait_ready(e->gateway, &events, err);
    if (r < 0 && p->http_ca != NULL) {
        sl_error_prefix(err, "cannot use CA '%s' with key '%s'", p->http_ca,
                        p->http_key != NULL ? p->http_key : "");
    }
    if (r == 0 && e->end.message != NULL) {
        r = sl_error_set(err, EIO, "%s", e->end.message);
    }
    return r;
}

static int prepare_gateway(struct engine *e, sl_error *err)
{
    struct sl_run *run = e->run;
    int r = sl_gateway_new(&e->gateway, err);
    if (r < 0) {
        return r;
    }
    sl_sandbox_set_synth(run->sandbox, sl_gateway_synth(e->gateway));
    sl_sandbox_set_hooks(run->sandbox, &(sl_supervisor_hooks){.flow_arg = e->gateway,
                                                              .report_arg = e->report,
                                                              .flow = hook_flow,
                                                              .dns = hook_dns,
                                                              .resolve = hook_resolve,
                                                              .want_trust = hook_want_trust,
                                                              .decided = hook_decided,
                                                              .bound = hook_bound});
    return must_wait_for_gateway(run->policy) ? wait_for_gateway(e, err) : 0;
}

static int start_child(struct engine *e, sl_error *err)
{
    struct sl_run *run = e->run;
    sl_spawn_limit limits[SL_SPAWN_LIMITS];
    sl_run_limits(run, limits);
    sl_spawn spawn = {.argv = run->options->argv,
                      .environ = run->env.items,
                      .path = run->program,
                      .pgid = run->pgid,
                      .changed = sl_engine_ignored,
                      .changed_count = sl_engine_ignored_count,
                      .ignored = run->ignored,
                      .mask = run->mask,
                      .limits = limits};
    static char *no_env[] = {NULL};
    if (run->terminal != NULL) {
        spawn.terminal_fd = sl_terminal_slave(run->terminal);
        spawn.terminal_replaces = sl_terminal_replaces(run->terminal);
    }
    if (spawn.environ == NULL) {
        spawn.environ = no_env;
    }
    rlim_t files = run->limits[0].value.rlim_max;
    struct rlimit most = {.rlim_cur = files, .rlim_max = files};
    setrlimit(RLIMIT_NOFILE, &most);
    e->started_ns = sl_clock_now_ns();
    int r = sl_sandbox_spawn(run->sandbox, &spawn, &e->pid, err);
    if (r == 0) {
        e->end.pid = e->pid;
        e->main_alive = true;
        r = sl_privileges_drop(false, err);
    }
    return r;
}

static int watch(struct engine *e, uv_poll_t *poll, int fd, uv_poll_cb cb)
{
    if (fd < 0 || uv_poll_init(&e->loop, poll, fd) != 0) {
        return -EIO;
    }
    poll->data = e;
    return uv_poll_start(poll, UV_READABLE, cb) == 0 ? 0 : -EIO;
}

static int attach(struct engine *e, int guardian_fd, int child_fd)
{
    int r = watch(e, &e->children, child_fd, on_children);
    r = r < 0 ? r : watch(e, &e->guardian, guardian_fd, on_guardian_died);
    r = r < 0 ? r : watch(e, &e->signals, e->run->signal_pipe[0], on_signals);
    r = r < 0 ? r : sl_sandbox_attach(e->run->sandbox, &e->loop);
    if (r == 0 && e->gateway != NULL) {
        r = sl_gateway_attach(e->gateway, &e->loop,
                              &(sl_gateway_events){.arg = e,
                                                   .on_ready = on_ready,
                                                   .on_resolved = on_resolved,
                                                   .on_denied = on_denied,
                                                   .on_bye = on_bye,
                                                   .on_failed = on_failed});
    }
    uv_timer_init(&e->loop, &e->timeout);
    uv_timer_init(&e->loop, &e->goodbye);
    e->timeout.data = e;
    e->goodbye.data = e;
    if (e->run->policy->timeout_ms > 0) {
        uv_timer_start(&e->timeout, on_timeout, e->run->policy->timeout_ms, 0);
    }
    if (r == 0) {
        (void)sl_control_open(&e->loop, e->run->dir, on_control, e, &e->control);
    }
    return r;
}

/* The gateway's process comes after the child's: what it has to do at its start would take the time
 * of what the user waits for, and what the child asks meanwhile waits in the link. */
static int start(struct engine *e, sl_error *err)
{
    if (e->run->gateway_path == NULL) {
        sl_sandbox_set_hooks(e->run->sandbox, &(sl_supervisor_hooks){.report_arg = e->report,
                                                                     .decided = hook_decided,
                                                                     .bound = hook_bound});
        return start_child(e, err);
    }
    int r = prepare_gateway(e, err);
    r = r < 0 ? r : start_child(e, err);
    if (r == 0 && sl_gateway_pid(e->gateway) == 0) {
        r = run_gateway(e, err);
    }
    return r;
}

/* Tells the guardian how it stands with the command of an interactive run. */
static void tell_guardian(struct engine *e, enum sl_news news)
{
    char byte = (char)news;
    if (e->run->terminal != NULL) {
        ssize_t n = write(e->run->news_pipe[1], &byte, 1);
        (void)n; /* it is dead: we see that elsewhere */
    }
}

/* Lines of ours must not come between those of the command, nor while the terminal is raw. */
static void await_terminal(struct engine *e)
{
    unsigned char sig = 1;
    struct pollfd p = {.fd = e->run->signal_pipe[0], .events = POLLIN};
    tell_guardian(e, SL_NEWS_ENDED);
    while (sig != SL_SIGNAL_RESTORED && poll(&p, 1, TERMINAL_MS) > 0) {
        ssize_t n = read(p.fd, &sig, 1);
        if (n == 0) {
            sl_terminal_restore_left(e->run->terminal); /* the guardian was killed */
            return;
        }
    }
}

/* Everybody's last words: status line, then the summary. */
static int tell(struct engine *e)
{
    if (e->run->terminal != NULL) {
        await_terminal(e);
    }
    if (e->unsaid != NULL) {
        sl_run_say(e->unsaid);
    }
    e->end.wall_ns = sl_clock_now_ns() - e->started_ns;
    getrusage(RUSAGE_CHILDREN, &e->end.usage);
    e->end.peak_memory =
        SL_MAX((uint64_t)e->end.usage.ru_maxrss * 1024, sl_sandbox_peak_memory(e->run->sandbox));
    if (e->run->options->status_fd >= 0) {
        sl_report_status(e->report, e->run->options->status_fd, &e->end);
    }
    if (!e->run->options->quiet) {
        sl_report_summary(e->report);
    }
    return e->end.exit_code;
}

static int fail_start(struct engine *e, const sl_error *err)
{
    e->unsaid = err->message;
    e->end.exit_code = sl_error_exit_code(err->kind);
    e->end.reason = "error";
    e->end.message = err->message;
    if (e->gateway != NULL) {
        sl_gateway_kill(e->gateway);
    }
    sl_sandbox_end(e->run->sandbox);
    sl_killall(0);
    e->started_ns = e->started_ns == 0 ? sl_clock_now_ns() : e->started_ns;
    return tell(e);
}

int sl_engine_main(struct sl_run *run, pid_t guardian)
{
    struct engine e = {.run = run, .end = {.reason = "exited", .name = run->policy->name}};
    sl_error err = {.kind = SL_ERROR_SYSTEM, .code = ENOMEM, .message = "not enough memory"};
    sigset_t chld;
    int guardian_fd = (int)syscall(SYS_pidfd_open, guardian, 0);
    if (guardian_fd < 0 || getppid() != guardian) {
        return 125; /* it is gone already */
    }
    setpgid(0, 0);
    if (run->terminal != NULL) {
        sl_close(sl_steal_fd(&run->news_pipe[0]));
        sl_terminal_close_master(run->terminal);
    }
    for (size_t i = 0; i < sl_engine_ignored_count; i++) {
        signal(sl_engine_ignored[i], SIG_IGN);
    }
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    prctl(PR_SET_NAME, "sandlock-engine");
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    int child_fd = signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK);
    e.report = sl_report_new(run->files.audit_fd, run->options->status_fd);
    if (e.report == NULL || child_fd < 0 || start(&e, &err) < 0) {
        return fail_start(&e, &err);
    }
    if (!run->options->quiet) {
        sl_sandbox_say_notes(run->sandbox, sl_run_say);
    }
    tell_guardian(&e, SL_NEWS_STARTED);
    e.state = RUNNING;
    if (uv_loop_init(&e.loop) != 0) {
        return fail_start(&e, &err);
    }
    if (attach(&e, guardian_fd, child_fd) < 0) {
        fail_run(&e, "cannot watch the run: not enough memory");
    }
    if (e.state != OVER) {
        on_children(&e.children, 0, 0); /* it may have ended before the loop was there */
    }
    if (e.state != OVER) {
        uv_run(&e.loop, UV_RUN_DEFAULT);
    }
    if (e.gateway != NULL) {
        sl_gateway_kill(e.gateway);
    }
    int code = tell(&e);
    sl_killall(0);
    return code; /* the process ends: memory and descriptors go with it */
}
