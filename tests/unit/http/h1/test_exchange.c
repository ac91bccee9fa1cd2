/* The exchange, driven byte by byte through socket pairs: what goes up, what comes down, and that
 * neither shifts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../rig.h"
#include "alloc.h"
#include "http/h1/h1.h"

static rig r;

static int set_up(void **state)
{
    (void)state;
    rig_init(&r);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_done(&r);
    return 0;
}

static void client(const char *text)
{
    rig_client_says(&r, text, strlen(text));
    rig_settle(&r);
}

static void upstream(const char *text)
{
    rig_upstream_says(&r, text, strlen(text));
    rig_settle(&r);
}

/* What arrived since the last look must be exactly this. */
static void expect(sl_buf *got, const char *text)
{
    char seen[4096];
    size_t n = got->len < sizeof(seen) - 1 ? got->len : sizeof(seen) - 1;
    memcpy(seen, n > 0 ? (const char *)sl_buf_head(got) : "", n);
    seen[n] = '\0';
    sl_buf_consume(got, got->len);
    assert_string_equal(seen, text);
}

static void expect_status(const char *line)
{
    assert_true(r.from_gateway.len > strlen(line));
    assert_memory_equal(sl_buf_head(&r.from_gateway), line, strlen(line));
    sl_buf_consume(&r.from_gateway, r.from_gateway.len);
}

