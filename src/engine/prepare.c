/* Owns the preparing of a run: everything that can fail for the user's words or files fails here,
 * before anything runs. */
#include "engine/prepare.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "core/util.h"
#include "engine/caller/say.h"
#include "engine/helper.h"
#include "engine/start/comforts.h"
#include "engine/start/environ.h"
#include "kernel/landlock.h"
#include "policy/verdict.h"
#include "sandbox/probe.h"

static bool is_private(void *arg, const char *path)
{
    return !sl_sandbox_may_write(arg, path);
}

static int prepare_dir(sl_prepared *p, sl_error *err)
{
    bool trust = sl_policy_needs_trust(p->policy);
    int r = sl_rundir_open(&p->dir, is_private, p->sandbox, err);
    if (r < 0) {
        return trust ? r : 0; /* without trust files only the canary's file question is lost */
    }
    r = sl_sandbox_set_canary(p->sandbox, p->dir->canary);
    if (r < 0) {
        return sl_error_set(err, -r, "not enough memory");
    }
    (void)sl_rundir_name_control(p->dir); /* without it the run is not listed */
    if (!trust) {
        return 0;
    }
    r = sl_rundir_begin(p->dir, err);
    if (r < 0) {
        return r;
    }
    const char *files[SL_ARTEFACTS];
    for (size_t i = 0; i < SL_ARTEFACTS; i++) {
        files[i] = p->dir->trust[i];
    }
    r = sl_environ_trust(&p->env, files, &p->trusted);
    r = r < 0 ? r : sl_sandbox_expect_trust(p->sandbox, files);
    return r < 0 ? sl_error_set(err, -r, "not enough memory") : 0;
}

static int prepare_cgroup(sl_prepared *p, sl_error *err)
{
    bool wanted = p->policy->max_memory > 0 || p->policy->max_cpu > 0;
    if (!wanted || sl_sandbox_may_write_cgroups(p->sandbox)) {
        return 0; /* a limit that the command could lift is none */
    }
    if (sl_cgroup_new(p->policy->max_memory, p->policy->max_cpu, &p->cgroup) < 0) {
        return sl_error_set(err, ENOMEM, "not enough memory");
    }
    return sl_sandbox_set_cgroup(p->sandbox, p->cgroup, err);
}

static bool may_be_missing(const char *name)
{
    for (size_t i = 0; i < SL_HOLDS_COUNT; i++) {
        if (strcmp(name, sl_landlock_protections[i].name) == 0) {
            return true;
        }
    }
    return strcmp(name, "landlock") == 0;
}

/* Names of protections that may be missing. Everything else is what verdicts are made with. */
static int check_degraded(const sl_policy *policy, sl_error *err)
{
    for (size_t i = 0; i < policy->allow_degraded.count; i++) {
        if (!may_be_missing(policy->allow_degraded.items[i])) {
            return sl_error_usage(err,
                                  "--allow-degraded '%s': only 'landlock' and what it protects "
                                  "from can be done without ('sandlock check' lists them)",
                                  policy->allow_degraded.items[i]);
        }
    }
    return 0;
}

/* What is piped in, or starts without a terminal as in a CI job, runs with what it has. */
static bool wants_terminal(const sl_run_options *options)
{
    bool wants = options->interactive && !options->no_supervisor;
    if (wants && isatty(STDIN_FILENO) != 1) {
        if (!options->quiet) {
            sl_say("option '--interactive': standard input is not a terminal; the command runs "
                   "with the standard input it has");
        }
        return false;
    }
    return wants;
}

/* The command may open its terminal by name, too. */
static int prepare_terminal(sl_prepared *p, sl_error *err)
{
    int r = sl_terminal_new(&p->terminal, err);
    return r < 0 ? r : sl_sandbox_allow_device(p->sandbox, sl_terminal_slave(p->terminal), err);
}

/* What is inherited may be opened again by its name (/dev/stderr): that is no new right. Where it
 * cannot be had the name is all that is missing. */
static void allow_inherited(sl_prepared *p)
{
    unsigned replaced = p->terminal == NULL ? 0 : sl_terminal_replaces(p->terminal);
    sl_error ignored;
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (isatty(fd) != 1) {
            (void)sl_sandbox_allow_stream(p->sandbox, fd, &ignored);
        } else if ((replaced & 1u << fd) == 0) {
            (void)sl_sandbox_allow_device(p->sandbox, fd, &ignored);
        }
    }
}

