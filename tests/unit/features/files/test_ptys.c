/* Terminals that the tree makes for itself, live: with /dev/ptmx alone their slaves open, and no
 * terminal of anybody else's does. */
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
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "live.h"

static int open_slave(int master, int flags)
{
    int fd = ioctl(master, TIOCGPTPEER, flags);
    return fd < 0 ? -errno : fd;
}

/* A session of its own whose terminal is the slave, as forkpty(3) makes one. */
static int leads_a_session(int slave)
{
    pid_t child = fork();
    LIVE_CHECK(child >= 0);
    if (child == 0) {
        bool led = setsid() > 0 && ioctl(slave, TIOCSCTTY, 0) == 0 && tcgetsid(slave) == getpid();
        int tty = led ? open("/dev/tty", O_RDWR) : -1;
        _exit(tty >= 0 && write(tty, "x", 1) == 1 ? 0 : 1);
    }
    int status;
    LIVE_CHECK(waitpid(child, &status, 0) == child && status == 0);
    return 0;
}

/* args: somebody else's terminal */
static int program_makes_terminals(char **args)
{
    char text[8];
    struct termios settings;
    int other[2];
    sl_autoclose int master = posix_openpt(O_RDWR | O_NOCTTY);
    LIVE_CHECK(master >= 0 && open_slave(master, O_RDWR | O_NOCTTY) == -EIO); /* locked yet */
    LIVE_CHECK(grantpt(master) == 0 && unlockpt(master) == 0);
    sl_autoclose int slave = open_slave(master, O_RDWR | O_NOCTTY);
    sl_autoclose int second = open_slave(master, O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    LIVE_CHECK(slave >= 0 && isatty(slave) && second >= 0);
    LIVE_CHECK(fcntl(slave, F_GETFD) == 0 && fcntl(second, F_GETFD) == FD_CLOEXEC);
    LIVE_CHECK((fcntl(slave, F_GETFL) & (O_ACCMODE | O_NONBLOCK)) == O_RDWR);
    LIVE_CHECK((fcntl(second, F_GETFL) & (O_ACCMODE | O_NONBLOCK)) == (O_RDONLY | O_NONBLOCK));
    LIVE_CHECK(read(second, text, sizeof(text)) < 0 && errno == EAGAIN);
    LIVE_CHECK(tcgetattr(slave, &settings) == 0 && tcsetattr(slave, TCSANOW, &settings) == 0);
    LIVE_CHECK(write(master, "in\n", 3) == 3 && read(slave, text, sizeof(text)) == 3);
    LIVE_CHECK(leads_a_session(slave) == 0);
    /* a master and nothing else */
    LIVE_CHECK(open_slave(slave, O_RDWR) == -ENOTTY && open_slave(1000, O_RDWR) == -EBADF);
    LIVE_CHECK(pipe(other) == 0 && open_slave(other[0], O_RDWR) == -ENOTTY);
    LIVE_CHECK(open_slave(open("/dev/null", O_RDWR), O_RDWR) == -ENOTTY);
    LIVE_CHECK(open(args[0], O_RDONLY | O_NOCTTY) < 0 && errno == EACCES);
    LIVE_CHECK(open(args[0], O_WRONLY | O_NOCTTY) < 0 && errno == EACCES);
    return 0;
}

/* A master that was left open, without the grant: args: its number. */
static int program_has_a_master(char **args)
{
    int master = (int)strtol(args[0], NULL, 10);
    LIVE_CHECK(isatty(master) && open("/dev/ptmx", O_RDWR) < 0 && errno == EACCES);
    LIVE_CHECK(open_slave(master, O_RDWR | O_NOCTTY) == -EACCES);
    return 0;
}

static void slaves_of_own_masters_open(void **state)
{
    (void)state;
    sl_autoclose int master = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(master >= 0 && unlockpt(master) == 0);
    const char *name = ptsname(master);
    sl_autoclose int read_outside = open(name, O_RDONLY | O_NOCTTY);
    assert_true(read_outside >= 0);
    char self[4096] = {0};
    assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
    SL_AUTO(sl_policy)
    policy = live_policy("fs_readable", "/usr", "fs_readable", "?/lib", "fs_readable", "?/lib64",
                         "fs_readable", "/proc", /* where a leak checker looks */
                         "fs_readable", self, "fs_writable", "/dev/ptmx", NULL);
    struct live_run run = {.policy = policy, .program = "makes_terminals", .args = {name}};
    assert_int_equal(live_run(&run), 0);
}

static void a_master_alone_is_no_grant(void **state)
{
    (void)state;
    char number[16];
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(master >= 0 && unlockpt(master) == 0);
    snprintf(number, sizeof(number), "%d", master);
    SL_AUTO(sl_policy)
    policy = live_policy("fs_readable", "/", "fs_writable", "/tmp", "close_fds", "false", NULL);
    struct live_run run = {.policy = policy, .program = "has_a_master", .args = {number}};
    assert_int_equal(live_run(&run), 0);
    close(master);
}

int main(int argc, char **argv)
{
    static const struct live_program programs[] = {
        {"makes_terminals", program_makes_terminals},
        {"has_a_master", program_has_a_master},
        {NULL, NULL},
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(slaves_of_own_masters_open),
        cmocka_unit_test(a_master_alone_is_no_grant),
    };
    live_start(argc, argv, programs);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
