/* Owns the preparing of a run: everything that can fail for the user's words or files fails here,
 * before anything runs. */
#include "engine/run.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "core/fd.h"
#include "core/text.h"
#include "core/util.h"
#include "engine/engine_int.h"
#include "engine/environ.h"
#include "engine/privileges.h"
#include "engine/report.h"
#include "policy/verdict.h"
#include "sandbox/probe.h"

#define PEM_MAX (8u << 20)

void sl_run_say(const char *message)
{
    char line[SL_ERROR_MESSAGE_MAX + 16];
    int n = snprintf(line, sizeof(line) - 1, "sandlock: %s", message);
    size_t len = n < 0 ? 0 : SL_MIN((size_t)n, sizeof(line) - 2);
    sl_printable(line);
    line[len] = '\n';
    sl_fd_write_all(STDERR_FILENO, line, len + 1);
}

static int read_pem(const char *path, const char *what, sl_buf *to, sl_error *err)
{
    sl_autofree char *text = NULL;
    size_t len = 0;
    int r = sl_fd_read_file(path, PEM_MAX, &text, &len);
    if (r == 0 && len == 0) {
        return sl_error_set(err, EINVAL, "cannot use %s '%s': the file is empty", what, path);
    }
    if (r == 0 && strstr(text, "-----BEGIN ") == NULL) {
        return sl_error_set(err, EINVAL, "cannot use %s '%s': it is no PEM file", what, path);
    }
    if (r == 0) {
        r = sl_buf_append(to, text, len);
        r = r < 0 ? r : sl_buf_append(to, "\n", 1);
        explicit_bzero(text, len);
    }
    if (r < 0) {
        return sl_error_set(err, -r, "cannot read %s '%s': %s", what, path, strerror(-r));
    }
    return 0;
}

/* "FILE", "fd:N", or "-" for standard error: standard output is the command's. */
static int open_audit(const char *where, int *ret_fd, sl_error *err)
{
    int fd;
    if (strcmp(where, "-") == 0) {
        fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    } else if (strncmp(where, "fd:", 3) == 0) {
        int given = (int)strtol(where + 3, NULL, 10);
        fd = fcntl(given, F_DUPFD_CLOEXEC, 3);
        /* It tells of the command, which without close_fds would have it too. */
        if (fd >= 0 && given > STDERR_FILENO) {
            (void)sl_fd_set_cloexec(given, true);
        }
    } else {
        fd = open(where, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
    }
    if (fd < 0) {
        return sl_error_set(err, errno, "cannot write the audit log '%s': %s", where,
                            strerror(errno));
    }
    *ret_fd = fd;
    return 0;
}

static int read_files(struct sl_run *run, sl_error *err)
{
    const sl_policy *p = run->policy;
    int r = 0;
    if (p->audit != NULL) {
        r = open_audit(p->audit, &run->files.audit_fd, err);
    }
    if (r == 0 && p->http_ca != NULL) {
        r = read_pem(p->http_ca, "CA certificate", &run->files.ca, err);
    }
    if (r == 0 && p->http_key != NULL) {
        r = read_pem(p->http_key, "CA key", &run->files.key, err);
    }
    for (size_t i = 0; r == 0 && i < p->http_upstream_ca.count; i++) {
        r = read_pem(p->http_upstream_ca.items[i], "upstream CA", &run->files.upstream_ca, err);
    }
    return r;
}

static bool is_private(void *arg, const char *path)
{
    return !sl_sandbox_may_write(arg, path);
}

static int prepare_dir(struct sl_run *run, sl_error *err)
{
    bool trust = sl_policy_needs_trust(run->policy);
    int r = sl_rundir_open(&run->dir, is_private, run->sandbox, err);
    if (r < 0) {
        return trust ? r : 0; /* without trust files only the canary's file question is lost */
    }
    r = sl_sandbox_set_canary(run->sandbox, run->dir->canary);
    if (r < 0) {
        return sl_error_set(err, -r, "not enough memory");
    }
    (void)sl_rundir_name_control(run->dir); /* without it the run is not listed */
    if (!trust) {
        return 0;
    }
    r = sl_rundir_begin(run->dir, err);
    if (r < 0) {
        return r;
    }
    r = sl_environ_trust(&run->env, run->dir->ca, run->dir->bundle, &run->trusted);
    r = r < 0 ? r : sl_sandbox_expect_trust(run->sandbox, run->dir->ca, run->dir->bundle);
    return r < 0 ? sl_error_set(err, -r, "not enough memory") : 0;
}

static int prepare_cgroup(struct sl_run *run, sl_error *err)
{
    bool wanted = run->policy->max_memory > 0 || run->policy->max_cpu > 0;
    if (!wanted || sl_sandbox_may_write_cgroups(run->sandbox)) {
        return 0; /* a limit that the command could lift is none */
    }
    if (sl_cgroup_new(run->policy->max_memory, run->policy->max_cpu, &run->cgroup) < 0) {
        return sl_error_set(err, ENOMEM, "not enough memory");
    }
    sl_sandbox_set_cgroup(run->sandbox, run->cgroup);
    return 0;
}

/* Names of features that may be missing. Everything but Landlock is what verdicts are made with. */
static int check_degraded(const sl_policy *policy, sl_error *err)
{
    for (size_t i = 0; i < policy->allow_degraded.count; i++) {
        if (strcmp(policy->allow_degraded.items[i], "landlock") != 0) {
            return sl_error_usage(err,
                                  "--allow-degraded '%s': only 'landlock' can be done without "
                                  "('sandlock check' lists the features)",
                                  policy->allow_degraded.items[i]);
        }
    }
    return 0;
}

/* The command may open its terminal by name, too. */
static int prepare_terminal(struct sl_run *run, sl_error *err)
{
    int r = sl_terminal_new(&run->terminal, err);
    return r < 0 ? r : sl_sandbox_allow_device(run->sandbox, sl_terminal_slave(run->terminal), err);
}

/* What is inherited may be opened again by its name (/dev/stderr): that is no new right. Where it
 * cannot be had the name is all that is missing. */
static void allow_inherited_terminals(struct sl_run *run)
{
    sl_error ignored;
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (isatty(fd) == 1) {
            (void)sl_sandbox_allow_device(run->sandbox, fd, &ignored);
        }
    }
}

