/* The table of secrets: for the home that the environment names and for the one of the password
 * file, never for something that is no path. */
#include <errno.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "alloc.h"
#include "core/util.h"
#include "sandbox/secrets.h"

#define HOME "/home/of-a-test"

static sl_strv list(void)
{
    sl_strv paths = {0};
    assert_int_equal(sl_secrets_list(&paths), 0);
    assert_true(paths.count > 0);
    for (size_t i = 0; i < paths.count; i++) {
        assert_int_equal(paths.items[i][0], '/'); /* whatever HOME is */
        assert_null(strchr(paths.items[i], '\n'));
        assert_null(strchr(paths.items[i], '~'));
    }
    return paths;
}

static void test_both_homes(void **state)
{
    char path[4096];
    (void)state;
    assert_int_equal(setenv("HOME", HOME, 1), 0);
    sl_strv paths = list();
    assert_true(sl_strv_has(&paths, HOME "/.ssh"));
    const struct passwd *own = getpwuid(getuid());
    if (own != NULL) {
        snprintf(path, sizeof(path), "%s/.ssh", own->pw_dir);
        assert_true(sl_strv_has(&paths, path)); /* HOME alone would be easy to lead astray */
    }
    sl_strv_done(&paths);
}

static void test_no_home(void **state)
{
    static const char *const homes[] = {"", "relative", "~", "./x"};
    (void)state;
    unsetenv("HOME");
    sl_strv plain = list();
    for (size_t i = 0; i < SL_ARRAY_LEN(homes); i++) {
        assert_int_equal(setenv("HOME", homes[i], 1), 0);
        sl_strv paths = list();
        assert_int_equal(paths.count, plain.count); /* as if there were none */
        sl_strv_done(&paths);
    }
    const struct passwd *own = getpwuid(getuid());
    if (own != NULL) {
        assert_int_equal(setenv("HOME", own->pw_dir, 1), 0);
        sl_strv paths = list();
        assert_int_equal(paths.count, plain.count); /* one home, named once */
        sl_strv_done(&paths);
    }
    sl_strv_done(&plain);
}

static void test_no_memory(void **state)
{
    (void)state;
    assert_int_equal(setenv("HOME", HOME, 1), 0);
    for (unsigned n = 0; n < 1000; n++) {
        sl_strv paths = {0};
        alloc_fail(n);
        int r = sl_secrets_list(&paths);
        bool failed = alloc_failed();
        sl_strv_done(&paths);
        if (!failed) {
            assert_int_equal(r, 0);
            assert_true(n > 2);
            return;
        }
        /* the password file is no condition: without it $HOME is left */
        assert_true(r == -ENOMEM || r == 0);
    }
    fail_msg("there is no end of it");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_homes),
        cmocka_unit_test(test_no_home),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
