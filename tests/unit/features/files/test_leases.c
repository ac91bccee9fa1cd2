/* Leases, live: on files that may be written, told to who took them; on no other. FS-25. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "live.h"

static volatile sig_atomic_t broken;

static void on_break(int sig)
{
    (void)sig;
    broken++;
}

static int lease(int fd, int type)
{
    return fcntl(fd, F_SETLEASE, type) < 0 ? errno : 0;
}

/* args: a file that may be written, one that may be read */
static int program_leases(char **args)
{
    sigset_t io;
    sigset_t before;
    struct sigaction action = {.sa_handler = on_break};
    sigemptyset(&io);
    sigaddset(&io, SIGIO);
    sigprocmask(SIG_BLOCK, &io, &before);
    sigaction(SIGIO, &action, NULL);
    sl_autoclose int own = open(args[0], O_RDWR | O_CLOEXEC);
    sl_autoclose int theirs = open(args[1], O_RDONLY | O_CLOEXEC);
    LIVE_CHECK(own >= 0 && theirs >= 0);
    LIVE_CHECK(lease(theirs, F_RDLCK) == EACCES && lease(theirs, F_WRLCK) == EACCES);
    LIVE_CHECK(fcntl(theirs, F_GETLEASE) == F_UNLCK && lease(1000, F_RDLCK) == EBADF);
    LIVE_CHECK(lease(own, F_WRLCK) == 0 && fcntl(own, F_GETLEASE) == F_WRLCK);
    LIVE_CHECK(fcntl(own, F_GETOWN) == getpid());
    pid_t child = fork();
    LIVE_CHECK(child >= 0);
    if (child == 0) {
        _exit(open(args[0], O_RDONLY | O_CLOEXEC) >= 0 ? 0 : 1); /* waits for us */
    }
    while (broken == 0) {
        sigsuspend(&before);
    }
    int status;
    LIVE_CHECK(lease(own, F_UNLCK) == 0 && waitpid(child, &status, 0) == child && status == 0);
    LIVE_CHECK(fcntl(own, 1040 /* F_SETDELEG */, &status) < 0 && errno == EINVAL);
    return 0;
}

static void leases_are_for_what_may_be_written(void **state)
{
    (void)state;
    char own[] = "/tmp/sandlock-lease-XXXXXX";
    char theirs[] = "/var/tmp/sandlock-lease-XXXXXX";
    sl_autoclose int one = mkstemp(own);
    sl_autoclose int two = mkstemp(theirs);
    assert_true(one >= 0 && two >= 0);
    close(sl_steal_fd(&one)); /* a lease for writing wants to be alone */
    close(sl_steal_fd(&two));
    sl_autoclose int again = open(theirs, O_RDONLY | O_CLOEXEC);
    assert_int_equal(lease(again, F_RDLCK), 0); /* it works outside */
    close(sl_steal_fd(&again));
    SL_AUTO(sl_policy) policy = live_policy("fs_readable", "/", "fs_writable", own, NULL);
    struct live_run run = {.policy = policy, .program = "leases", .args = {own, theirs}};
    assert_int_equal(live_run(&run), 0);
    unlink(own);
    unlink(theirs);
}

int main(int argc, char **argv)
{
    static const struct live_program programs[] = {
        {"leases", program_leases},
        {NULL, NULL},
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(leases_are_for_what_may_be_written),
    };
    live_start(argc, argv, programs);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
