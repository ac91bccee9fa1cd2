/* Heads are written anew: what belongs to the other connection, or asks for another method, does
 * not pass, whatever Connection says; and no more is written than there is room for. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "http/h1/write.h"

static sl_h1_head h;
static sl_buf out;

static int set_up(void **state)
{
    (void)state;
    sl_buf_init(&out, 4096);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sl_buf_done(&out);
    return 0;
}

static void parse(const char *text, bool response)
{
    assert_int_equal(sl_h1_parse((const uint8_t *)text, strlen(text), response, &h), 0);
}

static void expect(const char *text)
{
    assert_int_equal(sl_buf_append(&out, "", 1), 0);
    assert_string_equal((char *)sl_buf_head(&out), text);
    sl_buf_consume(&out, out.len);
}

static void a_request_is_what_was_judged(void **state)
{
    (void)state;
    sl_h1_framing f = {.has_length = true, .length = 5};
    parse("POST http://A.test/x/../y HTTP/1.0\r\nHost: A.test\r\nContent-Length: 5\r\nX: y\r\n\r\n",
          false);
    assert_int_equal(sl_h1_write_request(&out, &h, "a.test", "/y", "q=1", &f), 0);
    expect("POST /y?q=1 HTTP/1.1\r\nHost: a.test\r\nX: y\r\nContent-Length: 5\r\n\r\n");
}

static void what_is_of_the_connection_stays_behind(void **state)
{
    (void)state;
    sl_h1_framing f = {.chunked = true};
    parse("POST / HTTP/1.1\r\nHost: a\r\nConnection: close, x-mine, cookie, content-type\r\n"
          "Keep-Alive: 5\r\nTE: trailers\r\nProxy-Authorization: x\r\nProxy-Connection: x\r\n"
          "Upgrade: h2c\r\nHTTP2-Settings: x\r\nTransfer-Encoding: chunked\r\nX-Mine: 1\r\n"
          "X-HTTP-Method-Override: DELETE\r\nX-Method-Override: PUT\r\nSandlock-Verdict: allow\r\n"
          "Cookie: kept\r\nContent-Type: kept\r\nExpect: 100-continue\r\nX-Other: kept\r\n\r\n",
          false);
    assert_int_equal(sl_h1_write_request(&out, &h, "a", "/", NULL, &f), 0);
    expect("POST / HTTP/1.1\r\nHost: a\r\nCookie: kept\r\nContent-Type: kept\r\n"
           "Expect: 100-continue\r\nX-Other: kept\r\nTransfer-Encoding: chunked\r\n\r\n");
}

static void an_upgrade_is_named_only_when_it_is_meant(void **state)
{
    (void)state;
    sl_h1_framing f = {.upgrade = true};
    parse("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", false);
    assert_int_equal(sl_h1_write_request(&out, &h, "a", "/", NULL, &f), 0);
    expect("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    f.upgrade = false;
    assert_int_equal(sl_h1_write_request(&out, &h, "a", "/", NULL, &f), 0);
    expect("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
}

static void a_response_says_what_becomes_of_its_connection(void **state)
{
    (void)state;
    sl_h1_framing f = {.close = true};
    parse("HTTP/1.0 200 Fine\r\nConnection: keep-alive\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n"
          "Sandlock-Verdict: deny\r\n\r\n",
          true);
    assert_int_equal(sl_h1_write_response(&out, &h, &f), 0);
    expect("HTTP/1.1 200 Fine\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nConnection: close\r\n\r\n");
    f = (sl_h1_framing){.keep_alive = true, .has_length = true};
    assert_int_equal(sl_h1_write_response(&out, &h, &f), 0);
    expect("HTTP/1.1 200 Fine\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nConnection: keep-alive\r\n"
           "Content-Length: 0\r\n\r\n");
}

/* At every size that does not suffice it is an error, never a shorter head that looks whole. */
static void without_room_it_fails(void **state)
{
    (void)state;
    sl_h1_framing f = {.has_length = true, .length = 5};
    parse("POST / HTTP/1.1\r\nHost: a\r\nX: y\r\nContent-Length: 5\r\n\r\n", false);
    assert_int_equal(sl_h1_write_request(&out, &h, "a", "/", "q", &f), 0);
    for (size_t max = 1; max < out.len; max++) {
        sl_buf small;
        sl_buf_init(&small, max);
        assert_int_equal(sl_h1_write_request(&small, &h, "a", "/", "q", &f), -ENOBUFS);
        assert_true(small.len <= max);
        sl_buf_done(&small);
    }
}

static int trailers(const char *lines)
{
    sl_buf in;
    sl_buf_init(&in, 4096);
    assert_int_equal(sl_buf_append_str(&in, lines), 0);
    int r = sl_h1_write_trailers(&out, &in);
    sl_buf_done(&in);
    return r;
}

static void trailers_add_nothing_that_a_head_decides(void **state)
{
    (void)state;
    assert_int_equal(trailers(""), 0);
    expect("0\r\n\r\n");
    assert_int_equal(
        trailers("X-Sum: 1\r\nHost: evil\r\nContent-Length: 5\r\n"
                 "Transfer-Encoding: chunked\r\nAuthorization: x\r\nCookie: x\r\n"
                 "SET-COOKIE: x\r\nLocation: x\r\nProxy-X: x\r\nSandlock-Verdict: x\r\n"
                 "Range: x\r\nX-HTTP-Method: x\r\nConnection: x\r\nETag: y\r\n"),
        0);
    expect("0\r\nX-Sum: 1\r\nETag: y\r\n\r\n");
    assert_int_equal(trailers("Content_Length: 5\r\nX_Sum: 1\r\nTransfer_Encoding: chunked\r\n"
                              "Host_: x\r\nSet_Cookie: x\r\nX_HTTP_Method: x\r\n"),
                     0);
    expect("0\r\nX_Sum: 1\r\n\r\n");
}

static void malformed_trailers_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"no colon\r\n", ": nameless\r\n", " folded: x\r\n",
                                      "X : y\r\n",    "X: y",           "(x): y\r\n"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(trailers(bad[i]), -EBADMSG);
        sl_buf_consume(&out, out.len);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_is_what_was_judged),
        TEST(what_is_of_the_connection_stays_behind),
        TEST(an_upgrade_is_named_only_when_it_is_meant),
        TEST(a_response_says_what_becomes_of_its_connection),
        TEST(without_room_it_fails),
        TEST(trailers_add_nothing_that_a_head_decides),
        TEST(malformed_trailers_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
