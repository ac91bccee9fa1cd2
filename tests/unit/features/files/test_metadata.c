/* Changes of metadata, live: every trapped call does in the write grant what it does bare, and
 * nothing outside. FS-10, FS-11; the ways to name a file are in tests/security/test_metadata.py. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <utime.h>

#include <cmocka.h>

#include "core/util.h"
#include "kernel/numbers.h"
#include "live.h"

#define ATTR "user.test"

/* True if a call did what is wanted: `want` is 0 or an errno. A file system or a kernel without it
 * says so by itself. */
static bool gives(const char *call, long r, int want)
{
    int got = r < 0 ? errno : 0;
    bool missing = got == EOPNOTSUPP || got == ENOTTY || got == ENOSYS;
    if (got != want && !(missing && want == 0)) {
        fprintf(stderr, "%s gives %s\n", call, strerrorname_np(got));
        return false;
    }
    return true;
}

static int change_attributes(const char *file, int fd, int want)
{
    struct {
        uint64_t value;
        uint32_t size;
        uint32_t flags;
    } args = {.value = (uint64_t)(uintptr_t) "v", .size = 1};
    LIVE_CHECK(gives("setxattr", setxattr(file, ATTR, "v", 1, 0), want));
    LIVE_CHECK(want != 0 || gives("removexattr", removexattr(file, ATTR), want));
    LIVE_CHECK(gives("lsetxattr", lsetxattr(file, ATTR, "v", 1, 0), want));
    LIVE_CHECK(gives("lremovexattr", lremovexattr(file, ATTR), want));
    LIVE_CHECK(gives("fsetxattr", fsetxattr(fd, ATTR, "v", 1, 0), want));
    LIVE_CHECK(gives("fremovexattr", fremovexattr(fd, ATTR), want));
    LIVE_CHECK(gives("setxattrat",
                     syscall(SL_NR_SETXATTRAT, AT_FDCWD, file, 0, ATTR, &args, sizeof(args)),
                     want));
    LIVE_CHECK(want != 0 ||
               gives("removexattrat", syscall(SL_NR_REMOVEXATTRAT, AT_FDCWD, file, 0, ATTR), want));
    int flags = 0;
    if (ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0) {
        LIVE_CHECK(gives("setflags", ioctl(fd, FS_IOC_SETFLAGS, &flags), want));
    }
    return 0;
}

