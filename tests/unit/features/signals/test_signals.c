/* What processes of one user may do to each other, live: nothing to guardian and engine, the usual
 * within the tree, and outside it what isolate_signals leaves. PROC-06, PROC-07.
 *
 * The signal that is sent to everybody is SIGURG, which nobody dies of. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "live.h"

static volatile sig_atomic_t urgent;

static void on_urgent(int sig)
{
    (void)sig;
    urgent++;
}

/* Every way to reach one process by its number; returns the errno of the first that is not `want`.
 * Only signal 0 and settings that change nothing. */
static int reach_by_number(pid_t pid, int want)
{
    siginfo_t info = {.si_code = SI_QUEUE, .si_signo = SIGURG};
    struct sched_param param = {0};
    uint32_t attr[12] = {sizeof(attr)}; /* struct sched_attr, whose header clashes with libc's */
    cpu_set_t cpus;
    sched_getaffinity(0, sizeof(cpus), &cpus);
    long got[] = {
        kill(pid, 0) < 0 ? errno : 0,
        syscall(SYS_tkill, pid, 0) < 0 ? errno : 0,
        syscall(SYS_tgkill, pid, pid, 0) < 0 ? errno : 0,
        syscall(SYS_rt_sigqueueinfo, pid, SIGURG, &info) < 0 ? errno : 0,
        syscall(SYS_rt_tgsigqueueinfo, pid, pid, SIGURG, &info) < 0 ? errno : 0,
        syscall(SYS_sched_setscheduler, pid, SCHED_OTHER, &param) < 0 ? errno : 0,
        syscall(SYS_sched_setparam, pid, &param) < 0 ? errno : 0,
        syscall(SYS_sched_setattr, pid, attr, 0) < 0 ? errno : 0,
        syscall(SYS_sched_setaffinity, pid, sizeof(cpus), &cpus) < 0 ? errno : 0,
        setpriority(PRIO_PROCESS, (id_t)pid, 0) < 0 ? errno : 0,
        syscall(SYS_ioprio_set, 1, pid, 0) < 0 ? errno : 0,
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(got); i++) {
        if (got[i] != want) {
            fprintf(stderr, "call %zu on %d gives %ld\n", i, (int)pid, got[i]);
            return 1;
        }
    }
    return 0;
}

static int reach_by_pidfd(pid_t pid, int sig)
{
    sl_autoclose int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    return fd < 0 || syscall(SYS_pidfd_send_signal, fd, sig, NULL, 0) < 0 ? errno : 0;
}

/* The directory of a process in /proc does as well. */
static int reach_by_directory(pid_t pid, int sig)
{
    char path[32];
    snprintf(path, sizeof(path), "/proc/%d", (int)pid);
    sl_autoclose int fd = open(path, O_RDONLY | O_DIRECTORY);
    return fd < 0 || syscall(SYS_pidfd_send_signal, fd, sig, NULL, 0) < 0 ? errno : 0;
}

static int own(int fd, int pid)
{
    return fcntl(fd, F_SETOWN, pid) < 0 ? errno : 0;
}

static int program_attacks(char **args)
{
    pid_t guardian = (pid_t)strtol(args[0], NULL, 10);
    pid_t engine = getppid();
    pid_t us[] = {guardian, engine};
    int pair[2];
    LIVE_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    for (size_t i = 0; i < SL_ARRAY_LEN(us); i++) {
        LIVE_CHECK(reach_by_number(us[i], EPERM) == 0);
        LIVE_CHECK(reach_by_pidfd(us[i], 0) == EPERM && reach_by_directory(us[i], 0) == EPERM);
        LIVE_CHECK(own(pair[0], us[i]) == EPERM && own(pair[0], -getpgid(us[i])) == EPERM);
        struct {
            int type;
            pid_t pid;
        } owner = {1, us[i]}; /* F_OWNER_PID */
        LIVE_CHECK(fcntl(pair[0], F_SETOWN_EX, &owner) < 0 && errno == EPERM);
        LIVE_CHECK(ioctl(pair[0], FIOSETOWN, &us[i]) < 0 && errno == EPERM);
    }
    LIVE_CHECK(setpriority(PRIO_USER, 0, 0) < 0 && errno == EPERM);
    LIVE_CHECK(setpriority(PRIO_PGRP, 0, 0) < 0 && errno == EPERM); /* the guardian's group */
    LIVE_CHECK(syscall(SYS_ioprio_set, 3, getuid(), 0) < 0 && errno == EPERM);
    return 0;
}

