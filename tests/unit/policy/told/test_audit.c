/* The text of an audit line: whole, one line, and whatever others chose is escaped. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy/told/audit.h"

static void expect(const sl_audit_event *e, const char *text)
{
    sl_buf line;
    sl_buf_init(&line, SL_AUDIT_LINE_MAX);
    assert_int_equal(sl_audit_line(e, &line), 0);
    assert_int_equal(sl_buf_append(&line, "", 1), 0);
    assert_string_equal((char *)sl_buf_head(&line), text);
    sl_buf_done(&line);
}

static void what_is_not_known_is_left_out(void **state)
{
    (void)state;
    sl_audit_event e = {.when = "T", .rule = "", .exe = ""};
    expect(&e, "{\"timestamp\":\"T\",\"sandlock.verdict\":\"deny\"}\n");
}

static void everything_is_told(void **state)
{
    (void)state;
    sl_addr peer;
    assert_int_equal(sl_addr_parse("192.0.2.7", &peer), 0);
    sl_audit_event e = {
        .when = "T",
        .allow = true,
        .kind = "http",
        .transport = "tcp",
        .method = "GET",
        .url = "https://a.test/",
        .host = "a.test",
        .port = 443,
        .peer = &peer,
        .status = 200,
        .rule = "GET a.test/*",
        .reason = "ended",
        .detail = "why",
        .nearest = "GET b.test/*",
        .pid = 7,
        .exe = "/bin/true",
        .timed = true,
        .bytes_in = 18446744073709551615u,
    };
    expect(&e, "{\"timestamp\":\"T\",\"sandlock.verdict\":\"allow\",\"sandlock.kind\":\"http\","
               "\"sandlock.rule\":\"GET a.test/*\",\"sandlock.reason\":\"ended\","
               "\"sandlock.nearest\":\"GET b.test/*\",\"error.message\":\"why\","
               "\"network.transport\":\"tcp\",\"http.request.method\":\"GET\","
               "\"url.full\":\"https://a.test/\",\"server.address\":\"a.test\","
               "\"server.port\":443,\"network.peer.address\":\"192.0.2.7\","
               "\"http.response.status_code\":200,\"process.pid\":7,"
               "\"process.executable.path\":\"/bin/true\",\"http.request.body.size\":0,"
               "\"http.response.body.size\":18446744073709551615,\"sandlock.duration_ms\":0}\n");
}

static void files_have_a_path_and_what_was_wanted(void **state)
{
    (void)state;
    sl_audit_event e = {
        .when = "T", .kind = "file", .path = "/a\n", .access = "read", .reason = "no_rule"};
    expect(&e, "{\"timestamp\":\"T\",\"sandlock.verdict\":\"deny\",\"sandlock.kind\":\"file\","
               "\"sandlock.reason\":\"no_rule\",\"file.path\":\"/a\\u000a\","
               "\"sandlock.access\":\"read\"}\n");
}

static void zero_can_be_meant(void **state)
{
    (void)state;
    sl_audit_event e = {.when = "T", .ported = true, .pid = -1};
    expect(&e, "{\"timestamp\":\"T\",\"sandlock.verdict\":\"deny\",\"server.port\":0}\n");
}

static void a_forged_line_stays_text(void **state)
{
    (void)state;
    sl_audit_event e = {
        .when = "T",
        .url = "http://a/\"}\n{\"sandlock.verdict\":\"allow",
        .exe = "/tmp/\x1b[2J\xff\xc3\xa9",
    };
    expect(&e, "{\"timestamp\":\"T\",\"sandlock.verdict\":\"deny\","
               "\"url.full\":\"http://a/\\\"}\\u000a{\\\"sandlock.verdict\\\":\\\"allow\","
               "\"process.executable.path\":\"/tmp/\\u001b[2J\\ufffd\xc3\xa9\"}\n");
}

/* At every size that does not suffice, nothing is written and nothing before it is touched. */
static void half_a_line_is_none(void **state)
{
    (void)state;
    sl_audit_event e = {.when = "T", .kind = "http", .url = "http://a.test/", .ported = true};
    sl_buf whole;
    sl_buf_init(&whole, SL_AUDIT_LINE_MAX);
    assert_int_equal(sl_audit_line(&e, &whole), 0);
    for (size_t max = 2; max < whole.len + 2; max++) {
        sl_buf small;
        sl_buf_init(&small, max);
        assert_int_equal(sl_buf_append_str(&small, "x\n"), 0);
        assert_int_equal(sl_audit_line(&e, &small), -ENOBUFS);
        assert_int_equal(small.len, 2);
        assert_memory_equal(sl_buf_head(&small), "x\n", 2);
        sl_buf_done(&small);
    }
    sl_buf_done(&whole);
}

/* The longest that may be said of a request fits, escaped as badly as can be. */
static void the_longest_fits(void **state)
{
    (void)state;
    static char url[40000];
    memset(url, 1, sizeof(url) - 1);
    sl_audit_event e = {.when = "T", .url = url};
    sl_buf line;
    sl_buf_init(&line, SL_AUDIT_LINE_MAX);
    assert_int_equal(sl_audit_line(&e, &line), 0);
    assert_true(line.len > 6 * sizeof(url) - 6);
    assert_true(line.cap <= SL_AUDIT_LINE_MAX);
    sl_buf_done(&line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_known_is_left_out),
        cmocka_unit_test(everything_is_told),
        cmocka_unit_test(files_have_a_path_and_what_was_wanted),
        cmocka_unit_test(zero_can_be_meant),
        cmocka_unit_test(a_forged_line_stays_text),
        cmocka_unit_test(half_a_line_is_none),
        cmocka_unit_test(the_longest_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
