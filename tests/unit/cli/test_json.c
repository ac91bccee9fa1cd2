/* JSON as the program prints it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/json.h"

static void it_is_ascii_and_ends_its_line(void **state)
{
    (void)state;
    sl_buf out;
    json_t *value = json_pack("{s:s, s:i}", "name", "\xc3\xa9\x1b", "pid", 7);
    sl_buf_init(&out, 256);
    assert_int_equal(sl_cli_put_json(&out, value), 0);
    assert_int_equal(sl_buf_append(&out, "", 1), 0);
    const char *text = (const char *)sl_buf_head(&out);
    assert_non_null(strstr(text, "\\u00E9\\u001B"));
    assert_int_equal(text[strlen(text) - 1], '\n');
    json_t *again = json_loads(text, 0, NULL);
    assert_true(json_equal(value, again));
    json_decref(again);
    json_decref(value);
    sl_buf_done(&out);
}

static void no_memory_is_an_error(void **state)
{
    (void)state;
    sl_buf out;
    json_t *value = json_string("longer than there is room for");
    sl_buf_init(&out, 8);
    assert_int_equal(sl_cli_put_json(&out, NULL), -ENOMEM);
    assert_int_equal(sl_cli_put_json(&out, value), -ENOMEM);
    json_decref(value);
    sl_buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(it_is_ascii_and_ends_its_line),
                                       cmocka_unit_test(no_memory_is_an_error)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
