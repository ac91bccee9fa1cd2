/* Verdicts on destinations, names and flows. NET-09..15, NET-19, DNS-01, DNS-05, DNS-07. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/util.h"
#include "made.h"
#include "policy/verdict.h"

static const char *reason(const sl_policy *p, const char *host, uint16_t port)
{
    const char *why;
    assert_int_equal(judge(p, SL_PROTO_TCP, host, port, &why), SL_NET_DENY);
    return why;
}

static sl_flow_verdict flow(const sl_policy *p, const char *host, uint16_t port)
{
    sl_dest dest = dest_of(SL_PROTO_TCP, host, port);
    sl_flow_verdict v;
    sl_policy_judge_flow(p, &dest, &v);
    return v;
}

static void test_what_is_restricted(void **state)
{
    static const struct {
        const char *words[5];
        bool net, http, names, trust, bind;
    } cases[] = {
        {{NULL}, false, false, false, false, false},
        {{"fs_readable", "/", NULL}, false, false, false, false, false},
        {{"net_connect", "443", NULL}, false, false, false, false, false}, /* Landlock alone */
        {{"net_bind", "80", NULL}, false, false, false, false, true},
        {{"net_allow", "", NULL}, true, false, false, false, true},
        {{"net_allow", "10.0.0.0/8", NULL}, true, false, false, false, false},
        {{"net_allow", "localhost:80", NULL}, true, false, false, false, false},
        {{"net_allow", "*.localhost", NULL}, true, false, true, false, false},
        {{"net_allow", "private", NULL}, true, false, false, false, false},
        {{"net_allow", "public", NULL}, true, false, true, false, false},
        {{"net_allow", "*:443", NULL}, true, false, true, false, false},
        {{"net_allow", "a.test", NULL}, true, false, true, false, false},
        {{"net_allow_hosts", "a.test", NULL}, true, false, true, false, false},
        {{"net_deny", "metadata", NULL}, true, false, false, false, false},
        {{"net_deny", "a.test", NULL}, true, false, true, false, false},
        {{"net_allow", "10.0.0.0/8", "net_connect", "443", NULL}, true, false, true, false, false},
        {{"no_udp", "true", NULL}, true, false, false, false, false},
        {{"no_udp", "true", "net_allow", "10.0.0.0/8", NULL}, true, false, false, false, false},
        {{"no_udp", "true", "net_allow_hosts", "a.test", NULL}, true, false, true, false, false},
        {{"resolve", "a.test=192.0.2.1", NULL}, true, false, true, false, false},
        {{"http_allow", "", NULL}, true, true, true, false, false},
        {{"http_allow", "GET a.test", NULL}, true, true, true, true, false},
        {{"http_allow", "http://GET a.test", NULL}, true, true, true, false, false},
        {{"http_deny", "GET a.test", NULL}, true, true, true, true, false},
    };
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        SL_AUTO(sl_policy) p = make(cases[i].words);
        if (sl_policy_restricts_net(p) != cases[i].net || sl_policy_has_http(p) != cases[i].http ||
            sl_policy_needs_names(p) != cases[i].names ||
            sl_policy_needs_gateway(p) != cases[i].names ||
            sl_policy_needs_trust(p) != cases[i].trust ||
            sl_policy_restricts_bind(p) != cases[i].bind) {
            fail_msg("case %zu (%s)", i, cases[i].words[0] == NULL ? "open" : cases[i].words[1]);
        }
    }
}

/* Whether something that speaks TLS is met by the child itself. */
static void test_owns_trust(void **state)
{
    static const struct {
        const char *words[7];
        bool own;
    } cases[] = {
        {{"http_allow", "GET a.test", NULL}, true},
        {{"http_deny", "GET a.test", NULL}, true},
        {{"http_allow", "GET a.test", "net_allow", "", NULL}, true},
        {{"http_allow", "GET a.test", "net_allow", "unix:/run/docker.sock", NULL}, true},
        {{"http_allow", "GET a.test", "net_deny", "b.test", NULL}, true},
        {{"http_allow", "GET a.test", "http_no_inspect", "b.test", NULL}, false},
        {{"http_allow", "GET a.test", "net_allow", "db.test:5432", NULL}, false},
        {{"http_allow", "GET a.test", "net_allow", "udp://ntp.test:123", NULL}, false},
        {{"http_allow", "GET a.test", "net_allow", "127.0.0.1:8443", NULL}, false},
        {{"http_allow", "GET a.test", "net_allow_hosts", "b.test", NULL}, false},
        {{"http_allow", "GET a.test", "net_connect", "443", NULL}, false},
        {{"http_allow", "GET a.test", "http_ca_bundle", "merged", NULL}, false},
        {{"http_allow", "GET a.test", "net_connect", "443", "http_ca_bundle", "own", NULL}, true},
        {{NULL}, false},
    };
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        SL_AUTO(sl_policy) p = make(cases[i].words);
        if (sl_policy_owns_trust(p) != cases[i].own) {
            fail_msg("case %zu", i);
        }
    }
}

