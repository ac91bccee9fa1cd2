/* Owns what is remembered of the caller, and what guardian and engine change of it for themselves.
 * Whatever is changed here is in what sl_caller_give_back and sl_caller_limits say. */
#include "engine/caller/caller.h"

#include <sys/resource.h>
#include <unistd.h>

#include "core/util.h"

/* Signals whose disposition the engine changes. */
static const int ignored[] = {SIGTTOU, SIGPIPE};

enum { FILES, CORES };
static const int limited[SL_SPAWN_LIMITS] = {[FILES] = RLIMIT_NOFILE, [CORES] = RLIMIT_CORE};

void sl_caller_remember(sl_caller *ret_caller)
{
    sigemptyset(&ret_caller->ignored);
    for (size_t i = 0; i < SL_ARRAY_LEN(ignored); i++) {
        struct sigaction action;
        if (sigaction(ignored[i], NULL, &action) == 0 && action.sa_handler == SIG_IGN) {
            sigaddset(&ret_caller->ignored, ignored[i]);
        }
    }
    sigprocmask(SIG_BLOCK, NULL, &ret_caller->mask);
    for (size_t i = 0; i < SL_SPAWN_LIMITS; i++) {
        ret_caller->limits[i].resource = limited[i];
        getrlimit(limited[i], &ret_caller->limits[i].value);
    }
    ret_caller->pgid = getpgrp();
}

void sl_caller_limits(const sl_caller *caller, const sl_policy *policy,
                      sl_spawn_limit ret_limits[SL_SPAWN_LIMITS])
{
    rlim_t files = policy->max_open_files;
    for (size_t i = 0; i < SL_SPAWN_LIMITS; i++) {
        ret_limits[i] = caller->limits[i];
    }
    if (files > 0) {
        struct rlimit *value = &ret_limits[FILES].value;
        value->rlim_max = SL_MIN(files, value->rlim_max);
        value->rlim_cur = value->rlim_max;
    }
}

void sl_caller_give_back(const sl_caller *caller, sl_spawn *spawn)
{
    spawn->pgid = caller->pgid;
    spawn->changed = ignored;
    spawn->changed_count = SL_ARRAY_LEN(ignored);
    spawn->ignored = caller->ignored;
    spawn->mask = caller->mask;
}

/* SIGTSTP and its kin keep stopping us, as the shell expects; SIGINT and SIGQUIT of the terminal
 * are the command's. */
void sl_caller_leave_signals(const sl_caller *caller)
{
    static const int keep[] = {SIGTSTP, SIGTTIN, SIGTTOU, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    sigset_t block;
    sigfillset(&block);
    for (size_t i = 0; i < SL_ARRAY_LEN(keep); i++) {
        sigdelset(&block, keep[i]);
    }
    sigprocmask(SIG_SETMASK, &block, NULL);
    struct rlimit no_core = {.rlim_max = caller->limits[CORES].value.rlim_max};
    setrlimit(RLIMIT_CORE, &no_core);
}

void sl_caller_leave_group(void)
{
    setpgid(0, 0);
    for (size_t i = 0; i < SL_ARRAY_LEN(ignored); i++) {
        signal(ignored[i], SIG_IGN);
    }
}

void sl_caller_raise_files(const sl_caller *caller)
{
    rlim_t files = caller->limits[FILES].value.rlim_max;
    struct rlimit most = {.rlim_cur = files, .rlim_max = files};
    setrlimit(RLIMIT_NOFILE, &most);
}
