/* Which paths are granted: whole components, and nothing beside them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "kernel/landlock.h"
#include "supervisor/fsview.h"

static sl_fsview *view_of(const char *writable, const char *denied)
{
    sl_fsview *view = calloc(1, sizeof(*view));
    assert_non_null(view);
    if (writable != NULL) {
        assert_int_equal(sl_strv_add(&view->writable, "/nowhere"), 0);
        assert_int_equal(sl_strv_add(&view->writable, writable), 0);
    }
    if (denied != NULL) {
        assert_int_equal(sl_strv_add(&view->denied, denied), 0);
    }
    return view;
}

static void test_below(void **state)
{
    static const struct {
        const char *path;
        const char *top;
        bool is;
    } cases[] = {
        {"/a", "/a", true},   {"/a/b", "/a", true},  {"/a/b/c", "/a/b", true},
        {"/ab", "/a", false}, {"/a", "/a/b", false}, {"/", "/a", false},
        {"/", "/", true},     {"/a", "/", true},     {"/a/b", "/a/bc", false},
        {"/A", "/a", false},  {"/a//b", "/a", true},
    };
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        if (sl_fsview_is_below(cases[i].path, cases[i].top) != cases[i].is) {
            fail_msg("'%s' below '%s'", cases[i].path, cases[i].top);
        }
    }
}

static void test_grants(void **state)
{
    (void)state;
    SL_AUTO(sl_fsview) none = view_of(NULL, NULL);
    SL_AUTO(sl_fsview) view = view_of("/srv/work", "/srv/work/secret");
    assert_false(sl_fsview_writable(none, "/"));
    assert_false(sl_fsview_denied(none, "/"));
    assert_true(sl_fsview_writable(view, "/srv/work"));
    assert_true(sl_fsview_writable(view, "/srv/work/a"));
    assert_true(sl_fsview_writable(view, "/nowhere/x")); /* any of them */
    assert_false(sl_fsview_writable(view, "/srv"));
    assert_false(sl_fsview_writable(view, "/srv/workshop"));
    assert_true(sl_fsview_denied(view, "/srv/work/secret/x"));
    assert_false(sl_fsview_denied(view, "/srv/work/secrets"));
    assert_false(sl_fsview_denied(view, "/srv/work"));
    sl_fsview_free(NULL);
}

/* What the default view hides stands behind what the rules deny. */
static void test_rules(void **state)
{
    (void)state;
    SL_AUTO(sl_fsview) view = view_of("/srv", "/srv/denied");
    assert_int_equal(sl_strv_add(&view->denied, "/srv/hidden"), 0);
    view->ruled = 1;
    assert_true(sl_fsview_denied_by_rule(view, "/srv/denied/x"));
    assert_true(sl_fsview_denied(view, "/srv/hidden/x"));
    assert_false(sl_fsview_denied_by_rule(view, "/srv/hidden/x"));
    assert_false(sl_fsview_denied_by_rule(view, "/srv"));
}

/* What is denied is so below a grant as well. */
static void test_readable(void **state)
{
    (void)state;
    SL_AUTO(sl_fsview) view = view_of("/srv/work", "/srv/work/secret");
    assert_false(sl_fsview_readable(view, "/srv/work")); /* whoever grants writing says both */
    assert_int_equal(sl_strv_add(&view->readable, "/srv/work"), 0);
    assert_int_equal(sl_strv_add(&view->readable, "/etc/hosts"), 0);
    assert_true(sl_fsview_readable(view, "/srv/work/a"));
    assert_true(sl_fsview_readable(view, "/etc/hosts"));
    assert_false(sl_fsview_readable(view, "/srv/work/secret/x"));
    assert_false(sl_fsview_readable(view, "/etc"));
    assert_false(sl_fsview_readable(view, "/"));
}

/* A file system counts where a grant is above it, at it, or below it. */
static void test_types(void **state)
{
    (void)state;
    SL_AUTO(sl_fsview) none = view_of(NULL, NULL);
    SL_AUTO(sl_fsview) all = view_of("/", NULL);
    SL_AUTO(sl_fsview) in_proc = view_of("/proc/self", NULL);
    SL_AUTO(sl_fsview) beside = view_of("/processes", NULL);
    assert_false(sl_fsview_writes_type(none, "proc"));
    assert_true(sl_fsview_writes_type(all, "proc"));
    assert_true(sl_fsview_writes_type(in_proc, "proc"));
    assert_false(sl_fsview_writes_type(beside, "proc"));
    assert_false(sl_fsview_writes_type(all, "no-such-type"));
}

/* What access(2) is told: the grants, the names below a listed directory, the streams. */
static void test_modes(void **state)
{
    (void)state;
    SL_AUTO(sl_fsview) view = view_of("/srv/own", "/srv/own/secret");
    struct stat file = {.st_mode = S_IFREG, .st_dev = 1, .st_ino = 2};
    struct stat dir = {.st_mode = S_IFDIR, .st_dev = 1, .st_ino = 3};
    assert_int_equal(sl_strv_add(&view->readable, "/usr"), 0);
    assert_int_equal(sl_strv_add(&view->listed, "/home"), 0);
    assert_int_equal(sl_strv_add(&view->devices, "/dev/null"), 0);
    assert_int_equal(sl_fsview_modes(view, "/srv/own/a", &file), R_OK | W_OK | X_OK);
    assert_int_equal(sl_fsview_modes(view, "/srv/ownshop", &file), 0);
    assert_int_equal(sl_fsview_modes(view, "/usr/bin/sh", &file), R_OK | X_OK);
    assert_int_equal(sl_fsview_modes(view, "/dev/null", &file), R_OK | W_OK);
    assert_int_equal(sl_fsview_modes(view, "/srv/own/secret", &file), 0);
    assert_int_equal(sl_fsview_modes(view, "/srv/own/secret", &dir), X_OK);
    assert_int_equal(sl_fsview_modes(view, "/home/a", &dir), R_OK | X_OK);
    assert_int_equal(sl_fsview_modes(view, "/home/a", &file), 0);
    assert_int_equal(sl_fsview_modes(view, "/", &dir), X_OK);
    view->root_listed = true;
    assert_int_equal(sl_fsview_modes(view, "/", &dir), R_OK | X_OK);
    assert_int_equal(sl_fsview_add_stream(view, &file, SL_LANDLOCK_FILL), 0);
    assert_int_equal(sl_fsview_modes(view, "/var/log/x", &file), W_OK);
    assert_int_equal(sl_fsview_add_stream(view, &file, SL_LANDLOCK_LOOK), 0);
    assert_int_equal(sl_fsview_modes(view, "/var/log/x", &file), R_OK | W_OK);
    assert_int_equal(sl_fsview_add_stream(view, &file, SL_LANDLOCK_LOOK), 0);
    assert_int_equal(sl_fsview_add_stream(view, &file, SL_LANDLOCK_LOOK), -ENOBUFS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_below),    cmocka_unit_test(test_grants),
        cmocka_unit_test(test_readable), cmocka_unit_test(test_types),
        cmocka_unit_test(test_modes),    cmocka_unit_test(test_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
