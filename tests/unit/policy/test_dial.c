/* Verdicts on the addresses that are really dialled. NET-09..15. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/util.h"
#include "made.h"
#include "policy/verdict.h"

static void test_dialled_addresses(void **state)
{
    static const char *const never[] = {"127.0.0.1",       "::1",       "0.0.0.0",
                                        "169.254.169.254", "fe80::1%2", "64:ff9b::7f00:1",
                                        "224.0.0.1"};
    (void)state;
    SL_AUTO(sl_policy)
    p = POLICY("http_allow", "GET full.test", "net_allow", "*.wild.test:443", "http_allow",
               "GET *.wild.test", "resolve", "fix.test=127.0.0.9", "http_allow", "GET fix.test");
    for (size_t i = 0; i < SL_ARRAY_LEN(never); i++) {
        if (may_dial(p, "full.test", never[i], 443) || may_dial(p, "a.wild.test", never[i], 443)) {
            fail_msg("%s may be dialled", never[i]);
        }
    }
    assert_true(may_dial(p, "full.test", "192.0.2.1", 443));
    assert_true(may_dial(p, "a.wild.test", "192.0.2.1", 443));
    assert_true(may_dial(p, "full.test", "10.0.0.1", 443)); /* written out in full */
    assert_false(may_dial(p, "full.test", "10.0.0.1", 5432));
    assert_false(may_dial(p, "a.wild.test", "10.0.0.1", 443));
    assert_false(may_dial(p, "a.wild.test", "64:ff9b::a00:1", 443));
    assert_true(may_dial(p, "fix.test", "127.0.0.9", 443)); /* --resolve says so */
    assert_false(may_dial(p, "fix.test", "127.0.0.8", 443));
    assert_false(may_dial(p, "full.test", "127.0.0.9", 443));
    assert_false(may_dial(p, "localhost", "192.0.2.1", 443));
    SL_AUTO(sl_policy)
    granted = POLICY("net_allow", "*:443", "net_allow", "loopback:443", "net_allow", "10.1.0.0/16");
    assert_true(may_dial(granted, "a.test", "127.0.0.1", 443));
    assert_false(may_dial(granted, "a.test", "127.0.0.1", 80));
    assert_true(may_dial(granted, "a.test", "10.1.2.3", 443));
    assert_false(may_dial(granted, "a.test", "10.2.2.3", 443));
    assert_true(may_dial(granted, NULL, "10.1.2.3", 443));
    assert_false(may_dial(granted, NULL, "10.2.2.3", 443));
    /* A request denied to an address is not to be had under another name. */
    SL_AUTO(sl_policy) deny = POLICY("http_deny", "* 192.0.2.7");
    assert_false(may_dial(deny, "alias.test", "192.0.2.7", 443));
    assert_true(may_dial(deny, "alias.test", "192.0.2.8", 443));
}

static void test_resolve_entries(void **state)
{
    (void)state;
    SL_AUTO(sl_policy)
    p = POLICY("resolve", "a.test=192.0.2.1", "resolve", "a.test=192.0.2.2", "http_allow",
               "GET b.test");
    char text[SL_ADDR_STR_MAX];
    assert_string_equal(sl_addr_format(&sl_policy_resolve(p, "a.test")->addr, text), "192.0.2.2");
    assert_null(sl_policy_resolve(p, "b.test"));
    assert_true(sl_policy_grants_name(p, "a.test"));
    assert_int_equal(TCP(p, "a.test", 443), SL_NET_DENY); /* a name that resolves is no grant */
}

/* What a deny rule on addresses says holds for whatever name leads there, ports and protocols as
 * it has them; a rule on some requests of an address does not close the address. */
static void test_denied_addresses(void **state)
{
    (void)state;
    SL_AUTO(sl_policy)
    p = POLICY("net_allow", "*", "net_deny", "192.0.2.0/24:443", "net_deny", "udp://198.51.100.1",
               "net_deny", "icmp://203.0.113.1", "net_deny", "tcp://203.0.113.2");
    assert_false(may_dial(p, "a.test", "192.0.2.9", 443));
    assert_true(may_dial(p, "a.test", "192.0.2.9", 80));
    assert_false(may_dial(p, "a.test", "::ffff:192.0.2.9", 443));
    assert_false(may_dial(p, "a.test", "64:ff9b::c000:209", 443));
    assert_false(may_dial(p, "a.test", "198.51.100.1", 443));
    assert_true(may_dial(p, "a.test", "203.0.113.1", 443));
    assert_false(may_dial(p, "a.test", "203.0.113.2", 443));
    SL_AUTO(sl_policy)
    some = POLICY("http_allow", "* *", "http_deny", "GET 192.0.2.7", "http_deny", "* 192.0.2.8/x",
                  "http_deny", "* 192.0.2.9:443");
    assert_true(may_dial(some, "a.test", "192.0.2.7", 443));
    assert_true(may_dial(some, "a.test", "192.0.2.8", 443));
    assert_false(may_dial(some, "a.test", "192.0.2.9", 443));
    assert_true(may_dial(some, "a.test", "192.0.2.9", 80));
}

/* A fixed entry is the user's word for this host, but no way around a deny rule. */
static void test_fixed_and_denied(void **state)
{
    (void)state;
    SL_AUTO(sl_policy)
    p = POLICY("resolve", "a.test=10.0.0.7", "http_allow", "GET *.test", "net_deny", "10.0.0.7");
    assert_false(may_dial(p, "a.test", "10.0.0.7", 80));
    SL_AUTO(sl_policy) q = POLICY("resolve", "a.test=10.0.0.7", "http_allow", "GET *.test");
    assert_true(may_dial(q, "a.test", "10.0.0.7", 80));
    assert_false(may_dial(q, "b.test", "10.0.0.7", 80));
}

static void test_localhost(void **state)
{
    (void)state;
    SL_AUTO(sl_policy)
    p = POLICY("http_allow", "GET localhost", "http_allow", "GET *.localhost", "resolve",
               "x.localhost=192.0.2.1");
    assert_true(may_dial(p, "localhost", "127.0.0.1", 80));
    assert_true(may_dial(p, "localhost", "::1", 80));
    assert_false(may_dial(p, "localhost", "127.0.0.2", 80));
    assert_false(may_dial(p, "localhost", "192.0.2.1", 80)); /* whatever the DNS says */
    assert_false(may_dial(p, "a.localhost", "192.0.2.1", 80));
    assert_true(may_dial(p, "x.localhost", "192.0.2.1", 80)); /* the user said it */
}

static void test_no_address(void **state)
{
    sl_addr none = {0};
    (void)state;
    SL_AUTO(sl_policy) open = OPEN();
    SL_AUTO(sl_policy) p = POLICY("http_allow", "* *");
    assert_false(sl_policy_may_dial(open, "a.test", &none, 80));
    assert_false(sl_policy_may_dial(p, "a.test", &none, 80));
    assert_false(sl_policy_may_dial(p, NULL, &none, 80));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dialled_addresses), cmocka_unit_test(test_resolve_entries),
        cmocka_unit_test(test_denied_addresses),  cmocka_unit_test(test_fixed_and_denied),
        cmocka_unit_test(test_localhost),         cmocka_unit_test(test_no_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
