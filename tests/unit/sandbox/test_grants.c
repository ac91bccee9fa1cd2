/* File grants, live: what is granted is there, what is denied is not, for every way of asking; and
 * the grants that cannot be made are refused at the start. FS-04, FS-11, FS-18, FS-22. */
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
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "live.h"
#include "sandbox/grants.h"
#include "tidy.h"

/* A tree under a fresh directory: open/a, open/deep/b, open/deep/secret, open/beside/c, w/. */
struct tree {
    char top[64];
    char deny[128];
    char open[128];
    char write[128];
};

static const char *const dirs[] = {"open", "open/deep", "open/deep/vault", "open/beside", "w"};
static const char *const files[] = {
    "open/a", "open/deep/b", "open/deep/secret", "open/deep/vault/gold", "open/beside/c", "w/old"};

static void path_of(const struct tree *t, const char *below, char out[256])
{
    snprintf(out, 256, "%s/%s", t->top, below);
}

static void make_file(const char *path)
{
    sl_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "content\n", 8), 8);
}

static void tree_make(struct tree *t)
{
    char path[256];
    snprintf(t->top, sizeof(t->top), "/tmp/sandlock-view-XXXXXX");
    assert_non_null(mkdtemp(t->top));
    for (size_t i = 0; i < SL_ARRAY_LEN(dirs); i++) {
        path_of(t, dirs[i], path);
        assert_int_equal(mkdir(path, 0755), 0);
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(files); i++) {
        path_of(t, files[i], path);
        make_file(path);
    }
    snprintf(t->open, sizeof(t->open), "%s/open", t->top);
    snprintf(t->deny, sizeof(t->deny), "%s/open/deep/secret", t->top);
    snprintf(t->write, sizeof(t->write), "%s/w", t->top);
}

static int read_errno(const char *top, const char *below)
{
    char path[512];
    char byte;
    snprintf(path, sizeof(path), "%s/%s", top, below);
    sl_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? errno : read(fd, &byte, 1) == 1 ? 0 : EIO;
}

static int write_errno(const char *top, const char *below)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", top, below);
    sl_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    return fd < 0 ? errno : 0;
}

/* ---- carve-outs ---- */

static int program_looks(char **args)
{
    const char *top = args[0];
    char path[512];
    char other[512];
    LIVE_CHECK(read_errno(top, "open/a") == 0);
    LIVE_CHECK(read_errno(top, "open/deep/b") == 0);
    LIVE_CHECK(read_errno(top, "open/deep/vault/gold") == 0);
    LIVE_CHECK(read_errno(top, "open/beside/c") == 0);
    LIVE_CHECK(read_errno(top, "open/deep/secret") == EACCES);
    LIVE_CHECK(read_errno(top, "open/beside/../deep/./secret") == EACCES);
    snprintf(path, sizeof(path), "/proc/self/root%s/open/deep/secret", top);
    LIVE_CHECK(read_errno("", path + 1) == EACCES);
    snprintf(path, sizeof(path), "%s/open/deep/secret", top);
    snprintf(other, sizeof(other), "%s/w/copy", top);
    LIVE_CHECK(link(path, other) < 0); /* EXDEV or EACCES: no right to move it */
    LIVE_CHECK(rename(path, other) < 0);
    LIVE_CHECK(symlink(path, other) == 0); /* a link carries no right */
    LIVE_CHECK(read_errno(top, "w/copy") == EACCES);
    LIVE_CHECK(execl(path, path, (char *)NULL) < 0 && errno == EACCES);
    LIVE_CHECK(truncate(path, 0) < 0 && errno == EACCES);
    LIVE_CHECK(write_errno(top, "open/deep/secret") == EACCES);
    LIVE_CHECK(write_errno(top, "open/deep/new") == EACCES);
    LIVE_CHECK(read_errno(top, "w/old") == 0 && write_errno(top, "w/new") == 0);
    snprintf(path, sizeof(path), "%s/w/node", top);
    LIVE_CHECK(mknod(path, S_IFCHR | 0600, 0x103) < 0); /* FS-18, as root too */
    /* names beside it can still be listed */
    snprintf(path, sizeof(path), "%s/open/deep", top);
    DIR *d = opendir(path);
    LIVE_CHECK(d != NULL);
    closedir(d);
    return 0;
}

static void denied_file_has_readable_siblings(void **state)
{
    (void)state;
    struct tree t;
    struct stat st;
    tree_make(&t);
    SL_AUTO(sl_policy)
    policy = live_policy("fs_readable", "/", "fs_denied", t.deny, "fs_writable", t.write, NULL);
    struct live_run run = {.policy = policy, .program = "looks", .args = {t.top}};
    assert_int_equal(live_run(&run), 0);
    assert_int_equal(stat(t.deny, &st), 0);
    assert_int_equal(st.st_size, 8);
    assert_int_equal(st.st_nlink, 1);
    tidy_tree(t.top);
}

