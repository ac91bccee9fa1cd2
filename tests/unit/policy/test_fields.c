/* The table of fields. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy/policy.h"

static void test_nearest(void **state)
{
    (void)state;
    assert_string_equal(sl_field_nearest("http_alow")->name, "http_allow");
    assert_string_equal(sl_field_nearest("http-allow")->name, "http_allow");
    assert_string_equal(sl_field_nearest("max_proceses")->name, "max_processes");
    assert_null(sl_field_nearest("zzzzzzzzzz"));
    assert_null(sl_field_by_name("http_alow"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nearest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
