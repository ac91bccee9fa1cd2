/* Addresses: strict parsing, canonical form, classes, sockaddr. NET-09, NET-11, NET-12, NET-13. */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/addr.h"
#include "core/util.h"

static sl_addr must_parse(const char *text)
{
    sl_addr addr = {0};
    if (sl_addr_parse(text, &addr) < 0) {
        fail_msg("'%s' was refused", text);
    }
    return addr;
}

static void test_parse_and_format(void **state)
{
    static const char *const pairs[][2] = {
        {"192.0.2.1", "192.0.2.1"},
        {"0.0.0.0", "0.0.0.0"},
        {"255.255.255.255", "255.255.255.255"},
        {"2001:DB8::1", "2001:db8::1"},
        {"[2001:db8::1]", "2001:db8::1"},
        {"::", "::"},
        {"fe80::1%2", "fe80::1%2"},
        {"::ffff:192.0.2.1", "192.0.2.1"}, /* mapped is IPv4 */
        {"[::ffff:c000:201]", "192.0.2.1"},
        {"64:ff9b::192.0.2.1", "64:ff9b::c000:201"},
    };
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(pairs); i++) {
        char text[SL_ADDR_STR_MAX];
        sl_addr addr = must_parse(pairs[i][0]);
        assert_string_equal(sl_addr_format(&addr, text), pairs[i][1]);
    }
}

static void test_parse_refuses(void **state)
{
    static const char *const bad[] = {
        "",
        "010.0.0.1",
        "0x7f.1",
        "2130706433",
        "127.1",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.256",
        "1.2.3.4 ",
        " 1.2.3.4",
        "1.2.3.",
        "1..2.3",
        "+1.2.3.4",
        "1.2.3.4.",
        "1.2.3.0004",
        "[1.2.3.4]",
        "[::1",
        "::1]",
        "[]",
        "::1::",
        "12345::",
        ":::",
        "::1%",
        "::1%eth0",
        "::1%0",
        "::1%01",
        "[::1]x",
        "::010.0.0.1",
        "::ffff:1.2.3.4%1",
        "::ffff:0x7f.0.0.1",
        "a",
        "1.2.3.4/8",
        "::1%4294967296",
        "0000000000000000000000000000000000000000000000000000000000000000000001",
    };
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        sl_addr addr = {.family = 9};
        if (sl_addr_parse(bad[i], &addr) != -EINVAL) {
            fail_msg("'%s' was taken", bad[i]);
        }
        assert_int_equal(addr.family, 9);
    }
}

static void test_looks_numeric(void **state)
{
    static const char *const yes[] = {"010.0.0.1", "0x7f.1",     "2130706433", "127.1",
                                      "127.1.",    "0x7f000001", "10.0.0.256", "foo.123",
                                      "0x",        "1.2.3.4.5"};
    static const char *const no[] = {"192.0.2.1", "::1",       "example.com", "1.example.com",
                                     "",          "a",         "123a",        "0xg",
                                     ".",         "3com.test", "x.0x1z"};
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(yes); i++) {
        if (!sl_addr_looks_numeric(yes[i])) {
            fail_msg("'%s' looks numeric", yes[i]);
        }
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(no); i++) {
        if (sl_addr_looks_numeric(no[i])) {
            fail_msg("'%s' does not look numeric", no[i]);
        }
    }
}

static bool contains(const char *cidr_text, const char *addr_text)
{
    sl_cidr cidr;
    sl_addr addr = must_parse(addr_text);
    if (sl_cidr_parse(cidr_text, &cidr) < 0) {
        fail_msg("'%s' was refused", cidr_text);
    }
    return sl_cidr_contains(&cidr, &addr);
}

