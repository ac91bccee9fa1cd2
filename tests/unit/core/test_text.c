/* Foreign text made safe: every byte there is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/text.h"

static void test_every_byte(void **state)
{
    (void)state;
    for (int c = 1; c < 256; c++) {
        char text[] = {'a', (char)c, 'z', '\0'};
        sl_printable(text);
        assert_int_equal(text[0], 'a');
        assert_int_equal((unsigned char)text[1], c >= 0x20 && c < 0x7f ? c : '?');
        assert_int_equal(text[2], 'z');
        assert_int_equal(text[3], '\0');
    }
}

static void test_words(void **state)
{
    char empty[] = "";
    char line[] = "\x1b[2Jname\r\nsandlock: all is well\xc2\x9b";
    (void)state;
    sl_printable(empty);
    assert_string_equal(empty, "");
    sl_printable(line);
    assert_string_equal(line, "?[2Jname??sandlock: all is well??");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_byte),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
