/* Flows that pass untouched, and that a server's greeting opens no door for HTTP behind it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "http/flow.h"
#include "http/gateway.h"
#include "rig.h"

static rig r;

static int set_up(void **state)
{
    (void)state;
    static const rig_word words[] = {{"net_allow", RIG_NAME ":80"}};
    rig_init(&r);
    rig_keep_log(&r);
    rig_policy(&r, words, 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_done(&r);
    return 0;
}

/* HTTP rules concern the host as well. */
static void inspect_too(void)
{
    static const rig_word words[] = {
        {"net_allow", RIG_NAME ":80"},
        {"http_allow", "* " RIG_NAME "/*"},
    };
    rig_policy(&r, words, 2);
}

static void expect(sl_buf *got, const char *text)
{
    assert_int_equal(got->len, strlen(text));
    assert_memory_equal(text[0] != '\0' ? (const char *)sl_buf_head(got) : "", text, strlen(text));
    sl_buf_consume(got, got->len);
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

static void expect_log(const char *part)
{
    char *text = rig_log(&r);
    if (strstr(text, part) == NULL) {
        fail_msg("no %s in '%s'", part, text);
    }
    free(text);
}

/* The client is silent for the moment that a server has for its greeting. */
static void wait_for_a_greeting(void)
{
    rig_flow(&r);
    rig_settle(&r);
    assert_int_equal(r.opened, 0);
    sl_flow_expire_all(&r.gw, uv_now(&r.loop) + SL_SPEAKS_FIRST_MS + 1000);
    rig_settle(&r);
    assert_int_equal(r.opened, 1);
}

static void bytes_pass_both_ways_and_are_counted(void **state)
{
    (void)state;
    rig_flow(&r);
    client("\x01query");
    expect(&r.to_upstream, "\x01query");
    upstream("\x02result");
    expect(&r.from_gateway, "\x02result");
    client("more");
    expect(&r.to_upstream, "more");
    rig_upstream_ends(&r);
    rig_settle(&r);
    assert_true(r.client_ended);
    (void)shutdown(r.client, SHUT_WR);
    rig_settle(&r);
    assert_int_equal(r.gw.flow_count, 0);
    expect_log(
        "\"sandlock.verdict\":\"allow\",\"sandlock.kind\":\"tcp\",\"sandlock.rule\":\"" RIG_NAME
        ":80\"");
}

static void the_server_may_have_the_first_word(void **state)
{
    (void)state;
    wait_for_a_greeting();
    upstream("220 ready\r\n");
    expect(&r.from_gateway, "220 ready\r\n");
    client("GET / HTTP/1.1\r\n"); /* no HTTP rule concerns it: opaque */
    expect(&r.to_upstream, "GET / HTTP/1.1\r\n");
}

static void http_behind_a_greeting_does_not_pass(void **state)
{
    (void)state;
    static const char *const hidden[] = {
        "GET / HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\x16\x03\x01\xff\xff\x01"};
    inspect_too();
    wait_for_a_greeting();
    upstream("220 ready\r\n");
    client("\x01HELP\r\n"); /* the control */
    expect(&r.to_upstream, "\x01HELP\r\n");
    free(rig_log(&r));
    for (size_t i = 0; i < 3; i++) {
        wait_for_a_greeting();
        upstream("220 ready\r\n");
        free(rig_log(&r)); /* of the flow before */
        client(hidden[i]);
        expect(&r.to_upstream, "");
        assert_int_equal(r.gw.flow_count, 0);
        expect_log(
            "\"sandlock.verdict\":\"deny\",\"sandlock.kind\":\"tcp\",\"sandlock.rule\":\"" RIG_NAME
            ":80\",\"sandlock.reason\":\"http_behind_greeting\"");
    }
}

/* Cut as finely as can be: nothing goes up before it is known what it is. */
static void hidden_http_is_known_byte_by_byte(void **state)
{
    (void)state;
    const char *text = "POST /x HTTP/1.1\r\n";
    inspect_too();
    wait_for_a_greeting();
    for (size_t i = 0; i < strlen(text); i++) {
        rig_client_says(&r, text + i, 1);
        rig_settle(&r);
        expect(&r.to_upstream, "");
    }
    assert_int_equal(r.gw.flow_count, 0);
}

static void a_refused_opening_is_told_and_ends(void **state)
{
    (void)state;
    r.refuse = "address_denied";
    rig_flow(&r);
    client("\x01query");
    r.refuse = NULL;
    assert_true(r.client_ended);
    assert_int_equal(r.gw.flow_count, 0);
    expect_log(
        "\"sandlock.verdict\":\"deny\",\"sandlock.kind\":\"tcp\",\"sandlock.rule\":\"" RIG_NAME
        ":80\",\"sandlock.reason\":\"address_denied\"");
}

/* A reader that stops holds its writer back: what waits between them is bounded. */
static void a_deaf_reader_holds_its_writer_back(void **state)
{
    (void)state;
    static char much[1u << 20];
    size_t sent = 0;
    rig_flow(&r);
    client("\x01");
    r.deaf = true;
    for (int i = 0; i < 64; i++) {
        ssize_t n = send(r.client, much, sizeof(much), MSG_DONTWAIT | MSG_NOSIGNAL);
        sent += n > 0 ? (size_t)n : 0;
        rig_settle(&r);
    }
    assert_true(sent > 0);
    assert_true(sent < 8u << 20);
    r.deaf = false;
    rig_settle(&r);
    assert_int_equal(r.to_upstream.len, sent + 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bytes_pass_both_ways_and_are_counted), TEST(the_server_may_have_the_first_word),
        TEST(http_behind_a_greeting_does_not_pass), TEST(hidden_http_is_known_byte_by_byte),
        TEST(a_refused_opening_is_told_and_ends),   TEST(a_deaf_reader_holds_its_writer_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
