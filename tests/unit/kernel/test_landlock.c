/* Landlock, live: what a rule grants works, what none does is refused, in a process of its own for
 * each, which first shows that it worked without. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "kernel/landlock.h"
#include "kernel/older_int.h"
#include "tidy.h"

static char folder[64];
static int in_fd;  /* folder/in, which rules are about */
static int out_fd; /* folder/out */

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/sandlock-landlock-XXXXXX");
    assert_non_null(mkdtemp(folder));
    int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < 2; i++) {
        const char *name = i == 0 ? "in" : "out";
        assert_int_equal(mkdirat(dir, name, 0700), 0);
        int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        sl_autoclose int file = openat(fd, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_true(file >= 0);
        *(i == 0 ? &in_fd : &out_fd) = fd;
    }
    sl_close(dir);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sl_close(in_fd);
    sl_close(out_fd);
    tidy_tree(folder);
    return 0;
}

/* 0 or the errno. */
static int try_open(int dir, const char *name, int flags)
{
    int fd = openat(dir, name, flags | O_CLOEXEC, 0600);
    int error = fd < 0 ? errno : 0;
    sl_close(fd);
    return error;
}

#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            fprintf(stderr, "line %d: does not hold: %s\n", __LINE__, #what);                      \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

/* Runs `inside` under a ruleset, in a process of its own. */
static void under(int ruleset, void (*inside)(void))
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        CHECK(try_open(out_fd, "file", O_RDWR) == 0);
        CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
        CHECK(sl_landlock_enter(ruleset) == 0);
        inside();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    sl_close(ruleset);
}

static int new_ruleset(unsigned scope)
{
    int ruleset = sl_landlock_new(scope);
    assert_true(ruleset >= 0);
    assert_true(fcntl(ruleset, F_GETFD) & FD_CLOEXEC);
    return ruleset;
}

static void reads_inside(void)
{
    CHECK(try_open(in_fd, "file", O_RDONLY) == 0);
    CHECK(try_open(in_fd, "file", O_WRONLY) == EACCES);
    CHECK(try_open(in_fd, "new", O_WRONLY | O_CREAT) == EACCES);
    CHECK(try_open(in_fd, ".", O_RDONLY | O_DIRECTORY) == 0);
    CHECK(unlinkat(in_fd, "file", 0) < 0 && errno == EACCES);
    CHECK(try_open(out_fd, "file", O_RDONLY) == EACCES);
    CHECK(try_open(out_fd, ".", O_RDONLY | O_DIRECTORY) == EACCES);
}

static void test_read(void **state)
{
    (void)state;
    int ruleset = new_ruleset(SL_LANDLOCK_FILES);
    assert_int_equal(sl_landlock_allow(ruleset, in_fd, SL_LANDLOCK_READ), 0);
    under(ruleset, reads_inside);
}

static void writes_inside(void)
{
    CHECK(try_open(in_fd, "file", O_RDWR | O_TRUNC) == 0);
    CHECK(try_open(in_fd, "new", O_WRONLY | O_CREAT) == 0);
    CHECK(unlinkat(in_fd, "new", 0) == 0);
    CHECK(mkdirat(in_fd, "dir", 0700) == 0);
    CHECK(mknodat(in_fd, "node", S_IFCHR | 0600, 0x103) < 0); /* a door to a driver: for nobody */
    CHECK(renameat(in_fd, "file", out_fd, "moved") < 0);
    CHECK(try_open(out_fd, "file", O_WRONLY) == EACCES);
    CHECK(try_open(out_fd, "new", O_WRONLY | O_CREAT) == EACCES);
}

static void test_write(void **state)
{
    (void)state;
    int ruleset = new_ruleset(SL_LANDLOCK_FILES);
    assert_int_equal(sl_landlock_allow(ruleset, in_fd, SL_LANDLOCK_WRITE), 0);
    under(ruleset, writes_inside);
}

static void lists_inside(void)
{
    CHECK(try_open(in_fd, ".", O_RDONLY | O_DIRECTORY) == 0);
    CHECK(try_open(in_fd, "file", O_RDONLY) == EACCES);
}

