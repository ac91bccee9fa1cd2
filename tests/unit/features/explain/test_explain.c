/* --explain, live: each call that Landlock refuses is told beforehand, by what it wanted and of
 * what, and nothing else is: not what is missing, nor what the kernel refuses by itself. */
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
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "live.h"

#define TOLD_MAX 64

/* What the engine heard, in memory that it shares with the test. */
struct told {
    size_t count;
    struct {
        enum sl_file_want want;
        char path[128];
        char grant[128];
        bool by_rule;
    } items[TOLD_MAX];
};

struct expected {
    enum sl_file_want want;
    const char *path; /* below the top */
    const char *grant;
};

static char top[64];
static struct told *told;

static void on_file(void *arg, pid_t pid, const sl_file_denial *denial)
{
    (void)arg;
    if (pid <= 0 || told->count == TOLD_MAX) {
        abort();
    }
    size_t i = told->count++;
    told->items[i].want = denial->want;
    told->items[i].by_rule = denial->by_rule;
    snprintf(told->items[i].path, sizeof(told->items[i].path), "%s", denial->path);
    snprintf(told->items[i].grant, sizeof(told->items[i].grant), "%s", denial->grant);
}

static int result(long r)
{
    return r < 0 ? errno : 0;
}

#define REFUSED(call)      LIVE_CHECK(result(call) == EACCES)
#define FAILS(error, call) LIVE_CHECK(result(call) == (error))

/* args: the directory */
static int program_opens(char **args)
{
    struct open_how both = {.flags = O_RDWR};
    LIVE_CHECK(chdir(args[0]) == 0);
    REFUSED(syscall(SYS_openat, AT_FDCWD, "none/file", O_RDONLY));
    REFUSED(syscall(SYS_openat, AT_FDCWD, "write/link", O_RDONLY));
    REFUSED(syscall(SYS_openat, AT_FDCWD, "none/../none/./file", O_WRONLY));
    REFUSED(syscall(SYS_openat2, AT_FDCWD, "read/file", &both, sizeof(both)));
    REFUSED(syscall(SYS_openat, AT_FDCWD, "none", O_RDONLY | O_DIRECTORY));
    REFUSED(syscall(SYS_openat, AT_FDCWD, "read/new", O_WRONLY | O_CREAT, 0600));
    REFUSED(syscall(SYS_openat, AT_FDCWD, "read/new", O_WRONLY | O_CREAT | O_EXCL, 0600));
    REFUSED(truncate("read/file", 0));
#ifdef SYS_open
    REFUSED(syscall(SYS_open, "none/file", O_RDONLY));
    REFUSED(syscall(SYS_creat, "read/new", 0600));
    REFUSED(syscall(SYS_creat, "read/file", 0600));
#endif
    return 0;
}

static const struct expected opens[] = {
    {SL_WANT_READ, "none/file", "none/file"},
    {SL_WANT_READ, "none/file", "none/file"},
    {SL_WANT_WRITE, "none/file", "none/file"},
    {SL_WANT_WRITE, "read/file", "read/file"},
    {SL_WANT_LIST, "none", "none"},
    {SL_WANT_CREATE, "read/new", "read"},
    {SL_WANT_CREATE, "read/new", "read"},
    {SL_WANT_WRITE, "read/file", "read/file"},
#ifdef SYS_open
    {SL_WANT_READ, "none/file", "none/file"},
    {SL_WANT_CREATE, "read/new", "read"},
    {SL_WANT_WRITE, "read/file", "read/file"},
#endif
};