static void test_net_rules(void **state)
{
    (void)state;
    SL_AUTO(sl_policy)
    p = POLICY("net_allow", "db.test:5432", "net_allow", "10.0.0.0/8:22", "net_allow",
               "udp://ntp.test:123", "net_allow", "tcp://t.test:1");
    assert_int_equal(TCP(p, "db.test", 5432), SL_NET_DIRECT);
    assert_int_equal(UDP(p, "db.test", 5432), SL_NET_DIRECT);
    assert_int_equal(TCP(p, "db.test", 5433), SL_NET_DENY);
    assert_int_equal(TCP(p, "x.db.test", 5432), SL_NET_DENY);
    assert_int_equal(TCP(p, "10.9.9.9", 22), SL_NET_DIRECT);
    assert_int_equal(TCP(p, "::ffff:10.9.9.9", 22), SL_NET_DIRECT);
    assert_int_equal(TCP(p, "11.0.0.1", 22), SL_NET_DENY);
    assert_int_equal(TCP(p, "64:ff9b::a09:909", 22), SL_NET_DENY);
    assert_int_equal(UDP(p, "ntp.test", 123), SL_NET_DIRECT);
    assert_int_equal(TCP(p, "ntp.test", 123), SL_NET_DENY);
    assert_int_equal(UDP(p, "t.test", 1), SL_NET_DENY);
    assert_int_equal(judge(p, SL_PROTO_ICMP, "10.9.9.9", 0, NULL), SL_NET_DENY);
    /* An address of a granted name is not the name. */
    assert_int_equal(TCP(p, "192.0.2.1", 5432), SL_NET_DENY);
    /* The synthetic range is for names alone. */
    assert_string_equal(reason(p, "198.18.0.77", 5432), "unassigned");
}

static void test_wide_rules_stay_out(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) p = POLICY("net_allow", "*:80");
    assert_int_equal(TCP(p, "192.0.2.1", 80), SL_NET_DIRECT);
    assert_int_equal(TCP(p, "a.test", 80), SL_NET_STEER);
    assert_string_equal(reason(p, "169.254.169.254", 80), "metadata");
    assert_string_equal(reason(p, "169.254.1.1", 80), "link_local");
    assert_string_equal(reason(p, "fe80::1%2", 80), "link_local");
    assert_string_equal(reason(p, "127.0.0.1", 80), "loopback");
    assert_string_equal(reason(p, "0.0.0.0", 80), "loopback");
    assert_string_equal(reason(p, "::", 80), "loopback");
    assert_string_equal(reason(p, "::ffff:127.0.0.1", 80), "loopback");
    assert_string_equal(reason(p, "64:ff9b::7f00:1", 80), "loopback");
    assert_string_equal(reason(p, "10.0.0.1", 80), "private");
    assert_string_equal(reason(p, "192.0.2.1", 81), "no_rule");
    assert_string_equal(reason(p, "10.0.0.1", 81), "no_rule");
    SL_AUTO(sl_policy) literal = POLICY("net_allow", "169.254.169.254:80");
    assert_int_equal(TCP(literal, "169.254.169.254", 80), SL_NET_DIRECT);
    assert_int_equal(TCP(literal, "169.254.169.253", 80), SL_NET_DENY);
}

