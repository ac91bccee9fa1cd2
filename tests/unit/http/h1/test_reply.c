/* Our answers on the wire: framed for the client that asked, and whether the connection goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "../talk.h"
#include "core/util.h"
#include "http/h1/exchange_int.h"

static rig r;

static int set_up(void **state)
{
    (void)state;
    rig_init(&r);
    rig_keep_log(&r);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_done(&r);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static void a_denial_leaves_the_connection(void **state)
{
    (void)state;
    rig_flow(&r);
    client_says(&r, "GET /deny HTTP/1.1\r\n" HOST "\r\n");
    char *text =
        expect_start(&r.from_gateway, "HTTP/1.1 403 Forbidden\r\n"
                                      "Content-Type: application/json\r\nContent-Length: ");
    assert_non_null(strstr(text, "\r\nSandlock-Verdict: deny\r\n\r\n{\"error\":"));
    assert_null(strstr(text, "Connection:"));
    const char *body = strstr(text, "\r\n\r\n") + 4;
    assert_int_equal(strtoul(strstr(text, "Length: ") + 8, NULL, 10), strlen(body));
    free(text);
    client_says(&r, "GET /a HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(r.opened, 1);
}

static void an_old_client_is_told_that_it_goes_on(void **state)
{
    (void)state;
    rig_flow(&r);
    client_says(&r, "GET /deny HTTP/1.0\r\n" HOST "Connection: keep-alive\r\n\r\n");
    char *text = expect_start(&r.from_gateway, "HTTP/1.1 403 ");
    assert_non_null(strstr(text, "\r\nConnection: keep-alive\r\n"));
    free(text);
    client_says(&r, "GET /deny HTTP/1.0\r\n" HOST "\r\n");
    text = expect_start(&r.from_gateway, "HTTP/1.1 403 ");
    assert_non_null(strstr(text, "\r\nConnection: close\r\n"));
    free(text);
    assert_true(r.client_ended);
}

static void an_answer_to_head_has_no_body(void **state)
{
    (void)state;
    rig_flow(&r);
    client_says(&r, "HEAD /deny HTTP/1.1\r\n" HOST "\r\n");
    char *text = expect_start(&r.from_gateway, "HTTP/1.1 403 ");
    assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\n");
    free(text);
}

static void a_method_that_is_none_here_is_told_the_others(void **state)
{
    (void)state;
    rig_flow(&r);
    client_says(&r, "TRACE / HTTP/1.1\r\n" HOST "\r\n");
    char *text = expect_start(&r.from_gateway, "HTTP/1.1 405 Method Not Allowed\r\n");
    assert_non_null(strstr(text, "\r\nAllow: GET, HEAD, POST"));
    assert_non_null(strstr(text, "\r\nConnection: close\r\n"));
    free(text);
    assert_true(r.client_ended);
}

static void a_small_body_is_read_past(void **state)
{
    (void)state;
    rig_flow(&r);
    client_says(&r, "POST /deny HTTP/1.1\r\n" HOST "Content-Length: 26\r\n\r\n");
    expect_status(&r, "HTTP/1.1 403 ");
    client_says(&r, "GET /hidden HTTP/1.1\r\n\r\n.."); /* is the body, whatever it looks like */
    client_says(&r, "GET /a HTTP/1.1\r\n" HOST "\r\n");
    expect_text(&r.to_upstream, "GET /a HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(r.opened, 1);
}

static void a_body_that_is_too_big_ends_the_connection(void **state)
{
    (void)state;
    char text[256];
    rig_flow(&r);
    snprintf(text, sizeof(text), "POST /deny HTTP/1.1\r\n" HOST "Content-Length: %u\r\n\r\n",
             SL_DRAIN_MAX + 1);
    client_says(&r, text);
    char *got = expect_start(&r.from_gateway, "HTTP/1.1 403 ");
    assert_non_null(strstr(got, "\r\nConnection: close\r\n"));
    free(got);
    assert_true(r.client_ended);
}

/* Its length is not told: it is read until the bound. */
static void a_chunked_body_is_read_up_to_a_bound(void **state)
{
    (void)state;
    static char chunk[65536 + 9];
    rig_flow(&r);
    client_says(&r, "POST /deny HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    expect_status(&r, "HTTP/1.1 403 ");
    assert_false(r.client_ended);
    memset(chunk, 'x', sizeof(chunk));
    memcpy(chunk, "10000\r\n", 7);
    memcpy(chunk + 7 + 65536, "\r\n", 2);
    for (unsigned i = 0; i <= SL_DRAIN_MAX / 65536 && !r.client_ended; i++) {
        rig_client_says(&r, chunk, sizeof(chunk));
    }
    rig_settle(&r);
    assert_true(r.client_ended);
}

static void who_waits_for_leave_to_send_gets_none(void **state)
{
    (void)state;
    rig_flow(&r);
    client_says(&r,
                "POST /deny HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    char *text = expect_start(&r.from_gateway, "HTTP/1.1 403 ");
    assert_non_null(strstr(text, "\r\nConnection: close\r\n")); /* the body may come or not */
    free(text);
    assert_true(r.client_ended);
}

static void an_unknown_expectation_is_417(void **state)
{
    (void)state;
    rig_flow(&r);
    client_says(&r, "POST /a HTTP/1.1\r\n" HOST "Expect: 200-ok\r\nContent-Length: 0\r\n\r\n");
    expect_status(&r, "HTTP/1.1 417 Expectation Failed\r\n");
    assert_int_equal(r.opened, 0);
}

static void a_failure_is_no_verdict(void **state)
{
    (void)state;
    rig_flow(&r);
    r.refuse = "refused";
    client_says(&r, "GET /a HTTP/1.1\r\n" HOST "\r\n");
    r.refuse = NULL;
    char *text = expect_start(&r.from_gateway, "HTTP/1.1 502 Bad Gateway\r\n");
    assert_null(strstr(text, "Sandlock-Verdict"));
    free(text);
    client_says(&r, "GET /b HTTP/1.1\r\n" HOST "\r\n"); /* the connection goes on */
    assert_int_equal(r.opened, 1);
    text = rig_log(&r);
    assert_non_null(strstr(text, "\"sandlock.reason\":\"refused\""));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_denial_leaves_the_connection),
        TEST(an_old_client_is_told_that_it_goes_on),
        TEST(an_answer_to_head_has_no_body),
        TEST(a_method_that_is_none_here_is_told_the_others),
        TEST(a_small_body_is_read_past),
        TEST(a_body_that_is_too_big_ends_the_connection),
        TEST(a_chunked_body_is_read_up_to_a_bound),
        TEST(who_waits_for_leave_to_send_gets_none),
        TEST(an_unknown_expectation_is_417),
        TEST(a_failure_is_no_verdict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
