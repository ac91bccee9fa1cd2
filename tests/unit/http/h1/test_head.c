/* The raw-byte check of HTTP/1 heads, case by case as docs/security-cases.md names them. Every
 * malformed form stands beside the nearest good one, which must pass. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/util.h"
#include "http/h1/head.h"

/* Scans byte strings as they would come, `step` bytes at a time, then checks the head. */
static enum sl_head_result judge_steps(const char *text, size_t len, bool response, size_t step)
{
    sl_head_scan scan = {0};
    const char *why = NULL;
    size_t head = 0;
    for (size_t have = step; have < len + step; have += step) {
        have = have > len ? len : have;
        enum sl_head_result r =
            sl_head_scan_next(&scan, (const uint8_t *)text, have, response, &head);
        if (r == SL_HEAD_OK) {
            return response ? sl_head_check_response((const uint8_t *)text, head, &why)
                            : sl_head_check_request((const uint8_t *)text, head, &why);
        }
        if (r != SL_HEAD_MORE) {
            assert_non_null(scan.why);
            return r;
        }
        if (have == len) {
            break;
        }
    }
    return SL_HEAD_MORE;
}

static enum sl_head_result judge(const char *text, size_t len, bool response)
{
    enum sl_head_result whole = judge_steps(text, len, response, len);
    /* The same verdict however the bytes are cut. */
    assert_int_equal(whole, judge_steps(text, len, response, 1));
    assert_int_equal(whole, judge_steps(text, len, response, 7));
    return whole;
}

#define REQUEST(text)  judge(text, sizeof(text) - 1, false)
#define RESPONSE(text) judge(text, sizeof(text) - 1, true)
#define GOOD(text)     assert_int_equal(REQUEST(text), SL_HEAD_OK)
#define BAD(text)      assert_int_equal(REQUEST(text), SL_HEAD_BAD)

static void passes_what_clients_send(void **state)
{
    (void)state;
    GOOD("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n");
    GOOD("GET /a?b=c&d=%20 HTTP/1.1\r\nHost: example.com:8080\r\nAccept: */*\r\nX-Empty:\r\n\r\n");
    GOOD("POST /x HTTP/1.1\r\nhost:example.com\r\nContent-Length: 5\r\n\r\nhello");
    GOOD("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n");
    GOOD("GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n");
    GOOD("OPTIONS * HTTP/1.1\r\nHost: example.com\r\n\r\n");
    GOOD("GET / HTTP/1.0\r\nHost: example.com\r\n\r\n");
    GOOD("GET / HTTP/1.1\r\nHost: a\r\nX: tab\there \t\r\n\r\n");
    assert_int_equal(REQUEST("GET / HTTP/1.1\r\nHost: exam"), SL_HEAD_MORE);
}

static void host_is_one_and_not_empty(void **state) /* HTTP-03 */
{
    (void)state;
    BAD("GET / HTTP/1.1\r\n\r\n");
    BAD("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n");
    BAD("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nhOST: b\r\n\r\n");
    BAD("GET / HTTP/1.1\r\nHost:\r\n\r\n");
    BAD("GET / HTTP/1.1\r\nHost: \t \r\n\r\n");
}

static void targets_have_one_reading(void **state) /* HTTP-04, 05, 06 */
{
    (void)state;
    GOOD("GET /admin HTTP/1.1\r\nHost: a\r\n\r\n");
    BAD("GET /admin#/../pub HTTP/1.1\r\nHost: a\r\n\r\n");
    BAD("GET /a\\b HTTP/1.1\r\nHost: a\r\n\r\n");
    BAD("GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n");
    BAD("GET /a\x01 HTTP/1.1\r\nHost: a\r\n\r\n");
    BAD("GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n");
    GOOD("GET / HTTP/1.1\r\nHost: a\r\nX: \xff\x80 caf\xe9\r\n\r\n"); /* RFC 9110 section 5.5 */
    BAD("GET / HTTP/1.1\r\nHost: a\r\nX\xe9: a\r\n\r\n");
    BAD("G\xc9T / HTTP/1.1\r\nHost: a\r\n\r\n");
    BAD("GET / HTTP/1.1\xa0\r\nHost: a\r\n\r\n");
    BAD("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\xa0\r\n\r\n");
    BAD("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\x85\r\n\r\n");
    BAD("GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n");
    BAD("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n");
    BAD("GET / HTTP/1.1\r\nHo\0st: a\r\nHost: a\r\n\r\n");
}

static void length_and_coding_exclude_each_other(void **state) /* HTTP-07 */
{
    (void)state;
    BAD("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n");
    BAD("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n");
}

static void coding_is_chunked_alone(void **state) /* HTTP-08 */
{
    (void)state;
    BAD("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked,\r\n\r\n");
    BAD("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n");
    BAD("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n");
    BAD("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n");
    BAD("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\x0b\r\n\r\n");
    BAD("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n");
    BAD("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n");
    BAD("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
        "Transfer-Encoding: chunked\r\n\r\n");
}

