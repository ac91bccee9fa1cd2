/* deterministic_dirs, live: names come sorted, all of them, once each, however they are read. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "live.h"

#define FILES  3000
#define LONG   280   /* bytes of an entry whose name is of the longest kind */
#define NOT_SO 50000 /* of those are allowed */
#define HUGE   60500 /* are more than 16 MiB */

static char dir[] = "/var/tmp/sandlock-dirs-XXXXXX";

static char huge[] = "/dev/shm/sandlock-huge-XXXXXX";

/* In an order that is no file system's idea of sorted. */
static void name_of(unsigned i, char out[32])
{
    snprintf(out, 32, "f%u", i * 7919 % FILES);
}

static bool is_after(const char *a, const char *b)
{
    return strcmp(a, b) > 0;
}

static int program_lists(char **args)
{
    char last[NAME_MAX + 1] = "";
    int count = 0;
    DIR *d = opendir(args[0]);
    LIVE_CHECK(d != NULL);
    for (struct dirent *e; (e = readdir(d)) != NULL; count++) {
        LIVE_CHECK(strcmp(e->d_name, count == 0 ? "." : count == 1 ? ".." : e->d_name) == 0);
        LIVE_CHECK(count < 3 || is_after(e->d_name, last));
        LIVE_CHECK(count < 2 || (e->d_type == DT_REG && e->d_ino != 0));
        snprintf(last, sizeof(last), "%s", e->d_name);
    }
    LIVE_CHECK(count == FILES + 2);
    LIVE_CHECK(readdir(d) == NULL);
    rewinddir(d);
    LIVE_CHECK(strcmp(readdir(d)->d_name, ".") == 0);
    closedir(d);
    return 0;
}

static int program_seeks(char **args)
{
    static struct {
        long at;
        char name[64];
    } seen[FILES + 2];
    int count = 0;
    DIR *d = opendir(args[0]);
    DIR *other = opendir(args[0]);
    LIVE_CHECK(d != NULL && other != NULL);
    long at = telldir(d);
    for (struct dirent *e; (e = readdir(d)) != NULL; at = telldir(d)) {
        LIVE_CHECK(readdir(other) != NULL); /* another reader has a place of its own */
        seen[count].at = at;
        snprintf(seen[count++].name, sizeof(seen[0].name), "%s", e->d_name);
    }
    LIVE_CHECK(count == FILES + 2 && readdir(other) == NULL);
    for (int i = count - 1; i >= 0; i -= 17) {
        seekdir(d, seen[i].at);
        LIVE_CHECK(strcmp(readdir(d)->d_name, seen[i].name) == 0);
    }
    return 0;
}

/* The place is the open directory's: a child goes on where its parent was. */
static int program_shares_place(char **args)
{
    _Alignas(8) char buf[4096];
    int status;
    int fd = open(args[0], O_RDONLY | O_DIRECTORY);
    LIVE_CHECK(syscall(SYS_getdents64, fd, buf, 64) > 0); /* "." and ".." */
    pid_t pid = fork();
    if (pid == 0) {
        long n = syscall(SYS_getdents64, fd, buf, 32);
        _exit(n > 0 && strcmp(buf + 19, "f0") == 0 ? 0 : 1);
    }
    LIVE_CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    LIVE_CHECK(syscall(SYS_getdents64, dup(fd), buf, 32) > 0 && strcmp(buf + 19, "f1") == 0);
    return 0;
}

/* Who removes what it reads loses nothing. */
static int program_empties(char **args)
{
    int count = 0;
    DIR *d = opendir(args[0]);
    LIVE_CHECK(d != NULL);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (e->d_name[0] == 'f') {
            LIVE_CHECK(unlinkat(dirfd(d), e->d_name, 0) == 0);
            count++;
        }
    }
    closedir(d);
    LIVE_CHECK(count == FILES);
    return 0;
}

/* ENOMEM for the one that is too large, and the other goes on. */
static int program_lists_too_much(char **args)
{
    _Alignas(8) char buf[4096];
    int large = open(args[0], O_RDONLY | O_DIRECTORY);
    int small = open(args[1], O_RDONLY | O_DIRECTORY);
    long expected = strtol(args[2], NULL, 10);
    long n = syscall(SYS_getdents64, large, buf, sizeof(buf));
    LIVE_CHECK(expected == 0 ? n > 0 : n < 0 && errno == expected);
    LIVE_CHECK(lseek(large, 0, SEEK_CUR) == (n > 0 ? n / LONG + 2 : 0)); /* "." and ".." */
    LIVE_CHECK(syscall(SYS_getdents64, small, buf, sizeof(buf)) > 0);
    return 0;
}

