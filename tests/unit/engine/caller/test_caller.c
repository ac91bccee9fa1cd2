/* What is remembered of the caller, what guardian and engine change, and that the command gets it
 * all back. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "engine/caller/caller.h"

/* In a process of its own, since all of this is a process's: its number of the failed check. */
#define CHECK(number, what)                                                                        \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            _exit(number);                                                                         \
        }                                                                                          \
    } while (0)

static void in_child(void (*body)(void))
{
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        body();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static bool is_ignored(int sig)
{
    struct sigaction action;
    return sigaction(sig, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

static void change_and_compare(void)
{
    sl_caller caller;
    sl_spawn spawn = {0};
    sigset_t mask;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTTOU, SIG_DFL);
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR2);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    bool before[NSIG] = {0};
    for (int sig = 1; sig < NSIG; sig++) {
        before[sig] = is_ignored(sig);
    }
    pid_t group = getpgrp();
    sl_caller_remember(&caller);
    sl_caller_leave_signals(&caller);
    sl_caller_leave_group();
    CHECK(1, getpgrp() == getpid());
    CHECK(2, is_ignored(SIGPIPE) && is_ignored(SIGTTOU));
    sl_caller_give_back(&caller, &spawn);
    CHECK(3, spawn.pgid == group);
    CHECK(4, sigismember(&spawn.ignored, SIGPIPE) == 1);
    CHECK(5, sigismember(&spawn.ignored, SIGTTOU) == 0);
    CHECK(6, sigismember(&spawn.mask, SIGUSR2) == 1 && sigismember(&spawn.mask, SIGTERM) == 0);
    for (int sig = 1; sig < NSIG; sig++) { /* whatever was changed is in the list */
        bool listed = false;
        for (size_t i = 0; i < spawn.changed_count; i++) {
            listed = listed || spawn.changed[i] == sig;
        }
        CHECK(7, listed || is_ignored(sig) == before[sig]);
    }
}

static void the_command_gets_it_back(void **state)
{
    (void)state;
    in_child(change_and_compare);
}

static void leave_and_look(void)
{
    sl_caller caller;
    sigset_t blocked;
    struct rlimit core;
    sl_caller_remember(&caller);
    sl_caller_leave_signals(&caller);
    sigprocmask(SIG_BLOCK, NULL, &blocked);
    static const int waited[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGPIPE};
    static const int kept[] = {SIGTSTP, SIGTTIN, SIGSEGV, SIGABRT};
    for (size_t i = 0; i < SL_ARRAY_LEN(waited); i++) {
        CHECK(1, sigismember(&blocked, waited[i]) == 1);
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(kept); i++) {
        CHECK(2, sigismember(&blocked, kept[i]) == 0);
    }
    CHECK(3, getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_cur == 0);
}

static void the_guardian_waits_for_signals(void **state)
{
    (void)state;
    in_child(leave_and_look);
}

static const struct rlimit *files_of(const sl_spawn_limit limits[SL_SPAWN_LIMITS])
{
    for (size_t i = 0; i < SL_SPAWN_LIMITS; i++) {
        if (limits[i].resource == RLIMIT_NOFILE) {
            return &limits[i].value;
        }
    }
    return NULL;
}

static void raise_and_compare(void)
{
    sl_caller caller;
    sl_spawn_limit limits[SL_SPAWN_LIMITS];
    sl_policy policy = {0};
    struct rlimit now;
    struct rlimit low = {.rlim_cur = 64, .rlim_max = 128};
    CHECK(1, setrlimit(RLIMIT_NOFILE, &low) == 0);
    sl_caller_remember(&caller);
    sl_caller_raise_files(&caller);
    CHECK(2, getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_cur == 128);
    sl_caller_limits(&caller, &policy, limits);
    CHECK(3, files_of(limits)->rlim_cur == 64 && files_of(limits)->rlim_max == 128);
    policy.max_open_files = 100;
    sl_caller_limits(&caller, &policy, limits);
    CHECK(4, files_of(limits)->rlim_cur == 100 && files_of(limits)->rlim_max == 100);
    policy.max_open_files = 1000; /* more than the caller has is nobody's to give */
    sl_caller_limits(&caller, &policy, limits);
    CHECK(5, files_of(limits)->rlim_cur == 128 && files_of(limits)->rlim_max == 128);
}

static void limits_are_the_caller_s_or_the_policy_s(void **state)
{
    (void)state;
    in_child(raise_and_compare);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_command_gets_it_back),
        cmocka_unit_test(the_guardian_waits_for_signals),
        cmocka_unit_test(limits_are_the_caller_s_or_the_policy_s),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
