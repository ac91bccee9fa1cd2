/* The grammar of net rules and its errors. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/util.h"
#include "policy/net_rule.h"

static sl_net_rule must_parse_net(const char *text)
{
    sl_net_rule rule;
    sl_error err;
    if (sl_net_rule_parse(text, &rule, &err) < 0) {
        fail_msg("%s", err.message);
    }
    return rule;
}

static void test_net_grammar(void **state)
{
    static const struct {
        const char *text;
        unsigned protos;
        enum sl_host_kind kind;
        uint16_t in; /* a port it has; 0: any */
    } cases[] = {
        {"db.example.com:5432", SL_PROTO_TCP | SL_PROTO_UDP, SL_HOST_NAME, 5432},
        {"tcp://*.example.com:80,443,9000-9005", SL_PROTO_TCP, SL_HOST_WILDCARD, 9003},
        {"udp://*:53", SL_PROTO_UDP, SL_HOST_ANY, 53},
        {"icmp://192.0.2.1", SL_PROTO_ICMP, SL_HOST_CIDR, 0},
        {"10.0.0.0/8", SL_PROTO_TCP | SL_PROTO_UDP, SL_HOST_CIDR, 0},
        {"10.0.0.0/8:22", SL_PROTO_TCP | SL_PROTO_UDP, SL_HOST_CIDR, 22},
        {"[2001:db8::1]:443", SL_PROTO_TCP | SL_PROTO_UDP, SL_HOST_CIDR, 443},
        {"[2001:db8::]/32:443", SL_PROTO_TCP | SL_PROTO_UDP, SL_HOST_CIDR, 443},
        {"2001:db8::/32", SL_PROTO_TCP | SL_PROTO_UDP, SL_HOST_CIDR, 0},
        {"private:5432", SL_PROTO_TCP | SL_PROTO_UDP, SL_HOST_CLASS, 5432},
        {"localhost:6379", SL_PROTO_TCP | SL_PROTO_UDP, SL_HOST_LOCALHOST, 6379},
        {"example.com:*", SL_PROTO_TCP | SL_PROTO_UDP, SL_HOST_NAME, 0},
    };
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        sl_net_rule rule = must_parse_net(cases[i].text);
        assert_int_equal(rule.protos, cases[i].protos);
        assert_int_equal(rule.host.kind, cases[i].kind);
        assert_int_equal(rule.ports.count == 0, cases[i].in == 0);
        assert_true(cases[i].in == 0 || sl_ports_has(&rule.ports, cases[i].in));
        assert_string_equal(rule.text, cases[i].text);
        sl_net_rule_done(&rule);
    }
}

static void test_net_errors(void **state)
{
    static const struct {
        const char *text;
        const char *message;
    } cases[] = {
        {"", "the host is missing"},
        {":80", "the host is missing"},
        {"a.test:", "is not a port"},
        {"a.test:0", "'0' is not a port"},
        {"a.test:65536", "'65536' is not a port"},
        {"a.test:80-", "'80-' is not a port"},
        {"a.test:90-80", "'90-80' is not a port"},
        {"http://a.test", "--http-allow"},
        {"sctp://a.test", "unknown scheme 'sctp://'"},
        {"icmp://a.test:1", "ICMP has no ports"},
        {"::1", "in brackets"},
        {"[::1", "expected '[address]'"},
        {"[::1]80", "expected '[address]'"},
        {"010.0.0.1", "is not an address"},
        {"0x7f.1:80", "is not an address"},
        {"2130706433", "is not an address"},
        {"127.1:80", "is not an address"},
        {"10.0.0.0/33", "/0 to /32"},
        {"10.0.0.1/8:80", "no address bits below"},
        {"a.*.test", "'*' stands alone"},
        {"a test", "is not a host"},
    };
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        sl_net_rule rule;
        sl_error err = {0};
        int r = sl_net_rule_parse(cases[i].text, &rule, &err);
        if (r != -EINVAL || strstr(err.message, cases[i].message) == NULL ||
            strstr(err.message, "net rule") == NULL) {
            fail_msg("'%s': %d '%s'", cases[i].text, r, err.message);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_net_grammar),
        cmocka_unit_test(test_net_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
