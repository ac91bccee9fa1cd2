/* The words for what is wanted of a file, and the flag that gives it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "policy/told/file_denial.h"

static void each_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (enum sl_file_want i = 0; i < SL_WANTS; i++) {
        assert_true(sl_file_want_name(i) != NULL && sl_file_want_name(i)[0] != '\0');
        for (enum sl_file_want k = 0; k < i; k++) {
            assert_string_not_equal(sl_file_want_name(i), sl_file_want_name(k));
        }
    }
}

static void what_changes_nothing_is_read(void **state)
{
    (void)state;
    static const enum sl_file_want reads[] = {SL_WANT_READ, SL_WANT_LIST, SL_WANT_EXECUTE,
                                              SL_WANT_WATCH};
    size_t writes = 0;
    for (size_t i = 0; i < sizeof(reads) / sizeof(reads[0]); i++) {
        assert_false(sl_file_want_writes(reads[i]));
    }
    for (enum sl_file_want i = 0; i < SL_WANTS; i++) {
        writes += sl_file_want_writes(i);
    }
    assert_int_equal(writes + sizeof(reads) / sizeof(reads[0]), SL_WANTS);
}

static const char *suggest(const char *grant, bool writes)
{
    static char out[64];
    memset(out, 'x', sizeof(out));
    sl_file_denial_suggest(grant, writes, out, sizeof(out));
    return out;
}

/* Never all; never what a shell would take for something else. */
static void the_flag_can_be_pasted(void **state)
{
    (void)state;
    assert_string_equal(suggest("/etc/motd", false), "-r '/etc/motd'");
    assert_string_equal(suggest("/srv/a b", true), "-w '/srv/a b'");
    assert_string_equal(suggest("/it's", false), "-r '/it'\\''s'");
    assert_string_equal(suggest("/", false), "");
    assert_string_equal(suggest("/", true), "");
    assert_string_equal(suggest("/a\nb", true), "-w $'/a\\012b'");
    assert_string_equal(suggest("/\xc3\xbc'\\", false), "-r $'/\\303\\274\\047\\134'");
    assert_string_equal(
        suggest("/\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc", false), "");
    assert_string_equal(
        suggest("/a/very/long/path/that/does/not/fit/into/what/there/is/of/room", true), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_has_a_name_of_its_own),
        cmocka_unit_test(what_changes_nothing_is_read),
        cmocka_unit_test(the_flag_can_be_pasted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
