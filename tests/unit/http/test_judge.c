/* One authority: what a request calls its server, what its flow was opened for and what the policy
 * is asked are the same, or it goes nowhere. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/gateway.h"
#include "http/judge.h"
#include "rig.h"

static rig r;
static sl_flow flow;
static sl_request request;
static sl_judged j;

static int set_up(void **state)
{
    (void)state;
    rig_init(&r);
    memset(&flow, 0, sizeof(flow));
    flow.gw = &r.gw;
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

static sl_slice slice(const char *text)
{
    return (sl_slice){text, text != NULL ? strlen(text) : 0};
}

static void judge(const char *method, const char *authority, const char *again, const char *path)
{
    sl_request_words words = {slice(authority), slice(again), slice(path), slice(path)};
    sl_request_begin(&request, method);
    sl_judge_request(&request, &words, &j);
}

static void expect_refused(unsigned status, bool malformed, const char *reason)
{
    assert_false(j.allow);
    assert_int_equal(j.status, status);
    assert_int_equal(j.malformed, malformed);
    assert_string_equal(j.reason, reason);
}

static int authority(const char *text, char host[SL_HOST_NAME_MAX], sl_addr *addr, uint16_t *port)
{
    return sl_judge_authority(text, strlen(text), host, addr, port);
}

static void authorities_are_names_or_addresses(void **state)
{
    (void)state;
    char host[SL_HOST_NAME_MAX];
    sl_addr addr;
    uint16_t port;
    assert_int_equal(authority("Example.TEST", host, &addr, &port), 0);
    assert_string_equal(host, "example.test");
    assert_int_equal(addr.family, 0);
    assert_int_equal(port, 0);
    assert_int_equal(authority("a.test:8080", host, &addr, &port), 0);
    assert_int_equal(port, 8080);
    assert_int_equal(authority("192.0.2.1:65535", host, &addr, &port), 0);
    assert_int_equal(addr.family, 4);
    assert_int_equal(port, 65535);
    assert_int_equal(authority("[2001:DB8::1]:443", host, &addr, &port), 0);
    assert_string_equal(host, "2001:db8::1");
    assert_int_equal(addr.family, 6);
    assert_int_equal(port, 443);
}

static void other_authorities_are_none(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        ":80",
        "a.test:",
        "a.test:0",
        "a.test:65536",
        "a.test:+80",
        "a.test: 80",
        "a.test:8a",
        "a.test:000080",
        "a b.test",
        "user@a.test",
        "a.test/x",
        "[2001:db8::1",
        "[2001:db8::1]x",
        "[2001:db8::1]:",
        "0x7f.1",
        "127.1",
        "2130706433",
        "a..test",
        "[::1]a",
        "a.test:80:80",
        "\x01.test",
        "a.test\t",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char host[SL_HOST_NAME_MAX] = "untouched";
        sl_addr addr;
        uint16_t port;
        if (authority(bad[i], host, &addr, &port) != -EINVAL) {
            fail_msg("'%s' was taken for '%s'", bad[i], host);
        }
    }
}

static void an_endless_authority_is_none(void **state)
{
    (void)state;
    static char text[SL_TARGET_MAX];
    char host[SL_HOST_NAME_MAX];
    sl_addr addr;
    uint16_t port;
    memset(text, 'a', sizeof(text));
    assert_int_equal(sl_judge_authority(text, sizeof(text), host, &addr, &port), -EINVAL);
}

static void a_flow_has_one_name(void **state)
{
    (void)state;
    sl_target named = {.name = "a.test", .port = 80};
    sl_target literal = {.port = 80};
    sl_target loopback = {.port = 80};
    sl_addr none = {0};
    sl_addr addr;
    sl_addr other;
    assert_int_equal(sl_addr_parse("192.0.2.1", &addr), 0);
    assert_int_equal(sl_addr_parse("192.0.2.2", &other), 0);
    literal.addr = addr;
    assert_int_equal(sl_addr_parse("127.0.0.1", &loopback.addr), 0);
    assert_true(sl_judge_names_flow(&named, "a.test", &none));
    assert_false(sl_judge_names_flow(&named, "b.test", &none));
    assert_false(sl_judge_names_flow(&named, "192.0.2.1", &addr));
    assert_true(sl_judge_names_flow(&literal, "192.0.2.1", &addr));
    assert_false(sl_judge_names_flow(&literal, "192.0.2.2", &other));
    assert_false(sl_judge_names_flow(&literal, "localhost", &none));
    assert_true(sl_judge_names_flow(&loopback, "localhost", &none));
    assert_false(sl_judge_names_flow(&loopback, "a.test", &none));
}

static void what_is_judged_is_what_goes_up(void **state)
{
    (void)state;
    judge("GET", RIG_NAME, NULL, "/a/../b/%7e/./c?q=%2e%2e/x");
    assert_true(j.allow);
    assert_string_equal(j.authority, RIG_NAME);
    assert_string_equal(j.path, "/b/~/c");
    assert_string_equal(j.query, "q=%2e%2e/x");
    judge("GET", RIG_NAME, NULL, "/a/../deny/x");
    expect_refused(403, false, "denied_by_rule");
    assert_string_equal(j.rule, "* " RIG_NAME "/deny*");
    assert_string_equal(sl_request_url(&request), "http://" RIG_NAME "/deny/x");
    judge("GET", RIG_NAME, NULL, "/%64eny");
    expect_refused(403, false, "denied_by_rule");
}

static void an_unusual_port_is_part_of_the_authority(void **state)
{
    (void)state;
    flow.target.port = 8080;
    judge("GET", RIG_NAME ":8080", NULL, "/");
    assert_string_equal(j.authority, RIG_NAME ":8080");
    judge("GET", RIG_NAME, NULL, "/"); /* says none: the flow's */
    assert_string_equal(j.authority, RIG_NAME ":8080");
    judge("GET", RIG_NAME ":80", NULL, "/");
    expect_refused(400, true, "Host names another port");
}

