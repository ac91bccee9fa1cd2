/* The connection that a request goes up on: an idle one where that is safe, a second try only where
 * nothing can be done twice, and nobody else's once it was authenticated. */
#include <setjmp.h>
#include <signal.h>
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

#define GET  "GET /a HTTP/1.1\r\n" HOST "\r\n"
#define POST "POST /a HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nhi"

/* Another flow with the pool of the one before, which the rig would empty. */
static void next_flow(void)
{
    sl_pool *pool = r.gw.pool;
    int upstream = r.upstream;
    unsigned opened = r.opened;
    sl_flow_end_all(&r.gw); /* puts what may serve again */
    r.gw.pool = sl_pool_new();
    r.upstream = -1;
    rig_flow(&r);
    sl_pool_free(r.gw.pool);
    r.gw.pool = pool;
    r.upstream = upstream;
    r.opened = opened;
}

static void serve(const char *request, const char *response)
{
    client_says(&r, request);
    upstream_says(&r, response);
    sl_buf_consume(&r.from_gateway, r.from_gateway.len);
    sl_buf_consume(&r.to_upstream, r.to_upstream.len);
}

static void an_idle_one_serves_the_next_flow(void **state)
{
    (void)state;
    rig_flow(&r);
    serve(GET, OK);
    next_flow();
    assert_true(sl_pool_any(r.gw.pool));
    client_says(&r, GET);
    expect_text(&r.to_upstream, GET);
    assert_int_equal(r.opened, 1);
    upstream_says(&r, OK);
    expect_text(&r.from_gateway, OK);
}

/* An idle one may be dead, and nobody knows: not for what must not be done twice. */
static void a_post_of_another_flow_opens_its_own(void **state)
{
    (void)state;
    rig_flow(&r);
    serve(GET, OK);
    next_flow();
    client_says(&r, POST);
    assert_int_equal(r.opened, 2);
}

static void authentication_keeps_it_to_its_flow(void **state)
{
    (void)state;
    static const char *const binding[][2] = {
        {"GET /a HTTP/1.1\r\n" HOST "Authorization: NTLM x\r\n\r\n", OK},
        {GET, "HTTP/1.1 401 No\r\nWWW-Authenticate: Negotiate x\r\nContent-Length: 0\r\n\r\n"},
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(binding); i++) {
        rig_flow(&r);
        serve(binding[i][0], binding[i][1]);
        serve(GET, OK); /* its own next request goes there */
        assert_int_equal(r.opened, 1);
        next_flow();
        assert_false(sl_pool_any(r.gw.pool));
    }
}

static void what_ends_with_its_response_is_not_kept(void **state)
{
    (void)state;
    static const char *const last[] = {
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        OK "left over",
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(last); i++) {
        rig_flow(&r);
        serve(GET, last[i]);
        serve(GET, OK);
        assert_int_equal(r.opened, 2);
    }
}

/* It read the request and closed without a word: as if it had died idle. */
static void a_get_is_tried_once_more(void **state)
{
    (void)state;
    rig_flow(&r);
    serve(GET, OK);
    client_says(&r, GET);
    rig_upstream_ends(&r);
    rig_settle(&r);
    assert_int_equal(r.opened, 2);
    expect_text(&r.from_gateway, "");
    expect_text(&r.to_upstream, GET GET);
    rig_upstream_ends(&r); /* and not a third time */
    rig_settle(&r);
    expect_status(&r, "HTTP/1.1 502 ");
    assert_int_equal(r.opened, 2);
}

static void nothing_is_tried_again_once_an_answer_began(void **state)
{
    (void)state;
    rig_flow(&r);
    serve(GET, OK);
    client_says(&r, GET);
    upstream_says(&r, "H");
    rig_upstream_ends(&r);
    rig_settle(&r);
    expect_status(&r, "HTTP/1.1 502 ");
    assert_int_equal(r.opened, 1);
}

static void a_post_is_never_tried_again(void **state)
{
    (void)state;
    rig_flow(&r);
    serve(POST, OK);
    client_says(&r, POST);
    rig_upstream_ends(&r);
    rig_settle(&r);
    expect_status(&r, "HTTP/1.1 502 ");
    assert_int_equal(r.opened, 1);
}

/* PUT is idempotent, but its body went up already. */
static void a_body_is_never_sent_again(void **state)
{
    (void)state;
    rig_flow(&r);
    serve(GET, OK);
    client_says(&r, "PUT /a HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nhi");
    rig_upstream_ends(&r);
    rig_settle(&r);
    expect_status(&r, "HTTP/1.1 502 ");
    assert_int_equal(r.opened, 1);
}

/* Whoever stops reading a body may have answered: that is passed on, and it is closed. */
static void who_stopped_reading_is_not_kept(void **state)
{
    (void)state;
    static char much[1u << 20];
    rig_flow(&r);
    client_says(&r, "POST /a HTTP/1.1\r\n" HOST "Content-Length: 1048576\r\n\r\n");
    r.deaf = true;
    const char *answer = "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n";
    assert_int_equal(send(r.upstream, answer, strlen(answer), 0), strlen(answer));
    rig_upstream_ends(&r);
    rig_client_says(&r, much, sizeof(much));
    rig_settle(&r);
    r.deaf = false;
    assert_false(sl_pool_any(r.gw.pool));
    assert_true(r.client_ended || r.gw.flow_count == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_idle_one_serves_the_next_flow),
        TEST(a_post_of_another_flow_opens_its_own),
        TEST(authentication_keeps_it_to_its_flow),
        TEST(what_ends_with_its_response_is_not_kept),
        TEST(a_get_is_tried_once_more),
        TEST(nothing_is_tried_again_once_an_answer_began),
        TEST(a_post_is_never_tried_again),
        TEST(a_body_is_never_sent_again),
        TEST(who_stopped_reading_is_not_kept),
    };
    (void)signal(SIGPIPE, SIG_IGN); /* splice(2) has no flag for it */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
