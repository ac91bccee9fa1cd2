/* What a flow turns out to be by its first bytes, and what becomes of what nobody reads. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "http/flow.h"
#include "http/gateway.h"
#include "rig.h"

static rig r;
static unsigned started; /* flows that HTTP/1 was given */
static size_t given;     /* bytes that it was given with the last one */

static int h1_start(sl_flow *flow)
{
    started++;
    given = flow->sniffed.len;
    return 0;
}

static void h1_pump(sl_flow *flow)
{
    sl_conn_want(flow->client, true, false);
}

/* HTTP/1 as the room sees it: a table. */
static const sl_protocol http1 = {
    .name = "http1",
    .start = h1_start,
    .pump = h1_pump,
    .expire = sl_flow_end,
};

static int set_up(void **state)
{
    (void)state;
    rig_init(&r);
    rig_keep_log(&r);
    r.gw.http1 = &http1;
    started = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_done(&r);
    return 0;
}

static void client(const void *text, size_t len)
{
    rig_flow(&r);
    rig_client_says(&r, text, len);
    rig_settle(&r);
}
#define CLIENT(text) client(text, sizeof(text) - 1)

static void expect_end(const char *reason)
{
    char *text = rig_log(&r);
    sl_flow_expire_all(&r.gw, UINT64_MAX); /* it may linger */
    rig_settle(&r);
    assert_true(r.client_ended);
    assert_int_equal(r.gw.flow_count, 0);
    assert_int_equal(r.opened, 0);
    if (strstr(text, reason) == NULL) {
        fail_msg("no %s in '%s'", reason, text);
    }
    free(text);
}

static void net_rule(const char *rule)
{
    const rig_word words[] = {{"net_allow", rule}};
    rig_policy(&r, words, 1);
}

static void http_is_given_with_all_its_bytes(void **state)
{
    (void)state;
    CLIENT("GET / HTTP/1.1\r\n");
    assert_int_equal(started, 1);
    assert_int_equal(given, 16);
    rig_flow(&r); /* ... however they are cut */
    rig_client_says(&r, "GE", 2);
    assert_int_equal(started, 1);
    rig_client_says(&r, "T / HTTP/1.1\r\n", 14);
    rig_settle(&r);
    assert_int_equal(started, 2);
}

/* Its reader says what is wrong, and how. */
static void what_is_no_http_is_given_to_it_all_the_same(void **state)
{
    (void)state;
    CLIENT("\x01\x02\x03\x04");
    assert_int_equal(started, 1);
    CLIENT("SSH-2.0-x\r\n");
    assert_int_equal(started, 2);
}

static void http2_hears_that_http1_is_wanted(void **state)
{
    (void)state;
    CLIENT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    const uint8_t *got = sl_buf_head(&r.from_gateway);
    assert_int_equal(r.from_gateway.len, 26);
    assert_int_equal(got[3], 4); /* SETTINGS, then GOAWAY with HTTP_1_1_REQUIRED */
    assert_int_equal(got[12], 7);
    assert_int_equal(got[25], 13);
    assert_int_equal(started, 0);
    expect_end("\"sandlock.reason\":\"http2\"");
}

static void bad_tls_hears_an_alert(void **state)
{
    (void)state;
    CLIENT("\x16\x03\x01\x00\x04\x01\xff\xff\xff\xff\xff\xff");
    assert_int_equal(r.from_gateway.len, 7);
    assert_memory_equal(sl_buf_head(&r.from_gateway), "\x15\x03\x01\x00\x02\x02\x32", 7);
    expect_end("\"sandlock.reason\":\"malformed_tls\"");
}

/* A ClientHello with one extension, server_name. */
static size_t hello(uint8_t *out, const char *name)
{
    uint8_t *p = out;
    uint16_t n = (uint16_t)strlen(name);
    uint16_t body = (uint16_t)(2 + 32 + 1 + 2 + 2 + 2 + 2 + 4 + 5 + n);
    memcpy(p, "\x16\x03\x01", 3);
    p[3] = (uint8_t)((body + 4) >> 8);
    p[4] = (uint8_t)(body + 4);
    p[5] = 1;
    p[6] = 0;
    p[7] = (uint8_t)(body >> 8);
    p[8] = (uint8_t)body;
    p += 9;
    memset(p, 0, body);
    p[0] = p[1] = 3;
    p += 2 + 32 + 1;
    memcpy(p, "\x00\x02\x13\x01\x01\x00", 6); /* one suite, no compression */
    p += 6;
    uint16_t fields[] = {(uint16_t)(9 + n), 0, (uint16_t)(5 + n), (uint16_t)(3 + n)};
    for (size_t i = 0; i < 4; i++) {
        *p++ = (uint8_t)(fields[i] >> 8);
        *p++ = (uint8_t)fields[i];
    }
    *p++ = 0;
    *p++ = (uint8_t)(n >> 8);
    *p++ = (uint8_t)n;
    memcpy(p, name, n);
    return (size_t)(p + n - out);
}

