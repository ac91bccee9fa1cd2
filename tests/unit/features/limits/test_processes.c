/* max_processes, live: EAGAIN at the limit, threads free, the count goes back. RES-01, PROC-09. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "live.h"

#define LIMIT   5 /* of every policy here: the program and four more */
#define THREADS 40
#define SHORT   200 /* short-lived children, one after the other */

static void *wait_for_byte(void *fd)
{
    char byte;
    ssize_t n = read(*(int *)fd, &byte, 1);
    (void)n;
    return NULL;
}

/* Children that live until the pipe closes. Returns how many were born before the first refusal. */
static int fill(int life[2], int *ret_errno)
{
    for (int born = 0;; born++) {
        pid_t pid = fork();
        if (pid < 0) {
            *ret_errno = errno;
            return born;
        }
        if (pid == 0) {
            close(life[1]);
            wait_for_byte(&life[0]);
            _exit(0);
        }
    }
}

static int program_forks(char **args)
{
    int life[2];
    int error = 0;
    (void)args;
    for (volatile int round = 0; round < 3; round++) {
        LIVE_CHECK(pipe(life) == 0);
        LIVE_CHECK(fill(life, &error) == LIMIT - 1);
        LIVE_CHECK(error == EAGAIN);
        LIVE_CHECK(vfork() < 0 && errno == EAGAIN);
        LIVE_CHECK(syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0) < 0 && errno == EAGAIN);
        close(life[0]);
        close(life[1]);
        for (int i = 0; i < LIMIT - 1; i++) {
            LIVE_CHECK(wait(NULL) > 0);
        }
    }
    return 0;
}

static int program_threads(char **args)
{
    pthread_t threads[THREADS];
    int life[2];
    int error = 0;
    (void)args;
    LIVE_CHECK(pipe(life) == 0);
    for (int i = 0; i < THREADS; i++) {
        LIVE_CHECK(pthread_create(&threads[i], NULL, wait_for_byte, &life[0]) == 0);
    }
    LIVE_CHECK(fill(life, &error) == LIMIT - 1 && error == EAGAIN);
    close(life[1]);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    return 0;
}

static bool spawn_and_reap(bool by_vfork)
{
    pid_t pid = by_vfork ? vfork() : fork();
    if (pid == 0) {
        _exit(0);
    }
    return pid > 0 && waitpid(pid, NULL, 0) == pid;
}

/* Many, but never many at once. */
static int program_spawns_in_turn(char **args)
{
    (void)args;
    for (int i = 0; i < SHORT; i++) {
        LIVE_CHECK(spawn_and_reap(i % 2 == 0));
    }
    return 0;
}

/* Grandchildren count, orphans too. */
static int program_orphans(char **args)
{
    int life[2];
    int born[2];
    int count = 0;
    (void)args;
    LIVE_CHECK(pipe(life) == 0 && pipe(born) == 0);
    for (int i = 0; i < LIMIT * 2; i++) {
        pid_t pid = fork();
        if (pid < 0) {
            LIVE_CHECK(errno == EAGAIN);
            break;
        }
        if (pid == 0) {
            close(life[1]);
            if (fork() == 0) {
                LIVE_CHECK(write(born[1], "x", 1) == 1);
                wait_for_byte(&life[0]);
            }
            _exit(0);
        }
        LIVE_CHECK(waitpid(pid, NULL, 0) == pid);
    }
    close(born[1]);
    /* Orphans hold the write end; each one wrote before it waited, or was never born. */
    close(life[1]);
    char byte;
    while (read(born[0], &byte, 1) == 1) {
        count++;
    }
    LIVE_CHECK(count >= 1 && count <= LIMIT - 1);
    return 0;
}

static int program_makes_namespaces(char **args)
{
    (void)args;
    LIVE_CHECK(unshare(CLONE_NEWUSER) < 0 && errno == EPERM);
    LIVE_CHECK(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, 0) < 0 &&
               errno == EPERM);
    LIVE_CHECK(syscall(435, NULL, 0) < 0 && errno == ENOSYS); /* clone3 */
    return 0;
}

static int run(const char *program)
{
    SL_AUTO(sl_policy) policy = live_policy("fs_readable", "/", "max_processes", "5", NULL);
    return live_run(&(struct live_run){.policy = policy, .program = program});
}

static void limit_is_eagain_and_comes_back(void **state)
{
    (void)state;
    assert_int_equal(run("forks"), 0);
}

static void threads_are_free(void **state)
{
    (void)state;
    assert_int_equal(run("threads"), 0);
}

static void short_lives_do_not_add_up(void **state)
{
    (void)state;
    assert_int_equal(run("spawns_in_turn"), 0);
}

static void orphans_count(void **state)
{
    (void)state;
    assert_int_equal(run("orphans"), 0);
}

static void namespaces_are_refused(void **state)
{
    (void)state;
    assert_int_equal(run("makes_namespaces"), 0);
}

static void no_limit_when_none_is_asked(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) policy = live_policy("fs_readable", "/", "max_processes", "0", NULL);
    assert_int_equal(live_run(&(struct live_run){.policy = policy, .program = "spawns_in_turn"}),
                     0);
}

int main(int argc, char **argv)
{
    static const struct live_program programs[] = {
        {"forks", program_forks},
        {"threads", program_threads},
        {"spawns_in_turn", program_spawns_in_turn},
        {"orphans", program_orphans},
        {"makes_namespaces", program_makes_namespaces},
        {NULL, NULL},
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(limit_is_eagain_and_comes_back),
        cmocka_unit_test(threads_are_free),
        cmocka_unit_test(short_lives_do_not_add_up),
        cmocka_unit_test(orphans_count),
        cmocka_unit_test(namespaces_are_refused),
        cmocka_unit_test(no_limit_when_none_is_asked),
    };
    live_start(argc, argv, programs);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
