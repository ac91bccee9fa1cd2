/* Being told of what happens to files, live: of what may be read, by every way to name it, and of
 * nothing else. FS-25. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "live.h"

static char top[64];

static void path_of(const char *dir, const char *below, char out[256])
{
    snprintf(out, 256, "%s/%s", dir, below);
}

static void make_file(const char *below)
{
    char path[256];
    path_of(top, below, path);
    sl_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
}

static void make_dir(const char *below)
{
    char path[256];
    path_of(top, below, path);
    assert_int_equal(mkdir(path, 0755), 0);
}

/* The watch, or -errno. */
static int watch(int group, const char *path, uint32_t more)
{
    int wd = inotify_add_watch(group, path, IN_ALL_EVENTS | more);
    return wd < 0 ? -errno : wd;
}

static int watch_descriptor(int group, const char *path, int flags)
{
    char name[32];
    sl_autoclose int fd = open(path, flags | O_CLOEXEC);
    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    return fd < 0 ? -errno : watch(group, name, 0);
}

/* True when one of the events that wait tells this. */
static bool is_told(int group, int wd, uint32_t what, const char *name)
{
    char buffer[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    bool told = false;
    for (ssize_t n; (n = read(group, buffer, sizeof(buffer))) > 0;) {
        for (const char *at = buffer; at < buffer + n;) {
            const struct inotify_event *e = (const struct inotify_event *)at;
            told = told || (e->wd == wd && (e->mask & what) != 0 && e->len > 0 &&
                            strcmp(e->name, name) == 0);
            at += sizeof(*e) + e->len;
        }
    }
    return told;
}

/* args: the directory */
static int program_watches(char **args)
{
    char path[256];
    int group = inotify_init1(IN_NONBLOCK);
    LIVE_CHECK(group >= 0 && chdir(args[0]) == 0);
    int wd = watch(group, "open", IN_ONLYDIR);
    LIVE_CHECK(wd > 0 && watch(group, "./open/../open", 0) == wd);
    path_of(args[0], "open", path);
    LIVE_CHECK(watch(group, path, 0) == wd && watch_descriptor(group, path, O_PATH) == wd);
    LIVE_CHECK(watch_descriptor(group, path, O_RDONLY) == wd);
    sl_autoclose int fd = open("open/a", O_RDONLY);
    LIVE_CHECK(fd >= 0 && is_told(group, wd, IN_OPEN, "a"));
    /* through a link, and the link itself */
    LIVE_CHECK(watch(group, "open/link", 0) == watch(group, "open/a", 0));
    int link = watch(group, "open/link", IN_DONT_FOLLOW);
    LIVE_CHECK(link > 0 && link != watch(group, "open/a", 0));
    LIVE_CHECK(inotify_rm_watch(group, link) == 0);
    /* the kernel's own errors */
    LIVE_CHECK(watch(group, "open/none", 0) == -ENOENT);
    LIVE_CHECK(watch(group, "open/a", IN_ONLYDIR) == -ENOTDIR);
    LIVE_CHECK(inotify_add_watch(group, "open/a", 0) < 0 && errno == EINVAL);
    LIVE_CHECK(watch(fd, "open/a", 0) == -EINVAL && watch(1000, "open/a", 0) == -EBADF);
    LIVE_CHECK(syscall(SYS_inotify_add_watch, group, 1, IN_OPEN) < 0 && errno == EFAULT);
    int pipes[2];
    LIVE_CHECK(pipe(pipes) == 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", pipes[0]);
    LIVE_CHECK(watch(group, path, 0) > 0);
    return 0;
}

/* args: the directory */
static int program_spies(char **args)
{
    char path[256];
    int group = inotify_init1(IN_NONBLOCK);
    LIVE_CHECK(group >= 0 && chdir(args[0]) == 0);
    static const char *const denied[] = {"closed",   "closed/.",         "closed/b",
                                         "open/out", "open/../closed/b", "open/deep/secret"};
    for (size_t i = 0; i < SL_ARRAY_LEN(denied); i++) {
        LIVE_CHECK(watch(group, denied[i], 0) == -EACCES);
        path_of(args[0], denied[i], path);
        LIVE_CHECK(watch(group, path, 0) == -EACCES);
        LIVE_CHECK(watch_descriptor(group, path, O_PATH) == -EACCES);
    }
    /* may be listed, but not all that happens in it may be known */
    LIVE_CHECK(watch(group, "open/deep", 0) == -EACCES);
    LIVE_CHECK(watch(group, "open/deep/fine", 0) > 0 && watch(group, "open/a", 0) > 0);
    sl_autoclose int dir = open("open/deep", O_RDONLY | O_DIRECTORY);
    LIVE_CHECK(dir >= 0 && fcntl(dir, F_NOTIFY, DN_ACCESS) < 0 && errno == EACCES);
    LIVE_CHECK(syscall(SYS_fanotify_init, 0x200, 0) < 0 && errno == EPERM);
    LIVE_CHECK(syscall(SYS_fanotify_mark, group, 1, 0x20, AT_FDCWD, ".") < 0 && errno == EPERM);
    return 0;
}

static int run(const sl_policy *policy, const char *program)
{
    return live_run(&(struct live_run){.policy = policy, .program = program, .args = {top}});
}

/* One directory beside what a program needs, less `denied`; the built-in list of calls is away. */
static sl_policy *policy_of(const char *denied)
{
    char open[256];
    char self[4096] = {0};
    assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
    path_of(top, "open", open);
    return live_policy("fs_readable", "/usr", "fs_readable", "?/lib", "fs_readable", "?/lib64",
                       "fs_readable", "/proc", "fs_readable", self, "fs_readable", open,
                       "deny_syscalls", "sync", "fs_denied", denied, NULL);
}

static void what_may_be_read_is_told(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) one = policy_of("?/none");
    assert_int_equal(run(one, "watches"), 0);
    SL_AUTO(sl_policy) all = live_policy("fs_readable", "/", NULL); /* nothing is trapped */
    assert_int_equal(run(all, "watches"), 0);
    SL_AUTO(sl_policy)
    written = live_policy("fs_writable", top, "fs_readable", "/", "fs_denied", "/boot", NULL);
    assert_int_equal(run(written, "watches"), 0);
}

static void what_may_not_be_read_is_not(void **state)
{
    (void)state;
    char secret[256];
    sl_autoclose int group = inotify_init1(IN_CLOEXEC);
    path_of(top, "open/deep/secret", secret);
    assert_true(watch(group, secret, 0) > 0); /* it works outside */
    SL_AUTO(sl_policy) policy = policy_of(secret);
    assert_int_equal(run(policy, "spies"), 0);
}

static void make_tree(void)
{
    char out[256];
    char link[256];
    snprintf(top, sizeof(top), "/var/tmp/sandlock-watch-XXXXXX");
    assert_non_null(mkdtemp(top));
    make_dir("open");
    make_dir("open/deep");
    make_dir("closed");
    make_file("open/a");
    make_file("open/deep/secret");
    make_file("open/deep/fine");
    make_file("closed/b");
    path_of(top, "closed/b", out);
    path_of(top, "open/out", link);
    assert_int_equal(symlink(out, link), 0);
    path_of(top, "open/link", link);
    assert_int_equal(symlink("a", link), 0);
}

static void remove_tree(void)
{
    static const char *const files[] = {"open/a",   "open/deep/secret", "open/deep/fine",
                                        "closed/b", "open/out",         "open/link"};
    static const char *const dirs[] = {"open/deep", "open", "closed", ""};
    char path[256];
    for (size_t i = 0; i < SL_ARRAY_LEN(files); i++) {
        path_of(top, files[i], path);
        unlink(path);
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(dirs); i++) {
        path_of(top, dirs[i], path);
        rmdir(path);
    }
}

int main(int argc, char **argv)
{
    static const struct live_program programs[] = {
        {"watches", program_watches},
        {"spies", program_spies},
        {NULL, NULL},
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_may_be_read_is_told),
        cmocka_unit_test(what_may_not_be_read_is_not),
    };
    live_start(argc, argv, programs);
    make_tree();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    remove_tree();
    return failed;
}
