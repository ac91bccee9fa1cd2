/* Priority, policy, processors, limits and groups, live: the tree's own processes and threads as
 * ever, nobody else, whichever way it is named. PROC-20. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "live.h"

#define IOPRIO_PROCESS 1
#define IOPRIO_GROUP   2
#define IOPRIO_USER    3

#define ANSWER(call) ((call) < 0 ? errno : 0)

/* Every call that names one process, with settings that change nothing; 1 when one of them does not
 * answer `want`. */
static int reach(pid_t pid, int want)
{
    struct sched_param param = {0};
    uint32_t attr[12] = {sizeof(attr)}; /* struct sched_attr, whose header clashes with libc's */
    struct rlimit limit;
    cpu_set_t cpus;
    sched_getaffinity(0, sizeof(cpus), &cpus);
    getrlimit(RLIMIT_CORE, &limit);
    long got[] = {
        ANSWER(syscall(SYS_sched_setscheduler, pid, SCHED_OTHER, &param)),
        ANSWER(syscall(SYS_sched_setparam, pid, &param)),
        ANSWER(syscall(SYS_sched_setattr, pid, attr, 0)),
        ANSWER(syscall(SYS_sched_setaffinity, pid, sizeof(cpus), &cpus)),
        ANSWER(syscall(SYS_prlimit64, pid, RLIMIT_CORE, &limit, NULL)),
        ANSWER(setpriority(PRIO_PROCESS, (id_t)pid, 0)),
        ANSWER(syscall(SYS_ioprio_set, IOPRIO_PROCESS, pid, 0)),
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(got); i++) {
        if (got[i] != want) {
            fprintf(stderr, "call %zu on %d gives %ld\n", i, (int)pid, got[i]);
            return 1;
        }
    }
    return 0;
}

static int reach_group(pid_t pgid, int want)
{
    int nice = ANSWER(setpriority(PRIO_PGRP, (id_t)pgid, 0));
    int io = ANSWER((int)syscall(SYS_ioprio_set, IOPRIO_GROUP, pgid, 0));
    return nice == want && io == want ? 0 : 1;
}

/* args: a process outside that leads a group of its own */
static int program_reaches_out(char **args)
{
    pid_t stranger = (pid_t)strtol(args[0], NULL, 10);
    LIVE_CHECK(reach(stranger, EPERM) == 0 && reach(getppid(), EPERM) == 0);
    LIVE_CHECK(reach_group(stranger, EPERM) == 0);
    LIVE_CHECK(reach_group(0, EPERM) == 0); /* the guardian's */
    LIVE_CHECK(setpriority(PRIO_USER, 0, 0) < 0 && errno == EPERM);
    LIVE_CHECK(setpriority(PRIO_USER, getuid(), 0) < 0 && errno == EPERM);
    LIVE_CHECK(syscall(SYS_ioprio_set, IOPRIO_USER, getuid(), 0) < 0 && errno == EPERM);
    LIVE_CHECK(setpgid(stranger, 0) < 0 && errno == EPERM);
    LIVE_CHECK(setpgid(0, stranger) < 0 && errno == EPERM);
    /* looking harms nobody */
    cpu_set_t cpus;
    struct rlimit limit;
    LIVE_CHECK(sched_getaffinity(stranger, sizeof(cpus), &cpus) == 0);
    LIVE_CHECK(sched_getscheduler(stranger) == SCHED_OTHER);
    LIVE_CHECK(syscall(SYS_prlimit64, stranger, RLIMIT_CORE, NULL, &limit) == 0);
    return 0;
}

static _Noreturn void *rest(void *tid)
{
    *(_Atomic pid_t *)tid = (pid_t)syscall(SYS_gettid);
    for (;;) {
        pause();
    }
}

static pid_t start_child(void)
{
    pid_t child = fork();
    if (child == 0) {
        for (;;) {
            pause();
        }
    }
    return child;
}

static int program_minds_its_own(char **args)
{
    (void)args;
    _Atomic pid_t tid = 0;
    pthread_t thread;
    pid_t guardians = getpgid(0);
    LIVE_CHECK(reach(0, 0) == 0 && reach(getpid(), 0) == 0);
    LIVE_CHECK(pthread_create(&thread, NULL, rest, &tid) == 0);
    while (tid == 0) {
        sched_yield();
    }
    LIVE_CHECK(reach(tid, 0) == 0);
    pid_t child = start_child();
    LIVE_CHECK(child > 0 && reach(child, 0) == 0);
    LIVE_CHECK(setpgid(child, child) == 0 && reach_group(child, 0) == 0);
    LIVE_CHECK(setpgid(0, child) == 0 && reach_group(0, 0) == 0);
    LIVE_CHECK(setpgid(0, guardians) == 0); /* as a shell that ends */
    LIVE_CHECK(setpgid(0, 0) == 0 && getpgid(0) == getpid() && reach_group(0, 0) == 0);
    LIVE_CHECK(setpriority(7, 0, 0) < 0 && errno == EINVAL);
    LIVE_CHECK(syscall(SYS_ioprio_set, 7, 0, 0) < 0 && errno == EINVAL);
    LIVE_CHECK(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
    LIVE_CHECK(reach(child, ESRCH) == 0);
    return 0;
}

static int run(const char *program, const char *arg)
{
    SL_AUTO(sl_policy) policy = live_policy("fs_readable", "/", NULL);
    return live_run(&(struct live_run){.policy = policy, .program = program, .args = {arg}});
}

static void strangers_are_left_alone(void **state)
{
    (void)state;
    char number[16];
    pid_t stranger = start_child();
    assert_true(stranger > 0 && setpgid(stranger, stranger) == 0);
    snprintf(number, sizeof(number), "%d", (int)stranger);
    assert_int_equal(reach(stranger, 0), 0); /* it works outside */
    assert_int_equal(reach_group(stranger, 0), 0);
    assert_int_equal(run("reaches_out", number), 0);
    assert_int_equal(kill(stranger, SIGKILL), 0);
    assert_int_equal(waitpid(stranger, NULL, 0), stranger);
}

static void the_tree_minds_its_own(void **state)
{
    (void)state;
    assert_int_equal(run("minds_its_own", NULL), 0);
}

int main(int argc, char **argv)
{
    static const struct live_program programs[] = {
        {"reaches_out", program_reaches_out},
        {"minds_its_own", program_minds_its_own},
        {NULL, NULL},
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(strangers_are_left_alone),
        cmocka_unit_test(the_tree_minds_its_own),
    };
    live_start(argc, argv, programs);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    live_pretend_older();
    return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