static int prepare(struct sl_run *run, sl_error *err)
{
    int r = check_degraded(run->policy, err);
    if (r == 0 && !run->options->no_supervisor) {
        r = sl_probe_quick(err);
    }
    if (r < 0) {
        return r;
    }
    r = sl_environ_make(run->policy, run->options->environ, &run->env);
    if (r < 0) {
        return sl_error_set(err, -r, "not enough memory");
    }
    r = sl_environ_find(run->options->argv[0], &run->env, &run->program, err);
    r = r < 0 ? r : read_files(run, err);
    r = r < 0 ? r : sl_sandbox_new(run->policy, &run->sandbox, err);
    r = r < 0 ? r : prepare_dir(run, err);
    r = r < 0 || run->options->no_supervisor ? r : prepare_cgroup(run, err);
    if (r == 0 && run->options->interactive && !run->options->no_supervisor) {
        r = prepare_terminal(run, err);
    } else if (r == 0) {
        allow_inherited_terminals(run);
    }
    if (r == 0 && sl_policy_needs_gateway(run->policy)) {
        r = sl_gateway_find(&run->gateway_path, err);
    }
    return r;
}

static void remember_caller(struct sl_run *run)
{
    sigemptyset(&run->ignored);
    for (size_t i = 0; i < sl_engine_ignored_count; i++) {
        struct sigaction action;
        int sig = sl_engine_ignored[i];
        if (sigaction(sig, NULL, &action) == 0 && action.sa_handler == SIG_IGN) {
            sigaddset(&run->ignored, sig);
        }
    }
    sigprocmask(SIG_BLOCK, NULL, &run->mask);
    for (size_t i = 0; i < SL_SPAWN_LIMITS; i++) {
        run->limits[i].resource = sl_engine_limited[i];
        getrlimit(run->limits[i].resource, &run->limits[i].value);
    }
    run->pgid = getpgrp();
}

void sl_run_limits(const struct sl_run *run, sl_spawn_limit ret_limits[SL_SPAWN_LIMITS])
{
    rlim_t files = run->policy->max_open_files;
    for (size_t i = 0; i < SL_SPAWN_LIMITS; i++) {
        ret_limits[i] = run->limits[i];
        struct rlimit *value = &ret_limits[i].value;
        if (ret_limits[i].resource == RLIMIT_NOFILE && files > 0) {
            value->rlim_max = SL_MIN(files, value->rlim_max);
            value->rlim_cur = value->rlim_max;
        }
    }
}

/* From here on our own signals are waited for, not handled. SIGTSTP and its kin keep stopping us,
 * as the shell expects; SIGINT and SIGQUIT of the terminal are the command's. */