/* args: the file, the errno that is wanted */
static int program_changes(char **args)
{
    const char *file = args[0];
    int want = (int)strtol(args[1], NULL, 10);
    int fd = open(file, O_RDONLY);
    struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    LIVE_CHECK(fd >= 0);
    LIVE_CHECK(gives("fchmod", fchmod(fd, 0600), want));
    LIVE_CHECK(gives("fchmodat", syscall(SYS_fchmodat, AT_FDCWD, file, 0600), want));
    LIVE_CHECK(gives("fchmodat2", syscall(SL_NR_FCHMODAT2, fd, "", 0600, AT_EMPTY_PATH), want));
    LIVE_CHECK(gives("fchown", fchown(fd, getuid(), getgid()), want));
    LIVE_CHECK(gives("fchownat", fchownat(AT_FDCWD, file, getuid(), getgid(), 0), want));
    LIVE_CHECK(gives("utimensat", utimensat(AT_FDCWD, file, times, 0), want));
    LIVE_CHECK(gives("futimens", futimens(fd, times), want));
#ifdef SYS_chmod
    struct utimbuf buf = {1000, 1000};
    struct timeval tv[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    LIVE_CHECK(gives("chmod", syscall(SYS_chmod, file, 0600), want));
    LIVE_CHECK(gives("chown", syscall(SYS_chown, file, getuid(), getgid()), want));
    LIVE_CHECK(gives("lchown", syscall(SYS_lchown, file, getuid(), getgid()), want));
    LIVE_CHECK(gives("utime", syscall(SYS_utime, file, &buf), want));
    LIVE_CHECK(gives("utimes", syscall(SYS_utimes, file, tv), want));
    LIVE_CHECK(gives("futimesat", syscall(SYS_futimesat, AT_FDCWD, file, tv), want));
#endif
    return change_attributes(file, fd, want);
}

/* What is no argument is answered as the kernel does. */
static int program_mistakes(char **args)
{
    const char *file = args[0];
    static char longer[5000];
    struct timespec omit[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_OMIT}};
    struct timeval bad[2] = {{.tv_usec = 1000000}, {0}};
    memset(longer, 'a', sizeof(longer) - 1);
    LIVE_CHECK(gives("null", syscall(SYS_fchmodat, AT_FDCWD, NULL, 0600), EFAULT));
    LIVE_CHECK(gives("wild", syscall(SYS_fchmodat, AT_FDCWD, 1, 0600), EFAULT));
    LIVE_CHECK(gives("empty", syscall(SYS_fchmodat, AT_FDCWD, "", 0600), ENOENT));
    LIVE_CHECK(gives("long", syscall(SYS_fchmodat, AT_FDCWD, longer, 0600), ENAMETOOLONG));
    LIVE_CHECK(gives("flag", syscall(SL_NR_FCHMODAT2, AT_FDCWD, file, 0600, 1), EINVAL));
    LIVE_CHECK(gives("fd", fchmod(1000, 0600), EBADF));
    LIVE_CHECK(gives("opath", fchmod(open(file, O_PATH), 0600), EBADF));
    LIVE_CHECK(gives("dir", syscall(SYS_fchmodat, 1000, "x", 0600), EBADF));
    LIVE_CHECK(
        gives("no directory", syscall(SYS_fchmodat, open(file, O_PATH), "x", 0600), ENOTDIR));
    LIVE_CHECK(gives("missing", syscall(SYS_fchmodat, AT_FDCWD, "/none", 0600), ENOENT));
    LIVE_CHECK(gives("omit", utimensat(AT_FDCWD, "/none", omit, 0), 0));
    LIVE_CHECK(gives("times", syscall(SYS_utimensat, AT_FDCWD, file, 1, 0), EFAULT));
    LIVE_CHECK(gives("at fdcwd", syscall(SYS_utimensat, AT_FDCWD, NULL, NULL, 0), EFAULT));
#ifdef SYS_utimes
    LIVE_CHECK(gives("usec", syscall(SYS_utimes, file, bad), EINVAL));
#endif
    LIVE_CHECK(gives("name", setxattr(file, "", "v", 1, 0), ERANGE));
    LIVE_CHECK(gives("size", syscall(SYS_setxattr, file, ATTR, "v", 1 << 20, 0), E2BIG));
    LIVE_CHECK(gives("value", syscall(SYS_setxattr, file, ATTR, 1, 4, 0), EFAULT));
    LIVE_CHECK(gives("usize", syscall(SL_NR_SETXATTRAT, AT_FDCWD, file, 0, ATTR, file, 8), EINVAL));
    LIVE_CHECK(gives("pipe", ioctl(open("/dev/null", O_RDONLY), FS_IOC_SETFLAGS, omit), EACCES));
    return 0;
}

static char *make_file(const char *dir)
{
    char *path = NULL;
    assert_true(asprintf(&path, "%s/file", dir) > 0);
    sl_autoclose int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    return path;
}

static int run_on(const char *program, const char *dir, const char *file, int want)
{
    char number[16];
    snprintf(number, sizeof(number), "%d", want);
    SL_AUTO(sl_policy) policy = live_policy("fs_readable", "/", "fs_writable", dir, NULL);
    return live_run(
        &(struct live_run){.policy = policy, .program = program, .args = {file, number}});
}

static void changes_stay_in_the_grants(void **state)
{
    (void)state;
    char inside[] = "/tmp/sandlock-meta-XXXXXX";
    char outside[] = "/tmp/sandlock-meta-XXXXXX";
    assert_true(mkdtemp(inside) != NULL && mkdtemp(outside) != NULL);
    sl_autofree char *own = make_file(inside);
    sl_autofree char *theirs = make_file(outside);
    struct stat before;
    struct stat after;
    assert_int_equal(stat(theirs, &before), 0);
    assert_int_equal(run_on("changes", inside, own, 0), 0);
    assert_int_equal(run_on("changes", inside, theirs, EACCES), 0);
    assert_int_equal(stat(own, &after), 0);
    assert_int_equal(after.st_mtime, 1000);
    assert_int_equal(stat(theirs, &after), 0);
    assert_memory_equal(&before.st_ctim, &after.st_ctim, sizeof(before.st_ctim));
    assert_int_equal(run_on("mistakes", inside, own, 0), 0);
    unlink(own);
    unlink(theirs);
    rmdir(inside);
    rmdir(outside);
}

int main(int argc, char **argv)
{
    static const struct live_program programs[] = {
        {"changes", program_changes},
        {"mistakes", program_mistakes},
        {NULL, NULL},
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_stay_in_the_grants),
    };
    live_start(argc, argv, programs);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
