/* access(2) and its kin, live: what the grants and the file's own mode both let be done, by every
 * call and every way to name a file. */
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
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "live.h"

static char top[64];

static int result(long r)
{
    return r < 0 ? errno : 0;
}

/* What all the calls say, when they agree; -1 when they do not. */
static int asks(const char *path, int mode)
{
    int said = result(syscall(SYS_faccessat, AT_FDCWD, path, mode));
    sl_autoclose int fd = open(path, O_PATH | O_CLOEXEC);
    bool agree = said == result(syscall(SYS_faccessat2, AT_FDCWD, path, mode, AT_EACCESS)) &&
                 said == result(syscall(SYS_faccessat2, fd, "", mode, AT_EMPTY_PATH));
#ifdef SYS_access
    agree = agree && said == result(syscall(SYS_access, path, mode));
#endif
    return agree ? said : -1;
}

/* args: the directory */
static int program_asks(char **args)
{
    LIVE_CHECK(chdir(args[0]) == 0);
    LIVE_CHECK(asks("read/file", R_OK) == 0 && asks("read/file", W_OK) == EACCES);
    LIVE_CHECK(asks("read/file", R_OK | W_OK) == EACCES && asks("read/file", X_OK) == EACCES);
    LIVE_CHECK(asks("read/../read/./file", W_OK) == EACCES && asks("read/tool", X_OK) == 0);
    LIVE_CHECK(asks("read", R_OK | X_OK) == 0 && asks("read", W_OK) == EACCES);
    LIVE_CHECK(asks("write", R_OK | W_OK | X_OK) == 0 && asks("write/file", R_OK | W_OK) == 0);
    LIVE_CHECK(asks("write/link", W_OK) == EACCES); /* out of it */
    LIVE_CHECK(asks("none", R_OK) == EACCES && asks("none", W_OK) == EACCES);
    LIVE_CHECK(asks("none", X_OK) == 0 && asks("none", F_OK) == 0);
    LIVE_CHECK(asks("/dev/null", R_OK | W_OK) == 0);
    LIVE_CHECK(asks("/proc/self/exe", X_OK) == 0 && asks("/proc/self/exe", W_OK) == EACCES);
    return 0;
}

/* args: the directory. The kernel's own errors stay. */
static int program_errs(char **args)
{
    LIVE_CHECK(chdir(args[0]) == 0);
    LIVE_CHECK(result(access("nowhere", W_OK)) == ENOENT);
    LIVE_CHECK(result(access("read/file/below", W_OK)) == ENOTDIR);
    LIVE_CHECK(result(syscall(SYS_faccessat, AT_FDCWD, "read/file", 8)) == EINVAL);
    LIVE_CHECK(result(syscall(SYS_faccessat2, AT_FDCWD, "read/file", W_OK, 0x8000)) == EINVAL);
    LIVE_CHECK(result(syscall(SYS_faccessat, AT_FDCWD, 1, W_OK)) == EFAULT);
    LIVE_CHECK(result(syscall(SYS_faccessat, 999, "read/file", W_OK)) == EBADF);
    LIVE_CHECK(result(faccessat(AT_FDCWD, "write/link", W_OK, AT_SYMLINK_NOFOLLOW)) == 0);
    LIVE_CHECK(geteuid() == 0 || result(access("write/closed", W_OK)) == EACCES);
    return 0;
}

/* args: the directory. All may be read, but what is denied. */
static int program_meets_denied(char **args)
{
    LIVE_CHECK(chdir(args[0]) == 0);
    LIVE_CHECK(asks("none/file", R_OK) == EACCES && asks("read/file", R_OK) == 0);
    LIVE_CHECK(asks("read/file", W_OK) == EACCES && asks("write/file", W_OK) == 0);
    return 0;
}

static int run(const sl_policy *policy, const char *program)
{
    return live_run(&(struct live_run){.policy = policy, .program = program, .args = {top}});
}

static void path_of(const char *below, char out[128])
{
    snprintf(out, 128, "%s/%s", top, below);
}

static sl_policy *narrow(void)
{
    char read[128];
    char write[128];
    char self[4096] = {0};
    assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
    path_of("read", read);
    path_of("write", write);
    return live_policy("fs_readable", "/usr", "fs_readable", "?/lib", "fs_readable", "?/lib64",
                       "fs_readable", "/proc", "fs_readable", self, "fs_readable", read,
                       "fs_writable", write, NULL);
}

static void the_grants_are_told(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) policy = narrow();
    assert_int_equal(run(policy, "asks"), 0);
    assert_int_equal(run(policy, "errs"), 0);
}

static void what_is_denied_is_told(void **state)
{
    char none[128];
    char write[128];
    (void)state;
    path_of("none", none);
    path_of("write", write);
    SL_AUTO(sl_policy)
    policy = live_policy("fs_readable", "/", "fs_writable", write, "fs_denied", none, NULL);
    assert_int_equal(run(policy, "meets_denied"), 0);
    SL_AUTO(sl_policy)
    pids = live_policy("fs_readable", "/", "fs_writable", write, "fs_denied", none, "isolate_pids",
                       "true", NULL);
    assert_int_equal(run(pids, "meets_denied"), 0);
}

static void make(const char *below, mode_t mode)
{
    char path[128];
    path_of(below, path);
    sl_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, mode);
    assert_true(fd >= 0);
}

static int set_up(void **state)
{
    static const char *const dirs[] = {"read", "write", "none"};
    char path[128];
    (void)state;
    snprintf(top, sizeof(top), "/var/tmp/sandlock-asked-XXXXXX");
    assert_non_null(mkdtemp(top));
    for (size_t i = 0; i < SL_ARRAY_LEN(dirs); i++) {
        path_of(dirs[i], path);
        assert_int_equal(mkdir(path, 0755), 0);
    }
    make("read/file", 0644);
    make("read/tool", 0755);
    make("write/file", 0644);
    make("write/closed", 0444);
    make("none/file", 0644);
    path_of("write/link", path);
    assert_int_equal(symlink("../none/file", path), 0);
    return 0;
}

static int tear_down(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof(command), "rm -rf %s", top);
    return system(command);
}

static const struct live_program programs[] = {
    {"asks", program_asks},
    {"errs", program_errs},
    {"meets_denied", program_meets_denied},
    {0},
};

int main(int argc, char **argv)
{
    live_start(argc, argv, programs);
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_grants_are_told),
        cmocka_unit_test(what_is_denied_is_told),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
