/* Emptying files where Landlock does not know it, live: every way does in the write grant what it
 * does bare, and nothing outside. FS-24. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
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

#define TEXT "text"

static int open_error(long fd)
{
    int error = fd < 0 ? errno : 0;
    if (fd >= 0) {
        close((int)fd);
    }
    return error;
}

/* args: a file outside. The link inside leads there. */
static int program_empties_outside(char **args)
{
    const char *names[] = {args[0], args[1]};
    for (size_t i = 0; i < SL_ARRAY_LEN(names); i++) {
        LIVE_CHECK(truncate(names[i], 0) < 0 && errno == EACCES);
        LIVE_CHECK(open_error(openat(AT_FDCWD, names[i], O_RDONLY | O_TRUNC)) == EACCES);
        LIVE_CHECK(open_error(openat(AT_FDCWD, names[i], O_ACCMODE | O_TRUNC)) == EACCES);
        LIVE_CHECK(open_error(openat(AT_FDCWD, names[i], O_WRONLY | O_TRUNC)) == EACCES);
        LIVE_CHECK(open_error(openat(AT_FDCWD, names[i], O_RDONLY | O_CREAT | O_TRUNC, 0600)) ==
                   EACCES);
#ifdef SYS_open
        LIVE_CHECK(open_error(syscall(SYS_open, names[i], O_RDONLY | O_TRUNC)) == EACCES);
        LIVE_CHECK(open_error(syscall(SYS_open, names[i], O_ACCMODE | O_TRUNC)) == EACCES);
        LIVE_CHECK(open_error(syscall(SYS_creat, names[i], 0600)) == EACCES);
#endif
        struct open_how how = {.flags = O_RDONLY | O_TRUNC};
        LIVE_CHECK(open_error(syscall(SYS_openat2, AT_FDCWD, names[i], &how, sizeof(how))) ==
                   ENOSYS);
        LIVE_CHECK(open_error(openat(AT_FDCWD, names[i], O_RDONLY)) == 0);
    }
    LIVE_CHECK(open_error(openat(AT_FDCWD, args[2], O_RDONLY | O_CREAT | O_TRUNC, 0600)) == EACCES);
    return 0;
}

static off_t size_of(const char *path)
{
    struct stat st;
    return stat(path, &st) < 0 ? -1 : st.st_size;
}

static int fill(const char *path)
{
    sl_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    return fd < 0 || write(fd, TEXT, strlen(TEXT)) < 0 ? -errno : 0;
}

/* args: a file inside, a new name inside */
static int program_empties_inside(char **args)
{
    struct stat st;
    char byte;
    LIVE_CHECK(fill(args[0]) == 0 && truncate(args[0], 2) == 0 && size_of(args[0]) == 2);
    LIVE_CHECK(truncate(args[0], -1) < 0 && errno == EINVAL);
    int fd = openat(AT_FDCWD, args[0], O_RDONLY | O_TRUNC | O_CLOEXEC);
    LIVE_CHECK(fd >= 0 && size_of(args[0]) == 0 && (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    LIVE_CHECK(write(fd, "x", 1) < 0 && errno == EBADF);
    LIVE_CHECK(fill(args[0]) == 0 && read(fd, &byte, 1) == 1);
    LIVE_CHECK(open_error(openat(AT_FDCWD, args[0], O_CREAT | O_EXCL | O_TRUNC, 0600)) == EEXIST);
    umask(027);
    LIVE_CHECK(open_error(openat(AT_FDCWD, args[1], O_RDONLY | O_CREAT | O_TRUNC, 0666)) == 0);
    LIVE_CHECK(stat(args[1], &st) == 0 && (st.st_mode & 07777) == 0640);
    LIVE_CHECK(open_error(openat(AT_FDCWD, "/none", O_RDONLY | O_TRUNC)) == ENOENT);
    LIVE_CHECK(open_error(openat(AT_FDCWD, "/tmp", O_RDONLY | O_TRUNC)) == EISDIR);
    LIVE_CHECK(truncate("/none", 0) < 0 && errno == ENOENT);
    LIVE_CHECK(syscall(SYS_truncate, 1, 0) < 0 && errno == EFAULT);
    return 0;
}

static void only_what_may_be_written_is_emptied(void **state)
{
    (void)state;
    char inside[] = "/tmp/sandlock-truncate-XXXXXX";
    char outside[] = "/tmp/sandlock-truncate-XXXXXX";
    assert_true(mkdtemp(inside) != NULL && mkdtemp(outside) != NULL);
    char file[64];
    char anew[64];
    char link[64];
    char own[64];
    char own_anew[64];
    snprintf(file, sizeof(file), "%s/file", outside);
    snprintf(anew, sizeof(anew), "%s/anew", outside);
    snprintf(link, sizeof(link), "%s/link", inside);
    snprintf(own, sizeof(own), "%s/file", inside);
    snprintf(own_anew, sizeof(own_anew), "%s/anew", inside);
    assert_int_equal(fill(file), 0);
    assert_int_equal(open_error(open(file, O_RDONLY | O_TRUNC)), 0);
    assert_int_equal(size_of(file), 0); /* who is not confined needs no right to write */
    assert_int_equal(fill(file), 0);
    assert_int_equal(symlink(file, link), 0);
    SL_AUTO(sl_policy) policy = live_policy("fs_readable", "/", "fs_writable", inside, NULL);
    struct live_run run = {
        .policy = policy, .program = "empties_outside", .args = {file, link, anew}};
    assert_int_equal(live_run(&run), 0);
    assert_int_equal(size_of(file), strlen(TEXT));
    assert_int_equal(size_of(anew), -1);
    run = (struct live_run){.policy = policy, .program = "empties_inside", .args = {own, own_anew}};
    assert_int_equal(live_run(&run), 0);
    unlink(own);
    unlink(own_anew);
    unlink(link);
    unlink(file);
    rmdir(inside);
    rmdir(outside);
}

int main(int argc, char **argv)
{
    static const struct live_program programs[] = {
        {"empties_outside", program_empties_outside},
        {"empties_inside", program_empties_inside},
        {NULL, NULL},
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_may_be_written_is_emptied),
    };
    live_start(argc, argv, programs);
    live_pretend_older();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