static void block_signals(void)
{
    sigset_t block;
    sigfillset(&block);
    static const int keep[] = {SIGTSTP, SIGTTIN, SIGTTOU, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    for (size_t i = 0; i < SL_ARRAY_LEN(keep); i++) {
        sigdelset(&block, keep[i]);
    }
    sigprocmask(SIG_SETMASK, &block, NULL);
}

static void done(struct sl_run *run)
{
    sl_rundir_end(run->dir);
    sl_rundir_free(run->dir);
    sl_sandbox_free(run->sandbox);
    sl_cgroup_end(run->cgroup);
    sl_cgroup_free(run->cgroup);
    free(run->gateway_path);
    free(run->program);
    sl_strv_done(&run->env);
    sl_strv_done(&run->trusted);
    sl_close(run->files.audit_fd);
    sl_gateway_files_wipe(&run->files);
    sl_close(run->signal_pipe[0]);
    sl_close(run->signal_pipe[1]);
    sl_close(run->news_pipe[0]);
    sl_close(run->news_pipe[1]);
    sl_terminal_free(run->terminal);
}

/* What the guardian does not need: the key, which is the gateway's alone, and the memory of what
 * the engine now has. */
static void forget(struct sl_run *run)
{
    sl_gateway_files_wipe(&run->files);
    sl_sandbox_free(run->sandbox);
    run->sandbox = NULL;
    sl_strv_done(&run->env);
    sl_strv_done(&run->trusted);
    malloc_trim(0);
}

static int fork_engine(struct sl_run *run, sl_error *err)
{
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0 ||
        pipe2(run->signal_pipe, O_CLOEXEC | O_NONBLOCK) < 0 ||
        (run->terminal != NULL && pipe2(run->news_pipe, O_CLOEXEC) < 0)) {
        return sl_error_set(err, errno, "cannot become the guardian: %s", strerror(errno));
    }
    int r = sl_privileges_drop(sl_policy_wants_identity(run->policy), err);
    if (r < 0) {
        return r;
    }
    block_signals();
    struct rlimit no_core = {.rlim_max = run->limits[1].value.rlim_max};
    setrlimit(RLIMIT_CORE, &no_core); /* ours; the child gets the caller's back */
    pid_t guardian = getpid();
    pid_t engine = fork();
    if (engine < 0) {
        return sl_error_set(err, errno, "cannot start the engine: %s", strerror(errno));
    }
    if (engine == 0) {
        sl_close(run->signal_pipe[1]);
        run->signal_pipe[1] = -1;
        int code = sl_engine_main(run, guardian);
        if (getppid() != guardian) {
            sl_rundir_end(run->dir); /* nobody else is left to do it */
            sl_cgroup_end(run->cgroup);
        }
        _exit(code);
    }
    r = sl_privileges_drop(false, err);
    if (r < 0) {
        kill(engine, SIGKILL);
        return r;
    }
    forget(run);
    return sl_guardian_main(run, engine);
}

/* --no-supervisor: what depends on run time cannot be had. */
static int check_alone(const struct sl_run *run, sl_error *err)
{
    const sl_policy *p = run->policy;
    const char *needs = sl_policy_restricts_net(p) ? "rules that name hosts, addresses or requests"
                        : p->timeout_ms > 0        ? "--timeout"
                        : p->audit != NULL         ? "--audit"
                        : p->isolate_pids          ? "--isolate-pids"
                        : p->port_remap            ? "--port-remap"
                        : p->hostname != NULL      ? "--hostname"
                        : p->max_memory > 0        ? "--max-memory"
                        : p->max_cpu > 0           ? "--max-cpu"
                        : p->cpu_cores_text.count > 0  ? "--cpu-cores"
                        : p->num_cpus > 0              ? "--num-cpus"
                        : p->time_start != NULL        ? "--time-start"
                        : p->random_seed != NULL       ? "--random-seed"
                        : p->deterministic_dirs        ? "--deterministic-dirs"
                        : run->options->interactive    ? "--interactive"
                        : run->options->status_fd >= 0 ? "--status-fd"
                                                       : NULL;
    return needs == NULL ? 0 : sl_error_usage(err, "--no-supervisor cannot be had with %s", needs);
}

/* Returns only on failure. */
static int run_alone(struct sl_run *run, sl_error *err)
{
    sl_spawn_limit limits[SL_SPAWN_LIMITS];
    sl_run_limits(run, limits);
    sl_spawn spawn = {.argv = run->options->argv,
                      .environ = run->env.items,
                      .path = run->program,
                      .ignored = run->ignored,
                      .mask = run->mask,
                      .limits = limits};
    if (!run->options->quiet) {
        sl_sandbox_say_notes(run->sandbox, sl_run_say);
    }
    int r = sl_privileges_drop(sl_policy_wants_identity(run->policy), err);
    return r < 0 ? r : sl_sandbox_enter(run->sandbox, &spawn, err);
}

int sl_run(const sl_run_options *options)
{
    sl_error err;
    struct sl_run run = {
        .options = options,
        .policy = options->policy,
        .files = {.audit_fd = -1},
        .signal_pipe = {-1, -1},
        .news_pipe = {-1, -1},
    };
    sl_buf *bufs[] = {&run.files.ca, &run.files.key, &run.files.upstream_ca, &run.files.bundle};
    for (size_t i = 0; i < SL_ARRAY_LEN(bufs); i++) {
        sl_buf_init(bufs[i], PEM_MAX);
    }
    remember_caller(&run);
    int r = options->no_supervisor ? check_alone(&run, &err) : 0;
    r = r < 0 ? r : prepare(&run, &err);
    if (r == 0) {
        r = options->no_supervisor ? run_alone(&run, &err) : fork_engine(&run, &err);
    }
    if (r < 0) {
        sl_run_say(err.message);
        r = sl_error_exit_code(err.kind);
        if (options->status_fd >= 0) {
            struct sl_report_end end = {.exit_code = r,
                                        .reason = "error",
                                        .message = err.message,
                                        .name = run.policy->name};
            sl_report_status(NULL, options->status_fd, &end);
        }
    }
    done(&run);
    return r;
}
