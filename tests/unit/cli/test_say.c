/* What the program writes: one line for a failure, and nothing that acts on a terminal. SUP-09. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "caught.h"
#include "cli/say.h"
#include "core/util.h"

static struct caught caught;

static const char *failed(const sl_error *err, int code)
{
    caught_begin(&caught, STDERR_FILENO);
    int got = sl_cli_fail(err);
    caught_end(&caught);
    assert_int_equal(got, code);
    return caught.text;
}

static void a_failure_has_its_code(void **state)
{
    (void)state;
    sl_error err;
    sl_error_usage(&err, "unknown option '%s'", "--x");
    assert_string_equal(failed(&err, 2), "sandlock: unknown option '--x'\n");
    sl_error_set(&err, EIO, "cannot read '/x'");
    assert_string_equal(failed(&err, 125), "sandlock: cannot read '/x'\n");
    sl_error_kind_set(&err, SL_ERROR_NOT_FOUND, ENOENT, "cannot find 'x'");
    (void)failed(&err, 127);
}

static void control_bytes_are_shown(void **state)
{
    (void)state;
    sl_error err;
    sl_error_set(&err, EIO, "%s", "a\n\x1b[31m\x7f\xc2\x9b \xc3\xa9 \xff\xe2\x82");
    assert_string_equal(failed(&err, 125),
                        "sandlock: a\\x0a\\x1b[31m\\x7f\\xc2\\x9b \xc3\xa9 \\xff\\xe2\\x82\n");
}

/* Every byte grows to four, and the line still has its end. */
static void the_longest_message_is_a_line(void **state)
{
    (void)state;
    sl_error err = {.kind = SL_ERROR_SYSTEM};
    memset(err.message, '\x01', sizeof(err.message) - 1);
    const char *line = failed(&err, 125);
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    assert_int_equal(strspn(line + 10, "\\x01"), strlen(line) - 11);
}

static void text_of_others_is_escaped(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *shown;
    } rows[] = {{"", ""},
                {"plain name", "plain name"},
                {"\xe2\x82\xac \xf0\x9f\x98\x80", "\xe2\x82\xac \xf0\x9f\x98\x80"},
                {"a\tb", "a\\x09b"},
                {"\xc0\xaf", "\\xc0\\xaf"},
                {"\xc2\x85", "\\xc2\\x85"}};
    for (size_t i = 0; i < SL_ARRAY_LEN(rows); i++) {
        sl_buf out;
        sl_buf_init(&out, 256);
        assert_int_equal(sl_cli_put_printable(&out, rows[i].text), 0);
        assert_int_equal(sl_buf_append(&out, "", 1), 0);
        assert_string_equal((const char *)sl_buf_head(&out), rows[i].shown);
        sl_buf_done(&out);
    }
    sl_buf small;
    sl_buf_init(&small, 3);
    assert_true(sl_cli_put_printable(&small, "\x01") < 0);
    sl_buf_done(&small);
}

static void output_or_the_reason(void **state)
{
    (void)state;
    sl_buf out;
    sl_buf_init(&out, 64);
    assert_int_equal(sl_buf_append_str(&out, "text\n"), 0);
    caught_begin(&caught, STDOUT_FILENO);
    assert_int_equal(sl_cli_put(0, &out), 0);
    assert_string_equal(caught_end(&caught), "text\n");
    caught_begin(&caught, STDERR_FILENO);
    assert_int_equal(sl_cli_put(-ENOMEM, &out), 125);
    assert_non_null(strstr(caught_end(&caught), "cannot write to standard output"));
    sl_buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_has_its_code),
        cmocka_unit_test(control_bytes_are_shown),
        cmocka_unit_test(the_longest_message_is_a_line),
        cmocka_unit_test(text_of_others_is_escaped),
        cmocka_unit_test(output_or_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
