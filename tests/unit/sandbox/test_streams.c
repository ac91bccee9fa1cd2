/* The standard streams that are files, live: opened again by their names as far as the descriptor
 * shows, and no further. */
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
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "kernel/landlock.h"
#include "live.h"
#include "sandbox/streams.h"

static int result(const char *name, int flags)
{
    sl_autoclose int fd = open(name, flags | O_CLOEXEC);
    return fd < 0 ? errno : 0;
}

/* args: what reading, and what writing, standard input's file gives; the file's name, or "" */
static int program_opens(char **args)
{
    int reads = (int)strtol(args[0], NULL, 10);
    int writes = (int)strtol(args[1], NULL, 10);
    LIVE_CHECK(result("/dev/stdin", O_RDONLY) == reads);
    LIVE_CHECK(result("/proc/self/fd/0", O_WRONLY) == writes);
    LIVE_CHECK(result("/dev/fd/0", O_WRONLY | O_TRUNC) == writes);
    LIVE_CHECK(args[2][0] == '\0' || result(args[2], O_RDONLY) == reads);
    LIVE_CHECK(args[2][0] == '\0' || result(args[2], O_WRONLY) == writes);
    return 0;
}

static char where[] = "/var/tmp/sandlock-streams-XXXXXX";
static char name[sizeof(where) + 8];

static int set_up(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(where));
    snprintf(name, sizeof(name), "%s/file", where);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(name);
    return rmdir(where);
}

static void allow(sl_sandbox *sb, void *arg)
{
    (void)arg;
    sl_error err;
    assert_int_equal(sl_sandbox_allow_stream(sb, STDIN_FILENO, &err), 0);
}

/* What a command with this descriptor as its standard input finds. */
static void expect(int fd, const char *denied, int reads, int writes, const char *file)
{
    char texts[2][8];
    sl_autoclose int own = dup(STDIN_FILENO);
    snprintf(texts[0], sizeof(texts[0]), "%d", reads);
    snprintf(texts[1], sizeof(texts[1]), "%d", writes);
    assert_int_equal(dup2(fd, STDIN_FILENO), STDIN_FILENO);
    SL_AUTO(sl_policy)
    policy = live_policy("fs_readable", "/usr", "fs_readable", "?/lib64", "fs_readable", "/proc",
                         "fs_readable", "/proc/self/exe", "fs_denied", denied, NULL);
    struct live_run run = {
        .policy = policy, .program = "opens", .args = {texts[0], texts[1], file}, .prepare = allow};
    int status = live_run(&run);
    assert_int_equal(dup2(own, STDIN_FILENO), STDIN_FILENO);
    if (status != 0) {
        fail_msg("descriptor opened with %o: %d %s", (unsigned)fcntl(fd, F_GETFL), status,
                 run.error);
    }
}

static void the_open_mode_says_what_is_given(void **state)
{
    static const struct {
        int flags;
        int reads, writes;
    } cases[] = {
        {O_RDONLY, 0, EACCES},    {O_WRONLY, EACCES, 0},
        {O_RDWR, 0, 0},           {O_WRONLY | O_APPEND, EACCES, 0},
        {O_PATH, EACCES, EACCES},
    };
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        sl_autoclose int made = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        sl_autoclose int fd = open(name, cases[i].flags | O_CLOEXEC);
        assert_true(made >= 0 && fd >= 0);
        expect(fd, "?/nowhere/at/all", cases[i].reads, cases[i].writes, name);
    }
}

static void what_is_denied_stays_denied(void **state)
{
    (void)state;
    sl_autoclose int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    expect(fd, name, EACCES, EACCES, name);
    expect(fd, where, EACCES, EACCES, name);
}

/* A here-document of many shells: its file is gone before the command begins. */
static void a_file_that_was_deleted(void **state)
{
    (void)state;
    sl_autoclose int made = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    sl_autoclose int fd = open(name, O_RDONLY | O_CLOEXEC);
    assert_true(made >= 0 && fd >= 0 && unlink(name) == 0);
    expect(fd, "?/nowhere/at/all", 0, EACCES, "");
    expect(fd, where, EACCES, EACCES, "");
}

/* Other things than files keep what they had: a directory's rule would reach below it. */
static void nothing_else_is_granted(void **state)
{
    (void)state;
    sl_fsview view = {0};
    struct stat st;
    SL_AUTO(sl_policy) policy = live_policy("fs_readable", "/usr", NULL);
    sl_autoclose int ruleset = sl_landlock_new(SL_LANDLOCK_FILES);
    sl_autoclose int dir = open(where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    sl_autoclose int device = open("/dev/null", O_RDWR | O_CLOEXEC);
    int pair[2];
    assert_int_equal(pipe(pair), 0);
    assert_int_equal(sl_streams_allow(policy, ruleset, &view, dir), 0);
    assert_int_equal(sl_streams_allow(policy, ruleset, &view, device), 0);
    assert_int_equal(sl_streams_allow(policy, ruleset, &view, pair[0]), 0);
    assert_int_equal(sl_streams_allow(policy, ruleset, &view, -1), 0);
    assert_int_equal(view.stream_count, 0);
    sl_autoclose int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(sl_streams_allow(policy, ruleset, &view, fd), 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(sl_fsview_stream_rights(&view, &st), SL_LANDLOCK_FILL);
    close(pair[0]);
    close(pair[1]);
}

static const struct live_program programs[] = {
    {"opens", program_opens},
    {0},
};

int main(int argc, char **argv)
{
    live_start(argc, argv, programs);
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_open_mode_says_what_is_given),
        cmocka_unit_test(what_is_denied_stays_denied),
        cmocka_unit_test(a_file_that_was_deleted),
        cmocka_unit_test(nothing_else_is_granted),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