/* The tree's own business goes on as ever. */
static int program_signals_itself(char **args)
{
    int pair[2];
    (void)args;
    struct sigaction action = {.sa_handler = on_urgent};
    sigaction(SIGURG, &action, NULL);
    LIVE_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    LIVE_CHECK(reach_by_number(getpid(), 0) == 0);
    LIVE_CHECK(own(pair[0], getpid()) == 0 && fcntl(pair[0], F_GETOWN) == getpid());
    LIVE_CHECK(setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0)) == 0);
    LIVE_CHECK(reach_by_pidfd(getpid(), SIGURG) == 0 && urgent > 0);
    LIVE_CHECK(reach_by_pidfd(getpid(), 999) == EINVAL);
    urgent = 0;
    LIVE_CHECK(reach_by_directory(getpid(), SIGURG) == 0 && urgent > 0);
    sl_autoclose int proc = open("/proc", O_RDONLY);
    LIVE_CHECK(syscall(SYS_pidfd_send_signal, proc, 0, NULL, 0) < 0 && errno == EBADF);
    LIVE_CHECK(syscall(SYS_pidfd_send_signal, 1000, 0, NULL, 0) < 0 && errno == EBADF);
    LIVE_CHECK(syscall(SYS_pidfd_send_signal, pair[0], 0, NULL, 0) < 0 && errno == EBADF);
    /* numbers that nobody has: the kernel's own answer */
    LIVE_CHECK(syscall(SYS_tgkill, -1, gettid(), 0) < 0 && errno == EINVAL);
    LIVE_CHECK(syscall(SYS_tgkill, getpid(), -1, 0) < 0 && errno == EINVAL);
    urgent = 0;
    LIVE_CHECK(kill(0, SIGURG) == 0 && urgent > 0); /* the guardian's group, without it */
    urgent = 0;
    LIVE_CHECK(kill(-1, SIGURG) < 0 && errno == ESRCH && urgent == 0); /* all but the caller */
    pid_t child = fork();
    LIVE_CHECK(child >= 0);
    if (child == 0) {
        pause();
        _exit(0);
    }
    int status;
    char path[32];
    snprintf(path, sizeof(path), "/proc/%d", (int)child);
    sl_autoclose int dir = open(path, O_RDONLY | O_DIRECTORY);
    sl_autoclose int pidfd = (int)syscall(SYS_pidfd_open, child, 0);
    LIVE_CHECK(kill(-1, 0) == 0);
    LIVE_CHECK(kill(child, SIGTERM) == 0 && waitpid(child, &status, 0) == child);
    LIVE_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    LIVE_CHECK(kill(child, SIGTERM) < 0 && errno == ESRCH);
    LIVE_CHECK(syscall(SYS_pidfd_send_signal, dir, 0, NULL, 0) < 0 && errno == ESRCH);
    LIVE_CHECK(syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0) < 0 && errno == ESRCH);
    return 0;
}

/* args: somebody outside, the errno to expect */
static int program_signals_outward(char **args)
{
    pid_t stranger = (pid_t)strtol(args[0], NULL, 10);
    int want = (int)strtol(args[1], NULL, 10);
    siginfo_t info = {.si_code = SI_QUEUE, .si_signo = SIGURG};
    long got[] = {
        kill(stranger, 0),
        kill(-stranger, 0), /* it leads a group */
        syscall(SYS_tkill, stranger, 0),
        syscall(SYS_tgkill, stranger, stranger, 0),
        syscall(SYS_rt_sigqueueinfo, stranger, SIGURG, &info),
        syscall(SYS_rt_tgsigqueueinfo, stranger, stranger, SIGURG, &info),
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(got); i++) {
        LIVE_CHECK((got[i] < 0) == (want != 0)); /* the errno is checked below */
    }
    LIVE_CHECK((kill(stranger, 0) < 0 ? errno : 0) == want);
    LIVE_CHECK((kill(-stranger, 0) < 0 ? errno : 0) == want);
    LIVE_CHECK(reach_by_directory(stranger, 0) == want &&
               reach_by_pidfd(stranger, SIGTERM) == want);
    return 0;
}

static int run(const char *program, const char *isolated, const char *one, const char *two)
{
    SL_AUTO(sl_policy)
    policy = live_policy("fs_readable", "/", "isolate_signals", isolated, NULL);
    return live_run(&(struct live_run){.policy = policy, .program = program, .args = {one, two}});
}

static void our_own_processes_are_out_of_reach(void **state)
{
    (void)state;
    char guardian[16];
    snprintf(guardian, sizeof(guardian), "%d", (int)getpid());
    assert_int_equal(run("attacks", "false", guardian, NULL), 0);
    assert_int_equal(run("attacks", "true", guardian, NULL), 0);
}

static void tree_signals_itself(void **state)
{
    (void)state;
    assert_int_equal(run("signals_itself", "false", NULL, NULL), 0);
    assert_int_equal(run("signals_itself", "true", NULL, NULL), 0);
}

static void isolate_signals_covers_every_way(void **state)
{
    (void)state;
    char number[16];
    char eperm[16];
    int status;
    pid_t stranger = fork();
    assert_true(stranger >= 0);
    if (stranger == 0) {
        setpgid(0, 0);
        for (;;) {
            pause();
        }
    }
    setpgid(stranger, stranger); /* whoever is first */
    snprintf(number, sizeof(number), "%d", (int)stranger);
    snprintf(eperm, sizeof(eperm), "%d", EPERM);
    assert_int_equal(run("signals_outward", "true", number, eperm), 0);
    assert_int_equal(waitpid(stranger, NULL, WNOHANG), 0); /* it lives */
    assert_int_equal(run("signals_outward", "false", number, "0"), 0);
    assert_int_equal(waitpid(stranger, &status, 0), stranger);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

int main(int argc, char **argv)
{
    static const struct live_program programs[] = {
        {"attacks", program_attacks},
        {"signals_itself", program_signals_itself},
        {"signals_outward", program_signals_outward},
        {NULL, NULL},
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_own_processes_are_out_of_reach),
        cmocka_unit_test(tree_signals_itself),
        cmocka_unit_test(isolate_signals_covers_every_way),
    };
    live_start(argc, argv, programs);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    live_pretend_older();
    return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
