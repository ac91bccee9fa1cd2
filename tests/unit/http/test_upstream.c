/* Which addresses may be dialled under a name, and that no other is: by name, by literal, by what a
 * resolver says. */
#include <arpa/inet.h>
#include <netinet/in.h>
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

#include "core/util.h"
#include "http/gateway.h"
#include "http/upstream.h"
#include "rig.h"

static rig r;
static char hosts[] = "/tmp/sandlock-hosts-XXXXXX";
static struct {
    unsigned calls;
    sl_conn *conn;
    sl_addr peer;
    char reason[32];
} told;

static int set_up(void **state)
{
    (void)state;
    rig_init(&r);
    memset(&told, 0, sizeof(told));
    r.gw.resolver = sl_resolver_new(&r.loop);
    return r.gw.resolver == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    sl_conn_close(told.conn);
    sl_resolver_free(r.gw.resolver);
    r.gw.resolver = NULL;
    rig_done(&r);
    return 0;
}

static void on_opened(void *arg, sl_conn *conn, const sl_addr *peer, const sl_failure *failure)
{
    (void)arg;
    const char *reason = failure->reason;
    told.calls++;
    told.conn = conn;
    told.peer = *peer;
    snprintf(told.reason, sizeof(told.reason), "%s", reason != NULL ? reason : "");
}

static sl_addr addr(const char *text)
{
    sl_addr a;
    assert_int_equal(sl_addr_parse(text, &a), 0);
    return a;
}

static void rules(const char *allow, const char *resolve)
{
    const rig_word words[] = {{"http_allow", allow}, {"resolve", resolve}};
    rig_policy(&r, words, resolve != NULL ? 2 : 1);
}

static size_t permitted(const char *name, const char *text)
{
    struct sl_link_addr ret[SL_LINK_ADDRS_MAX];
    sl_addr a = addr(text);
    return sl_upstream_permitted(&r.gw, name, 80, &a, 1, ret);
}

static void inner_addresses_need_to_be_named(void **state)
{
    (void)state;
    static const char *const never[] = {"127.0.0.1",       "::1",          "169.254.169.254",
                                        "fe80::1",         "0.0.0.0",      "::ffff:127.0.0.1",
                                        "::ffff:10.0.0.1", "fd00:ec2::254"};
    rules("* *.test/*", NULL);
    assert_int_equal(permitted("a.test", "192.0.2.1"), 1);
    assert_int_equal(permitted("a.test", "2001:db8::1"), 1);
    for (size_t i = 0; i < SL_ARRAY_LEN(never); i++) {
        assert_int_equal(permitted("a.test", never[i]), 0);
    }
    assert_int_equal(permitted("a.test", "10.0.0.1"), 0); /* a wildcard does not name it */
    rules("* a.test/*", NULL);
    assert_int_equal(permitted("a.test", "10.0.0.1"), 1);
    assert_int_equal(permitted("a.test", "169.254.169.254"), 0);
    assert_int_equal(permitted("a.test", "127.0.0.1"), 0);
}

static void the_others_are_kept_in_order_and_bounded(void **state)
{
    (void)state;
    struct sl_link_addr ret[SL_LINK_ADDRS_MAX];
    sl_addr many[3 * SL_LINK_ADDRS_MAX];
    rules("* *.test/*", NULL);
    for (size_t i = 0; i < SL_ARRAY_LEN(many); i++) {
        char text[32];
        snprintf(text, sizeof(text), i % 2 == 0 ? "127.0.0.%zu" : "192.0.2.%zu", i);
        many[i] = addr(text);
    }
    assert_int_equal(sl_upstream_permitted(&r.gw, "a.test", 81, many, SL_ARRAY_LEN(many), ret),
                     SL_LINK_ADDRS_MAX);
    for (size_t i = 0; i < SL_LINK_ADDRS_MAX; i++) {
        assert_true(sl_addr_equal(&ret[i].addr, &many[2 * i + 1]));
        assert_int_equal(ret[i].port, 81);
    }
}

static void some_names_need_no_look_up(void **state)
{
    (void)state;
    struct sl_link_addr ret[SL_LINK_ADDRS_MAX];
    sl_addr want = addr("10.1.2.3");
    rules("* *.test/*", "a.test=10.1.2.3");
    assert_int_equal(sl_upstream_known(&r.gw, "a.test", 80, ret), 1);
    assert_true(sl_addr_equal(&ret[0].addr, &want));
    assert_int_equal(ret[0].port, 80);
    assert_int_equal(sl_upstream_known(&r.gw, "b.test", 80, ret), 0);
    assert_int_equal(sl_upstream_known(&r.gw, "localhost", 80, ret), 2);
    rules("* *.test/*", "a.test=10.1.2.3:8080");
    assert_int_equal(sl_upstream_known(&r.gw, "a.test", 80, ret), 1);
    assert_int_equal(ret[0].port, 8080);
}

