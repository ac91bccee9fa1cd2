/* Our own answers as values: what they say, and that whatever a client wrote stays text in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/util.h"
#include "http/answer.h"
#include "http/gateway.h"

static sl_request request;

static int set_up(void **state)
{
    (void)state;
    sl_request_init(&request, NULL);
    request.method = "GET";
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sl_request_done(&request);
    return 0;
}

static void url(const char *text)
{
    sl_buf_consume(&request.url, request.url.len);
    assert_int_equal(sl_buf_append(&request.url, text, strlen(text) + 1), 0);
}

/* Takes the answer over. */
static void expect(sl_http_answer *a, unsigned status, bool verdict, const char *body)
{
    assert_int_equal(a->status, status);
    assert_int_equal(a->verdict, verdict);
    assert_int_equal(sl_buf_append(&a->body, "", 1), 0);
    assert_string_equal((char *)sl_buf_head(&a->body), body);
    sl_http_answer_done(a);
}

static void a_denial_says_what_would_allow_it(void **state)
{
    (void)state;
    sl_http_answer a;
    sl_judged j = {.status = 403, .reason = "path", .nearest = "GET a.test/v1/*"};
    memcpy(j.allow_with, "--http-allow 'GET a.test/x'", 28);
    url("http://a.test/x");
    sl_http_answer_denied(&request, &j, &a);
    expect(&a, 403, true,
           "{\"error\":\"denied_by_sandlock\",\"method\":\"GET\",\"url\":\"http://a.test/x\","
           "\"reason\":\"path\",\"rule\":null,\"nearest\":\"GET a.test/v1/*\","
           "\"allow_with\":\"--http-allow 'GET a.test/x'\"}\n");
}

static void a_deny_rule_is_named_and_nothing_would_allow_it(void **state)
{
    (void)state;
    sl_http_answer a;
    sl_judged j = {.status = 403, .reason = "denied_by_rule", .rule = "* a.test/x"};
    url("http://a.test/x");
    sl_http_answer_denied(&request, &j, &a);
    expect(&a, 403, true,
           "{\"error\":\"denied_by_sandlock\",\"method\":\"GET\",\"url\":\"http://a.test/x\","
           "\"reason\":\"denied_by_rule\",\"rule\":\"* a.test/x\",\"nearest\":null,"
           "\"allow_with\":null}\n");
}

static void a_bad_request_is_called_one(void **state)
{
    (void)state;
    sl_http_answer a;
    sl_judged j = {.status = 400, .reason = "malformed Host"};
    sl_http_answer_denied(&request, &j, &a);
    assert_non_null(strstr((char *)sl_buf_head(&a.body), "\"error\":\"bad_request\""));
    sl_http_answer_done(&a);
    sl_http_answer_refused(408, "too slow", &a);
    expect(&a, 408, true, "{\"error\":\"bad_request\",\"reason\":\"too slow\"}\n");
}

static void a_failure_is_not_a_verdict(void **state)
{
    (void)state;
    sl_http_answer a;
    sl_failure failure;
    sl_failure_set(&failure, "tls_verify", "certificate has expired");
    sl_http_answer_failed(&request, &failure, &a);
    expect(&a, 502, false,
           "{\"error\":\"upstream_failed\",\"method\":\"GET\",\"reason\":\"tls_verify\","
           "\"detail\":\"certificate has expired\",\"allow_with\":null}\n");
}

static void what_the_client_wrote_stays_text(void **state)
{
    (void)state;
    sl_http_answer a;
    sl_judged j = {.status = 403, .reason = "path"};
    url("http://a.test/\",\"reason\":\"none\"}\r\n\x1b[2J\xff");
    sl_http_answer_denied(&request, &j, &a);
    expect(&a, 403, true,
           "{\"error\":\"denied_by_sandlock\",\"method\":\"GET\","
           "\"url\":\"http://a.test/"
           "\\\",\\\"reason\\\":\\\"none\\\"}\\u000d\\u000a\\u001b[2J\\ufffd\","
           "\"reason\":\"path\",\"rule\":null,\"nearest\":null,\"allow_with\":null}\n");
}

/* The longest target, each byte of which takes six in JSON. */
static void the_longest_url_fits(void **state)
{
    (void)state;
    static char text[SL_TARGET_MAX + 1];
    sl_http_answer a;
    sl_judged j = {.status = 403, .reason = "path"};
    memset(text, 1, sizeof(text) - 1);
    url(text);
    sl_http_answer_denied(&request, &j, &a);
    assert_true(a.body.len > 6 * SL_TARGET_MAX);
    assert_true(a.body.cap <= 192u << 10);
    assert_memory_equal(sl_buf_head(&a.body) + a.body.len - 2, "}\n", 2);
    sl_http_answer_done(&a);
}

static void each_status_of_ours_has_its_phrase(void **state)
{
    (void)state;
    static const unsigned ours[] = {400, 403, 405, 408, 414, 417, 421, 431, 502, 505};
    for (size_t i = 0; i < SL_ARRAY_LEN(ours); i++) {
        assert_string_not_equal(sl_http_answer_phrase(ours[i]), "Error");
    }
    assert_string_equal(sl_http_answer_phrase(299), "Error");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_denial_says_what_would_allow_it),
        TEST(a_deny_rule_is_named_and_nothing_would_allow_it),
        TEST(a_bad_request_is_called_one),
        TEST(a_failure_is_not_a_verdict),
        TEST(what_the_client_wrote_stays_text),
        TEST(the_longest_url_fits),
        TEST(each_status_of_ours_has_its_phrase),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