static int program_finds_no_vault(char **args)
{
    LIVE_CHECK(read_errno(args[0], "open/deep/vault/gold") == EACCES);
    LIVE_CHECK(read_errno(args[0], "open/deep/secret") == 0);
    LIVE_CHECK(read_errno(args[0], "open/deep/later") == EACCES);
    return 0;
}

static void prepare_later_file(sl_sandbox *sb, void *arg)
{
    (void)sb;
    char path[256];
    path_of(arg, "open/deep/later", path);
    sl_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    ssize_t n = write(fd, "x", 1);
    (void)n;
}

/* A directory, named by a link; what appears beside it later is not granted. (Its names can be
 * listed: the right to list the parents reaches down, landlock(7).) */
static void denied_directory_gives_nothing(void **state)
{
    (void)state;
    struct tree t;
    char path[256];
    char alias[256];
    tree_make(&t);
    path_of(&t, "open/deep/vault", path);
    path_of(&t, "alias", alias);
    assert_int_equal(symlink(path, alias), 0);
    SL_AUTO(sl_policy) policy = live_policy("fs_readable", "/", "fs_denied", alias, NULL);
    struct live_run run = {.policy = policy,
                           .program = "finds_no_vault",
                           .args = {t.top},
                           .prepare = prepare_later_file,
                           .arg = &t};
    assert_int_equal(live_run(&run), 0);
    tidy_tree(t.top);
}

static int program_sees_only(char **args)
{
    LIVE_CHECK(read_errno(args[0], "open/a") == 0);
    LIVE_CHECK(read_errno(args[0], "w/old") == EACCES);
    LIVE_CHECK(read_errno("", "etc/passwd") == EACCES);
    LIVE_CHECK(write_errno("", "dev/null") == 0);
    LIVE_CHECK(read_errno("", "dev/zero") == 0);
    return 0;
}

/* What no rule names is not there, but for a few devices. */
static void grants_replace_the_default_view(void **state)
{
    (void)state;
    struct tree t;
    char program[512] = {0};
    tree_make(&t);
    assert_true(readlink("/proc/self/exe", program, sizeof(program) - 1) > 0);
    SL_AUTO(sl_policy)
    policy = live_policy("fs_readable", "/usr", "fs_readable", "?/lib", "fs_readable", "?/lib64",
                         "fs_readable", program, "fs_readable", t.open, "fs_readable",
                         "?/nowhere/at/all", "fs_readable", "/proc", NULL);
    struct live_run run = {.policy = policy, .program = "sees_only", .args = {t.top}};
    assert_int_equal(live_run(&run), 0);
    tidy_tree(t.top);
}

/* ---- what cannot be granted ---- */

static void missing_path_is_an_error_that_names_it(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) read = live_policy("fs_readable", "/nowhere/at/all", NULL);
    live_expect_refused(read, "cannot grant '/nowhere/at/all'");
    live_expect_refused(read, "'?PATH'");
    SL_AUTO(sl_policy) deny = live_policy("fs_denied", "/nowhere/at/all", NULL);
    live_expect_refused(deny, "cannot deny '/nowhere/at/all'");
}

static void denial_below_a_write_grant_is_refused(void **state)
{
    (void)state;
    struct tree t;
    tree_make(&t);
    SL_AUTO(sl_policy)
    policy = live_policy("fs_readable", "/", "fs_writable", t.open, "fs_denied", t.deny, NULL);
    live_expect_refused(policy, "below the write grant");
    live_expect_refused(policy, t.deny);
    tidy_tree(t.top);
}

static void processes_below_a_write_grant_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const char *granted = i == 0 ? "/proc" : "/";
        SL_AUTO(sl_policy)
        policy = live_policy("fs_writable", granted, "isolate_pids", "true", NULL);
        live_expect_refused(policy, "--isolate-pids");
        live_expect_refused(policy, granted);
    }
}

static void second_name_of_a_denied_file_is_refused(void **state)
{
    (void)state;
    struct tree t;
    char other[256];
    tree_make(&t);
    path_of(&t, "open/other-name", other);
    assert_int_equal(link(t.deny, other), 0);
    SL_AUTO(sl_policy) policy = live_policy("fs_readable", "/", "fs_denied", t.deny, NULL);
    live_expect_refused(policy, "it has 2 links");
    tidy_tree(t.top);
}