static void another_server_name_is_refused(void **state)
{
    (void)state;
    uint8_t data[512];
    client(data, hello(data, "other.test"));
    assert_memory_equal(sl_buf_head(&r.from_gateway), "\x15\x03\x01\x00\x02\x02\x70", 7);
    expect_end("\"sandlock.reason\":\"sni\"");
    client(data, hello(data, "not a name"));
    assert_memory_equal(sl_buf_head(&r.from_gateway), "\x15\x03\x01\x00\x02\x02\x70", 7);
    expect_end("\"sandlock.reason\":\"sni\"");
}

static void tls_without_http_rules_passes_untouched(void **state)
{
    (void)state;
    uint8_t data[512];
    size_t n = hello(data, RIG_NAME);
    net_rule(RIG_NAME ":80");
    client(data, n);
    assert_int_equal(r.opened, 1);
    assert_int_equal(r.to_upstream.len, n);
    assert_memory_equal(sl_buf_head(&r.to_upstream), data, n);
    n = hello(data, "other.test"); /* still one authority */
    client(data, n);
    expect_end("\"sandlock.reason\":\"sni\"");
}

static void what_no_rule_allows_ends_at_once(void **state)
{
    (void)state;
    net_rule("other.test:80");
    rig_flow(&r);
    rig_settle(&r);
    expect_end("\"sandlock.kind\":\"tcp\",\"sandlock.reason\":\"no_rule\"");
}

/* Opened beforehand, as browsers do: no clock runs before its first byte. */
static void a_silent_flow_is_kept(void **state)
{
    (void)state;
    rig_flow(&r);
    rig_settle(&r);
    assert_int_equal(r.gw.flows->deadline_ms, 0);
    sl_flow_expire_all(&r.gw, uv_now(&r.loop) + 3600u * 1000 * 12);
    rig_settle(&r);
    assert_false(r.client_ended);
    sl_flow_end_all(&r.gw);
    char *text = rig_log(&r);
    assert_string_equal(text, "");
    free(text);
}

static void half_a_first_word_has_its_time(void **state)
{
    (void)state;
    rig_flow(&r);
    rig_client_says(&r, "\x16", 1);
    rig_settle(&r);
    sl_flow_expire_all(&r.gw, uv_now(&r.loop) + SL_TIMEOUT_HEAD_MS + 1000);
    rig_settle(&r);
    expect_end("\"sandlock.reason\":\"timeout\"");
}

/* Of what never becomes anything, no more is kept than telling takes. */
static void an_endless_first_word_is_bounded(void **state)
{
    (void)state;
    static uint8_t data[4 * SL_SNIFF_MAX];
    memset(data, 'A', sizeof(data));
    memcpy(data, "\x16\x03\x01\x40\x00\x01\x00\x3f\xfc", 9);
    client(data, sizeof(data));
    assert_int_equal(started, 0);
    expect_end("\"sandlock.reason\":\"malformed_tls\"");
}

static bool flow_stands(uint64_t id)
{
    for (const sl_flow *f = r.gw.flows; f != NULL; f = f->next) {
        if (f->id == id) {
            return true;
        }
    }
    return false;
}

/* HTTP-24: at the bound the one that moved nothing for longest makes room, and each newcomer is
 * served. */
static void flows_are_counted_and_bounded(void **state)
{
    (void)state;
    struct sl_link_flow msg = {.name = RIG_NAME, .port = RIG_PORT};
    int fds[4][2];
    r.gw.flows_max = 3;
    for (size_t i = 0; i < 4; i++) {
        msg.id = 100 + i;
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds[i]), 0);
        assert_int_equal(sl_flow_new(&r.gw, fds[i][0], &msg), 0);
        r.gw.flows->moved_ms = i == 0 ? 9 : i; /* the second is the slowest */
        sl_flow_reap(&r.gw);
        assert_true(r.gw.flow_count <= 3);
    }
    assert_true(flow_stands(100) && !flow_stands(101) && flow_stands(102) && flow_stands(103));
    char c;
    assert_int_equal(recv(fds[1][1], &c, 1, 0), 0); /* closed, not left */
    sl_flow_end_all(&r.gw);
    for (size_t i = 0; i < 4; i++) {
        close(fds[i][1]);
    }
}

static void the_end_is_once(void **state)
{
    (void)state;
    rig_flow(&r);
    sl_flow *flow = r.gw.flows;
    sl_flow_end(flow);
    sl_flow_end(flow);
    assert_int_equal(r.gw.flow_count, 0);
    assert_ptr_equal(r.gw.dead, flow);
    sl_flow_reap(&r.gw);
    assert_null(r.gw.dead);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(http_is_given_with_all_its_bytes), TEST(what_is_no_http_is_given_to_it_all_the_same),
        TEST(http2_hears_that_http1_is_wanted), TEST(bad_tls_hears_an_alert),
        TEST(another_server_name_is_refused),   TEST(tls_without_http_rules_passes_untouched),
        TEST(what_no_rule_allows_ends_at_once), TEST(a_silent_flow_is_kept),
        TEST(half_a_first_word_has_its_time),   TEST(an_endless_first_word_is_bounded),
        TEST(flows_are_counted_and_bounded),    TEST(the_end_is_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