/* args: the directory */
static int program_changes(char **args)
{
    LIVE_CHECK(chdir(args[0]) == 0);
    int dir = open("read", O_PATH | O_CLOEXEC);
    REFUSED(syscall(SYS_mkdirat, dir, "d", 0700));
    REFUSED(syscall(SYS_mkdirat, AT_FDCWD, "read/d///", 0700));
    REFUSED(syscall(SYS_mknodat, dir, "p", S_IFIFO | 0600, 0));
    REFUSED(syscall(SYS_symlinkat, "x", dir, "l"));
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un sa = {.sun_family = AF_UNIX, .sun_path = "read/s"};
    REFUSED(bind(s, (struct sockaddr *)&sa, sizeof(sa)));
    REFUSED(syscall(SYS_unlinkat, dir, "file", 0));
    REFUSED(syscall(SYS_unlinkat, dir, "empty", AT_REMOVEDIR));
    REFUSED(syscall(SYS_renameat2, dir, "file", dir, "other", 0));
    LIVE_CHECK(rename("write/file", "read/x") < 0 && (errno == EACCES || errno == EXDEV));
    LIVE_CHECK(syscall(SYS_linkat, AT_FDCWD, "read/file", AT_FDCWD, "write/l", 0) < 0);
    LIVE_CHECK(syscall(SYS_linkat, AT_FDCWD, "write/file", dir, "l", 0) < 0);
#ifdef SYS_mkdir
    REFUSED(syscall(SYS_mkdir, "read/d", 0700));
    REFUSED(syscall(SYS_mknod, "read/p", S_IFREG | 0600, 0));
    REFUSED(syscall(SYS_symlink, "x", "read/l"));
    REFUSED(syscall(SYS_unlink, "read/file"));
    REFUSED(syscall(SYS_rmdir, "read/empty"));
    LIVE_CHECK(syscall(SYS_rename, "read/file", "write/x") < 0);
    LIVE_CHECK(syscall(SYS_renameat, dir, "file", dir, "other") < 0);
    LIVE_CHECK(syscall(SYS_link, "write/file", "read/l") < 0);
#endif
    return 0;
}

static const struct expected changes[] = {
    {SL_WANT_CREATE, "read/d", "read"},     {SL_WANT_CREATE, "read/d", "read"},
    {SL_WANT_CREATE, "read/p", "read"},     {SL_WANT_CREATE, "read/l", "read"},
    {SL_WANT_CREATE, "read/s", "read"},     {SL_WANT_REMOVE, "read/file", "read"},
    {SL_WANT_REMOVE, "read/empty", "read"}, {SL_WANT_REMOVE, "read/file", "read"},
    {SL_WANT_CREATE, "read/x", "read"},     {SL_WANT_LINK, "read/file", "read"},
    {SL_WANT_CREATE, "read/l", "read"},
#ifdef SYS_mkdir
    {SL_WANT_CREATE, "read/d", "read"},     {SL_WANT_CREATE, "read/p", "read"},
    {SL_WANT_CREATE, "read/l", "read"},     {SL_WANT_REMOVE, "read/file", "read"},
    {SL_WANT_REMOVE, "read/empty", "read"}, {SL_WANT_REMOVE, "read/file", "read"},
    {SL_WANT_REMOVE, "read/file", "read"},  {SL_WANT_CREATE, "read/l", "read"},
#endif
};

/* args: the directory. The script's interpreter is outside the grants. */
static int program_executes(char **args)
{
    char *argv[] = {(char *)"x", NULL};
    LIVE_CHECK(chdir(args[0]) == 0);
    int fd = open("none/tool", O_PATH | O_CLOEXEC);
    REFUSED(syscall(SYS_execve, "none/tool", argv, NULL));
    REFUSED(syscall(SYS_execveat, fd, "", argv, NULL, AT_EMPTY_PATH));
    REFUSED(execve("read/script", argv, NULL));
    FAILS(ENOENT, execve("none/nowhere", argv, NULL));
    return 0;
}

static const struct expected executes[] = {
    {SL_WANT_EXECUTE, "none/tool", "none/tool"},
    {SL_WANT_EXECUTE, "none/tool", "none/tool"},
    {SL_WANT_EXECUTE, "none/tool", "none/tool"},
};

/* args: the directory */
static int program_empties(char **args)
{
    LIVE_CHECK(chdir(args[0]) == 0);
    REFUSED(truncate("read/file", 0));
    REFUSED(syscall(SYS_openat, AT_FDCWD, "read/file", O_RDONLY | O_TRUNC));
    REFUSED(syscall(SYS_openat, AT_FDCWD, "read/new", O_RDONLY | O_TRUNC | O_CREAT, 0600));
    LIVE_CHECK(truncate("write/file", 0) == 0);
    return 0;
}