static void test_loopback_literals(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) p = POLICY("net_allow", "localhost:6379", "http_allow", "GET 127.0.0.1");
    assert_int_equal(TCP(p, "127.0.0.1", 6379), SL_NET_DIRECT);
    assert_int_equal(TCP(p, "::1", 6379), SL_NET_DIRECT);
    assert_int_equal(TCP(p, "127.0.0.2", 6379), SL_NET_DENY);
    assert_int_equal(TCP(p, "0.0.0.0", 6379), SL_NET_DENY);
    assert_int_equal(TCP(p, "127.0.0.1", 80), SL_NET_STEER);
    assert_int_equal(TCP(p, "::1", 80), SL_NET_DENY);
    assert_int_equal(TCP(p, "127.0.0.1", 81), SL_NET_DENY);
}

static void test_deny_wins(void **state)
{
    (void)state;
    SL_AUTO(sl_policy)
    p = POLICY("net_allow", "*:443", "net_allow", "10.0.0.0/8", "net_deny", "10.1.0.0/16",
               "net_deny", "evil.test", "net_deny", "tcp://half.test:443", "http_allow",
               "GET evil.test");
    assert_int_equal(TCP(p, "10.2.0.1", 5), SL_NET_DIRECT);
    assert_string_equal(reason(p, "10.1.0.1", 5), "denied_by_rule");
    assert_string_equal(reason(p, "::ffff:10.1.0.1", 5), "denied_by_rule");
    assert_string_equal(reason(p, "evil.test", 443), "denied_by_rule");
    assert_string_equal(reason(p, "half.test", 443), "denied_by_rule");
    assert_int_equal(flow(p, "evil.test", 443).mode, SL_FLOW_REFUSE);
    assert_false(sl_policy_grants_name(p, "evil.test"));
    assert_true(sl_policy_grants_name(p, "half.test"));
    /* What an allowed name resolves to is looked at, too. */
    assert_false(may_dial(p, "ok.test", "10.1.0.1", 443));
}

static void test_only_net_deny(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) p = POLICY("net_deny", "metadata", "net_deny", "evil.test:443");
    assert_int_equal(TCP(p, "127.0.0.1", 1), SL_NET_DIRECT);
    assert_int_equal(UDP(p, "192.0.2.1", 53), SL_NET_DIRECT);
    assert_int_equal(TCP(p, "169.254.169.254", 80), SL_NET_DENY);
    assert_int_equal(TCP(p, "64:ff9b::a9fe:a9fe", 80), SL_NET_DENY);
    assert_int_equal(TCP(p, "evil.test", 443), SL_NET_DENY);
    assert_int_equal(TCP(p, "evil.test", 444), SL_NET_DIRECT);
    assert_int_equal(TCP(p, "good.test", 443), SL_NET_STEER); /* the SNI must not be evil.test */
    assert_true(sl_policy_grants_name(p, "good.test"));
    assert_int_equal(flow(p, "good.test", 443).mode, SL_FLOW_TLS_PASS);
    assert_true(flow(p, "good.test", 443).raw);
    assert_false(may_dial(p, "good.test", "169.254.169.254", 80));
    assert_true(may_dial(p, "good.test", "127.0.0.1", 80));
}

static void test_net_connect(void **state)
{
    (void)state;
    /* Beside a deny rule alone it restricts TCP and nothing else. */
    SL_AUTO(sl_policy) open = POLICY("net_connect", "443", "net_deny", "metadata");
    assert_int_equal(TCP(open, "127.0.0.1", 443), SL_NET_DIRECT);
    assert_int_equal(TCP(open, "127.0.0.1", 80), SL_NET_DENY);
    assert_int_equal(UDP(open, "192.0.2.1", 80), SL_NET_DIRECT);
    /* Beside allow rules it is one more of them. */
    SL_AUTO(sl_policy) more = POLICY("net_connect", "443", "net_allow", "10.0.0.1:5432");
    assert_int_equal(TCP(more, "192.0.2.1", 443), SL_NET_DIRECT);
    assert_int_equal(TCP(more, "127.0.0.1", 443), SL_NET_DENY);
    assert_int_equal(TCP(more, "10.0.0.1", 5432), SL_NET_DIRECT);
    assert_int_equal(TCP(more, "192.0.2.1", 80), SL_NET_DENY);
    assert_int_equal(UDP(more, "192.0.2.1", 443), SL_NET_DENY);
    assert_true(sl_policy_grants_name(more, "any.test"));
}

