/* random_seed, live: every source of random bytes is the stream of the process, the same in every
 * run, another for every process and seed. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "live.h"

#define DRAW  16
#define LARGE (1024 * 1024)

extern char **environ;

/* Everything that a program says goes to the descriptor named by its argument: the test compares.
 */
static int say(const char *fd, const void *bytes, size_t len)
{
    return write((int)strtol(fd, NULL, 10), bytes, len) == (ssize_t)len ? 0 : -1;
}

static int draw(const char *fd)
{
    uint8_t bytes[DRAW];
    return getrandom(bytes, sizeof(bytes), 0) == DRAW ? say(fd, bytes, DRAW) : -1;
}

static int read_some(int file, const char *out)
{
    uint8_t bytes[DRAW];
    ssize_t n = file < 0 ? -1 : read(file, bytes, sizeof(bytes));
    close(file);
    return n == DRAW ? say(out, bytes, DRAW) : -1;
}

static int program_draws(char **args)
{
    struct open_how how = {.flags = O_RDONLY};
    uint8_t large[4096];
    LIVE_CHECK(draw(args[0]) == 0 && draw(args[0]) == 0);
    LIVE_CHECK(say(args[0], (void *)getauxval(AT_RANDOM), 16) == 0); /* NOLINT */
    LIVE_CHECK(read_some(open("/dev/urandom", O_RDONLY), args[0]) == 0);
    LIVE_CHECK(read_some(open("/dev/random", O_RDONLY | O_CLOEXEC), args[0]) == 0);
    LIVE_CHECK(read_some((int)syscall(SYS_open, "/dev/urandom", O_RDONLY), args[0]) == 0);
    LIVE_CHECK(
        read_some((int)syscall(SYS_openat2, AT_FDCWD, "/dev/../dev/urandom", &how, sizeof(how)),
                  args[0]) == 0);
    LIVE_CHECK(read_some(open("/proc/sys/kernel/random/uuid", O_RDONLY), args[0]) == 0);
    LIVE_CHECK(getentropy(large, 256) == 0 && say(args[0], large, 256) == 0);
    return 0;
}

/* More than a pipe or an answer holds: it goes on and on. */
static int program_draws_much(char **args)
{
    uint8_t *bytes = malloc(LARGE);
    size_t got = 0;
    int fd = open("/dev/urandom", O_RDONLY);
    LIVE_CHECK(bytes != NULL && fd >= 0);
    while (got < LARGE) {
        ssize_t n = read(fd, bytes + got, LARGE - got);
        LIVE_CHECK(n > 0);
        got += (size_t)n;
    }
    LIVE_CHECK(say(args[0], bytes + LARGE - 64, 64) == 0);
    for (got = 0; got < LARGE;) {
        ssize_t n = getrandom(bytes + got, LARGE - got, 0);
        LIVE_CHECK(n > 0);
        got += (size_t)n;
    }
    return say(args[0], bytes + LARGE - 64, 64);
}

static int program_draws_once(char **args)
{
    return draw(args[0]);
}