/* Names only; and rules of a file, which have less than those of a directory. */
static void test_list_and_files(void **state)
{
    (void)state;
    int ruleset = new_ruleset(SL_LANDLOCK_FILES);
    assert_int_equal(sl_landlock_allow(ruleset, in_fd, SL_LANDLOCK_LIST), 0);
    sl_autoclose int file = openat(out_fd, "file", O_PATH | O_CLOEXEC);
    assert_int_equal(sl_landlock_allow(ruleset, file, SL_LANDLOCK_EXECUTE), 0);
    under(ruleset, lists_inside);
    assert_int_equal(sl_landlock_allow(-1, in_fd, SL_LANDLOCK_READ), 0); /* no ruleset: nothing */
    assert_int_equal(sl_landlock_allow(-1, -1, SL_LANDLOCK_READ), -EBADF);
    assert_int_equal(sl_landlock_allow(in_fd, in_fd, SL_LANDLOCK_READ), -EBADFD);
}

static struct sockaddr_in granted;
static struct sockaddr_in other;

static int try_connect(const struct sockaddr_in *to)
{
    sl_autoclose int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return connect(fd, (const struct sockaddr *)to, sizeof(*to)) == 0 ? 0 : errno;
}

static void connects(void)
{
    CHECK(try_connect(&granted) == 0);
    CHECK(try_connect(&other) == EACCES);
    CHECK(try_open(out_fd, "file", O_RDWR) == 0); /* it is in charge of nothing else */
}

static int listen_somewhere(struct sockaddr_in *ret)
{
    socklen_t len = sizeof(*ret);
    *ret = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)ret, sizeof(*ret)), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)ret, &len), 0);
    return fd;
}

static void test_ports(void **state)
{
    (void)state;
    if (sl_landlock_abi() < 4) {
        print_message("this Landlock knows no ports\n");
        skip();
    }
    sl_autoclose int a = listen_somewhere(&granted);
    sl_autoclose int b = listen_somewhere(&other);
    assert_int_equal(try_connect(&other), 0);
    int ruleset = new_ruleset(SL_LANDLOCK_CONNECT_TCP);
    assert_int_equal(
        sl_landlock_allow_port(ruleset, SL_LANDLOCK_CONNECT_TCP, ntohs(granted.sin_port)), 0);
    assert_int_equal(sl_landlock_allow_port(ruleset, SL_LANDLOCK_BIND_TCP, 1), -EINVAL);
    under(ruleset, connects);
}

static pid_t outside;

static void signals(void)
{
    CHECK(kill(getpid(), 0) == 0);
    CHECK(kill(outside, 0) < 0 && errno == EPERM);
}

static void test_signals(void **state)
{
    (void)state;
    if (!sl_landlock_holds(SL_HOLDS_SIGNALS)) {
        print_message("this Landlock knows no scopes\n");
        skip();
    }
    outside = getpid();
    under(new_ruleset(SL_LANDLOCK_SIGNALS), signals);
}

/* Each rung: what is not there is neither asked for nor said to hold. */
static void test_older(void **state)
{
    (void)state;
    int abi = sl_landlock_abi();
    for (int older = abi; older >= 1; older--) {
        sl_landlock_pretend(older);
        assert_int_equal(sl_landlock_abi(), older);
        for (size_t i = 0; i < SL_HOLDS_COUNT; i++) {
            assert_int_equal(sl_landlock_holds((enum sl_landlock_hold)i),
                             older >= sl_landlock_protections[i].abi);
        }
        unsigned all = SL_LANDLOCK_FILES | SL_LANDLOCK_BIND_TCP | SL_LANDLOCK_ABSTRACT;
        sl_autoclose int ruleset = sl_landlock_new(all);
        assert_true(ruleset >= 0);
        assert_int_equal(sl_landlock_allow_port(ruleset, SL_LANDLOCK_BIND_TCP, 1), 0);
    }
    sl_landlock_pretend(abi);
}

int main(void)
{
    if (sl_landlock_abi() == 0) {
        fprintf(stderr, "skipped: this kernel has no Landlock\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_write, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_list_and_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ports, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_signals, set_up, tear_down),
        cmocka_unit_test(test_older),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