static void test_hosts_and_udp(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) p = POLICY("net_allow_hosts", "git.test");
    assert_int_equal(TCP(p, "git.test", 22), SL_NET_DIRECT);
    assert_int_equal(TCP(p, "git.test", 443), SL_NET_STEER);
    assert_int_equal(UDP(p, "git.test", 22), SL_NET_DIRECT);
    assert_int_equal(UDP(p, "other.test", 22), SL_NET_DENY);
    SL_AUTO(sl_policy) streams = POLICY("net_allow_hosts", "git.test", "no_udp", "true");
    const char *why;
    assert_int_equal(TCP(streams, "git.test", 22), SL_NET_DIRECT);
    assert_int_equal(judge(streams, SL_PROTO_UDP, "git.test", 22, &why), SL_NET_DENY);
    assert_string_equal(why, "udp_disabled");
    SL_AUTO(sl_policy) quic = POLICY("net_allow_hosts", "git.test", "http_allow", "GET git.test/");
    assert_int_equal(judge(quic, SL_PROTO_UDP, "git.test", 443, &why), SL_NET_DENY);
    assert_string_equal(why, "http_only");
    SL_AUTO(sl_policy) no_udp = POLICY("no_udp", "true");
    assert_int_equal(judge(no_udp, SL_PROTO_UDP, "192.0.2.1", 53, &why), SL_NET_DENY);
    assert_string_equal(why, "udp_disabled");
    assert_int_equal(TCP(no_udp, "192.0.2.1", 53), SL_NET_DIRECT);
    assert_int_equal(TCP(no_udp, "a.test", 443), SL_NET_DIRECT);
}

static void test_http_rules(void **state)
{
    (void)state;
    SL_AUTO(sl_policy)
    p = POLICY("http_allow", "GET api.test/v1/*", "http_allow", "https://GET s.test", "http_allow",
               "GET *.w.test:8080", "net_allow", "db.test:5432", "net_allow", "raw.test:443",
               "net_allow", "api.test:443", "http_ports", "3000");
    assert_int_equal(TCP(p, "api.test", 443), SL_NET_STEER);
    assert_int_equal(TCP(p, "api.test", 80), SL_NET_STEER);
    assert_int_equal(TCP(p, "api.test", 3000), SL_NET_STEER);
    assert_int_equal(TCP(p, "api.test", 8080), SL_NET_DENY); /* another rule's port */
    assert_int_equal(TCP(p, "s.test", 443), SL_NET_STEER);
    assert_int_equal(TCP(p, "s.test", 80), SL_NET_DENY);
    assert_int_equal(TCP(p, "a.w.test", 8080), SL_NET_STEER);
    assert_int_equal(TCP(p, "a.w.test", 443), SL_NET_DENY);
    assert_int_equal(TCP(p, "db.test", 5432), SL_NET_DIRECT);
    assert_int_equal(TCP(p, "raw.test", 443), SL_NET_STEER);
    assert_int_equal(TCP(p, "192.0.2.1", 443), SL_NET_DENY);
    assert_int_equal(TCP(p, "other.test", 443), SL_NET_DENY);
    const char *why;
    assert_int_equal(judge(p, SL_PROTO_UDP, "api.test", 443, &why), SL_NET_DENY); /* QUIC */
    assert_string_equal(why, "http_only");
    assert_int_equal(UDP(p, "raw.test", 443), SL_NET_DIRECT);
    assert_int_equal(flow(p, "api.test", 80).mode, SL_FLOW_INSPECT);
    assert_false(flow(p, "api.test", 80).raw);
    assert_true(flow(p, "api.test", 443).raw);
    assert_int_equal(flow(p, "raw.test", 443).mode, SL_FLOW_TLS_PASS);
    assert_true(flow(p, "raw.test", 443).raw);
    assert_int_equal(flow(p, "other.test", 443).mode, SL_FLOW_REFUSE);
    assert_true(sl_policy_grants_name(p, "x.w.test"));
    assert_false(sl_policy_grants_name(p, "w.test"));
    assert_false(sl_policy_grants_name(p, "data.evil.test"));
    assert_true(sl_policy_grants_name(p, "localhost"));
}

