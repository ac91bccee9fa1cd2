/* What is told of a request: one line, whatever becomes of it, and no query in the summary. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "http/gateway.h"
#include "http/request.h"
#include "rig.h"

static rig r;
static sl_flow flow;
static sl_request request;

static int set_up(void **state)
{
    (void)state;
    rig_init(&r);
    rig_keep_log(&r);
    memset(&flow, 0, sizeof(flow));
    flow.gw = &r.gw;
    flow.process.pid = 7;
    memcpy(flow.target.name, RIG_NAME, sizeof(RIG_NAME));
    flow.target.port = 80;
    sl_request_init(&request, &flow);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sl_request_done(&request);
    rig_done(&r);
    return 0;
}

static void expect_log(const char *part)
{
    char *text = rig_log(&r);
    if (part == NULL) {
        assert_string_equal(text, "");
    } else if (strstr(text, part) == NULL) {
        fail_msg("no %s in %s", part, text);
    }
    free(text);
}

static void one_line_is_owed_and_no_second(void **state)
{
    (void)state;
    sl_request_log(&request, NULL, NULL, 0, 0); /* none was begun */
    expect_log(NULL);
    sl_request_begin(&request, "GET");
    request.status = 200;
    sl_request_log(&request, NULL, NULL, 5, 6);
    expect_log("\"sandlock.verdict\":\"allow\",\"sandlock.kind\":\"http\","
               "\"http.request.method\":\"GET\",\"server.address\":\"" RIG_NAME "\","
               "\"server.port\":80,\"http.response.status_code\":200,\"process.pid\":7,"
               "\"http.request.body.size\":5,\"http.response.body.size\":6,");
    sl_request_log(&request, "client_gone", NULL, 5, 6);
    expect_log(NULL);
}

static void what_never_came_to_be_is_a_denial(void **state)
{
    (void)state;
    static const char *const refused[] = {"address_denied", "tls_verify"};
    for (size_t i = 0; i < 2; i++) {
        sl_request_begin(&request, "GET");
        sl_failure f;
        sl_failure_set(&f, refused[i], "why");
        sl_request_fail(&request, &f, 0, 0);
        expect_log("\"sandlock.verdict\":\"deny\"");
    }
    sl_failure late;
    sl_failure_set(&late, "timeout", "why");
    sl_request_begin(&request, "GET");
    sl_request_fail(&request, &late, 0, 0);
    expect_log("\"sandlock.verdict\":\"allow\",\"sandlock.kind\":\"http\","
               "\"sandlock.reason\":\"timeout\",\"error.message\":\"why\"");
}

static void a_tunnel_is_called_one(void **state)
{
    (void)state;
    sl_request_begin(&request, "GET");
    request.status = 101;
    sl_request_log(&request, NULL, NULL, 0, 0);
    expect_log("\"sandlock.kind\":\"websocket\"");
}

static void a_denial_is_the_only_line(void **state)
{
    (void)state;
    sl_judged j = {.status = 403, .reason = "path", .nearest = "GET a.test/"};
    sl_request_begin(&request, "GET");
    static const char url[] = "http://" RIG_NAME "/x?key=secret";
    assert_int_equal(sl_buf_append(&request.url, url, sizeof(url)), 0);
    sl_request_deny(&request, &j);
    expect_log("\"sandlock.verdict\":\"deny\",\"sandlock.kind\":\"http\","
               "\"sandlock.reason\":\"path\",\"sandlock.nearest\":\"GET a.test/\","
               "\"http.request.method\":\"GET\",\"url.full\":\"http://" RIG_NAME "/x?key=secret\"");
    sl_request_log(&request, NULL, NULL, 0, 0);
    expect_log(NULL);
}

/* The next request of the connection begins anew. */
static void nothing_is_left_of_the_one_before(void **state)
{
    (void)state;
    sl_request_begin(&request, "GET");
    request.rule = "* a.test";
    request.status = 200;
    sl_request_log(&request, NULL, NULL, 0, 0);
    free(rig_log(&r));
    assert_int_equal(sl_buf_append(&request.url, "x", 2), 0);
    sl_request_forget(&request);
    assert_null(request.method);
    assert_string_equal(sl_request_url(&request), "");
    sl_request_begin(&request, "PUT");
    sl_request_log(&request, NULL, NULL, 0, 0);
    char *text = rig_log(&r);
    assert_null(strstr(text, "sandlock.rule"));
    assert_null(strstr(text, "status_code"));
    assert_null(strstr(text, "url.full"));
    free(text);
}

/* What is refused without having been written down is not summed up as what was refused before. */
static void a_denial_has_no_earlier_url(void **state)
{
    (void)state;
    static const char url[] = "http://" RIG_NAME "/deny";
    const sl_judged denied = {.status = 403, .reason = "path"};
    const sl_judged refused = {.status = 417, .reason = "unknown expectation"};
    struct sl_link_denied first;
    struct sl_link_denied second;
    int pair[2];
    sl_request_begin(&request, "GET");
    assert_int_equal(sl_buf_append(&request.url, url, sizeof(url)), 0);
    sl_request_deny(&request, &denied);
    sl_request_begin(&request, "POST");
    sl_request_deny(&request, &refused);
    free(rig_log(&r));
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(sl_audit_report(r.gw.audit, pair[0]), 0);
    assert_int_equal(recv(pair[1], &first, sizeof(first), 0), sizeof(first));
    assert_int_equal(recv(pair[1], &second, sizeof(second), 0), sizeof(second));
    assert_string_equal(first.denial.what, "GET http://" RIG_NAME "/deny");
    assert_string_equal(second.denial.what, "POST " RIG_NAME ":80");
    close(pair[0]);
    close(pair[1]);
}

static void methods_have_their_properties(void **state)
{
    (void)state;
    assert_true(sl_request_is_idempotent("GET"));
    assert_true(sl_request_is_idempotent("PUT"));
    assert_true(sl_request_is_idempotent("DELETE"));
    assert_false(sl_request_is_idempotent("POST"));
    assert_false(sl_request_is_idempotent("PATCH"));
    assert_false(sl_request_is_idempotent("get"));
    assert_true(sl_request_takes_body("POST"));
    assert_true(sl_request_takes_body("DELETE"));
    assert_false(sl_request_takes_body("GET"));
    assert_false(sl_request_takes_body("HEAD"));
    assert_false(sl_request_takes_body("OPTIONS"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_line_is_owed_and_no_second),
        TEST(what_never_came_to_be_is_a_denial),
        TEST(a_tunnel_is_called_one),
        TEST(a_denial_is_the_only_line),
        TEST(nothing_is_left_of_the_one_before),
        TEST(a_denial_has_no_earlier_url),
        TEST(methods_have_their_properties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
