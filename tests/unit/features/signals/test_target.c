/* Whom a number means: ours never, nobody as nobody, and what cannot be looked up nobody in reach;
 * who was held is sent to, or nobody is. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "features/signals/target.h"
#include "kernel/pidfd.h"
#include "live.h"
#include "supervisor/supervisor.h"

static pid_t child(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        for (;;) {
            pause();
        }
    }
    return pid;
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void *tell(void *tid)
{
    atomic_store((atomic_int *)tid, gettid());
    for (;;) {
        pause();
    }
    return NULL;
}

static sl_supervisor *supervise(sl_supervisor *sv, bool isolated)
{
    *sv = (sl_supervisor){.policy = live_policy("fs_readable", "/", "isolate_signals",
                                                isolated ? "true" : "false", NULL)};
    return sv;
}

static void numbers_of_ours_are_out_of_reach(void **state)
{
    (void)state;
    sl_supervisor sv;
    sl_target target;
    pthread_t thread;
    atomic_int tid = 0;
    supervise(&sv, false);
    assert_int_equal(pthread_create(&thread, NULL, tell, &tid), 0);
    while (atomic_load(&tid) == 0) {
        sched_yield();
    }
    pid_t helper = child();
    sv.helper_pid = helper;
    pid_t ours[] = {getpid(), getppid(), helper, atomic_load(&tid)};
    for (size_t i = 0; i < SL_ARRAY_LEN(ours); i++) {
        assert_int_equal(sl_target_judge(&sv, ours[i]), -EPERM);
        assert_int_equal(sl_target_open(&sv, ours[i], false, &target), -EPERM);
        assert_int_equal(sl_target_open(&sv, ours[i], true, &target), -EPERM);
    }
    assert_true(sl_target_is_ours(&sv, helper) && !sl_target_is_ours(&sv, 1 << 22));
    end(helper);
    pthread_cancel(thread);
    pthread_join(thread, NULL);
    sl_policy_free((sl_policy *)sv.policy);
}

static void what_cannot_be_looked_up_is_out_of_reach(void **state)
{
    (void)state;
    sl_supervisor sv;
    sl_target target;
    struct rlimit files;
    supervise(&sv, false);
    pid_t pid = child();
    assert_int_equal(sl_target_judge(&sv, pid), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    struct rlimit none = {.rlim_cur = 0, .rlim_max = files.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int judged = sl_target_judge(&sv, pid);
    int opened = sl_target_open(&sv, pid, false, &target);
    int nobody = sl_target_judge(&sv, 1 << 30);
    setrlimit(RLIMIT_NOFILE, &files);
    assert_int_equal(judged, -EPERM);
    assert_int_equal(opened, -EPERM);
    assert_int_equal(nobody, -EPERM);
    assert_int_equal(sl_target_judge(&sv, 1 << 30), -ESRCH);
    end(pid);
    sl_policy_free((sl_policy *)sv.policy);
}

/* Only where the next number can be chosen: alone in a namespace. */
static pid_t child_called(pid_t number)
{
    char text[16];
    int n = snprintf(text, sizeof(text), "%d", (int)number - 1);
    sl_autoclose int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, (size_t)n) != n) {
        return -1;
    }
    return child();
}

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fprintf(stderr, "%s:%d: %s\n", __func__, __LINE__, #cond);                             \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)

/* By the number the newcomer is reached, which is the control; through what was held, nobody. */
static int number_goes_over(bool thread)
{
    sl_supervisor sv;
    sl_target target;
    supervise(&sv, false);
    pid_t number = child();
    CHECK(number > 0 && sl_target_open(&sv, number, thread, &target) == 0);
    CHECK(sl_target_send(&target, 0, NULL) == 0);
    end(number);
    CHECK(child_called(number) == number);
    int r = sl_pidfd_of_threads() || !thread ? sl_target_send(&target, SIGKILL, NULL) : -ESRCH;
    CHECK(r == -ESRCH && waitpid(number, NULL, WNOHANG) == 0);
    CHECK(kill(number, SIGKILL) == 0 && waitpid(number, NULL, 0) == number);
    sl_target_done(&target);
    sl_policy_free((sl_policy *)sv.policy);
    return 0;
}

static int alone(void)
{
    if (mount("proc", "/proc", "proc", 0, NULL) < 0) {
        return 77;
    }
    return number_goes_over(false) + number_goes_over(true);
}

static void a_number_that_goes_over_to_another(void **state)
{
    (void)state;
    int status;
    pid_t outer = fork();
    if (outer == 0) {
        if (unshare(CLONE_NEWPID | CLONE_NEWNS) < 0 ||
            mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
            _exit(77);
        }
        pid_t first = fork();
        if (first == 0) {
            _exit(alone());
        }
        _exit(waitpid(first, &status, 0) == first && WIFEXITED(status) ? WEXITSTATUS(status) : 1);
    }
    assert_int_equal(waitpid(outer, &status, 0), outer);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) {
        print_message("needs a pid namespace of its own, which only root can have\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_of_ours_are_out_of_reach),
        cmocka_unit_test(what_cannot_be_looked_up_is_out_of_reach),
        cmocka_unit_test(a_number_that_goes_over_to_another),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    live_pretend_older();
    return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