static void test_cidr(void **state)
{
    static const char *const bad[] = {"10.0.0.0/33", "10.0.0.1/8",    "10.0.0.0/",
                                      "10.0.0.0/08", "10.0.0.0/-1",   "10.0.0.0/8/8",
                                      "::1/0",       "::/129",        "2001:db8::1/32",
                                      "010.0.0.0/8", "::ffff:0:0/95", "/8"};
    (void)state;
    assert_true(contains("10.0.0.0/8", "10.255.255.255"));
    assert_false(contains("10.0.0.0/8", "11.0.0.0"));
    assert_true(contains("10.0.0.0/9", "10.127.0.1"));
    assert_false(contains("10.0.0.0/9", "10.128.0.1"));
    assert_true(contains("0.0.0.0/0", "203.0.113.9"));
    assert_false(contains("0.0.0.0/0", "2001:db8::1"));
    assert_true(contains("192.0.2.1", "192.0.2.1"));
    assert_true(contains("192.0.2.1", "::ffff:192.0.2.1"));
    assert_true(contains("::ffff:10.0.0.0/104", "10.1.2.3"));
    assert_true(contains("2001:db8::/33", "2001:db8:7fff::1"));
    assert_false(contains("2001:db8::/33", "2001:db8:8000::1"));
    assert_true(contains("fe80::1", "fe80::1%3"));
    assert_true(contains("fe80::1%3", "fe80::1%3"));
    assert_false(contains("fe80::1%3", "fe80::1%4"));
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        sl_cidr cidr;
        if (sl_cidr_parse(bad[i], &cidr) != -EINVAL) {
            fail_msg("'%s' was taken", bad[i]);
        }
    }
}

static void test_classes(void **state)
{
    static const struct {
        const char *addr;
        unsigned classes;
    } cases[] = {
        {"127.0.0.1", SL_ADDR_LOOPBACK},
        {"127.0.0.2", SL_ADDR_LOOPBACK},
        {"::1", SL_ADDR_LOOPBACK | SL_ADDR_SPECIAL},
        {"0.0.0.0", SL_ADDR_LOOPBACK | SL_ADDR_SPECIAL},
        {"0.1.2.3", SL_ADDR_SPECIAL},
        {"::", SL_ADDR_LOOPBACK | SL_ADDR_SPECIAL},
        {"::ffff:127.0.0.1", SL_ADDR_LOOPBACK},
        {"10.0.0.1", SL_ADDR_PRIVATE},
        {"172.16.0.1", SL_ADDR_PRIVATE},
        {"172.31.255.255", SL_ADDR_PRIVATE},
        {"172.32.0.1", SL_ADDR_PUBLIC},
        {"192.168.1.1", SL_ADDR_PRIVATE},
        {"100.64.0.1", SL_ADDR_PRIVATE},
        {"100.128.0.1", SL_ADDR_PUBLIC},
        {"fc00::1", SL_ADDR_PRIVATE},
        {"fdff::1", SL_ADDR_PRIVATE},
        {"169.254.1.1", SL_ADDR_LINK_LOCAL},
        {"fe80::1", SL_ADDR_LINK_LOCAL},
        {"fe80::1%5", SL_ADDR_LINK_LOCAL},
        {"169.254.169.254", SL_ADDR_LINK_LOCAL | SL_ADDR_METADATA},
        {"169.254.170.2", SL_ADDR_LINK_LOCAL | SL_ADDR_METADATA},
        {"100.100.100.200", SL_ADDR_PRIVATE | SL_ADDR_METADATA},
        {"fd00:ec2::254", SL_ADDR_PRIVATE | SL_ADDR_METADATA},
        {"fd20:ce::254", SL_ADDR_PRIVATE | SL_ADDR_METADATA},
        {"8.8.8.8", SL_ADDR_PUBLIC},
        {"2606:4700::1111", SL_ADDR_PUBLIC},
        {"198.18.0.1", SL_ADDR_SPECIAL},
        {"198.20.0.1", SL_ADDR_PUBLIC},
        {"192.0.2.1", SL_ADDR_SPECIAL},
        {"224.0.0.251", SL_ADDR_SPECIAL},
        {"255.255.255.255", SL_ADDR_SPECIAL},
        {"ff02::fb", SL_ADDR_SPECIAL},
        {"2001:db8::1", SL_ADDR_SPECIAL},
        {"64:ff9b::a00:1", SL_ADDR_PRIVATE | SL_ADDR_SPECIAL}, /* NAT64 of 10.0.0.1 */
        {"64:ff9b::a9fe:a9fe", SL_ADDR_LINK_LOCAL | SL_ADDR_METADATA | SL_ADDR_SPECIAL},
        {"2002:7f00:1::", SL_ADDR_LOOPBACK}, /* 6to4 of 127.0.0.1 */
        {"2002:808:808::1", SL_ADDR_PUBLIC},
        {"::10.0.0.1", SL_ADDR_PRIVATE | SL_ADDR_SPECIAL},
    };
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        sl_addr addr = must_parse(cases[i].addr);
        unsigned classes = sl_addr_classify(&addr);
        /* SPECIAL beside another class is detail; the others decide. */
        unsigned got = classes & ~(unsigned)SL_ADDR_SPECIAL;
        unsigned want = cases[i].classes & ~(unsigned)SL_ADDR_SPECIAL;
        if (got != want || (want == 0 && classes != cases[i].classes)) {
            fail_msg("%s: classes %#x, not %#x", cases[i].addr, classes, cases[i].classes);
        }
    }
    sl_addr none = {0};
    assert_int_equal(sl_addr_classify(&none), 0);
}