static int program_asks_badly(char **args)
{
    _Alignas(8) char buf[4096];
    int fd = open(args[0], O_RDONLY | O_DIRECTORY);
    int file = open("/etc/passwd", O_RDONLY);
    LIVE_CHECK(syscall(SYS_getdents64, -1, buf, sizeof(buf)) < 0 && errno == EBADF);
    LIVE_CHECK(syscall(SYS_getdents64, 4095, buf, sizeof(buf)) < 0 && errno == EBADF);
    LIVE_CHECK(syscall(SYS_getdents64, file, buf, sizeof(buf)) < 0 && errno == ENOTDIR);
    LIVE_CHECK(syscall(SYS_getdents64, open(args[0], O_PATH), buf, sizeof(buf)) < 0 &&
               errno == EBADF);
    LIVE_CHECK(syscall(SYS_getdents64, fd, 8, sizeof(buf)) < 0 && errno == EFAULT);
    LIVE_CHECK(syscall(SYS_getdents64, fd, NULL, ~0u) < 0 && errno == EFAULT);
    LIVE_CHECK(syscall(SYS_getdents64, fd, buf, 3) < 0 && errno == EINVAL);
    LIVE_CHECK(lseek(fd, INT32_MAX, SEEK_SET) < 0 ||
               syscall(SYS_getdents64, fd, buf, sizeof(buf)) == 0);
    LIVE_CHECK(lseek(fd, 0, SEEK_SET) == 0);
    LIVE_CHECK(syscall(SYS_getdents64, fd, buf, 24) == 24 && strcmp(buf + 19, ".") == 0);
#ifdef SYS_getdents
    LIVE_CHECK(syscall(SYS_getdents, fd, buf, sizeof(buf)) < 0 && errno == ENOSYS);
#endif
    return 0;
}

static int setup(void **state)
{
    (void)state;
    if (mkdtemp(dir) == NULL) {
        return -1;
    }
    for (unsigned i = 0; i < FILES; i++) {
        char path[128];
        char name[32];
        name_of(i, name);
        snprintf(path, sizeof(path), "%s/%s", dir, name);
        int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
        if (fd < 0) {
            return -1;
        }
        close(fd);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    DIR *d = opendir(dir);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        unlinkat(dirfd(d), e->d_name, 0);
    }
    closedir(d);
    return rmdir(dir);
}

static int run(const char *program)
{
    SL_AUTO(sl_policy)
    policy =
        live_policy("fs_readable", "/", "fs_writable", dir, "deterministic_dirs", "true", NULL);
    return live_run(&(struct live_run){.policy = policy, .program = program, .args = {dir}});
}

static void names_come_sorted(void **state)
{
    (void)state;
    assert_int_equal(run("lists"), 0);
}

static void places_can_be_found_again(void **state)
{
    (void)state;
    assert_int_equal(run("seeks"), 0);
    assert_int_equal(run("shares_place"), 0);
}

static void bad_arguments_are_errors(void **state)
{
    (void)state;
    assert_int_equal(run("asks_badly"), 0);
}

static void fill_up(unsigned from, unsigned to, bool make)
{
    sl_autoclose int d = open(huge, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (unsigned i = from; i < to; i++) {
        char name[NAME_MAX + 1];
        snprintf(name, sizeof(name), "%0255u", i);
        if (make) {
            int fd = openat(d, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
            assert_true(fd >= 0);
            close(fd);
        } else {
            assert_int_equal(unlinkat(d, name, 0), 0);
        }
    }
}

static void a_directory_has_a_bound(void **state)
{
    static const struct {
        unsigned names;
        const char *error;
    } steps[] = {{NOT_SO, "0"}, {HUGE, "12"}}; /* ENOMEM */
    unsigned made = 0;
    (void)state;
    assert_non_null(mkdtemp(huge));
    SL_AUTO(sl_policy) policy = live_policy("fs_readable", "/", "deterministic_dirs", "true", NULL);
    for (size_t i = 0; i < SL_ARRAY_LEN(steps); i++) {
        fill_up(made, steps[i].names, true);
        made = steps[i].names;
        assert_int_equal(live_run(&(struct live_run){.policy = policy,
                                                     .program = "lists_too_much",
                                                     .args = {huge, dir, steps[i].error}}),
                         0);
    }
    fill_up(0, made, false);
    assert_int_equal(rmdir(huge), 0);
}

/* The last one: nothing is left. */
static void removing_while_reading_misses_nothing(void **state)
{
    (void)state;
    assert_int_equal(run("empties"), 0);
}

int main(int argc, char **argv)
{
    static const struct live_program programs[] = {
        {"lists", program_lists},
        {"seeks", program_seeks},
        {"shares_place", program_shares_place},
        {"empties", program_empties},
        {"asks_badly", program_asks_badly},
        {"lists_too_much", program_lists_too_much},
        {NULL, NULL},
    };
    live_start(argc, argv, programs);
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_come_sorted),
        cmocka_unit_test(places_can_be_found_again),
        cmocka_unit_test(bad_arguments_are_errors),
        cmocka_unit_test(a_directory_has_a_bound),
        cmocka_unit_test(removing_while_reading_misses_nothing),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
