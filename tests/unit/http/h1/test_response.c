/* The way down: one response to one request, framed for the client that asked, and nothing that an
 * upstream says beyond it. */
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

static void ask(const char *request)
{
    rig_flow(&r);
    client_says(&r, request);
    sl_buf_consume(&r.to_upstream, r.to_upstream.len);
}

#define GET "GET /a HTTP/1.1\r\n" HOST "\r\n"

static void some_answers_have_no_body_whatever_they_say(void **state)
{
    (void)state;
    static const char *const lines[] = {"204 No Content", "304 Not Modified"};
    char text[128];
    ask("HEAD /a HTTP/1.1\r\n" HOST "\r\n");
    upstream_says(&r, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    expect_text(&r.from_gateway, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    client_says(&r, GET); /* complete: the next one is read */
    assert_int_equal(r.opened, 1);
    for (size_t i = 0; i < 2; i++) {
        ask(GET);
        snprintf(text, sizeof(text), "HTTP/1.1 %s\r\nX: y\r\n\r\n", lines[i]);
        upstream_says(&r, text);
        expect_text(&r.from_gateway, text);
        client_says(&r, GET);
        assert_int_equal(r.opened, 1);
    }
}

static void a_body_that_ends_with_its_connection_ends_ours(void **state)
{
    (void)state;
    ask(GET);
    upstream_says(&r, "HTTP/1.1 200 OK\r\n\r\nany");
    expect_text(&r.from_gateway, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nany");
    assert_false(r.client_ended);
    rig_upstream_ends(&r);
    rig_settle(&r);
    assert_true(r.client_ended);
    char *text = rig_log(&r);
    assert_non_null(strstr(text, "\"http.response.body.size\":3"));
    free(text);
}

static void an_old_client_gets_no_chunks(void **state)
{
    (void)state;
    ask("GET /a HTTP/1.0\r\n" HOST "Connection: keep-alive\r\n\r\n");
    upstream_says(&r, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    expect_text(&r.from_gateway, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc");
    assert_true(r.client_ended);
}

static void interim_answers_pass_to_those_who_know_them(void **state)
{
    (void)state;
    ask(GET);
    upstream_says(&r, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
    expect_text(&r.from_gateway, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
    upstream_says(&r, "HTTP/1.1 100 Continue\r\n\r\n" OK);
    expect_text(&r.from_gateway, "HTTP/1.1 100 Continue\r\n\r\n" OK);
    ask("GET /a HTTP/1.0\r\n" HOST "\r\n");
    upstream_says(&r, "HTTP/1.1 103 Early Hints\r\n\r\n" OK);
    char *text = expect_start(&r.from_gateway, "HTTP/1.1 200 OK\r\n");
    free(text);
}

static void interim_answers_are_bounded_and_bodiless(void **state)
{
    (void)state;
    ask(GET);
    for (unsigned i = 0; i < SL_INTERIM_MAX; i++) {
        upstream_says(&r, "HTTP/1.1 102 Processing\r\n\r\n");
    }
    assert_false(r.client_ended);
    sl_buf_consume(&r.from_gateway, r.from_gateway.len);
    upstream_says(&r, "HTTP/1.1 102 Processing\r\n\r\n");
    expect_status(&r, "HTTP/1.1 502 ");
    ask(GET);
    upstream_says(&r, "HTTP/1.1 103 Early\r\nContent-Length: 30\r\n\r\nHTTP/1.1 200 OK\r\n");
    expect_status(&r, "HTTP/1.1 502 ");
}

static void what_is_no_response_is_502(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "ICY 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        "HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b\r\n\r\n",
        "HTTP/1.1 200 OK\r\n folded: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        ask(GET);
        upstream_says(&r, bad[i]);
        expect_status(&r, "HTTP/1.1 502 ");
        assert_true(r.client_ended);
        assert_false(sl_pool_any(r.gw.pool));
    }
}

static void a_head_that_never_ends_is_502(void **state)
{
    (void)state;
    static char text[SL_HEAD_LINE_MAX];
    memset(text, 'x', sizeof(text) - 1);
    ask(GET);
    upstream_says(&r, "HTTP/1.1 200 OK\r\nX: ");
    for (int i = 0; i < 4 && r.from_gateway.len == 0; i++) {
        upstream_says(&r, text);
    }
    expect_status(&r, "HTTP/1.1 502 ");
}

/* Part of it was delivered: the line breaks, so that nobody takes it for whole. */
static void a_cut_response_breaks_the_line(void **state)
{
    (void)state;
    ask(GET);
    upstream_says(&r, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    rig_upstream_ends(&r);
    rig_settle(&r);
    expect_text(&r.from_gateway, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    assert_int_equal(r.gw.flow_count, 0);
    char *text = rig_log(&r);
    assert_non_null(strstr(text, "\"sandlock.reason\":\"upstream_broke\""));
    free(text);
    ask(GET);
    upstream_says(&r, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    upstream_says(&r, "zz\r\n");
    text = expect_start(&r.from_gateway, "HTTP/1.1 200 OK\r\n");
    assert_null(strstr(text, "0\r\n\r\n"));
    free(text);
    assert_int_equal(r.gw.flow_count, 0);
}

/* Its request is not sent to the end: the connection cannot go on. */
static void an_early_answer_ends_the_connection(void **state)
{
    (void)state;
    ask("POST /a HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\nhalf");
    upstream_says(&r, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
    expect_text(&r.from_gateway,
                "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    assert_true(r.client_ended);
    assert_false(sl_pool_any(r.gw.pool));
}

static void a_slow_reader_holds_the_upstream_back(void **state)
{
    (void)state;
    static char much[1u << 20];
    size_t sent = 0;
    int client = -1;
    ask(GET);
    upstream_says(&r, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4000000\r\n");
    client = r.client;
    r.client = -1; /* nobody reads */
    for (int i = 0; i < 64; i++) {
        ssize_t n = send(r.upstream, much, sizeof(much), MSG_DONTWAIT | MSG_NOSIGNAL);
        sent += n > 0 ? (size_t)n : 0;
        rig_settle(&r);
    }
    assert_true(sent > 0 && sent < 4u << 20);
    r.client = client;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(some_answers_have_no_body_whatever_they_say),
        TEST(a_body_that_ends_with_its_connection_ends_ours),
        TEST(an_old_client_gets_no_chunks),
        TEST(interim_answers_pass_to_those_who_know_them),
        TEST(interim_answers_are_bounded_and_bodiless),
        TEST(what_is_no_response_is_502),
        TEST(a_head_that_never_ends_is_502),
        TEST(a_cut_response_breaks_the_line),
        TEST(an_early_answer_ends_the_connection),
        TEST(a_slow_reader_holds_the_upstream_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