static void length_is_a_plain_number(void **state) /* HTTP-09 */
{
    (void)state;
    GOOD("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    BAD("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n");
    BAD("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n");
    BAD("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\n");
    BAD("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 6\r\n\r\n");
    BAD("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n");
    BAD("POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n");
    BAD("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n");
    BAD("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n");
    BAD("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5 5\r\n\r\n");
}

static void fields_stand_at_the_line_start(void **state) /* HTTP-10 */
{
    (void)state;
    BAD("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n");
    BAD("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\tfolded\r\n\r\n");
    BAD("GET / HTTP/1.1\r\nHost : a\r\n\r\n");
    BAD("GET / HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\n");
    BAD("GET / HTTP/1.1\r\n Host: a\r\n\r\n");
    BAD("GET / HTTP/1.1\r\nHost: a\r\n: nameless\r\n\r\n");
    BAD("GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n");
    BAD("GET / HTTP/1.1\r\nHost: a\r\nX(y): z\r\n\r\n");
}

static void lines_end_in_crlf(void **state) /* HTTP-11 */
{
    (void)state;
    BAD("GET / HTTP/1.1\nHost: a\n\n");
    BAD("GET / HTTP/1.1\r\nHost: a\n\r\n");
    BAD("GET / HTTP/1.1\r\nHost: a\r\n\n");
    BAD("GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n");
    BAD("GET / HTTP/1.1\r\nHost: a\r\r\n\r\n");
    BAD("GET / HTTP/1.1\r\nHost: a\r\n\r\r\n");
    BAD("GET /\r HTTP/1.1\r\nHost: a\r\n\r\n");
}

static void request_line_has_one_form(void **state) /* HTTP-22 */
{
    (void)state;
    BAD("GET /\r\nHost: a\r\n\r\n");
    BAD("GET  / HTTP/1.1\r\nHost: a\r\n\r\n");
    BAD("GET /  HTTP/1.1\r\nHost: a\r\n\r\n");
    BAD("GET / HTTP/1.1 \r\nHost: a\r\n\r\n");
    BAD(" GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    BAD("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n");
    BAD("GET / http/1.1\r\nHost: a\r\n\r\n");
    BAD("GET / HTTP/1.11\r\nHost: a\r\n\r\n");
    BAD("G\0ET / HTTP/1.1\r\nHost: a\r\n\r\n"); /* HTTP-19 */
    BAD("\r\n\r\n");
    BAD("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_int_equal(REQUEST("GET / HTTP/2.7\r\nHost: a\r\n\r\n"), SL_HEAD_VERSION);
    assert_int_equal(REQUEST("GET / HTTP/0.9\r\nHost: a\r\n\r\n"), SL_HEAD_VERSION);
    assert_int_equal(REQUEST("GET / HTTP/1.2\r\nHost: a\r\n\r\n"), SL_HEAD_VERSION);
}

static void names_have_one_reading(void **state) /* HTTP-30 */
{
    (void)state;
    GOOD("GET / HTTP/1.1\r\nHost: a\r\nX_Request_Id: 1\r\nX.Y: 2\r\n_: 3\r\n\r\n");
    GOOD("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent_Type: a/b\r\n\r\n");
    BAD("POST / HTTP/1.1\r\nHost: a\r\nContent_Length: 5\r\n\r\n");
    BAD("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent_Length: 50\r\n\r\n");
    BAD("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\ntransfer_encoding: chunked\r\n\r\n");
    BAD("POST / HTTP/1.1\r\nTransfer.Encoding: chunked\r\nHost: a\r\n\r\n");
    BAD("GET / HTTP/1.1\r\nHost: a\r\nHost_: b\r\n\r\n");
    BAD("GET / HTTP/1.1\r\nHost_: a\r\n\r\n");
    BAD("GET / HTTP/1.1\r\nHost: a\r\nProxy_Connection: close\r\n\r\n");
    BAD("GET / HTTP/1.1\r\nHost: a\r\nX_HTTP_Method_Override: DELETE\r\n\r\n");
    /* from an upstream: whatever reads it drops it */
    assert_int_equal(RESPONSE("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent_Length: 5\r\n\r\n"),
                     SL_HEAD_OK);
}

/* A request with `n` bytes of `c` between two texts; never more than that is looked at. */
static enum sl_head_result padded(const char *before, size_t n, const char *after)
{
    size_t a = strlen(before);
    size_t b = strlen(after);
    char *text = malloc(a + n + b);
    assert_non_null(text);
    memcpy(text, before, a);
    memset(text + a, 'x', n);
    memcpy(text + a + n, after, b);
    enum sl_head_result r = judge_steps(text, a + n + b, false, 4096);
    free(text);
    return r;
}

static void sizes_are_bounded(void **state) /* HTTP-23 */
{
    (void)state;
    const char *rest = " HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_int_equal(padded("GET /", 8000, rest), SL_HEAD_OK);
    assert_int_equal(padded("GET /", 1 << 20, rest), SL_HEAD_TARGET);
    assert_int_equal(padded("GET /", 1 << 20, ""), SL_HEAD_TARGET);
    const char *field = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
    assert_int_equal(padded(field, 16000, "\r\n\r\n"), SL_HEAD_OK);
    assert_int_equal(padded(field, 1 << 20, "\r\n\r\n"), SL_HEAD_LARGE);
    assert_int_equal(padded(field, 1 << 20, ""), SL_HEAD_LARGE);
}

static enum sl_head_result with_fields(unsigned count)
{
    char *text = malloc(64 + 8 * (size_t)count);
    assert_non_null(text);
    int at = snprintf(text, 64, "GET / HTTP/1.1\r\nHost: a\r\n");
    for (unsigned i = 1; i < count; i++) {
        memcpy(text + at, "X: y\r\n", 6);
        at += 6;
    }
    memcpy(text + at, "\r\n", 2);
    enum sl_head_result r = judge_steps(text, (size_t)at + 2, false, 4096);
    free(text);
    return r;
}

static void fields_are_counted(void **state) /* HTTP-23 */
{
    (void)state;
    assert_int_equal(with_fields(SL_HEAD_FIELDS_MAX), SL_HEAD_OK);
    assert_int_equal(with_fields(SL_HEAD_FIELDS_MAX + 1), SL_HEAD_LARGE);
    assert_int_equal(with_fields(10000), SL_HEAD_LARGE);
}

static void responses_are_held_to_the_same(void **state) /* HTTP-29 */
{
    (void)state;
    assert_int_equal(RESPONSE("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), SL_HEAD_OK);
    assert_int_equal(RESPONSE("HTTP/1.1 204\r\n\r\n"), SL_HEAD_OK);
    assert_int_equal(RESPONSE("HTTP/1.0 200 \xc3\xa9\r\nX: caf\xe9\r\n\r\n"), SL_HEAD_OK);
    assert_int_equal(RESPONSE("HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b\r\n\r\n"), SL_HEAD_BAD);
    assert_int_equal(RESPONSE("HTTP/1.1 200 OK\r\nX: a\nSet-Cookie: b\r\n\r\n"), SL_HEAD_BAD);
    assert_int_equal(RESPONSE("HTTP/1.1 20 OK\r\n\r\n"), SL_HEAD_BAD);
    assert_int_equal(RESPONSE("HTTP/1.1 2000\r\n\r\n"), SL_HEAD_BAD);
    assert_int_equal(RESPONSE("HTTP/1.1  200 OK\r\n\r\n"), SL_HEAD_BAD);
    assert_int_equal(RESPONSE("ICY 200 OK\r\n\r\n"), SL_HEAD_BAD);
    assert_int_equal(RESPONSE("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n"
                              "Transfer-Encoding: chunked\r\n\r\n"),
                     SL_HEAD_BAD);
}

static void a_response_may_say_its_length_again(void **state) /* RFC 9112 section 6.3 */
{
    static const char *const same[] = {"5\r\nContent-Length: 5", "5, 5", "5 ,\t5,5",
                                       "5,5\r\nX: y\r\ncontent-length:5"};
    static const char *const other[] = {"5\r\nContent-Length: 6",  "5, 6", "5,",     ",5", "5,,5",
                                        "5\r\nContent-Length: 05", "5 5",  "5\v, 5", "",   "5;5"};
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(same) + SL_ARRAY_LEN(other); i++) {
        bool good = i < SL_ARRAY_LEN(same);
        char text[128];
        const char *why = NULL;
        int n = snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n",
                         good ? same[i] : other[i - SL_ARRAY_LEN(same)]);
        enum sl_head_result r = sl_head_check_response((const uint8_t *)text, (size_t)n, &why);
        if ((r == SL_HEAD_OK) != good || (!good && strstr(why, "RFC 9112") == NULL)) {
            fail_msg("%d for '%s'", (int)r, text);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes_what_clients_send),
        cmocka_unit_test(host_is_one_and_not_empty),
        cmocka_unit_test(targets_have_one_reading),
        cmocka_unit_test(length_and_coding_exclude_each_other),
        cmocka_unit_test(coding_is_chunked_alone),
        cmocka_unit_test(length_is_a_plain_number),
        cmocka_unit_test(fields_stand_at_the_line_start),
        cmocka_unit_test(lines_end_in_crlf),
        cmocka_unit_test(request_line_has_one_form),
        cmocka_unit_test(names_have_one_reading),
        cmocka_unit_test(sizes_are_bounded),
        cmocka_unit_test(fields_are_counted),
        cmocka_unit_test(responses_are_held_to_the_same),
        cmocka_unit_test(a_response_may_say_its_length_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
