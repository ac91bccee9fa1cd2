/* Numbers out of text: what is one, where it ends, and that nothing wraps. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/num.h"
#include "core/util.h"

#define UNTOUCHED 4711

static void test_parse(void **state)
{
    static const struct {
        const char *text;
        uint64_t max;
        uint64_t value;
    } good[] = {
        {"0", 0, 0},
        {"7", 7, 7},
        {"007", 7, 7},
        {"65535", 65535, 65535},
        {"18446744073709551615", UINT64_MAX, UINT64_MAX},
        {"00000000000000000000000018446744073709551615", UINT64_MAX, UINT64_MAX},
    };
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(good); i++) {
        uint64_t value = UNTOUCHED;
        assert_int_equal(sl_num_parse_str(good[i].text, good[i].max, &value), 0);
        assert_true(value == good[i].value);
    }
}

static void test_parse_refuses(void **state)
{
    static const struct {
        const char *text;
        uint64_t max;
        int r;
    } bad[] = {
        {"", UINT64_MAX, -EINVAL},
        {"-1", UINT64_MAX, -EINVAL},
        {"+1", UINT64_MAX, -EINVAL},
        {" 1", UINT64_MAX, -EINVAL},
        {"1 ", UINT64_MAX, -EINVAL},
        {"1\n", UINT64_MAX, -EINVAL},
        {"0x10", UINT64_MAX, -EINVAL},
        {"1e3", UINT64_MAX, -EINVAL},
        {"1.0", UINT64_MAX, -EINVAL},
        {"a", UINT64_MAX, -EINVAL},
        {"/", UINT64_MAX, -EINVAL},
        {":", UINT64_MAX, -EINVAL},
        {"\xd9\xa1", 9, -EINVAL},
        {"1", 0, -ERANGE},
        {"8", 7, -ERANGE},
        {"9", 3, -ERANGE},
        {"65536", 65535, -ERANGE},
        {"18446744073709551615", UINT64_MAX - 1, -ERANGE},
    };
    uint64_t value = UNTOUCHED;
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        assert_int_equal(sl_num_parse_str(bad[i].text, bad[i].max, &value), bad[i].r);
    }
    assert_int_equal(value, UNTOUCHED);
}

/* One past 64 bits, and the lengths where a sum that wraps looks small again. */
static void test_parse_does_not_wrap(void **state)
{
    char text[64];
    uint64_t value = UNTOUCHED;
    (void)state;
    assert_int_equal(sl_num_parse_str("18446744073709551616", UINT64_MAX, &value), -ERANGE);
    assert_int_equal(sl_num_parse_str("18446744073709551620", UINT64_MAX, &value), -ERANGE);
    for (size_t len = 21; len < sizeof(text); len++) {
        for (char digit = '1'; digit <= '9'; digit++) {
            memset(text, digit, len);
            assert_int_equal(sl_num_parse(text, len, UINT64_MAX, &value), -ERANGE);
        }
    }
    assert_int_equal(value, UNTOUCHED);
}

static void test_parse_counted(void **state)
{
    uint64_t value = UNTOUCHED;
    sl_autofree char *exact = malloc(3); /* no NUL behind it: a byte too many is seen by ASan */
    (void)state;
    assert_non_null(exact);
    memcpy(exact, "123", 3);
    assert_int_equal(sl_num_parse(exact, 3, 999, &value), 0);
    assert_int_equal(value, 123);
    assert_int_equal(sl_num_parse(exact, 2, 999, &value), 0);
    assert_int_equal(value, 12);
    assert_int_equal(sl_num_parse(exact, 0, 999, &value), -EINVAL);
    assert_int_equal(sl_num_parse("12\0"
                                  "34",
                                  5, 9999, &value),
                     -EINVAL);
    assert_int_equal(sl_num_parse("1", 1000000, 9, &value), -EINVAL); /* ends at the NUL */
    assert_int_equal(value, 12);
}

static void test_parse_plain(void **state)
{
    uint64_t value = UNTOUCHED;
    (void)state;
    assert_int_equal(sl_num_parse_plain("0", 1, 255, &value), 0);
    assert_int_equal(value, 0);
    assert_int_equal(sl_num_parse_plain("255", 3, 255, &value), 0);
    assert_int_equal(value, 255);
    assert_int_equal(sl_num_parse_plain("010", 3, 255, &value), -EINVAL);
    assert_int_equal(sl_num_parse_plain("00", 2, 255, &value), -EINVAL);
    assert_int_equal(sl_num_parse_plain("", 0, 255, &value), -EINVAL);
    assert_int_equal(sl_num_parse_plain("256", 3, 255, &value), -ERANGE);
    assert_int_equal(value, 255);
}

static void test_take(void **state)
{
    const char *const text = "12,345x99999";
    const char *at = text;
    uint64_t value = UNTOUCHED;
    (void)state;
    assert_int_equal(sl_num_take(&at, 12, &value), 0);
    assert_int_equal(value, 12);
    assert_int_equal(*at++, ',');
    assert_int_equal(sl_num_take(&at, 1000, &value), 0);
    assert_int_equal(value, 345);
    assert_int_equal(*at, 'x');
    assert_int_equal(sl_num_take(&at, 1000, &value), -EINVAL);
    assert_int_equal(*at++, 'x');
    assert_int_equal(sl_num_take(&at, 99998, &value), -ERANGE);
    assert_ptr_equal(at, text + 7);
    assert_int_equal(value, 345);
    at = "";
    assert_int_equal(sl_num_take(&at, 9, &value), -EINVAL);
}

