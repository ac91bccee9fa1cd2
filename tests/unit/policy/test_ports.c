/* Sets of ports: all of a text or nothing, sorted and disjoint whatever the order, and bounded. */
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
#include "policy/ports.h"

static void must_add(sl_ports *ports, const char *text)
{
    sl_error err;
    if (sl_ports_add(ports, text, false, "test", &err) < 0) {
        fail_msg("%s", err.message);
    }
}

/* Sorted, disjoint, not even touching. */
static void assert_sound(const sl_ports *ports)
{
    assert_true(ports->count <= SL_PORTS_MAX);
    for (size_t i = 0; i < ports->count; i++) {
        assert_true(ports->ranges[i].lo <= ports->ranges[i].hi);
        assert_true(i == 0 || ports->ranges[i - 1].hi + 1 < ports->ranges[i].lo);
    }
}

static void test_add(void **state)
{
    sl_ports ports = {0};
    (void)state;
    assert_false(sl_ports_has(&ports, 80));
    must_add(&ports, "443,80,9000-9005");
    assert_int_equal(ports.count, 3);
    assert_sound(&ports);
    static const uint16_t in[] = {80, 443, 9000, 9003, 9005};
    static const uint16_t out[] = {0, 79, 81, 442, 444, 8999, 9006, 65535};
    for (size_t i = 0; i < SL_ARRAY_LEN(in); i++) {
        assert_true(sl_ports_has(&ports, in[i]));
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(out); i++) {
        assert_false(sl_ports_has(&ports, out[i]));
    }
    sl_ports_done(&ports);
    assert_int_equal(ports.count, 0);
    sl_ports_done(&ports);
}

static void test_merge(void **state)
{
    static const struct {
        const char *text;
        size_t count;
    } cases[] = {
        {"80,80", 1},       {"80,81", 1},
        {"81,80", 1},       {"80-90,85-95", 1},
        {"85-95,80-90", 1}, {"80-90,82", 1},
        {"82,80-90", 1},    {"1-65535", 1},
        {"65535,1", 2},     {"65534,65535", 1},
        {"10,12,11", 1},    {"10,13,11", 2},
        {"1,3,5,7,2-6", 1}, {"10-20,30-40,15-35", 1},
        {"5,1-65535", 1},
    };
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        sl_ports ports = {0};
        must_add(&ports, cases[i].text);
        assert_sound(&ports);
        if (ports.count != cases[i].count) {
            fail_msg("'%s': %zu ranges", cases[i].text, ports.count);
        }
        sl_ports_done(&ports);
    }
}

static void test_refuses(void **state)
{
    static const char *const bad[] = {
        "",         ",",    "80,",   ",80",  "80,,81", "0",          "65536",
        "99999",    "080",  "-80",   "80-",  "-",      "80-79",      "+80",
        " 80",      "80 ",  "80;81", "0x50", "1-2-3",  "http",       "80.0",
        "80-65536", "0-80", "80\n",  "*",    "1e3",    "4294967376", "18446744073709551696",
    };
    sl_ports ports = {0};
    (void)state;
    must_add(&ports, "7");
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        sl_error err = {0};
        char with_good[64];
        snprintf(with_good, sizeof(with_good), "8080,%s", bad[i]); /* all of it or nothing */
        if (sl_ports_add(&ports, bad[i], false, "what", &err) != -EINVAL ||
            err.kind != SL_ERROR_USAGE || strstr(err.message, "what") == NULL ||
            strstr(err.message, "expected 1 to 65535") == NULL) {
            fail_msg("'%s': '%s'", bad[i], err.message);
        }
        assert_int_equal(sl_ports_add(&ports, with_good, false, "what", &err), -EINVAL);
    }
    assert_int_equal(ports.count, 1);
    assert_int_equal(ports.ranges[0].hi, 7);
    sl_ports_done(&ports);
}

static void test_zero(void **state)
{
    sl_ports ports = {0};
    sl_error err;
    (void)state;
    assert_int_equal(sl_ports_add(&ports, "0", false, "x", NULL), -EINVAL);
    assert_int_equal(sl_ports_add(&ports, "0", true, "x", &err), 0);
    assert_true(sl_ports_has(&ports, 0));
    assert_int_equal(sl_ports_add(&ports, "00", true, "x", &err), -EINVAL);
    assert_int_equal(sl_ports_add(&ports, "0-1", true, "x", &err), 0);
    assert_int_equal(ports.count, 1);
    sl_ports_done(&ports);
}

/* A word of any length is named, cut. */
static void test_long_word(void **state)
{
    char word[5000];
    sl_ports ports = {0};
    sl_error err;
    (void)state;
    memset(word, '9', sizeof(word));
    word[sizeof(word) - 1] = '\0';
    assert_int_equal(sl_ports_add(&ports, word, false, "x", &err), -EINVAL);
    assert_true(strlen(err.message) < 200);
}

static void test_maximum(void **state)
{
    sl_ports ports = {0};
    sl_error err;
    (void)state;
    for (unsigned i = 0; i < SL_PORTS_MAX; i++) {
        assert_int_equal(sl_ports_add_range(&ports, (uint16_t)(10 + 2 * i), (uint16_t)(10 + 2 * i)),
                         0);
    }
    assert_int_equal(ports.count, SL_PORTS_MAX);
    assert_int_equal(sl_ports_add_range(&ports, 9999, 9999), -ENOBUFS);
    assert_true(sl_ports_add(&ports, "9999", false, "x", &err) < 0);
    assert_int_equal(ports.count, SL_PORTS_MAX);
    assert_false(sl_ports_has(&ports, 9999));
    assert_int_equal(sl_ports_add_range(&ports, 11, 11), 0); /* joins two of them */
    assert_int_equal(ports.count, SL_PORTS_MAX - 1);
    assert_sound(&ports);
    must_add(&ports, "9999");
    sl_ports_done(&ports);
}

/* Any order gives the set that the text means. */
static void test_against_plain_bits(void **state)
{
    unsigned seed = 1;
    (void)state;
    for (unsigned round = 0; round < 300; round++) {
        sl_ports ports = {0};
        bool bits[256] = {false};
        for (unsigned k = 0; k < 40; k++) {
            seed = seed * 1103515245 + 12345;
            uint16_t lo = (uint16_t)(seed >> 16 & 0xff);
            seed = seed * 1103515245 + 12345;
            uint16_t hi = (uint16_t)SL_MIN(255, lo + (seed >> 16 & 7));
            assert_int_equal(sl_ports_add_range(&ports, lo, hi), 0);
            memset(bits + lo, true, (size_t)(hi - lo) + 1);
        }
        assert_sound(&ports);
        for (unsigned port = 0; port < 256; port++) {
            assert_int_equal(sl_ports_has(&ports, (uint16_t)port), bits[port]);
        }
        sl_ports_done(&ports);
    }
}

static void test_no_memory(void **state)
{
    sl_ports ports = {0};
    (void)state;
    must_add(&ports, "7");
    for (unsigned n = 0;; n++) {
        sl_error err = {0};
        alloc_fail(n);
        int r = sl_ports_add(&ports, "80,443,9000-9005", false, "x", &err);
        if (!alloc_failed()) {
            assert_int_equal(r, 0);
            assert_true(n > 0);
            break;
        }
        assert_int_equal(r, -ENOMEM);
        assert_int_equal(ports.count, 1); /* not half of it */
    }
    assert_int_equal(ports.count, 4);
    sl_ports_done(&ports);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add),
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_zero),
        cmocka_unit_test(test_long_word),
        cmocka_unit_test(test_maximum),
        cmocka_unit_test(test_against_plain_bits),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
