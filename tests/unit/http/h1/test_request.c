/* The way up: what is read as a request, what goes up of it, and how a client may end. */
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

static void requests_in_one_go_are_answered_in_order(void **state)
{
    (void)state;
    rig_flow(&r);
    client_says(&r, "GET /a HTTP/1.1\r\n" HOST "\r\nGET /deny HTTP/1.1\r\n" HOST "\r\n"
                    "GET /b HTTP/1.1\r\n" HOST "\r\n");
    expect_text(&r.to_upstream, "GET /a HTTP/1.1\r\n" HOST "\r\n"); /* one at a time */
    expect_text(&r.from_gateway, "");
    upstream_says(&r, OK);
    char *text = expect_start(&r.from_gateway, OK "HTTP/1.1 403 ");
    free(text);
    expect_text(&r.to_upstream, "GET /b HTTP/1.1\r\n" HOST "\r\n");
    upstream_says(&r, OK);
    expect_text(&r.from_gateway, OK);
}

static void an_empty_line_before_a_request_is_nothing(void **state)
{
    (void)state;
    rig_flow(&r);
    client_says(&r, "GET /a HTTP/1.1\r\n" HOST "\r\n");
    upstream_says(&r, OK);
    expect_text(&r.from_gateway, OK);
    client_says(&r, "\r\nGET /b HTTP/1.1\r\n" HOST "\r\n");
    expect_text(&r.to_upstream, "GET /a HTTP/1.1\r\n" HOST "\r\nGET /b HTTP/1.1\r\n" HOST "\r\n");
}

static void a_lookalike_is_400_and_goes_nowhere(void **state) /* HTTP-30 */
{
    (void)state;
    static const char *const bad[] = {"Transfer_Encoding: chunked", "Content_Length: 5",
                                      "Host_: other.test",          "Keep_Alive: 5",
                                      "Proxy_Connection: close",    "X_HTTP_Method: PUT",
                                      "Sec_WebSocket_Key: x",       "Upgrade_: h2c"};
    char text[256];
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        rig_flow(&r);
        snprintf(text, sizeof(text), "GET /a HTTP/1.1\r\n" HOST "%s\r\n\r\n", bad[i]);
        client_says(&r, text);
        expect_status(&r, "HTTP/1.1 400 ");
        assert_true(r.client_ended);
    }
    assert_int_equal(r.opened, 0);
    rig_flow(&r);
    client_says(&r, "GET /a HTTP/1.1\r\n" HOST "X_Forwarded_For: x\r\n\r\n");
    expect_text(&r.to_upstream, "GET /a HTTP/1.1\r\n" HOST "X_Forwarded_For: x\r\n\r\n");
}

static void an_absolute_target_becomes_a_path(void **state)
{
    (void)state;
    rig_flow(&r);
    client_says(&r, "GET HTTP://Example.TEST:80/x?y HTTP/1.1\r\n" HOST "\r\n");
    expect_text(&r.to_upstream, "GET /x?y HTTP/1.1\r\n" HOST "\r\n");
    rig_flow(&r);
    client_says(&r, "GET http://" RIG_NAME "?y HTTP/1.1\r\n" HOST "\r\n");
    expect_text(&r.to_upstream, "GET /?y HTTP/1.1\r\n" HOST "\r\n");
    rig_flow(&r);
    client_says(&r, "OPTIONS * HTTP/1.1\r\n" HOST "\r\n");
    upstream_says(&r, OK);
    expect_status(&r, "HTTP/1.1 ");
}

static void a_target_that_is_none_is_400(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "GET http://other.test/ HTTP/1.1\r\n" HOST "\r\n",
        "GET https://" RIG_NAME "/ HTTP/1.1\r\n" HOST "\r\n", /* not on this flow */
        "GET * HTTP/1.1\r\n" HOST "\r\n",
        "GET a HTTP/1.1\r\n" HOST "\r\n",
        "GET ftp://" RIG_NAME "/ HTTP/1.1\r\n" HOST "\r\n",
        "GET / HTTP/1.1\r\nHost: " RIG_NAME ":81\r\n\r\n",
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        rig_flow(&r);
        client_says(&r, bad[i]);
        expect_status(&r, "HTTP/1.1 400 ");
        assert_true(r.client_ended);
        assert_int_equal(r.opened, 0);
    }
}

static void a_head_has_its_size_and_time(void **state)
{
    (void)state;
    static char text[SL_HEAD_TARGET_MAX + 64];
    memset(text, 'a', sizeof(text) - 1);
    memcpy(text, "GET /", 5);
    rig_flow(&r);
    client_says(&r, text);
    expect_status(&r, "HTTP/1.1 414 ");
    rig_flow(&r);
    client_says(&r, "GET / HTTP/3.0\r\n");
    expect_status(&r, "HTTP/1.1 505 ");
    rig_flow(&r);
    client_says(&r, "GET / HTTP/1.1\r\nX: ");
    text[0] = 'x';
    for (int i = 0; i < 4 && !r.client_ended; i++) {
        client_says(&r, text + 5);
    }
    expect_status(&r, "HTTP/1.1 431 ");
    rig_flow(&r);
    client_says(&r, "GET / HTTP/1.1\r\n");
    pass_time(&r, SL_TIMEOUT_HEAD_MS - 1000);
    expect_text(&r.from_gateway, "");
    pass_time(&r, SL_TIMEOUT_HEAD_MS);
    expect_status(&r, "HTTP/1.1 408 ");
}