static void another_host_is_misdirected(void **state)
{
    (void)state;
    judge("GET", "other.test", NULL, "/");
    expect_refused(421, false, "authority");
    judge("GET", "192.0.2.1", NULL, "/");
    expect_refused(421, false, "authority");
    judge("GET", NULL, NULL, "/");
    expect_refused(400, true, "malformed Host");
    judge("GET", "a b", NULL, "/");
    expect_refused(400, true, "malformed Host");
}

static void both_authorities_must_be_one(void **state)
{
    (void)state;
    judge("GET", RIG_NAME, RIG_NAME, "/");
    assert_true(j.allow);
    judge("GET", RIG_NAME, RIG_NAME ":80", "/"); /* said or not, it is the flow's */
    assert_true(j.allow);
    judge("GET", RIG_NAME, "other.test", "/");
    expect_refused(400, true, "request target and Host differ");
    judge("GET", RIG_NAME, RIG_NAME ":8080", "/");
    expect_refused(400, true, "request target and Host differ");
    judge("GET", RIG_NAME, "", "/");
    expect_refused(400, true, "request target and Host differ");
}

static void targets_have_one_reading(void **state)
{
    (void)state;
    judge("GET", RIG_NAME, RIG_NAME, "?q"); /* "http://host?q" */
    assert_true(j.allow);
    assert_string_equal(j.path, "/");
    judge("GET", RIG_NAME, NULL, NULL);
    expect_refused(400, true, "malformed request target");
    judge("GET", RIG_NAME, NULL, "*");
    expect_refused(400, true, "malformed request target");
    judge("GET", RIG_NAME, NULL, "/a%zzb");
    expect_refused(400, true, "path that has more than one reading");
    judge("GET", RIG_NAME, NULL, "/a%00b");
    expect_refused(400, true, "path that has more than one reading");
}

/* HTTP-32: the normal form is judged, what was written is sent. */
static void the_path_is_sent_as_it_was_written(void **state)
{
    (void)state;
    judge("GET", RIG_NAME, NULL, "/a//b/%7E/../%c3%a9%2f?x=//%zz");
    assert_true(j.allow);
    assert_string_equal(j.path, "/a//b/%C3%A9%2F");
    assert_string_equal(j.sent, "/a//b/%c3%a9%2f");
    assert_string_equal(j.query, "x=//%zz");
    judge("GET", RIG_NAME, NULL, "//deny"); /* merged by many */
    expect_refused(403, false, "denied_by_rule");
    judge("GET", RIG_NAME, NULL, "/x%2f..%2fdeny");
    expect_refused(400, true, "path that has more than one reading");
    judge("OPTIONS", RIG_NAME, NULL, "*");
    assert_string_equal(j.path, "*");
    assert_false(j.allow); /* no rule has it */
}

static void a_target_that_is_too_long_is_no_target(void **state)
{
    (void)state;
    static char text[SL_TARGET_MAX + 2];
    memset(text, 'a', sizeof(text) - 1);
    text[0] = '/';
    text[SL_TARGET_MAX] = '\0';
    judge("GET", RIG_NAME, NULL, text);
    assert_true(j.allow);
    text[SL_TARGET_MAX] = 'a';
    judge("GET", RIG_NAME, NULL, text);
    expect_refused(400, true, "path that has more than one reading");
    text[1] = '?';
    judge("GET", RIG_NAME, NULL, text);
    expect_refused(400, true, "path that has more than one reading");
}

static void mirrors_and_tunnels_are_no_methods_here(void **state)
{
    (void)state;
    judge("TRACE", RIG_NAME, NULL, "/x");
    expect_refused(405, true, "method");
    assert_string_equal(sl_request_url(&request), "http://" RIG_NAME "/x");
    flow.target.port = 8080;
    judge("CONNECT", "other.test:443", NULL, "other.test:443");
    expect_refused(405, true, "method");
    assert_string_equal(sl_request_url(&request), "http://" RIG_NAME ":8080");
    flow.target.name[0] = '\0';
    assert_int_equal(sl_addr_parse("2001:db8::1", &flow.target.addr), 0);
    judge("TRACE", "[2001:db8::1]:8080", NULL, "/x");
    assert_string_equal(sl_request_url(&request), "http://[2001:db8::1]:8080/x");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(authorities_are_names_or_addresses),
        TEST(other_authorities_are_none),
        TEST(an_endless_authority_is_none),
        TEST(a_flow_has_one_name),
        TEST(what_is_judged_is_what_goes_up),
        TEST(an_unusual_port_is_part_of_the_authority),
        TEST(another_host_is_misdirected),
        TEST(both_authorities_must_be_one),
        TEST(targets_have_one_reading),
        TEST(the_path_is_sent_as_it_was_written),
        TEST(a_target_that_is_too_long_is_no_target),
        TEST(mirrors_and_tunnels_are_no_methods_here),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