static void test_embedded(void **state)
{
    sl_addr v4;
    char text[SL_ADDR_STR_MAX];
    static const char *const plain[] = {"192.0.2.1", "::1", "::", "2001:db8::1", "64:ff9b:1::1"};
    static const char *const forms[] = {"64:ff9b::c000:201", "2002:c000:201::5", "::192.0.2.1"};
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(plain); i++) {
        sl_addr addr = must_parse(plain[i]);
        assert_false(sl_addr_embedded_v4(&addr, &v4));
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(forms); i++) {
        sl_addr addr = must_parse(forms[i]);
        assert_true(sl_addr_embedded_v4(&addr, &v4));
        assert_string_equal(sl_addr_format(&v4, text), "192.0.2.1");
    }
}

static void test_sockaddr(void **state)
{
    struct sockaddr_storage ss;
    sl_addr addr = must_parse("192.0.2.1");
    sl_addr back = {0};
    uint16_t port = 0;
    (void)state;
    assert_int_equal(sl_addr_to_sockaddr(&addr, 80, AF_INET, &ss), sizeof(struct sockaddr_in));
    assert_int_equal(sl_addr_from_sockaddr(&ss, sizeof(struct sockaddr_in), &back, &port), 0);
    assert_true(sl_addr_equal(&addr, &back));
    assert_int_equal(port, 80);
    /* An IPv4 address for an IPv6 socket is mapped, and comes back as IPv4. */
    assert_int_equal(sl_addr_to_sockaddr(&addr, 81, AF_INET6, &ss), sizeof(struct sockaddr_in6));
    assert_int_equal(sl_addr_from_sockaddr(&ss, sizeof(struct sockaddr_in6), &back, &port), 0);
    assert_int_equal(back.family, 4);
    assert_true(sl_addr_equal(&addr, &back));
    addr = must_parse("fe80::1%7");
    assert_int_equal(sl_addr_to_sockaddr(&addr, 82, AF_INET, &ss), 0);
    assert_int_equal(sl_addr_to_sockaddr(&addr, 82, AF_INET6, &ss), sizeof(struct sockaddr_in6));
    assert_int_equal(sl_addr_from_sockaddr(&ss, sizeof(struct sockaddr_in6), &back, &port), 0);
    assert_int_equal(back.scope, 7);
    /* The shorter form the kernel takes has no scope. */
    assert_int_equal(sl_addr_from_sockaddr(&ss, 24, &back, &port), 0);
    assert_int_equal(back.scope, 0);
}

static void test_sockaddr_refuses(void **state)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    struct sockaddr_in in = {.sin_family = AF_INET};
    sa_family_t odd = AF_UNIX;
    sl_addr addr;
    uint16_t port;
    (void)state;
    assert_int_equal(sl_addr_from_sockaddr(&in, 0, &addr, &port), -EINVAL);
    assert_int_equal(sl_addr_from_sockaddr(&in, 1, &addr, &port), -EINVAL);
    assert_int_equal(sl_addr_from_sockaddr(&in, sizeof(in) - 1, &addr, &port), -EINVAL);
    assert_int_equal(sl_addr_from_sockaddr(&in6, 23, &addr, &port), -EINVAL);
    assert_int_equal(sl_addr_from_sockaddr(&odd, sizeof(odd), &addr, &port), -EAFNOSUPPORT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_and_format), cmocka_unit_test(test_parse_refuses),
        cmocka_unit_test(test_looks_numeric),    cmocka_unit_test(test_cidr),
        cmocka_unit_test(test_classes),          cmocka_unit_test(test_embedded),
        cmocka_unit_test(test_sockaddr),         cmocka_unit_test(test_sockaddr_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