static void an_idle_connection_is_kept(void **state)
{
    (void)state;
    rig_flow(&r);
    for (int i = 0; i < 3; i++) {
        client_says(&r, "GET /a HTTP/1.1\r\n" HOST "\r\n");
        upstream_says(&r, OK);
        expect_text(&r.from_gateway, OK);
        assert_int_equal(r.gw.flows->deadline_ms, 0);
        pass_time(&r, 3600u * 1000 * 12);
        assert_false(r.client_ended);
    }
    client_says(&r, "G"); /* a head has begun */
    assert_int_not_equal(r.gw.flows->deadline_ms, 0);
}

static void a_malformed_body_ends_both_sides(void **state)
{
    (void)state;
    rig_flow(&r);
    client_says(&r, "POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    client_says(&r, "zz\r\n");
    expect_status(&r, "HTTP/1.1 400 ");
    assert_true(r.client_ended);
    assert_false(sl_pool_any(r.gw.pool));
    char *text = expect_start(&r.to_upstream, "POST /a HTTP/1.1\r\n");
    assert_null(strstr(text, "\r\n0\r\n\r\n")); /* it must not be taken for complete */
    free(text);
}

/* The last word of a client is not the end of its answer. */
static void a_half_closed_client_gets_its_answer(void **state)
{
    (void)state;
    rig_flow(&r);
    client_says(&r, "GET /a HTTP/1.1\r\n" HOST "\r\n");
    (void)shutdown(r.client, SHUT_WR);
    rig_settle(&r);
    assert_false(r.client_ended);
    upstream_says(&r, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    char *text = expect_start(&r.from_gateway, "HTTP/1.1 200 OK\r\nConnection: close\r\n");
    free(text);
    assert_true(r.client_ended);
}

/* However long that takes; the end of the client itself is seen. */
static void and_waits_for_it_for_ever(void **state)
{
    (void)state;
    rig_flow(&r);
    client_says(&r, "GET /a HTTP/1.1\r\n" HOST "\r\n");
    (void)shutdown(r.client, SHUT_WR);
    rig_settle(&r);
    for (int i = 1; i < 100; i++) {
        r.gw.flows->deadline_ms = uv_now(&r.loop); /* the moment has come again */
        pass_time(&r, 0);
        assert_int_equal(r.gw.flow_count, 1);
        assert_true(r.gw.flows->deadline_ms > uv_now(&r.loop));
    }
    upstream_says(&r, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    free(expect_start(&r.from_gateway, "HTTP/1.1 200 OK\r\nConnection: close\r\n"));
}

static void a_client_that_is_gone_is_not_waited_for(void **state)
{
    (void)state;
    rig_flow(&r);
    client_says(&r, "GET /a HTTP/1.1\r\n" HOST "\r\n");
    (void)shutdown(r.client, SHUT_WR);
    rig_settle(&r);
    close(r.client);
    r.client = -1;
    pass_time(&r, SL_TIMEOUT_GONE_MS);
    assert_int_equal(r.gw.flow_count, 0);
    char *text = rig_log(&r);
    assert_non_null(strstr(text, "\"sandlock.reason\":\"client_gone\""));
    free(text);
}

static void a_client_that_leaves_while_sending_is_logged(void **state)
{
    (void)state;
    rig_flow(&r);
    client_says(&r, "POST /a HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\nhalf");
    (void)shutdown(r.client, SHUT_WR);
    rig_settle(&r);
    assert_int_equal(r.gw.flow_count, 0);
    assert_false(sl_pool_any(r.gw.pool));
    char *text = rig_log(&r);
    assert_non_null(strstr(text, "\"sandlock.reason\":\"client_gone\""));
    assert_non_null(strstr(text, "\"http.request.body.size\":4"));
    free(text);
}

/* What a client sends ahead while it waits for an answer is bounded. */
static void what_is_sent_ahead_is_held_back(void **state)
{
    (void)state;
    static char much[1u << 20];
    size_t sent = 0;
    rig_flow(&r);
    client_says(&r, "GET /a HTTP/1.1\r\n" HOST "\r\n");
    for (int i = 0; i < 64; i++) {
        ssize_t n = send(r.client, much, sizeof(much), MSG_DONTWAIT | MSG_NOSIGNAL);
        sent += n > 0 ? (size_t)n : 0;
        rig_settle(&r);
    }
    assert_true(sent > 0 && sent < 4u << 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(requests_in_one_go_are_answered_in_order),
        TEST(an_empty_line_before_a_request_is_nothing),
        TEST(a_lookalike_is_400_and_goes_nowhere),
        TEST(an_absolute_target_becomes_a_path),
        TEST(a_target_that_is_none_is_400),
        TEST(a_head_has_its_size_and_time),
        TEST(an_idle_connection_is_kept),
        TEST(a_malformed_body_ends_both_sides),
        TEST(a_half_closed_client_gets_its_answer),
        TEST(and_waits_for_it_for_ever),
        TEST(a_client_that_is_gone_is_not_waited_for),
        TEST(a_client_that_leaves_while_sending_is_logged),
        TEST(what_is_sent_ahead_is_held_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