static int listener(uint16_t *ret_port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    *ret_port = ntohs(at.sin_port);
    return fd;
}

/* Until the callback came. */
static void wait_told(void)
{
    while (told.calls == 0) {
        uv_run(&r.loop, UV_RUN_ONCE);
    }
}

static const char *open_name(const char *name, uint16_t port, sl_upstream **ret)
{
    sl_target t = {.port = port};
    snprintf(t.name, sizeof(t.name), "%s", name);
    return sl_upstream_open(&r.gw, &t, on_opened, NULL, ret);
}

static void a_name_that_is_resolved_by_rule_opens(void **state)
{
    (void)state;
    sl_upstream *u = NULL;
    uint16_t port;
    int fd = listener(&port);
    char rule[64];
    snprintf(rule, sizeof(rule), "a.test=127.0.0.1:%u", port);
    rules("* *.test/*", rule);
    assert_null(open_name("a.test", 80, &u));
    assert_int_equal(told.calls, 0); /* later, never from inside */
    wait_told();
    assert_non_null(told.conn);
    assert_int_equal(accept(fd, NULL, NULL) >= 0, 1);
    sl_addr want = addr("127.0.0.1");
    assert_true(sl_addr_equal(&told.peer, &want));
    close(fd);
}

static void nobody_there_is_refused(void **state)
{
    (void)state;
    sl_upstream *u = NULL;
    uint16_t port;
    char rule[64];
    close(listener(&port));
    snprintf(rule, sizeof(rule), "a.test=127.0.0.1:%u", port);
    rules("* *.test/*", rule);
    assert_null(open_name("a.test", 80, &u));
    wait_told();
    assert_null(told.conn);
    assert_string_equal(told.reason, "refused");
}

static void a_literal_is_dialled_only_where_a_rule_names_it(void **state)
{
    (void)state;
    sl_upstream *u = NULL;
    uint16_t port;
    int fd = listener(&port);
    sl_target t = {.port = port, .addr = addr("127.0.0.1")};
    rules("* *.test/*", NULL);
    assert_string_equal(sl_upstream_open(&r.gw, &t, on_opened, NULL, &u), "address_denied");
    assert_null(u);
    assert_int_equal(told.calls, 0);
    const rig_word words[] = {{"net_allow", "127.0.0.1"}};
    rig_policy(&r, words, 1);
    assert_null(sl_upstream_open(&r.gw, &t, on_opened, NULL, &u));
    wait_told();
    assert_non_null(told.conn);
    close(fd);
}

static void hosts_file(const char *text)
{
    int fd = mkstemp(hosts);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    assert_int_equal(sl_resolver_set_hosts_file(r.gw.resolver, hosts), 0);
}

/* DNS that points inside: the name is allowed, the address is not. */
static void what_the_resolver_says_is_judged(void **state)
{
    (void)state;
    sl_upstream *u = NULL;
    hosts_file("169.254.169.254 a.test\n");
    rules("* a.test/*", NULL);
    assert_null(open_name("a.test", 80, &u));
    wait_told();
    assert_null(told.conn);
    assert_string_equal(told.reason, "address_denied");
    sl_addr want = addr("169.254.169.254");
    assert_true(sl_addr_equal(&told.peer, &want)); /* the log says which */
    unlink(hosts);
    memcpy(hosts + sizeof(hosts) - 7, "XXXXXX", 6);
}

static void nothing_comes_behind_a_cancellation(void **state)
{
    (void)state;
    sl_upstream *u = NULL;
    uint16_t port;
    char rule[64];
    int fd = listener(&port);
    snprintf(rule, sizeof(rule), "a.test=127.0.0.1:%u", port);
    rules("* *.test/*", rule);
    assert_null(open_name("a.test", 80, &u));
    sl_upstream_cancel(u);
    sl_upstream_cancel(NULL);
    for (int i = 0; i < 8; i++) {
        uv_run(&r.loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(told.calls, 0);
    close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(inner_addresses_need_to_be_named),
        TEST(the_others_are_kept_in_order_and_bounded),
        TEST(some_names_need_no_look_up),
        TEST(a_name_that_is_resolved_by_rule_opens),
        TEST(nobody_there_is_refused),
        TEST(a_literal_is_dialled_only_where_a_rule_names_it),
        TEST(what_the_resolver_says_is_judged),
        TEST(nothing_comes_behind_a_cancellation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