static void test_only_http_deny(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) p = POLICY("http_deny", "DELETE api.test", "net_allow", "db.test:5432");
    assert_true(sl_policy_grants_name(p, "any.test"));
    assert_int_equal(TCP(p, "any.test", 443), SL_NET_STEER);
    assert_int_equal(TCP(p, "192.0.2.1", 80), SL_NET_STEER);
    assert_int_equal(TCP(p, "127.0.0.1", 80), SL_NET_STEER);
    assert_int_equal(TCP(p, "10.0.0.1", 443), SL_NET_STEER);
    assert_int_equal(TCP(p, "169.254.169.254", 80), SL_NET_DENY);
    assert_int_equal(TCP(p, "fe80::1%2", 80), SL_NET_DENY);
    assert_int_equal(TCP(p, "64:ff9b::a9fe:a9fe", 80), SL_NET_DENY);
    assert_int_equal(TCP(p, "192.0.2.1", 22), SL_NET_DENY);
    assert_int_equal(UDP(p, "192.0.2.1", 443), SL_NET_DENY);
    assert_int_equal(TCP(p, "db.test", 5432), SL_NET_DIRECT);
    assert_int_equal(flow(p, "any.test", 443).mode, SL_FLOW_INSPECT);
    assert_false(flow(p, "any.test", 443).raw);
    assert_true(may_dial(p, "any.test", "10.0.0.1", 443));
    assert_false(may_dial(p, "any.test", "169.254.169.254", 80));
    assert_false(may_dial(p, "db.test", "127.0.0.1", 5432));
}

static void test_nothing_allowed(void **state)
{
    static const char *const fields[] = {"net_allow", "http_allow"};
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(fields); i++) {
        SL_AUTO(sl_policy) p = POLICY(fields[i], "");
        assert_int_equal(TCP(p, "192.0.2.1", 443), SL_NET_DENY);
        assert_int_equal(UDP(p, "192.0.2.1", 53), SL_NET_DENY);
        assert_int_equal(TCP(p, "a.test", 443), SL_NET_DENY);
        assert_int_equal(judge(p, SL_PROTO_ICMP, "192.0.2.1", 0, NULL), SL_NET_DENY);
        assert_false(sl_policy_grants_name(p, "a.test"));
        assert_false(may_dial(p, NULL, "192.0.2.1", 443));
    }
}

static void test_no_inspect(void **state)
{
    (void)state;
    SL_AUTO(sl_policy)
    p = POLICY("http_allow", "GET *.pin.test", "http_allow", "GET a.test", "http_no_inspect",
               "*.pin.test", "http_no_inspect", "none.test");
    assert_int_equal(flow(p, "x.pin.test", 443).mode, SL_FLOW_TLS_PASS);
    assert_false(flow(p, "x.pin.test", 443).raw);
    assert_int_equal(flow(p, "a.test", 443).mode, SL_FLOW_INSPECT);
    assert_int_equal(flow(p, "none.test", 443).mode, SL_FLOW_REFUSE); /* it grants nothing */
    SL_AUTO(sl_policy)
    deny = POLICY("http_allow", "* *", "http_deny", "DELETE x.pin.test", "http_no_inspect",
                  "*.pin.test");
    assert_int_equal(flow(deny, "x.pin.test", 443).mode, SL_FLOW_INSPECT); /* deny wins */
    assert_int_equal(flow(deny, "y.pin.test", 443).mode, SL_FLOW_TLS_PASS);
}

static void test_open_policy(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) p = OPEN();
    assert_int_equal(TCP(p, "127.0.0.1", 1), SL_NET_DIRECT);
    assert_int_equal(UDP(p, "169.254.169.254", 80), SL_NET_DIRECT);
    assert_true(may_dial(p, "a.test", "127.0.0.1", 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_restricted), cmocka_unit_test(test_owns_trust),
        cmocka_unit_test(test_net_rules),          cmocka_unit_test(test_wide_rules_stay_out),
        cmocka_unit_test(test_loopback_literals),  cmocka_unit_test(test_deny_wins),
        cmocka_unit_test(test_only_net_deny),      cmocka_unit_test(test_net_connect),
        cmocka_unit_test(test_hosts_and_udp),      cmocka_unit_test(test_http_rules),
        cmocka_unit_test(test_only_http_deny),     cmocka_unit_test(test_nothing_allowed),
        cmocka_unit_test(test_no_inspect),         cmocka_unit_test(test_open_policy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