/* FS-22: denied before it is there. */
static void missing_denied_path_stays_denied(void **state)
{
    (void)state;
    struct tree t;
    char denied[256];
    tree_make(&t);
    snprintf(denied, sizeof(denied), "?%s/open/deep/later", t.top);
    SL_AUTO(sl_policy)
    policy = live_policy("fs_readable", "/", "fs_denied", denied, "fs_denied", t.deny,
                         "fs_writable", t.write, NULL);
    struct live_run run = {.policy = policy,
                           .program = "looks",
                           .args = {t.top},
                           .prepare = prepare_later_file,
                           .arg = &t};
    assert_int_equal(live_run(&run), 0);
    tidy_tree(t.top);
}

/* ---- the default view and its secrets ---- */

static int program_looks_for_secrets(char **args)
{
    const char *home = args[0];
    LIVE_CHECK(read_errno(home, ".ssh/id_ed25519") == EACCES);
    LIVE_CHECK(read_errno(home, ".netrc") == EACCES);
    LIVE_CHECK(read_errno(home, ".config/gh/hosts.yml") == EACCES);
    LIVE_CHECK(read_errno(home, ".config/readable") == 0);
    LIVE_CHECK(read_errno(home, "notes") == 0);
    LIVE_CHECK(read_errno("/etc", "passwd") == 0);
    LIVE_CHECK(read_errno("/etc", "shadow") == EACCES || access("/etc/shadow", F_OK) < 0);
    LIVE_CHECK(write_errno(home, "work/result") == 0);
    LIVE_CHECK(write_errno(home, "notes") == EACCES);
    return 0;
}

static void default_view_hides_secrets(void **state)
{
    (void)state;
    static const char *const below[] = {".ssh", ".config", ".config/gh", "work"};
    static const char *const texts[] = {".ssh/id_ed25519", ".netrc", ".config/gh/hosts.yml",
                                        ".config/readable", "notes"};
    char home[] = "/var/tmp/sandlock-home-XXXXXX";
    char path[256];
    char before[512];
    assert_non_null(mkdtemp(home));
    for (size_t i = 0; i < SL_ARRAY_LEN(below); i++) {
        snprintf(path, sizeof(path), "%s/%s", home, below[i]);
        assert_int_equal(mkdir(path, 0755), 0);
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(texts); i++) {
        snprintf(path, sizeof(path), "%s/%s", home, texts[i]);
        make_file(path);
    }
    snprintf(before, sizeof(before), "%s", getenv("HOME") == NULL ? "" : getenv("HOME"));
    setenv("HOME", home, 1);
    snprintf(path, sizeof(path), "%s/work", home);
    SL_AUTO(sl_policy) policy = live_policy("cwd", path, NULL);
    struct live_run run = {
        .policy = policy, .program = "looks_for_secrets", .args = {home}, .canary = "/etc/passwd"};
    assert_int_equal(live_run(&run), 0);
    setenv("HOME", before, 1);
    tidy_tree(home);
}

static int notes;

static void count_note(const char *line)
{
    notes += strstr(line, "is not writable by default") != NULL;
}

/* A container without a WORKDIR, and a user who has no secrets there: still not everything. */
static void root_as_cwd_is_not_writable(void **state)
{
    (void)state;
    sl_error err = {0};
    SL_AUTO(sl_policy) policy = live_policy("cwd", "/", NULL);
    SL_AUTO(sl_sandbox) sb = NULL;
    assert_int_equal(sl_sandbox_new(policy, &sb, &err), 0);
    assert_false(sl_sandbox_may_write(sb, "/"));
    assert_false(sl_sandbox_may_write(sb, "/var/tmp"));
    assert_true(sl_sandbox_may_write(sb, "/tmp"));
    notes = 0;
    sl_sandbox_say_notes(sb, count_note);
    assert_int_equal(notes, 1);
}

/* $HOME as the current directory: it cannot be writable without its secrets, and that is said. */
static void home_as_cwd_is_not_writable(void **state)
{
    (void)state;
    char home[] = "/var/tmp/sandlock-home-XXXXXX";
    char path[256];
    char before[512];
    sl_error err = {0};
    assert_non_null(mkdtemp(home));
    snprintf(path, sizeof(path), "%s/.ssh", home);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(before, sizeof(before), "%s", getenv("HOME") == NULL ? "" : getenv("HOME"));
    setenv("HOME", home, 1);
    SL_AUTO(sl_policy) policy = live_policy("cwd", home, NULL);
    SL_AUTO(sl_sandbox) sb = NULL;
    assert_int_equal(sl_sandbox_new(policy, &sb, &err), 0);
    assert_false(sl_sandbox_may_write(sb, home));
    assert_true(sl_sandbox_may_write(sb, "/tmp"));
    assert_true(sl_sandbox_may_write(sb, "/tmp/x"));
    assert_false(sl_sandbox_may_write(sb, "/tmpx"));
    notes = 0;
    sl_sandbox_say_notes(sb, count_note);
    assert_int_equal(notes, 1);
    setenv("HOME", before, 1);
    tidy_tree(home);
}