#define HOST "Host: " RIG_NAME "\r\n"
#define OK   "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static void a_request_and_its_answer(void **state)
{
    (void)state;
    rig_flow(&r);
    client("GET /a/./b?x HTTP/1.1\r\n" HOST "\r\n");
    expect(&r.to_upstream, "GET /a/b?x HTTP/1.1\r\n" HOST "\r\n");
    upstream(OK);
    expect(&r.from_gateway, OK);
    client("GET /c HTTP/1.1\r\n" HOST "\r\n");
    expect(&r.to_upstream, "GET /c HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(r.opened, 1);
}

static void nothing_goes_up_before_the_verdict(void **state)
{
    (void)state;
    const char text[] = "POST /deny/x HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello";
    rig_flow(&r);
    for (size_t i = 0; i < sizeof(text) - 1; i++) {
        rig_client_says(&r, text + i, 1);
    }
    rig_settle(&r);
    assert_int_equal(r.opened, 0);
    expect_status("HTTP/1.1 403 ");
    client("GET /a HTTP/1.1\r\n" HOST "\r\n"); /* the connection goes on */
    expect(&r.to_upstream, "GET /a HTTP/1.1\r\n" HOST "\r\n");
}

static void a_body_is_framed_anew(void **state)
{
    (void)state;
    rig_flow(&r);
    client("POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    client("00005;ext=1\r\nhel");
    client("lo\r\n0\r\nHost: evil\r\nX-Sum: 1\r\n\r\n");
    expect(&r.to_upstream, "POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
                           "3\r\nhel\r\n2\r\nlo\r\n0\r\nX-Sum: 1\r\n\r\n");
}

static void the_head_and_first_bytes_go_in_one(void **state)
{
    (void)state;
    rig_flow(&r);
    client("GET /a HTTP/1.1\r\n" HOST "\r\n");
    upstream("HTTP/1.1 200 Fine\r\nTransfer-Encoding: chunked\r\nConnection: x-hop\r\nX-Hop: 1\r\n"
             "Set-Cookie: a\r\n\r\n5\r\nhello\r\n");
    expect(&r.from_gateway, "HTTP/1.1 200 Fine\r\nSet-Cookie: a\r\nTransfer-Encoding: chunked\r\n"
                            "\r\n5\r\nhello\r\n");
    upstream("0\r\n\r\n");
    expect(&r.from_gateway, "0\r\n\r\n");
}

static void a_get_with_a_body_uses_its_connection_up(void **state) /* HTTP-14 */
{
    (void)state;
    rig_flow(&r);
    client("GET /a HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc");
    expect(&r.to_upstream, "GET /a HTTP/1.1\r\n" HOST "Connection: close\r\n"
                           "Content-Length: 3\r\n\r\nabc");
    upstream(OK);
    client("GET /b HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(r.opened, 2);
}

static void what_is_left_over_never_answers_the_next(void **state) /* HTTP-29 */
{
    (void)state;
    rig_flow(&r);
    client("GET /a HTTP/1.1\r\n" HOST "\r\n");
    upstream(OK "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    expect(&r.from_gateway, OK);
    client("GET /b HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(r.opened, 2);
    expect(&r.from_gateway, "");
    upstream(OK);
    expect(&r.from_gateway, OK);
}

static void late_words_of_an_idle_upstream_count_for_nothing(void **state)
{
    (void)state;
    rig_flow(&r);
    client("GET /a HTTP/1.1\r\n" HOST "\r\n");
    upstream(OK);
    expect(&r.from_gateway, OK);
    upstream("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    expect(&r.from_gateway, "");
    client("GET /b HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(r.opened, 2);
}

static void a_connection_that_died_idle_is_replaced(void **state)
{
    (void)state;
    rig_flow(&r);
    client("GET /a HTTP/1.1\r\n" HOST "\r\n");
    upstream(OK);
    expect(&r.from_gateway, OK);
    rig_upstream_ends(&r);
    client("POST /b HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nhi");
    assert_int_equal(r.opened, 2);
    upstream(OK);
    expect(&r.from_gateway, OK);
}

static void a_dead_post_is_not_repeated(void **state)
{
    (void)state;
    rig_flow(&r);
    client("POST /b HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nhi");
    rig_upstream_ends(&r);
    rig_settle(&r);
    expect_status("HTTP/1.1 502 ");
    assert_int_equal(r.opened, 1);
}

static void a_refused_dial_is_told(void **state)
{
    (void)state;
    rig_flow(&r);
    r.refuse = "address_denied";
    client("GET /a HTTP/1.1\r\n" HOST "\r\n");
    r.refuse = NULL;
    assert_non_null(memmem(sl_buf_head(&r.from_gateway), r.from_gateway.len, "address_denied", 14));
    expect_status("HTTP/1.1 502 ");
}

static void upgrades_other_than_websocket_are_struck(void **state) /* HTTP-16, HTTP-17 */
{
    (void)state;
    rig_flow(&r);
    client("GET /a HTTP/1.1\r\n" HOST "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
           "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n");
    expect(&r.to_upstream, "GET /a HTTP/1.1\r\n" HOST "\r\n");
    upstream("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n");
    expect_status("HTTP/1.1 502 ");
}

static void a_tunnel_carries_what_came_early(void **state)
{
    (void)state;
    rig_flow(&r);
    client("GET /ws HTTP/1.1\r\n" HOST RIG_WS_ASK "\r\nup");
    expect(&r.to_upstream, "GET /ws HTTP/1.1\r\n" HOST "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
                           "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    upstream(RIG_WS_ANSWER "\r\ndown");
    expect(&r.from_gateway, "HTTP/1.1 101 Switching Protocols\r\n" RIG_WS_ACCEPT
                            "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\ndown");
    expect(&r.to_upstream, "up");
    client("GET /deny HTTP/1.1\r\n\r\n"); /* opaque by now */
    expect(&r.to_upstream, "GET /deny HTTP/1.1\r\n\r\n");
}

static void a_client_that_left_leaves_no_half_answer_behind(void **state)
{
    (void)state;
    rig_flow(&r);
    client("GET /a HTTP/1.1\r\n" HOST "\r\n");
    upstream("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    sl_flow_end_all(&r.gw);
    assert_false(sl_pool_any(r.gw.pool));
}

/* As if this much time had passed without a word. */
static void pass(uint64_t ms)
{
    sl_flow_expire_all(&r.gw, uv_now(&r.loop) + ms);
    rig_settle(&r);
}

#define HOURS (3600u * 1000 * 12)

/* No clock runs against an honest client: a body that pauses, or comes a byte at a time. */
static void a_body_may_pause(void **state)
{
    (void)state;
    rig_flow(&r);
    client("POST /a HTTP/1.1\r\n" HOST "Content-Length: 6\r\n\r\n");
    assert_int_equal(r.gw.flows->deadline_ms, 0);
    for (int i = 0; i < 5; i++) {
        client("x");
        pass(HOURS);
        assert_int_equal(r.gw.flows->deadline_ms, 0); /* nothing is armed */
    }
    client("x");
    upstream(OK);
    expect(&r.from_gateway, OK);
    rig_flow(&r);
    client("POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n");
    pass(HOURS);
    client("0\r\n\r\n");
    upstream(OK);
    expect(&r.from_gateway, OK);
}

static void an_answer_may_take_its_time(void **state)
{
    (void)state;
    rig_flow(&r);
    client("POST /a HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nhi");
    pass(HOURS);
    upstream(OK);
    expect(&r.from_gateway, OK);
    rig_flow(&r); /* it waits for leave to send */
    client("POST /a HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    pass(HOURS);
    assert_false(r.client_ended);
    upstream("HTTP/1.1 100 Continue\r\n\r\n");
    expect(&r.from_gateway, "HTTP/1.1 100 Continue\r\n\r\n");
    pass(HOURS);
    assert_false(r.client_ended);
}

/* Whatever memory is missing: the flow ends, and with it the connection. */
static void without_memory_the_flow_ends(void **state)
{
    (void)state;
    for (unsigned n = 0;; n++) {
        rig_flow(&r);
        sl_h1_room_free(r.gw.http1_room); /* the first flow makes it */
        r.gw.http1_room = NULL;
        assert_int_equal(sl_buf_append(&r.gw.flows->sniffed, "GET", 3), 0);
        alloc_fail(n);
        sl_flow_become(r.gw.flows, &sl_h1_protocol);
        if (!alloc_failed()) {
            assert_true(n >= 3); /* the room, the exchange, its bytes */
            break;
        }
        rig_settle(&r);
        assert_true(r.client_ended);
        assert_int_equal(r.gw.flow_count, 0);
    }
    assert_int_equal(r.gw.flow_count, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_and_its_answer),
        TEST(nothing_goes_up_before_the_verdict),
        TEST(a_body_is_framed_anew),
        TEST(the_head_and_first_bytes_go_in_one),
        TEST(a_get_with_a_body_uses_its_connection_up),
        TEST(what_is_left_over_never_answers_the_next),
        TEST(late_words_of_an_idle_upstream_count_for_nothing),
        TEST(a_connection_that_died_idle_is_replaced),
        TEST(a_dead_post_is_not_repeated),
        TEST(a_refused_dial_is_told),
        TEST(upgrades_other_than_websocket_are_struck),
        TEST(a_tunnel_carries_what_came_early),
        TEST(a_client_that_left_leaves_no_half_answer_behind),
        TEST(a_body_may_pause),
        TEST(an_answer_may_take_its_time),
        TEST(without_memory_the_flow_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