static void test_take_fraction(void **state)
{
    static const struct {
        const char *text;
        unsigned digits;
        uint64_t value;
        char next;
    } good[] = {
        {"25", 3, 250, '\0'},
        {"025s", 3, 25, 's'},
        {"0", 9, 0, '\0'},
        {"123456789", 9, 123456789, '\0'},
        {"1234567891", 9, 123456789, '1'}, /* not rounded, not lost */
        {"9999999999999999999", 19, 9999999999999999999u, '\0'},
    };
    uint64_t value = UNTOUCHED;
    const char *at = "s";
    (void)state;
    assert_int_equal(sl_num_take_fraction(&at, 3, &value), -EINVAL);
    assert_int_equal(*at, 's');
    assert_int_equal(value, UNTOUCHED);
    for (size_t i = 0; i < SL_ARRAY_LEN(good); i++) {
        at = good[i].text;
        assert_int_equal(sl_num_take_fraction(&at, good[i].digits, &value), 0);
        assert_true(value == good[i].value);
        assert_int_equal(*at, good[i].next);
    }
}

static void test_next(void **state)
{
    const char *at = "cpu0 \t12  345\n6";
    uint64_t value = UNTOUCHED;
    (void)state;
    at += 4;
    assert_int_equal(sl_num_next(&at, &value), 0);
    assert_int_equal(value, 12);
    assert_int_equal(sl_num_next(&at, &value), 0);
    assert_int_equal(value, 345);
    assert_int_equal(sl_num_next(&at, &value), -EINVAL); /* a line is a line */
    assert_int_equal(*at, '\n');
    at = "  -1";
    assert_int_equal(sl_num_next(&at, &value), -EINVAL);
    assert_int_equal(*at, ' ');
    assert_int_equal(value, 345);
}

static void test_after(void **state)
{
    static const char text[] =
        "Name:\tx\nTgid:\t41\nTgid:\t42\nVmRSS:\t    1234 kB\nEmpty:\nNeg:\t-1\n"
        "Huge:\t18446744073709551616\nLast:\t9";
    (void)state;
    assert_int_equal(sl_num_after(text, "\nTgid:", 0), 41);
    assert_int_equal(sl_num_after(text, "\nVmRSS:", 0), 1234);
    assert_int_equal(sl_num_after(text, "\nLast:\t", 0), 9);
    assert_int_equal(sl_num_after(text, "\nEmpty:", 5), 5); /* not the number of the next line */
    assert_int_equal(sl_num_after(text, "\nNeg:", 5), 5);
    assert_int_equal(sl_num_after(text, "\nHuge:", 5), 5);
    assert_int_equal(sl_num_after(text, "\nNone:", 5), 5);
    assert_int_equal(sl_num_after(text, "\nLast:\t9", 5), 5); /* behind it is the end */
    assert_true(sl_num_after("", "x", UINT64_MAX) == UINT64_MAX);
}

static void test_pid(void **state)
{
    (void)state;
    assert_int_equal(sl_num_pid("1"), 1);
    assert_int_equal(sl_num_pid("2147483647"), INT32_MAX);
    assert_int_equal(sl_num_pid("123/fd/4"), 123);
    assert_int_equal(sl_num_pid("2147483648"), 0);
    assert_int_equal(sl_num_pid("4294967297"), 0); /* 1, if it were cut */
    assert_int_equal(sl_num_pid("0"), 0);
    assert_int_equal(sl_num_pid("-1"), 0);
    assert_int_equal(sl_num_pid(" 1"), 0);
    assert_int_equal(sl_num_pid("self"), 0);
    assert_int_equal(sl_num_pid(""), 0);
}

static void test_hex(void **state)
{
    static const char digits[] = "0123456789abcdef";
    uint64_t value = UNTOUCHED;
    (void)state;
    for (int c = 0; c < 256; c++) {
        const char *found = c == 0 || (c >= 'A' && c <= 'F') ? NULL : strchr(digits, c);
        int expected = c >= 'A' && c <= 'F' ? c - 'A' + 10
                       : found == NULL      ? -1
                                            : (int)(found - digits);
        assert_int_equal(sl_num_hex_digit((char)c), expected);
    }
    assert_int_equal(sl_num_parse_hex("0100007F", 8, UINT32_MAX, &value), 0);
    assert_int_equal(value, 0x0100007f);
    assert_int_equal(sl_num_parse_hex("ffffffffffffffff", 16, UINT64_MAX, &value), 0);
    assert_true(value == UINT64_MAX);
    assert_int_equal(sl_num_parse_hex("10000000000000000", 17, UINT64_MAX, &value), -ERANGE);
    assert_int_equal(sl_num_parse_hex("10000", 5, UINT16_MAX, &value), -ERANGE);
    assert_int_equal(sl_num_parse_hex("0x1", 3, UINT16_MAX, &value), -EINVAL);
    assert_int_equal(sl_num_parse_hex("fg", 2, UINT16_MAX, &value), -EINVAL);
    assert_int_equal(sl_num_parse_hex("", 0, UINT16_MAX, &value), -EINVAL);
    assert_true(value == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_parse_refuses),
        cmocka_unit_test(test_parse_does_not_wrap),
        cmocka_unit_test(test_parse_counted),
        cmocka_unit_test(test_parse_plain),
        cmocka_unit_test(test_take),
        cmocka_unit_test(test_take_fraction),
        cmocka_unit_test(test_next),
        cmocka_unit_test(test_after),
        cmocka_unit_test(test_pid),
        cmocka_unit_test(test_hex),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
