/* The grammar of net rules and its errors. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "alloc.h"
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

/* The longest rule is read whole; one byte more is refused before anything is copied. */
static void test_net_length(void **state)
{
    char text[4096 + 2];
    sl_net_rule rule;
    sl_error err;
    (void)state;
    size_t n = (size_t)snprintf(text, sizeof(text), "a.test:80");
    while (n < 4096) {
        text[n] = n % 3 == 0 ? ',' : '8'; /* a list of ports, the same ones */
        n++;
    }
    memcpy(text + 4096 - 2, "88", 3);
    rule = must_parse_net(text);
    assert_int_equal(strlen(rule.text), 4096);
    sl_net_rule_done(&rule);
    memcpy(text + 4096, "8", 2);
    assert_int_equal(sl_net_rule_parse(text, &rule, &err), -EINVAL);
    assert_non_null(strstr(err.message, "longer than 4096 bytes"));
    assert_true(strlen(err.message) < 200);
}

static void test_net_untouched(void **state)
{
    sl_net_rule rule;
    sl_net_rule copy;
    (void)state;
    memset(&rule, 0x5a, sizeof(rule));
    memcpy(&copy, &rule, sizeof(rule));
    assert_int_equal(sl_net_rule_parse("a.test:80,x", &rule, NULL), -EINVAL);
    assert_memory_equal(&rule, &copy, sizeof(rule));
}

static void test_net_no_memory(void **state)
{
    (void)state;
    for (unsigned n = 0;; n++) {
        sl_net_rule rule;
        sl_error err = {0};
        alloc_fail(n);
        int r = sl_net_rule_parse("tcp://a.test:80,443", &rule, &err);
        if (!alloc_failed()) {
            assert_int_equal(r, 0);
            assert_true(n > 1);
            sl_net_rule_done(&rule);
            return;
        }
        assert_int_equal(r, -ENOMEM);
        assert_int_equal(err.kind, SL_ERROR_SYSTEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_net_grammar),   cmocka_unit_test(test_net_errors),
        cmocka_unit_test(test_net_length),    cmocka_unit_test(test_net_untouched),
        cmocka_unit_test(test_net_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
