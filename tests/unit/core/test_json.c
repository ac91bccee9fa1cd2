/* JSON text: every byte that a child or server can choose, whole lines, no room, no memory. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "alloc.h"
#include "core/json.h"
#include "core/util.h"

#define ROOM 65536

static void assert_string(const char *text, size_t len, const char *expected)
{
    sl_buf out;
    sl_buf_init(&out, ROOM);
    assert_int_equal(sl_json_string(&out, text, len), 0);
    assert_int_equal(sl_buf_append(&out, "", 1), 0);
    assert_string_equal((char *)sl_buf_head(&out), expected);
    sl_buf_done(&out);
}

static void test_plain(void **state)
{
    (void)state;
    assert_string("", 0, "\"\"");
    assert_string("/v1/x?a=b", 9, "\"/v1/x?a=b\"");
    assert_string("say \"hi\" \\ bye", 14, "\"say \\\"hi\\\" \\\\ bye\"");
    assert_string("gr\xc3\xbc\xc3\x9f", 6, "\"gr\xc3\xbc\xc3\x9f\"");
    assert_string("\xe2\x82\xac \xf0\x9f\x8e\x88", 8, "\"\xe2\x82\xac \xf0\x9f\x8e\x88\"");
    assert_string("cut here", 3, "\"cut\"");
}

static void test_control(void **state)
{
    (void)state;
    assert_string("a\nb\r\t", 5, "\"a\\u000ab\\u000d\\u0009\"");
    assert_string("\0x", 2, "\"\\u0000x\"");
    assert_string("\x1b[31m\x7f", 6, "\"\\u001b[31m\\u007f\"");
    assert_string("\xc2\x9b"
                  "2J",
                  4, "\"\\u009b2J\"");                                  /* a C1 byte, as UTF-8 */
    assert_string("\xe2\x80\xa8\xe2\x80\xa9", 6, "\"\\u2028\\u2029\""); /* line ends to some */
}

static void test_not_utf8(void **state)
{
    static const struct {
        const char *text;
        const char *expected;
    } cases[] = {
        {"a\xff", "\"a\\ufffd\""},
        {"\x80", "\"\\ufffd\""},
        {"\xc3", "\"\\ufffd\""},                                  /* cut */
        {"\xe2\x82", "\"\\ufffd\\ufffd\""},                       /* cut */
        {"\xc0\xaf", "\"\\ufffd\\ufffd\""},                       /* overlong '/' */
        {"\xe0\x80\xaf", "\"\\ufffd\\ufffd\\ufffd\""},            /* overlong */
        {"\xf0\x80\x80\xaf", "\"\\ufffd\\ufffd\\ufffd\\ufffd\""}, /* overlong */
        {"\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""},            /* a surrogate */
        {"\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\""}, /* beyond U+10FFFF */
        {"\xc3(", "\"\\ufffd(\""},                                /* the next is not eaten */
        {"\xe2\x82\"", "\"\\ufffd\\ufffd\\\"\""},                 /* nor does a quote get out */
    };
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        assert_string(cases[i].text, strlen(cases[i].text), cases[i].expected);
    }
}

/* Whatever two bytes stand there, another reader takes it for one string, and it is one line. */
static void test_every_pair_of_bytes(void **state)
{
    sl_buf out;
    (void)state;
    sl_buf_init(&out, ROOM);
    for (unsigned i = 0; i < 65536; i++) {
        char text[3] = {(char)(i >> 8), (char)i, 'z'};
        sl_buf_consume(&out, out.len);
        assert_int_equal(sl_json_string(&out, text, 3), 0);
        for (size_t k = 0; k < out.len; k++) {
            uint8_t c = sl_buf_head(&out)[k];
            assert_true(c >= 0x20 && c != 0x7f);
        }
        json_t *value = json_loadb((const char *)sl_buf_head(&out), out.len,
                                   JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        if (!json_is_string(value)) {
            fail_msg("%02x %02x", i >> 8, i & 0xff);
        }
        size_t len = json_string_length(value);
        assert_int_equal(json_string_value(value)[len - 1], 'z');
        json_decref(value);
    }
    sl_buf_done(&out);
}

static void test_members(void **state)
{
    sl_buf out;
    (void)state;
    sl_buf_init(&out, ROOM);
    assert_int_equal(sl_buf_append_str(&out, "{"), 0);
    assert_int_equal(sl_json_member(&out, "a", "x"), 0);
    assert_int_equal(sl_json_member(&out, "b", NULL), 0);
    assert_int_equal(sl_json_number(&out, "c", 0), 0);
    assert_int_equal(sl_json_number(&out, "d", UINT64_MAX), 0);
    assert_int_equal(sl_json_member(&out, "e", "{"), 0); /* is no beginning of an object */
    assert_int_equal(sl_json_member(&out, "f", ""), 0);
    assert_int_equal(sl_buf_append(&out, "}", 2), 0);
    assert_string_equal((char *)sl_buf_head(&out), "{\"a\":\"x\",\"b\":null,\"c\":0,"
                                                   "\"d\":18446744073709551615,\"e\":\"{\","
                                                   "\"f\":\"\"}");
    sl_buf_done(&out);
}

static void test_no_room(void **state)
{
    (void)state;
    for (size_t max = 0; max < 20; max++) {
        sl_buf out;
        sl_buf_init(&out, max);
        int r = sl_json_string(&out, "ab\n\"\xff", 5); /* is 18 bytes */
        assert_int_equal(r, max >= 18 ? 0 : -ENOBUFS);
        assert_true(out.len <= max);
        sl_buf_done(&out);
    }
}

static void test_no_memory(void **state)
{
    sl_buf out;
    (void)state;
    sl_buf_init(&out, ROOM);
    alloc_fail(0);
    assert_int_equal(sl_json_member(&out, "a", "x"), -ENOMEM);
    assert_true(alloc_failed());
    assert_int_equal(out.len, 0);
    sl_buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),     cmocka_unit_test(test_control),
        cmocka_unit_test(test_not_utf8),  cmocka_unit_test(test_every_pair_of_bytes),
        cmocka_unit_test(test_members),   cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