/* Each child has its own, its parent's goes on as if there were none. */
static int program_is_born(char **args)
{
    posix_spawn_file_actions_t none;
    char *again[] = {"test", "--confined-program", "draws_once", args[0], NULL};
    char self[4096] = {0};
    pid_t pid;
    LIVE_CHECK(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
    for (int i = 0; i < 3; i++) {
        pid = fork();
        if (pid == 0) {
            pid_t grandchild = fork();
            if (grandchild == 0) {
                _exit(draw(args[0]) == 0 ? 0 : 1);
            }
            _exit(waitpid(grandchild, NULL, 0) == grandchild && draw(args[0]) == 0 ? 0 : 1);
        }
        LIVE_CHECK(pid > 0 && waitpid(pid, NULL, 0) == pid && draw(args[0]) == 0);
    }
    posix_spawn_file_actions_init(&none);
    LIVE_CHECK(posix_spawn(&pid, self, &none, NULL, again, environ) == 0);
    LIVE_CHECK(waitpid(pid, NULL, 0) == pid && draw(args[0]) == 0);
    pid = vfork();
    if (pid == 0) {
        execve(self, again, environ);
        _exit(1);
    }
    LIVE_CHECK(pid > 0 && waitpid(pid, NULL, 0) == pid && draw(args[0]) == 0);
    LIVE_CHECK(execve("/no/such", again, environ) < 0 && draw(args[0]) == 0);
    execve(self, again, environ);
    return 1;
}

/* Nothing else of the tree moves a process's stream: a child that draws at its own pace. */
static int program_has_company(char **args)
{
    int stop[2];
    uint8_t byte;
    LIVE_CHECK(pipe2(stop, O_NONBLOCK) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(stop[1]);
        while (read(stop[0], &byte, 1) < 0) {
            (void)!getrandom(&byte, 1, 0);
        }
        _exit(0);
    }
    for (int i = 0; i < 20; i++) {
        LIVE_CHECK(draw(args[0]) == 0);
    }
    close(stop[1]);
    LIVE_CHECK(waitpid(pid, NULL, 0) == pid);
    return 0;
}

static int program_asks_badly(char **args)
{
    uint8_t bytes[16];
    (void)args;
    LIVE_CHECK(getrandom(bytes, 16, 0x80) < 0 && errno == EINVAL);
    LIVE_CHECK(getrandom(bytes, 16, GRND_RANDOM | 4) < 0 && errno == EINVAL);
    LIVE_CHECK(syscall(SYS_getrandom, 8, 16, 0) < 0 && errno == EFAULT);
    LIVE_CHECK(syscall(SYS_getrandom, NULL, ~0ul, 0) < 0 && errno == EFAULT);
    LIVE_CHECK(getrandom(bytes, 0, 0) == 0);
    LIVE_CHECK(getrandom(bytes, 16, GRND_NONBLOCK | GRND_RANDOM) == 16);
    LIVE_CHECK(syscall(SYS_execve, 8, NULL, NULL) < 0 && errno == EFAULT);
    LIVE_CHECK(syscall(SYS_execveat, AT_FDCWD, "/no/such", NULL, NULL, 0) < 0 && errno == ENOENT);
    LIVE_CHECK(open("/dev/urandom", O_WRONLY) >= 0); /* what is written is the device's */
    return 0;
}

/* What the program says, with how many bytes it must be at least. */
static size_t run(const char *program, const char *seed, uint8_t *out, size_t cap)
{
    char name[16];
    int ends[2];
    size_t len = 0;
    ssize_t n;
    assert_int_equal(pipe(ends), 0);
    snprintf(name, sizeof(name), "%d", ends[1]);
    SL_AUTO(sl_policy)
    policy = live_policy("fs_readable", "/", "fs_writable", "/dev", "close_fds", "false",
                         seed == NULL ? NULL : "random_seed", seed, NULL);
    assert_int_equal(
        live_run(&(struct live_run){.policy = policy, .program = program, .args = {name}}), 0);
    close(ends[1]);
    while ((n = read(ends[0], out + len, cap - len)) > 0) {
        len += (size_t)n;
    }
    close(ends[0]);
    return len;
}

static void expect_same(const char *program)
{
    uint8_t a[2048];
    uint8_t b[2048];
    size_t len = run(program, "42", a, sizeof(a));
    assert_true(len >= DRAW);
    assert_int_equal(run(program, "42", b, sizeof(b)), len);
    assert_memory_equal(a, b, len);
    assert_int_equal(run(program, "43", b, sizeof(b)), len);
    assert_memory_not_equal(a, b, DRAW);
    /* no piece twice within a run */
    for (size_t i = 0; i + DRAW <= len; i += DRAW) {
        for (size_t k = 0; k < i; k += DRAW) {
            assert_memory_not_equal(a + i, a + k, DRAW);
        }
    }
}

static void every_source_is_the_stream(void **state)
{
    (void)state;
    expect_same("draws");
}

static void a_stream_has_no_end(void **state)
{
    (void)state;
    expect_same("draws_much");
}

static void every_process_has_its_own(void **state)
{
    (void)state;
    expect_same("is_born");
}

static void others_do_not_matter(void **state)
{
    (void)state;
    expect_same("has_company");
}

static void bad_arguments_are_errors(void **state)
{
    uint8_t none[16];
    (void)state;
    assert_int_equal(run("asks_badly", "x", none, sizeof(none)), 0);
}

static void without_it_runs_differ(void **state)
{
    uint8_t a[2048];
    uint8_t b[2048];
    (void)state;
    size_t len = run("draws", NULL, a, sizeof(a));
    assert_true(len >= DRAW);
    assert_int_equal(run("draws", NULL, b, sizeof(b)), len);
    assert_memory_not_equal(a, b, DRAW);
}

int main(int argc, char **argv)
{
    static const struct live_program programs[] = {
        {"draws", program_draws},
        {"draws_much", program_draws_much},
        {"draws_once", program_draws_once},
        {"is_born", program_is_born},
        {"has_company", program_has_company},
        {"asks_badly", program_asks_badly},
        {NULL, NULL},
    };
    live_start(argc, argv, programs);
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_source_is_the_stream), cmocka_unit_test(a_stream_has_no_end),
        cmocka_unit_test(every_process_has_its_own),  cmocka_unit_test(others_do_not_matter),
        cmocka_unit_test(bad_arguments_are_errors),   cmocka_unit_test(without_it_runs_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