static const struct expected empties[] = {
    {SL_WANT_WRITE, "read/file", "read/file"},
    {SL_WANT_WRITE, "read/file", "read/file"},
    {SL_WANT_CREATE, "read/new", "read"},
};

/* args: the directory. Nothing of this is the sandbox's doing. */
static int program_errs(char **args)
{
    LIVE_CHECK(chdir(args[0]) == 0);
    FAILS(ENOENT, open("none/nowhere", O_RDONLY));
    FAILS(ENOENT, open("nowhere/x", O_RDWR | O_CREAT, 0600));
    FAILS(ENOTDIR, open("read/file/below", O_RDONLY));
    FAILS(ENOTDIR, open("none/file", O_RDONLY | O_DIRECTORY));
    FAILS(EISDIR, open("none", O_WRONLY));
    FAILS(ELOOP, open("write/link", O_RDONLY | O_NOFOLLOW));
    FAILS(EEXIST, open("none/file", O_RDWR | O_CREAT | O_EXCL, 0600));
    FAILS(0, open("none/file", O_PATH));
    FAILS(EFAULT, syscall(SYS_openat, AT_FDCWD, 1, O_RDONLY));
    FAILS(EBADF, syscall(SYS_openat, 999, "none/file", O_RDONLY));
    FAILS(EEXIST, mkdir("none/file", 0700));
    FAILS(EEXIST, symlink("x", "none/file"));
    FAILS(ENOENT, unlink("none/nowhere"));
    FAILS(ENOENT, rename("none/nowhere", "none/x"));
    FAILS(EEXIST, syscall(SYS_renameat2, AT_FDCWD, "none/file", AT_FDCWD, "none/tool", 1));
    LIVE_CHECK(rmdir("read") < 0 && unlink("read") < 0); /* it is full, and a directory */
    LIVE_CHECK(mknod("read/null", S_IFCHR | 0600, makedev(1, 3)) < 0);
    LIVE_CHECK(mkdir("write/d", 0700) == 0 && rmdir("write/d") == 0);
    LIVE_CHECK(rename("write/file", "write/x") == 0 && rename("write/x", "write/file") == 0);
    LIVE_CHECK(link("write/file", "write/x") == 0 && unlink("write/x") == 0);
    LIVE_CHECK(open("/dev/null", O_RDWR) >= 0 && open("/proc/self/fd/0", O_RDONLY) >= 0);
    return 0;
}

/* args: the directory. What a rule denies, and other processes. */
static int program_meets_rules(char **args)
{
    LIVE_CHECK(chdir(args[0]) == 0);
    REFUSED(open("none/file", O_RDONLY));
    REFUSED(open("/proc/self/comm", O_RDWR));
    return 0;
}

static void path_of(const char *below, char out[128])
{
    snprintf(out, 128, "%s/%s", top, below);
}

static sl_policy *explaining(sl_policy *policy)
{
    policy->explain = true; /* no field */
    return policy;
}

static sl_policy *narrow(void)
{
    char read[128];
    char write[128];
    char self[4096] = {0};
    assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
    path_of("read", read);
    path_of("write", write);
    return explaining(live_policy("fs_readable", "/usr", "fs_readable", "/etc", "fs_readable",
                                  "?/lib", "fs_readable", "?/lib64", "fs_readable", "/proc",
                                  "fs_readable", "/sys", "fs_readable", self, "fs_readable", read,
                                  "fs_writable", write, NULL));
}

static int run(const sl_policy *policy, const char *program)
{
    told->count = 0;
    return live_run(&(struct live_run){
        .policy = policy, .program = program, .args = {top}, .hooks = {.file = on_file}});
}