/* A secret that its owner has closed can be opened by its owner again: chmod(2) asks for no right
 * that Landlock knows. */
static int program_reopens(char **args)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/.netrc", args[0]);
    LIVE_CHECK(read_errno(args[0], ".netrc") == EACCES);
    chmod(path, 0600);
    LIVE_CHECK(read_errno(args[0], ".netrc") == EACCES);
    LIVE_CHECK(read_errno(args[0], "notes") == 0);
    return 0;
}

#define SOMEBODY    65534
#define UNREACHABLE 78

static void closed_secret_stays_closed(void **state)
{
    (void)state;
    char home[] = "/var/tmp/sandlock-home-XXXXXX";
    char path[256];
    int status;
    assert_non_null(mkdtemp(home));
    snprintf(path, sizeof(path), "%s/notes", home);
    make_file(path);
    snprintf(path, sizeof(path), "%s/.netrc", home);
    make_file(path);
    assert_int_equal(chmod(path, 0), 0);
    char self[512] = {0};
    assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
    SL_AUTO(sl_policy) policy = live_policy("cwd", "/tmp", NULL);
    pid_t pid = fork(); /* root is asked nothing by modes: be somebody else */
    assert_true(pid >= 0);
    if (pid == 0) {
        struct live_run run = {.policy = policy, .program = "reopens", .args = {home}};
        setenv("HOME", home, 1);
        bool root = geteuid() == 0;
        if (root && (chown(path, SOMEBODY, SOMEBODY) < 0 || chown(home, SOMEBODY, SOMEBODY) < 0 ||
                     setresgid(SOMEBODY, SOMEBODY, SOMEBODY) < 0 ||
                     setresuid(SOMEBODY, SOMEBODY, SOMEBODY) < 0)) {
            _exit(77);
        }
        if (root && access(self, X_OK) < 0) {
            _exit(UNREACHABLE);
        }
        int r = live_run(&run);
        fprintf(stderr, "%s", run.error);
        _exit(r == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == UNREACHABLE) {
        tidy_tree(home);
        print_message("this build is closed to other users: the pass as an ordinary user asks\n");
        skip();
    }
    assert_int_equal(status, 0);
    tidy_tree(home);
}

/* Every directory that the child may write in is one where nothing private may be put. */
static void shared_memory_counts_as_writable(void **state)
{
    (void)state;
    sl_error err = {0};
    SL_AUTO(sl_policy) policy = live_policy("fs_readable", "/", NULL);
    SL_AUTO(sl_sandbox) sb = NULL;
    assert_int_equal(sl_sandbox_new(policy, &sb, &err), 0);
    assert_true(sl_sandbox_may_write(sb, "/dev/shm/sandlock"));
    assert_false(sl_sandbox_may_write(sb, "/dev"));
}

static void below_means_whole_names(void **state)
{
    (void)state;
    assert_true(sl_fsview_is_below("/a/b", "/a"));
    assert_true(sl_fsview_is_below("/a", "/a"));
    assert_true(sl_fsview_is_below("/anything", "/"));
    assert_false(sl_fsview_is_below("/ab", "/a"));
    assert_false(sl_fsview_is_below("/", "/a"));
    assert_false(sl_fsview_is_below("/a", "/a/b"));
}

int main(int argc, char **argv)
{
    static const struct live_program programs[] = {
        {"looks", program_looks},
        {"finds_no_vault", program_finds_no_vault},
        {"sees_only", program_sees_only},
        {"reopens", program_reopens},
        {"looks_for_secrets", program_looks_for_secrets},
        {NULL, NULL},
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(denied_file_has_readable_siblings),
        cmocka_unit_test(denied_directory_gives_nothing),
        cmocka_unit_test(grants_replace_the_default_view),
        cmocka_unit_test(missing_path_is_an_error_that_names_it),
        cmocka_unit_test(denial_below_a_write_grant_is_refused),
        cmocka_unit_test(processes_below_a_write_grant_are_refused),
        cmocka_unit_test(second_name_of_a_denied_file_is_refused),
        cmocka_unit_test(missing_denied_path_stays_denied),
        cmocka_unit_test(default_view_hides_secrets),
        cmocka_unit_test(home_as_cwd_is_not_writable),
        cmocka_unit_test(root_as_cwd_is_not_writable),
        cmocka_unit_test(closed_secret_stays_closed),
        cmocka_unit_test(shared_memory_counts_as_writable),
        cmocka_unit_test(below_means_whole_names),
    };
    live_start(argc, argv, programs);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