static int prepare_comforts(sl_prepared *p, sl_error *err)
{
    int r = sl_comforts_temporary(p->policy, p->sandbox, &p->env);
    r = r < 0 ? r : sl_comforts_apt(p->policy, p->sandbox, p->dir, &p->env);
    return r < 0 ? sl_error_set(err, -r, "not enough memory") : 0;
}

/* Variables that named a proxy are said to be gone; not what they named: a password may be in it.
 */
static void say_removed(const sl_strv *removed)
{
    char text[512];
    size_t n = 0;
    bool matters = false;
    for (size_t i = 0; i < removed->count && n < sizeof(text); i++) {
        matters = matters || strcasecmp(removed->items[i], "no_proxy") != 0;
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", i > 0 ? ", " : "",
                              removed->items[i]);
    }
    if (matters && n < sizeof(text)) {
        (void)snprintf(text + n, sizeof(text) - n,
                       ": removed for the command, whose requests are judged without a proxy "
                       "(--env NAME=VALUE sets one all the same)");
    }
    if (matters) {
        sl_say(text);
    }
}

static int prepare_environ(sl_prepared *p)
{
    sl_strv removed = {0};
    int r = sl_environ_make(p->policy, p->options->environ, &p->env);
    r = r < 0 ? r : sl_environ_proxies(p->policy, p->options->environ, &removed, &p->proxies);
    if (r == 0 && !p->options->quiet) {
        say_removed(&removed);
    }
    sl_strv_done(&removed);
    return r;
}

static int make(sl_prepared *p, sl_error *err)
{
    int r = check_degraded(p->policy, err);
    if (r == 0 && !p->options->no_supervisor) {
        r = sl_probe_quick(err);
    }
    if (r < 0) {
        return r;
    }
    r = prepare_environ(p);
    if (r < 0) {
        return sl_error_set(err, -r, "not enough memory");
    }
    r = sl_environ_find(p->options->argv[0], &p->env, &p->program, err);
    r = r < 0 ? r : sl_files_read(p->policy, &p->files, err);
    r = r < 0 ? r : sl_sandbox_new(p->policy, &p->sandbox, err);
    r = r < 0 ? r : prepare_dir(p, err);
    r = r < 0 ? r : prepare_comforts(p, err);
    r = r < 0 || p->options->no_supervisor ? r : prepare_cgroup(p, err);
    if (r == 0 && wants_terminal(p->options)) {
        r = prepare_terminal(p, err);
    }
    if (r == 0) {
        allow_inherited(p);
    }
    if (r == 0 && sl_policy_needs_gateway(p->policy)) {
        r = sl_helper_find(&p->gateway_path, err);
    }
    return r;
}

int sl_prepare(const sl_run_options *options, sl_prepared *ret_prepared, sl_error *err)
{
    *ret_prepared = (sl_prepared){.options = options, .policy = options->policy};
    sl_files_init(&ret_prepared->files);
    sl_caller_remember(&ret_prepared->caller);
    return make(ret_prepared, err);
}

void sl_prepared_remove(const sl_prepared *p)
{
    sl_rundir_end(p->dir);
    sl_cgroup_end(p->cgroup);
}

void sl_prepared_done(sl_prepared *p)
{
    sl_rundir_end(p->dir);
    sl_rundir_free(p->dir);
    sl_sandbox_free(p->sandbox);
    sl_cgroup_end(p->cgroup);
    sl_cgroup_free(p->cgroup);
    free(p->gateway_path);
    free(p->program);
    sl_strv_done(&p->env);
    sl_strv_done(&p->trusted);
    sl_strv_done(&p->proxies);
    sl_files_done(&p->files);
    sl_terminal_free(p->terminal);
}

void sl_prepared_spawn(const sl_prepared *p, sl_spawn_limit limits[SL_SPAWN_LIMITS],
                       sl_spawn *ret_spawn)
{
    static char *no_env[] = {NULL};
    sl_caller_limits(&p->caller, p->policy, limits);
    *ret_spawn = (sl_spawn){.argv = p->options->argv,
                            .environ = p->env.items != NULL ? p->env.items : no_env,
                            .path = p->program,
                            .ignored = p->caller.ignored,
                            .mask = p->caller.mask,
                            .limits = limits};
    if (p->terminal != NULL) {
        ret_spawn->terminal_fd = sl_terminal_slave(p->terminal);
        ret_spawn->terminal_replaces = sl_terminal_replaces(p->terminal);
    }
}

void sl_prepared_forget(sl_prepared *p)
{
    sl_files_wipe(&p->files);
    sl_sandbox_free(p->sandbox);
    p->sandbox = NULL;
    sl_strv_done(&p->env);
    sl_strv_done(&p->trusted);
    malloc_trim(0);
}
