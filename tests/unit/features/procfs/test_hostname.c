/* The machine's name, live: by uname and by the files that say it, however they are spelt. FS-07.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "live.h"

static bool reads(int fd, const char *text)
{
    char got[256] = {0};
    if (fd < 0) {
        return false;
    }
    ssize_t n = read(fd, got, sizeof(got) - 1);
    close(fd);
    return n == (ssize_t)strlen(text) && strcmp(got, text) == 0;
}

static int open2(int dirfd, const char *path, uint64_t flags)
{
    struct open_how how = {.flags = flags};
    return (int)syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
}

/* A link to a link to the directory, and one to the file, both in the tree's own directory. */
static bool make_links(const char *dir)
{
    return chdir(dir) == 0 && (symlink("/etc", "etc") == 0 || errno == EEXIST) &&
           (symlink("etc", "more") == 0 || errno == EEXIST) &&
           (symlink("/proc/self/root/proc/sys/kernel/hostname", "name") == 0 || errno == EEXIST);
}

static int program_is_told(char **args)
{
    struct utsname names;
    char text[128];
    snprintf(text, sizeof(text), "%s\n", args[0]);
    LIVE_CHECK(uname(&names) == 0 && strcmp(names.nodename, args[0]) == 0);
    LIVE_CHECK(strcmp(names.sysname, "Linux") == 0 && names.release[0] != '\0');
    LIVE_CHECK(syscall(SYS_uname, (char *)8) < 0 && errno == EFAULT);
    LIVE_CHECK(gethostname(text + 64, 64) == 0 && strcmp(text + 64, args[0]) == 0);
    LIVE_CHECK(make_links(args[1]));
    static const char *const spellings[] = {
        "/etc/hostname",
        "/etc//./hostname",
        "/etc/../etc/hostname",
        "//etc/hostname",
        "etc/hostname",
        "more/hostname",
        "./more/../etc/hostname",
        "/proc/sys/kernel/hostname",
        "/proc/self/../sys/kernel/hostname",
        "/proc/self/root/proc/sys/kernel/hostname",
        "/proc/thread-self/root/etc/hostname",
        "/proc/self/cwd/etc/hostname",
        "/proc/self/task/../root/etc/hostname",
        "name",
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(spellings); i++) {
        LIVE_CHECK(reads(open(spellings[i], O_RDONLY), text));
        LIVE_CHECK(reads(open2(AT_FDCWD, spellings[i], O_RDONLY), text));
#ifdef SYS_open
        LIVE_CHECK(reads((int)syscall(SYS_open, spellings[i], O_RDONLY), text));
#endif
    }
    int dir = open("/proc/sys", O_RDONLY | O_DIRECTORY);
    LIVE_CHECK(reads(openat(dir, "kernel/hostname", O_RDONLY), text));
    dir = open("/etc", O_PATH);
    LIVE_CHECK(reads(openat(dir, "hostname", O_RDONLY), text));
    LIVE_CHECK(reads(open2(dir, "hostname", O_RDONLY), text));
    snprintf(text + 64, 64, "/proc/self/fd/%d/hostname", dir);
    LIVE_CHECK(reads(open(text + 64, O_RDONLY), text));
    /* the last name says nothing where it is a link's */
    snprintf(text + 64, 64, "/proc/self/fd/%d", open("/etc/hostname", O_PATH));
    LIVE_CHECK(reads(open(text + 64, O_RDONLY), text));
    LIVE_CHECK(symlink(text + 64, "over") == 0 && reads(open("over", O_RDONLY), text));
    dir = open(".", O_PATH);
    LIVE_CHECK(reads(openat(dir, "name", O_RDONLY), text));
    LIVE_CHECK(reads(openat(dir, "over", O_RDONLY), text));
    LIVE_CHECK(open("over", O_RDONLY | O_NOFOLLOW) < 0 && errno == ELOOP);
    LIVE_CHECK(unlink("over") == 0);
    /* nobody writes it, and other files are themselves */
    LIVE_CHECK(creat("/etc/hostname", 0600) < 0 && errno == EACCES);
    LIVE_CHECK(open("/etc/hostname", O_RDWR) < 0 && errno == EACCES);
    LIVE_CHECK(sethostname("other", 5) < 0 && errno == EPERM);
    LIVE_CHECK(!reads(open("/etc/passwd", O_RDONLY), text));
    LIVE_CHECK(open("/etc/no/hostname", O_RDONLY) < 0 && errno == ENOENT);
    return 0;
}

static void name_is_the_one_that_was_given(void **state)
{
    (void)state;
    char dir[] = "/tmp/sandlock-hostname-XXXXXX";
    assert_non_null(mkdtemp(dir));
    SL_AUTO(sl_policy)
    policy = live_policy("fs_readable", "/", "fs_writable", dir, "hostname", "box-1.test", NULL);
    struct live_run run = {.policy = policy, .program = "is_told", .args = {"box-1.test", dir}};
    assert_int_equal(live_run(&run), 0);
    static const char *const made[] = {"etc", "more", "name", ""};
    for (size_t i = 0; i < SL_ARRAY_LEN(made); i++) {
        char path[128];
        snprintf(path, sizeof(path), "%s/%s", dir, made[i]);
        assert_int_equal(remove(path), 0);
    }
}

int main(int argc, char **argv)
{
    static const struct live_program programs[] = {
        {"is_told", program_is_told},
        {NULL, NULL},
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(name_is_the_one_that_was_given),
    };
    live_start(argc, argv, programs);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
