/* Ports, host names and host patterns. NET-09..13. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/util.h"
#include "policy/host.h"
#include "policy/ports.h"

static sl_host_pattern must_parse(const char *text)
{
    sl_host_pattern p;
    sl_error err;
    if (sl_host_pattern_parse(text, true, "rule", &p, &err) < 0) {
        fail_msg("%s", err.message);
    }
    return p;
}

static bool has_name(const char *pattern, const char *name)
{
    sl_host_pattern p = must_parse(pattern);
    return sl_host_pattern_has_name(&p, name);
}

static bool has_addr(const char *pattern, const char *text)
{
    sl_host_pattern p = must_parse(pattern);
    sl_addr addr;
    assert_int_equal(sl_addr_parse(text, &addr), 0);
    return sl_host_pattern_has_addr(&p, &addr);
}

static bool denies_addr(const char *pattern, const char *text)
{
    sl_host_pattern p = must_parse(pattern);
    sl_addr addr;
    assert_int_equal(sl_addr_parse(text, &addr), 0);
    return sl_host_pattern_denies_addr(&p, &addr);
}

/* ---- ports ---- */

static void test_ports(void **state)
{
    sl_ports ports = {0};
    sl_error err;
    (void)state;
    assert_int_equal(sl_ports_add(&ports, "443,80,9000-9005", false, "x", &err), 0);
    assert_int_equal(sl_ports_add(&ports, "9004-9010,81,65535", false, "x", &err), 0);
    assert_int_equal(ports.count, 4); /* 80-81, 443, 9000-9010, 65535 */
    static const uint16_t in[] = {80, 81, 443, 9000, 9010, 65535};
    static const uint16_t out[] = {0, 79, 82, 442, 444, 8999, 9011, 65534};
    for (size_t i = 0; i < SL_ARRAY_LEN(in); i++) {
        assert_true(sl_ports_has(&ports, in[i]));
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(out); i++) {
        assert_false(sl_ports_has(&ports, out[i]));
    }
    sl_ports_done(&ports);
    assert_int_equal(sl_ports_add(&ports, "1-65535", false, "x", &err), 0);
    assert_int_equal(sl_ports_add(&ports, "0", true, "x", &err), 0);
    assert_int_equal(ports.count, 1);
    assert_true(sl_ports_has(&ports, 0));
    sl_ports_done(&ports);
}

static void test_ports_refused(void **state)
{
    static const char *const bad[] = {"",    "0",    "65536",    "99999", "080", "-1",      "+80",
                                      "80,", ",80",  "80,,81",   "80-",   "-80", "81-80",   "80 ",
                                      " 80", "http", "80-90-95", "0x50",  "1e3", "80,65536"};
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        sl_ports ports = {0};
        sl_error err;
        if (sl_ports_add(&ports, bad[i], false, "the option", &err) != -EINVAL) {
            fail_msg("'%s' was taken", bad[i]);
        }
        assert_int_equal(err.kind, SL_ERROR_USAGE);
        assert_non_null(strstr(err.message, "the option"));
        assert_non_null(strstr(err.message, "is not a port"));
        sl_ports_done(&ports);
    }
    sl_ports ports = {0};
    sl_error err;
    assert_int_equal(sl_ports_add(&ports, "80,65536", false, "x", &err), -EINVAL);
    assert_non_null(strstr(err.message, "'65536'")); /* the word at fault, not the whole */
    assert_int_equal(ports.count, 0);                /* half a list is no list */
    sl_ports_done(&ports);
}

static void test_ports_bounded(void **state)
{
    sl_ports ports = {0};
    (void)state;
    for (unsigned i = 0; i < SL_PORTS_MAX; i++) {
        assert_int_equal(sl_ports_add_range(&ports, (uint16_t)(10 + 2 * i), (uint16_t)(10 + 2 * i)),
                         0);
    }
    assert_int_equal(ports.count, SL_PORTS_MAX);
    assert_int_equal(sl_ports_add_range(&ports, 60000, 60000), -ENOBUFS);
    assert_int_equal(sl_ports_add_range(&ports, 11, 11), 0); /* joins two */
    assert_int_equal(ports.count, SL_PORTS_MAX - 1);
    sl_ports_done(&ports);
}

/* ---- names ---- */

