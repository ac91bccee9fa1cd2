/* The table of path calls: where each has its names, and what its flags mean for them. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "core/util.h"
#include "kernel/numbers.h"
#include "supervisor/path.h"

#define NONE    (-1)
#define FOLLOWS 0u
#define LINK    ((unsigned)AT_SYMLINK_NOFOLLOW)

/* Arguments that tell by their value which they are. */
static sl_call call_of(int nr)
{
    return (sl_call){.nr = nr, .args = {100, 101, 102, 103, 104, 105}};
}

struct expected {
    int nr;
    unsigned which;
    int dirfd;        /* AT_FDCWD: none */
    uint64_t address; /* 0: the descriptor itself */
    int next;         /* NONE: nothing is told besides */
};

static void test_places(void **state)
{
    static const struct expected cases[] = {
        {SYS_openat, 0, 100, 101, 2},
        {SYS_openat2, 0, 100, 101, 2},
        {SYS_execve, 0, AT_FDCWD, 100, 1},
        {SYS_statx, 0, 100, 101, 3}, /* behind its flags */
        {SYS_name_to_handle_at, 0, 100, 101, 2},
        {SYS_unlinkat, 0, 100, 101, 2},
        {SL_NR_SETXATTRAT, 0, 100, 101, 3},
        {SL_NR_REMOVEXATTRAT, 0, 100, 101, 3},
        {SYS_newfstatat, 0, 100, 101, 2},
        {SYS_readlinkat, 0, 100, 101, 2},
        {SYS_fchmod, 0, 100, 0, 1},
        {SYS_fchownat, 0, 100, 101, 2},
        {SYS_symlinkat, 0, 101, 102, 0},
        {SYS_linkat, 0, 100, 101, NONE},
        {SYS_linkat, 1, 102, 103, NONE},
        {SYS_renameat2, 0, 100, 101, 4},
        {SYS_renameat2, 1, 102, 103, 4},
        {SYS_truncate, 0, AT_FDCWD, 100, 1},
        {SYS_inotify_add_watch, 0, AT_FDCWD, 101, 2},
        {SYS_fanotify_mark, 0, 103, 104, 2},
#ifdef SYS_open
        {SYS_open, 0, AT_FDCWD, 100, 1},
        {SYS_rename, 0, AT_FDCWD, 100, NONE},
        {SYS_rename, 1, AT_FDCWD, 101, NONE},
        {SYS_symlink, 0, AT_FDCWD, 101, 0},
        {SYS_futimesat, 0, 100, 101, 2},
#endif
    };
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        const struct expected *e = &cases[i];
        sl_call call = call_of(e->nr);
        sl_path_arg arg;
        assert_true(sl_path_is_call(e->nr));
        assert_true(sl_path_arg_of(&call, e->which, &arg));
        if (arg.dirfd != e->dirfd || arg.address != e->address || arg.next != e->next ||
            arg.whole != (e->address == 0)) {
            fail_msg("call %d, name %u: %d %llu %d", e->nr, e->which, arg.dirfd,
                     (unsigned long long)arg.address, arg.next);
        }
    }
}

static void test_not_there(void **state)
{
    static const int others[] = {SYS_read, SYS_socket, SYS_getdents64, -1, 100000};
    sl_path_arg arg = {.next = 77};
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(others); i++) {
        sl_call call = call_of(others[i]);
        assert_false(sl_path_is_call(others[i]));
        assert_false(sl_path_arg_of(&call, 0, &arg));
    }
    sl_call call = call_of(SYS_openat);
    assert_false(sl_path_arg_of(&call, 1, &arg)); /* it names one */
    assert_false(sl_path_arg_of(&call, SL_PATH_NAMES_MAX, &arg));
    assert_false(sl_path_arg_of(&call, UINT32_MAX, &arg));
    assert_int_equal(arg.next, 77); /* untouched */
}

static unsigned at_of(int nr, unsigned which, unsigned flags_at, uint64_t flags)
{
    sl_call call = call_of(nr);
    sl_path_arg arg;
    call.args[flags_at] = flags;
    assert_true(sl_path_arg_of(&call, which, &arg));
    return arg.at & (unsigned)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH);
}