/* These, in this order, and no others. */
static void expect(const char *program, const struct expected *expected, size_t count)
{
    SL_AUTO(sl_policy) policy = narrow();
    assert_int_equal(run(policy, program), 0);
    for (size_t i = 0; i < told->count && i < count; i++) {
        char path[128];
        char grant[128];
        path_of(expected[i].path, path);
        path_of(expected[i].grant, grant);
        if (told->items[i].want != expected[i].want || strcmp(told->items[i].path, path) != 0 ||
            strcmp(told->items[i].grant, grant) != 0 || told->items[i].by_rule) {
            fail_msg("%s %zu: %s '%s' of '%s'", program, i, sl_file_want_name(told->items[i].want),
                     told->items[i].path, told->items[i].grant);
        }
    }
    assert_int_equal(told->count, count);
}

static void refused_opens_are_told(void **state)
{
    (void)state;
    expect("opens", opens, SL_ARRAY_LEN(opens));
}

static void refused_changes_are_told(void **state)
{
    (void)state;
    expect("changes", changes, SL_ARRAY_LEN(changes));
}

static void refused_programs_are_told(void **state)
{
    (void)state;
    expect("executes", executes, SL_ARRAY_LEN(executes));
}

static void emptying_is_told(void **state)
{
    (void)state;
    expect("empties", empties, SL_ARRAY_LEN(empties));
}

static void nothing_else_is_told(void **state)
{
    (void)state;
    expect("errs", NULL, 0);
}

static void deny_rules_and_proc(void **state)
{
    char none[128];
    (void)state;
    path_of("none", none);
    SL_AUTO(sl_policy)
    policy = explaining(live_policy("fs_readable", "/", "fs_denied", none, NULL));
    assert_int_equal(run(policy, "meets_rules"), 0);
    assert_int_equal(told->count, 2);
    assert_true(told->items[0].by_rule && !told->items[1].by_rule);
    assert_string_equal(told->items[1].path, "/proc/self/comm");
    assert_string_equal(told->items[1].grant, "/proc");
}

static void without_it_nothing_is_told(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) policy = narrow();
    policy->explain = false;
    assert_int_equal(run(policy, "executes"), 0);
    assert_int_equal(told->count, 0);
}

/* Last: from now on this is Linux 6.1. There emptying is not Landlock's, and told by who judges it.
 */
static void older_kernels_tell_the_same(void **state)
{
    (void)state;
    live_pretend_older();
    expect("changes", changes, SL_ARRAY_LEN(changes));
    expect("executes", executes, SL_ARRAY_LEN(executes));
    expect("empties", empties, SL_ARRAY_LEN(empties));
}

static void make(const char *below, mode_t mode, const char *text)
{
    char path[128];
    path_of(below, path);
    sl_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, mode);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static int set_up(void **state)
{
    static const char *const dirs[] = {"read", "write", "none", "read/empty"};
    char path[128];
    char script[160];
    (void)state;
    told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(told != MAP_FAILED);
    snprintf(top, sizeof(top), "/var/tmp/sandlock-explain-XXXXXX");
    assert_non_null(mkdtemp(top));
    for (size_t i = 0; i < SL_ARRAY_LEN(dirs); i++) {
        path_of(dirs[i], path);
        assert_int_equal(mkdir(path, 0755), 0);
    }
    make("read/file", 0644, "");
    make("write/file", 0644, "");
    make("none/file", 0644, "");
    make("none/tool", 0755, "#!/bin/true\n");
    snprintf(script, sizeof(script), "#! %s/none/tool -x\n", top);
    make("read/script", 0755, script);
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
    {"opens", program_opens},
    {"changes", program_changes},
    {"executes", program_executes},
    {"empties", program_empties},
    {"errs", program_errs},
    {"meets_rules", program_meets_rules},
    {0},
};

int main(int argc, char **argv)
{
    live_start(argc, argv, programs);
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused_opens_are_told),     cmocka_unit_test(refused_changes_are_told),
        cmocka_unit_test(refused_programs_are_told),  cmocka_unit_test(emptying_is_told),
        cmocka_unit_test(nothing_else_is_told),       cmocka_unit_test(deny_rules_and_proc),
        cmocka_unit_test(without_it_nothing_is_told), cmocka_unit_test(older_kernels_tell_the_same),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