static void test_names(void **state)
{
    char name[SL_HOST_NAME_MAX];
    char label64[65];
    char long_name[300];
    (void)state;
    assert_int_equal(sl_host_name_normalise("API.Example.COM.", name), 0);
    assert_string_equal(name, "api.example.com");
    assert_int_equal(sl_host_name_normalise("_dmarc.example.com", name), 0);
    assert_int_equal(sl_host_name_normalise("xn--bcher-kva.example", name), 0);
    memset(label64, 'a', 64);
    label64[64] = '\0';
    assert_int_equal(sl_host_name_normalise(label64, name), -EINVAL);
    label64[63] = '\0';
    assert_int_equal(sl_host_name_normalise(label64, name), 0);
    for (size_t i = 0; i < sizeof(long_name); i++) {
        long_name[i] = i % 2 == 0 ? 'a' : '.';
    }
    long_name[253] = '\0';
    assert_int_equal(sl_host_name_normalise(long_name, name), 0);
    long_name[253] = '.'; /* one trailing dot does not count */
    long_name[254] = '\0';
    assert_int_equal(sl_host_name_normalise(long_name, name), 0);
    long_name[253] = 'a';
    assert_int_equal(sl_host_name_normalise(long_name, name), -EINVAL);
    static const char *const bad[] = {"",    ".",        "a..b", ".a",   "a..",  "a b",
                                      "a/b", "a:80",     "a%b",  "a@b",  "a\tb", "a\nb",
                                      "*.a", "\xc3\xa9", "a,b",  "[::1]"};
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        if (sl_host_name_normalise(bad[i], name) != -EINVAL) {
            fail_msg("'%s' was taken", bad[i]);
        }
    }
}

static void test_name_patterns(void **state)
{
    (void)state;
    assert_true(has_name("API.example.com", "api.example.com"));
    assert_true(has_name("api.example.com.", "api.example.com"));
    assert_false(has_name("api.example.com", "x.api.example.com"));
    assert_false(has_name("api.example.com", "api.example.com.evil.test"));
    assert_true(has_name("*.example.com", "a.example.com"));
    assert_true(has_name("*.example.com", "a.b.c.example.com"));
    assert_false(has_name("*.example.com", "example.com"));
    assert_false(has_name("*.example.com", "evilexample.com"));
    assert_true(has_name("*", "anything.test"));
    assert_false(has_name("*", "localhost"));
    assert_false(has_name("*", "a.localhost"));
    assert_true(has_name("localhost", "localhost"));
    assert_false(has_name("localhost", "a.localhost"));
    assert_true(has_name("*.localhost", "a.b.localhost"));
    assert_false(has_name("*.localhost", "localhost"));
    assert_false(has_name("10.0.0.0/8", "a.test"));
    assert_false(has_name("public", "public"));
    sl_host_pattern any = must_parse("*");
    assert_true(sl_host_pattern_denies_name(&any, "localhost"));
}

static void test_addr_patterns(void **state)
{
    (void)state;
    assert_true(has_addr("127.0.0.1", "127.0.0.1"));
    assert_true(has_addr("127.0.0.1", "::ffff:127.0.0.1"));
    assert_false(has_addr("127.0.0.1", "127.0.0.2"));
    assert_false(has_addr("127.0.0.1", "0.0.0.0"));
    assert_false(has_addr("127.0.0.1", "::1"));
    assert_true(has_addr("[::1]", "::1"));
    assert_true(has_addr("localhost", "127.0.0.1"));
    assert_true(has_addr("localhost", "::1"));
    assert_false(has_addr("localhost", "127.0.0.2"));
    assert_false(has_addr("localhost", "0.0.0.0"));
    assert_true(has_addr("loopback", "127.9.9.9"));
    assert_true(has_addr("loopback", "0.0.0.0"));
    assert_true(has_addr("private", "10.1.2.3"));
    assert_false(has_addr("private", "8.8.8.8"));
    assert_true(has_addr("link-local", "169.254.1.1"));
    assert_false(has_addr("link-local", "169.254.169.254")); /* only the set metadata */
    assert_false(has_addr("private", "100.100.100.200"));
    assert_true(has_addr("metadata", "169.254.169.254"));
    assert_true(has_addr("169.254.169.254", "169.254.169.254"));
    assert_true(has_addr("public", "8.8.8.8"));
    assert_false(has_addr("public", "10.0.0.1"));
    assert_false(has_addr("example.com", "8.8.8.8"));
}