/* Whether a link at the end is followed: by the call itself, or by its flags in their six ways. */
static void test_links(void **state)
{
    (void)state;
    assert_int_equal(at_of(SYS_openat, 0, 2, O_RDONLY), FOLLOWS);
    assert_int_equal(at_of(SYS_openat, 0, 2, O_NOFOLLOW), LINK);
    assert_int_equal(at_of(SYS_openat, 0, 2, O_CREAT), FOLLOWS);
    assert_int_equal(at_of(SYS_openat, 0, 2, O_CREAT | O_EXCL), LINK);
    assert_int_equal(at_of(SYS_openat, 0, 2, AT_SYMLINK_NOFOLLOW), FOLLOWS); /* means O_EXCL... */
    assert_int_equal(at_of(SYS_newfstatat, 0, 3, 0), FOLLOWS);
    assert_int_equal(at_of(SYS_newfstatat, 0, 3, AT_SYMLINK_NOFOLLOW), LINK);
    assert_int_equal(at_of(SYS_statx, 0, 2, AT_EMPTY_PATH), AT_EMPTY_PATH);
    assert_int_equal(at_of(SYS_linkat, 0, 4, 0), LINK);
    assert_int_equal(at_of(SYS_linkat, 0, 4, AT_SYMLINK_FOLLOW), FOLLOWS);
    assert_int_equal(at_of(SYS_linkat, 0, 4, AT_EMPTY_PATH), LINK | AT_EMPTY_PATH);
    assert_int_equal(at_of(SYS_linkat, 1, 4, AT_SYMLINK_FOLLOW), LINK);
    assert_int_equal(at_of(SYS_name_to_handle_at, 0, 4, 0), LINK); /* which it does by itself */
    assert_int_equal(at_of(SYS_name_to_handle_at, 0, 4, AT_SYMLINK_FOLLOW), FOLLOWS);
    assert_int_equal(at_of(SYS_inotify_add_watch, 0, 2, IN_MODIFY), FOLLOWS);
    assert_int_equal(at_of(SYS_inotify_add_watch, 0, 2, IN_MODIFY | IN_DONT_FOLLOW), LINK);
    assert_int_equal(at_of(SYS_fanotify_mark, 0, 1, FAN_MARK_ADD), FOLLOWS);
    assert_int_equal(at_of(SYS_fanotify_mark, 0, 1, FAN_MARK_ADD | FAN_MARK_DONT_FOLLOW), LINK);
    assert_int_equal(at_of(SYS_unlinkat, 0, 2, 0), LINK);
    assert_int_equal(at_of(SYS_lgetxattr, 0, 1, 0), LINK);
    assert_int_equal(at_of(SYS_getxattr, 0, 1, AT_SYMLINK_NOFOLLOW), FOLLOWS); /* not its flags */
    assert_int_equal(at_of(SYS_renameat2, 1, 4, 0), LINK);
    assert_int_equal(at_of(SYS_chdir, 0, 1, 0), FOLLOWS);
#ifdef SYS_open
    assert_int_equal(at_of(SYS_open, 0, 1, O_NOFOLLOW), LINK);
    assert_int_equal(at_of(SYS_lstat, 0, 1, 0), LINK);
    assert_int_equal(at_of(SYS_stat, 0, 1, 0), FOLLOWS);
#endif
}

/* fanotify_mark(2) without a path: the directory itself. */
static void test_no_path(void **state)
{
    sl_call call = call_of(SYS_fanotify_mark);
    sl_path_arg arg;
    (void)state;
    call.args[4] = 0;
    assert_true(sl_path_arg_of(&call, 0, &arg));
    assert_true(arg.whole);
    assert_int_equal(arg.dirfd, 103);
}

/* What is told besides, and nothing behind the last argument. */
static void test_said(void **state)
{
    sl_call call = call_of(SYS_statx);
    sl_path_arg arg;
    (void)state;
    assert_true(sl_path_arg_of(&call, 0, &arg));
    assert_int_equal(sl_path_said(&call, &arg, 0), 103);
    assert_int_equal(sl_path_said(&call, &arg, 2), 105);
    assert_int_equal(sl_path_said(&call, &arg, 3), 0);
    call = call_of(SYS_linkat);
    assert_true(sl_path_arg_of(&call, 0, &arg));
    assert_int_equal(sl_path_said(&call, &arg, 0), 0);
    assert_int_equal(sl_path_said(&call, &arg, 1), 0);
}

/* Of the path that was asked for with AT_EMPTY_PATH and NULL nothing is read: there is no caller.
 */
static void test_empty(void **state)
{
    char text[PATH_MAX] = "x";
    sl_path_arg arg = {.address = 0, .at = AT_EMPTY_PATH};
    sl_call call = call_of(SYS_statx);
    (void)state;
    assert_int_equal(sl_path_read(&call, &arg, text), 0);
    assert_string_equal(text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places), cmocka_unit_test(test_not_there),
        cmocka_unit_test(test_links),  cmocka_unit_test(test_no_path),
        cmocka_unit_test(test_said),   cmocka_unit_test(test_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
