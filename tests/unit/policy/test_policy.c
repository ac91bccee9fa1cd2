/* Fields: defaults, setting, freezing. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/util.h"
#include "made.h"
#include "policy/policy.h"

static void test_defaults(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) p = new_policy();
    sl_error err;
    assert_true(p->no_raw_sockets);
    assert_true(p->close_fds);
    assert_false(p->no_udp);
    assert_int_equal(p->max_processes, 64);
    assert_int_equal(sl_policy_freeze(p, &err), 0);
    assert_true(sl_ports_has(&p->http_ports, 80));
    assert_true(sl_ports_has(&p->http_ports, 443));
    assert_false(sl_ports_has(&p->http_ports, 8080));
}

static void test_frozen(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) p = new_policy();
    sl_error err;
    assert_int_equal(sl_policy_freeze(p, &err), 0);
    assert_int_equal(set(p, "no_udp", "true", &err), -EBUSY);
    assert_false(p->no_udp);
    assert_int_equal(sl_policy_freeze(p, &err), 0); /* again: nothing */
}

/* Whose processes "/proc/self" means is decided for each that looks. */
static void test_own_proc(void **state)
{
    static const struct {
        const char *field, *path;
        bool isolates;
    } rows[] = {
        {"fs_readable", "/usr", true},       {"fs_readable", "/proc", false},
        {"fs_readable", "?/proc", false},    {"fs_readable", "/", false},
        {"fs_writable", "/", false},         {"fs_readable", "/proc/cpuinfo", true},
        {"fs_readable", "/proc/self", true},
    };
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(rows); i++) {
        SL_AUTO(sl_policy) p = new_policy();
        sl_error err;
        must_set(p, "fs_readable", i % 2 == 0 ? "/proc/self" : "?/proc/self");
        must_set(p, rows[i].field, rows[i].path);
        assert_int_equal(sl_policy_freeze(p, &err), 0);
        assert_int_equal(p->isolate_pids, rows[i].isolates);
    }
    SL_AUTO(sl_policy) p = new_policy();
    sl_error err;
    must_set(p, "fs_readable", "/proc/self/status");
    assert_int_equal(sl_policy_freeze(p, &err), 0);
    assert_false(p->isolate_pids);
}

static void test_http_ports(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) p = new_policy();
    sl_error err;
    must_set(p, "http_ports", "8080,9000-9005");
    must_set(p, "http_allow", "GET a.test:3000");
    must_set(p, "http_deny", "GET a.test:3001");
    assert_int_equal(sl_policy_freeze(p, &err), 0);
    static const uint16_t in[] = {80, 443, 8080, 9005, 3000, 3001};
    for (size_t i = 0; i < SL_ARRAY_LEN(in); i++) {
        assert_true(sl_ports_has(&p->http_ports, in[i]));
    }
    assert_false(
        sl_ports_has(&p->http_ports_given, 3000)); /* named by one rule for its host only */
}

static void test_durations(void **state)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } good[] = {{"90", 90000},  {"1.5", 1500},   {"1.5s", 1500},   {"200ms", 200},
                {"2m", 120000}, {"1h", 3600000}, {"1d", 86400000}, {"0", 0},
                {"0.0001", 1},  {"0.25m", 15000}};
    static const char *const bad[] = {
        "",    "s",   "-1", "+1",          "1.",         ".5",        "1,5",        "1 s",
        "1e3", "abc", "1w", "1000000000d", "9999999999", "1.0000001", "999999999d", "1ss"};
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(good); i++) {
        SL_AUTO(sl_policy) p = new_policy();
        must_set(p, "timeout", good[i].text);
        assert_int_equal(p->timeout_ms, good[i].ms);
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        SL_AUTO(sl_policy) p = new_policy();
        sl_error err;
        if (set(p, "timeout", bad[i], &err) != -EINVAL) {
            fail_msg("'%s' was taken", bad[i]);
        }
        assert_non_null(strstr(err.message, "--timeout"));
    }
}

static void test_sizes(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
        const char *again;
    } good[] = {{"0", 0, "0"},
                {"4095", 4095, "4095"},
                {"4096", 4096, "4K"},
                {"512M", 512u << 20, "512M"},
                {"512m", 512u << 20, "512M"},
                {"1024M", 1u << 30, "1G"},
                {"3G", UINT64_C(3) << 30, "3G"},
                {"1048576T", UINT64_C(1) << 60, "1048576T"}};
    static const char *const bad[] = {"",
                                      "-1",
                                      "M",
                                      "512MM",
                                      "1.5G",
                                      "1 G",
                                      "1GB",
                                      "18446744073709551616",
                                      "0x10",
                                      "+1",
                                      "1P",
                                      "17179869184G",
                                      "1e9",
                                      "512M ",
                                      "99999999999999999999999999"};
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(good); i++) {
        SL_AUTO(sl_policy) p = new_policy();
        char again[SL_SIZE_TEXT_MAX];
        must_set(p, "max_memory", good[i].text);
        assert_true(p->max_memory == good[i].bytes);
        assert_string_equal(sl_size_text(p->max_memory, again), good[i].again);
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        SL_AUTO(sl_policy) p = new_policy();
        sl_error err;
        if (set(p, "max_memory", bad[i], &err) != -EINVAL) {
            fail_msg("'%s' was taken", bad[i]);
        }
        assert_non_null(strstr(err.message, "--max-memory"));
        assert_non_null(strstr(err.message, "expected a size"));
    }
}

static void test_ca_needs_key(void **state)
{
    (void)state;
    sl_error err;
    SL_AUTO(sl_policy) p = new_policy();
    must_set(p, "http_ca", "/ca.pem");
    assert_int_equal(sl_policy_freeze(p, &err), -EINVAL);
    assert_non_null(strstr(err.message, "--http-key"));
    assert_false(p->frozen);
    must_set(p, "http_key", "/key.pem");
    assert_int_equal(sl_policy_freeze(p, &err), 0);
}

static void test_many_rules(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) p = new_policy();
    char rule[64];
    sl_error err;
    for (int i = 0; i < SL_POLICY_RULES_MAX; i++) {
        snprintf(rule, sizeof(rule), "GET h%d.test/x", i);
        must_set(p, "http_allow", rule);
    }
    assert_int_equal(p->http_allow_count, SL_POLICY_RULES_MAX);
    assert_string_equal(p->http_allow[4095].host.name, "h4095.test");
    assert_int_equal(set(p, "http_allow", "GET x.test", &err), -EINVAL);
    assert_int_equal(p->http_allow_text.count, SL_POLICY_RULES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),     cmocka_unit_test(test_frozen),
        cmocka_unit_test(test_own_proc),     cmocka_unit_test(test_http_ports),
        cmocka_unit_test(test_durations),    cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_ca_needs_key), cmocka_unit_test(test_many_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