static void test_any_is_the_network(void **state)
{
    static const char *const never[] = {
        "127.0.0.1",
        "127.0.0.2",
        "0.0.0.0",
        "::",
        "::1",
        "10.0.0.1",
        "192.168.0.1",
        "100.64.0.1",
        "fc00::1",
        "169.254.1.1",
        "169.254.169.254",
        "fe80::1%2",
        "fd00:ec2::254",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a00:1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "2002:a00:1::5",
        "::10.0.0.1",
        "::127.0.0.1",
        "224.0.0.251",
        "255.255.255.255",
        "ff02::fb",
    };
    static const char *const fine[] = {"8.8.8.8", "192.0.2.1", "2001:db8::1", "2606:4700::1",
                                       "64:ff9b::808:808"};
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(never); i++) {
        if (has_addr("*", never[i])) {
            fail_msg("'*' reaches %s", never[i]);
        }
        if (!denies_addr("*", never[i])) {
            fail_msg("a deny rule '*' leaves out %s", never[i]);
        }
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(fine); i++) {
        if (!has_addr("*", fine[i])) {
            fail_msg("'*' does not reach %s", fine[i]);
        }
    }
}

static void test_embedded_forms(void **state)
{
    (void)state;
    assert_false(has_addr("::/0", "64:ff9b::a00:1")); /* leads to 10.0.0.1 */
    assert_false(has_addr("::/0", "2002:a00:1::"));
    assert_true(has_addr("::/0", "64:ff9b::808:808"));
    assert_true(has_addr("64:ff9b::/96", "64:ff9b::a00:1")); /* the translator itself is named */
    assert_true(has_addr("private", "64:ff9b::a00:1"));
    assert_false(has_addr("public", "64:ff9b::a00:1"));
    assert_false(has_addr("10.0.0.0/8", "64:ff9b::a00:1"));
    assert_true(denies_addr("10.0.0.0/8", "64:ff9b::a00:1"));
    assert_true(denies_addr("10.0.0.0/8", "2002:a00:1::"));
    assert_true(denies_addr("10.0.0.0/8", "::ffff:10.0.0.1"));
    assert_true(denies_addr("10.0.0.0/8", "::10.0.0.1"));
    assert_true(denies_addr("64:ff9b::/96", "64:ff9b::a00:1"));
    assert_false(denies_addr("10.0.0.0/8", "11.0.0.1"));
}

static void test_deny_is_wide(void **state)
{
    (void)state;
    assert_true(denies_addr("127.0.0.1", "0.0.0.0")); /* connects to 127.0.0.1 */
    assert_true(denies_addr("127.0.0.1", "::"));
    assert_true(denies_addr("localhost", "127.0.0.2"));
    assert_true(denies_addr("link-local", "169.254.169.254"));
    assert_true(denies_addr("metadata", "64:ff9b::a9fe:a9fe"));
    assert_false(denies_addr("example.com", "8.8.8.8"));
}

static void test_refused(void **state)
{
    static const struct {
        const char *text;
        bool cidr_ok;
        const char *message;
    } cases[] = {
        {"", true, "the host is missing"},
        {"010.0.0.1", true, "is not an address"},
        {"0x7f.1", true, "is not an address"},
        {"2130706433", true, "is not an address"},
        {"127.1", false, "is not an address"},
        {"10.0.0.0/33", true, "/0 to /32"},
        {"10.0.0.1/8", true, "no address bits below"},
        {"2001:db8::/129", true, "/0 to /128"},
        {"10.0.0.0/8", false, "an address range is not a host here"},
        {"bücher.example", true, "write its A-label"},
        {"*.bücher.example", true, "write its A-label"},
        {"a.*.example.com", true, "'*' stands alone or in front"},
        {"*example.com", true, "'*' stands alone or in front"},
        {"*.", true, "is not a host"},
        {"**", true, "'*' stands alone"},
        {"a b", true, "is not a host"},
        {"user@example.com", true, "is not a host"},
        {"-", true, NULL}, /* odd, but a label */
        {"[::1", true, "is not an address"},
        {"1.2.3.4:80", true, "is not an address"},
    };
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        sl_host_pattern p;
        sl_error err = {0};
        int r = sl_host_pattern_parse(cases[i].text, cases[i].cidr_ok, "rule X", &p, &err);
        if (cases[i].message == NULL) {
            assert_int_equal(r, 0);
            continue;
        }
        if (r != -EINVAL || strstr(err.message, cases[i].message) == NULL ||
            strstr(err.message, "rule X") == NULL) {
            fail_msg("'%s': %d '%s'", cases[i].text, r, err.message);
        }
    }
    /* Sets are words of net rules only. */
    sl_host_pattern p;
    assert_int_equal(sl_host_pattern_parse("private", false, "x", &p, NULL), 0);
    assert_int_equal(p.kind, SL_HOST_NAME);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ports),
        cmocka_unit_test(test_ports_refused),
        cmocka_unit_test(test_ports_bounded),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_name_patterns),
        cmocka_unit_test(test_addr_patterns),
        cmocka_unit_test(test_any_is_the_network),
        cmocka_unit_test(test_embedded_forms),
        cmocka_unit_test(test_deny_is_wide),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
