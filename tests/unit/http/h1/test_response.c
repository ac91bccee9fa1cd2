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

/* A real server may be at fault: its response passes, and what reads two ways does not. */
static void a_lookalike_is_dropped_on_the_way_down(void **state) /* HTTP-30 */
{
    (void)state;
    ask(GET);
    upstream_says(&r,
                  "HTTP/1.1 200 OK\r\nContent_Length: 9\r\nX_Y: z\r\nTransfer_Encoding: chunked\r\n"
                  "Content-Length: 2\r\n\r\nok");
    expect_text(&r.from_gateway, "HTTP/1.1 200 OK\r\nX_Y: z\r\nContent-Length: 2\r\n\r\nok");
    client_says(&r, GET);
    assert_int_equal(r.opened, 1);
    upstream_says(&r, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n"
                      "Content_Length: 9\r\nX-Sum: 1\r\n\r\n");
    expect_text(&r.from_gateway, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"
                                 "0\r\nX-Sum: 1\r\n\r\n");
}

#define ASK_WS "GET /ws HTTP/1.1\r\n" HOST RIG_WS_ASK
#define SWITCH "HTTP/1.1 101 Switching Protocols\r\n"
#define UP     "Connection: Upgrade\r\nUpgrade: websocket\r\n"

static void expect_no_switch(const char *request, const char *response)
{
    ask(request);
    client_says(&r, "up"); /* what a client that trusts its 101 would send, early */
    sl_buf_consume(&r.to_upstream, r.to_upstream.len);
    upstream_says(&r, response);
    upstream_says(&r, "later");
    client_says(&r, "GET /deny HTTP/1.1\r\n\r\n");
    char *text = expect_start(&r.from_gateway, "HTTP/1.1 502 ");
    assert_null(strstr(text, "101 Switching"));
    assert_null(strstr(text, "later"));
    assert_non_null(strstr(text, "\"protocol\""));
    free(text);
    expect_text(&r.to_upstream, "");
    assert_true(r.client_ended);
    assert_false(sl_pool_any(r.gw.pool));
    text = rig_log(&r);
    assert_non_null(strstr(text, "\"sandlock.reason\":\"protocol\""));
    free(text);
}

static void a_switch_answers_what_was_asked(void **state) /* HTTP-31 */
{
    (void)state;
    static const char *const bad[] = {
        SWITCH UP "\r\n",
        SWITCH UP "Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        SWITCH UP "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo\r\n\r\n",
        SWITCH UP "Sec-WebSocket-Accept:\r\n\r\n",
        SWITCH UP "Sec_WebSocket_Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        SWITCH UP RIG_WS_ACCEPT RIG_WS_ACCEPT "\r\n",
        SWITCH RIG_WS_ACCEPT "\r\n",
        SWITCH "Connection: Upgrade\r\n" RIG_WS_ACCEPT "\r\n",
        SWITCH "Upgrade: websocket\r\n" RIG_WS_ACCEPT "\r\n",
        SWITCH "Connection: Upgrade\r\nUpgrade: h2c\r\n" RIG_WS_ACCEPT "\r\n",
        SWITCH "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n" RIG_WS_ACCEPT "\r\n",
        SWITCH UP "Upgrade: h2c\r\n" RIG_WS_ACCEPT "\r\n",
        "HTTP/1.0 101 Switching Protocols\r\n" UP RIG_WS_ACCEPT "\r\n",
        RIG_WS_ANSWER "Content-Length: 5\r\n\r\nlater",
        RIG_WS_ANSWER "Content-Length: 0\r\n\r\n",
        RIG_WS_ANSWER "Transfer-Encoding: chunked\r\n\r\n5\r\nlater\r\n0\r\n\r\n",
        RIG_WS_ANSWER "Sec-WebSocket-Protocol: chat\r\n\r\n",
        RIG_WS_ANSWER "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\n\r\n" SWITCH UP "\r\n",
        SWITCH "\r\n" RIG_WS_ANSWER "\r\n",
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        expect_no_switch(ASK_WS "\r\n", bad[i]);
    }
    ask(ASK_WS "\r\n");
    upstream_says(&r, "HTTP/1.1 103 Early Hints\r\n\r\n" RIG_WS_ANSWER "\r\ndown");
    expect_text(&r.from_gateway,
                "HTTP/1.1 103 Early Hints\r\n\r\n" SWITCH RIG_WS_ACCEPT UP "\r\ndown");
    upstream_says(&r, RIG_WS_ANSWER "\r\n"); /* a second one is bytes of the tunnel */
    expect_text(&r.from_gateway, RIG_WS_ANSWER "\r\n");
}

static void a_switch_that_nobody_asked_for_is_none(void **state) /* HTTP-31 */
{
    (void)state;
    static const char *const ask_not[] = {
        "GET /ws HTTP/1.1\r\n" HOST "\r\n",
        "GET /ws HTTP/1.0\r\n" HOST RIG_WS_ASK "\r\n",
        "HEAD /ws HTTP/1.1\r\n" HOST RIG_WS_ASK "\r\n",
        "POST /ws HTTP/1.1\r\n" HOST RIG_WS_ASK "Content-Length: 0\r\n\r\n",
        "GET /ws HTTP/1.1\r\n" HOST "Upgrade: websocket\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        "GET /ws HTTP/1.1\r\n" HOST UP "\r\n", /* no key, no proof */
        "GET /ws HTTP/1.1\r\n" HOST UP "Sec-WebSocket-Key:\r\n\r\n",
        ASK_WS "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        ASK_WS "Upgrade: h2c\r\n\r\n",
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(ask_not); i++) {
        ask(ask_not[i]);
        upstream_says(&r, RIG_WS_ANSWER "\r\n");
        upstream_says(&r, "later");
        expect_status(&r, "HTTP/1.1 502 ");
        assert_true(r.client_ended);
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
        TEST(a_lookalike_is_dropped_on_the_way_down),
        TEST(a_switch_answers_what_was_asked),
        TEST(a_switch_that_nobody_asked_for_is_none),
        TEST(a_head_that_never_ends_is_502),
        TEST(a_cut_response_breaks_the_line),
        TEST(an_early_answer_ends_the_connection),
        TEST(a_slow_reader_holds_the_upstream_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
