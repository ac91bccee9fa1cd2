/* Errors: code, kind and sentence; nothing overflows; who asks for no sentence gets none. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/err.h"

static void test_set(void **state)
{
    sl_error err;
    (void)state;
    assert_int_equal(sl_error_set(&err, ENOENT, "cannot open '%s'", "/x"), -ENOENT);
    assert_int_equal(err.code, ENOENT);
    assert_int_equal(err.kind, SL_ERROR_SYSTEM);
    assert_string_equal(err.message, "cannot open '/x'");
    assert_int_equal(sl_error_usage(&err, "option '%s'", "-z"), -EINVAL);
    assert_int_equal(err.code, EINVAL);
    assert_int_equal(err.kind, SL_ERROR_USAGE);
    assert_string_equal(err.message, "option '-z'");
    assert_int_equal(sl_error_kind_set(&err, SL_ERROR_NOT_FOUND, ENOENT, "'%s': none", "x"),
                     -ENOENT);
    assert_int_equal(err.kind, SL_ERROR_NOT_FOUND);
    assert_string_equal(err.message, "'x': none");
}

static void test_nobody_asks(void **state)
{
    (void)state;
    assert_int_equal(sl_error_set(NULL, EIO, "x"), -EIO);
    assert_int_equal(sl_error_usage(NULL, "x"), -EINVAL);
    assert_int_equal(sl_error_kind_set(NULL, SL_ERROR_NOT_EXEC, EACCES, "x"), -EACCES);
    sl_error_prefix(NULL, "x");
}

static void test_prefix(void **state)
{
    sl_error err;
    (void)state;
    sl_error_set(&err, EIO, "cannot read");
    sl_error_prefix(&err, "profile '%s'", "p");
    assert_string_equal(err.message, "profile 'p': cannot read");
    assert_int_equal(err.code, EIO);
    sl_error_prefix(&err, "line %d", 3);
    assert_string_equal(err.message, "line 3: profile 'p': cannot read");
}

static void test_length(void **state)
{
    char text[2 * SL_ERROR_MESSAGE_MAX];
    sl_error err;
    (void)state;
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    sl_error_set(&err, EIO, "%s", text);
    assert_int_equal(strlen(err.message), SL_ERROR_MESSAGE_MAX - 1);
    sl_error_prefix(&err, "abc"); /* the end is cut, not the beginning */
    assert_int_equal(strlen(err.message), SL_ERROR_MESSAGE_MAX - 1);
    assert_memory_equal(err.message, "abc: xxx", 8);
    sl_error_set(&err, EIO, "short");
    sl_error_prefix(&err, "%s", text); /* would leave nothing of the message: left out */
    assert_string_equal(err.message, "short");
}

static void test_exit_codes(void **state)
{
    (void)state;
    assert_int_equal(sl_error_exit_code(SL_ERROR_SYSTEM), 125);
    assert_int_equal(sl_error_exit_code(SL_ERROR_USAGE), 2);
    assert_int_equal(sl_error_exit_code(SL_ERROR_NOT_EXEC), 126);
    assert_int_equal(sl_error_exit_code(SL_ERROR_NOT_FOUND), 127);
    assert_int_equal(sl_error_exit_code((enum sl_error_kind)99), 125);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set),        cmocka_unit_test(test_nobody_asks),
        cmocka_unit_test(test_prefix),     cmocka_unit_test(test_length),
        cmocka_unit_test(test_exit_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
