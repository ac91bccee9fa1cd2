/* Words that help: the nearest known one, and words that a shell takes as they are meant. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/util.h"
#include "made.h"
#include "policy/text/suggest.h"
#include "policy/verdict.h"

static void test_distance(void **state)
{
    (void)state;
    assert_int_equal(sl_suggest_distance("", ""), 0);
    assert_int_equal(sl_suggest_distance("abc", "abc"), 0);
    assert_int_equal(sl_suggest_distance("abc", ""), 3);
    assert_int_equal(sl_suggest_distance("abc", "acb"), 1);
    assert_int_equal(sl_suggest_distance("kitten", "sitting"), 3);
    assert_int_equal(sl_suggest_distance("fs_read", "fs-read"), 0);
    char big[SL_SUGGEST_WORD_MAX + 2];
    memset(big, 'a', sizeof(big));
    big[sizeof(big) - 1] = '\0';
    assert_true(sl_suggest_distance(big, "a") == SIZE_MAX);
}

static void test_quoting(void **state)
{
    char out[32];
    (void)state;
    assert_int_equal(sl_suggest_option("--x", "a b", out, sizeof(out)), 0);
    assert_string_equal(out, "--x 'a b'");
    assert_int_equal(sl_suggest_option("--x", "it's $(id)", out, sizeof(out)), 0);
    assert_string_equal(out, "--x 'it'\\''s $(id)'");
    assert_int_equal(sl_suggest_option("--x", "a\nb", out, sizeof(out)), -EINVAL);
    assert_string_equal(out, "");
    assert_int_equal(sl_suggest_option("--x", "a\x1b[31m", out, sizeof(out)), -EINVAL);
    assert_int_equal(sl_suggest_option("--x", "0123456789012345678901234", out, sizeof(out)), 0);
    assert_int_equal(strlen(out), 31);
    assert_int_equal(sl_suggest_option("--x", "01234567890123456789012345", out, sizeof(out)),
                     -EINVAL);
    assert_string_equal(out, "");
}

static void test_suggestions(void **state)
{
    static const struct {
        enum sl_proto proto;
        const char *host;
        uint16_t port;
        const char *flag;
    } cases[] = {
        {SL_PROTO_TCP, "db.test", 5432, "--net-allow 'db.test:5432'"},
        {SL_PROTO_UDP, "192.0.2.1", 53, "--net-allow 'udp://192.0.2.1:53'"},
        {SL_PROTO_TCP, "2001:db8::1", 443, "--net-allow '[2001:db8::1]:443'"},
        {SL_PROTO_ICMP, "192.0.2.1", 0, "--net-allow 'icmp://192.0.2.1'"},
    };
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        char flag[SL_SUGGESTION_MAX];
        char rule[SL_SUGGESTION_MAX];
        sl_dest dest = dest_of(cases[i].proto, cases[i].host, cases[i].port);
        sl_policy_suggest_net(&dest, flag);
        assert_string_equal(flag, cases[i].flag);
        /* Following the advice helps. */
        size_t n = strlen("--net-allow '");
        memcpy(rule, flag + n, strlen(flag) - n - 1);
        rule[strlen(flag) - n - 1] = '\0';
        SL_AUTO(sl_policy) p = POLICY("net_allow", rule);
        assert_int_not_equal(judge(p, dest.proto, cases[i].host, cases[i].port, NULL), SL_NET_DENY);
    }
}

/* Each of the typing errors once, from either side, and never further than the longer word. */
static void test_distance_is_one(void **state)
{
    static const char *const near[][2] = {
        {"audit", "audi"}, {"audit", "audits"}, {"audit", "audot"},  {"audit", "aduit"},
        {"audit", "udit"}, {"audit", "xaudit"}, {"no-udp", "no_ud"}, {"A", "b"},
    };
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(near); i++) {
        assert_int_equal(sl_suggest_distance(near[i][0], near[i][1]), 1);
        assert_int_equal(sl_suggest_distance(near[i][1], near[i][0]), 1);
    }
    assert_int_equal(sl_suggest_distance("AUDIT", "audit"), 0);
    assert_int_equal(sl_suggest_distance("abcd", "wxyz"), 4);
    assert_int_equal(sl_suggest_distance("ca", "abc"), 3); /* a swapped pair is not edited again */
}

static void test_distance_bounds(void **state)
{
    char a[SL_SUGGEST_WORD_MAX + 2];
    char b[SL_SUGGEST_WORD_MAX + 2];
    (void)state;
    memset(a, 'a', sizeof(a));
    memset(b, 'b', sizeof(b));
    a[SL_SUGGEST_WORD_MAX] = b[SL_SUGGEST_WORD_MAX] = '\0';
    assert_int_equal(sl_suggest_distance(a, b), SL_SUGGEST_WORD_MAX);
    assert_int_equal(sl_suggest_distance(a, ""), SL_SUGGEST_WORD_MAX);
    a[SL_SUGGEST_WORD_MAX] = 'a';
    a[SL_SUGGEST_WORD_MAX + 1] = '\0';
    assert_true(sl_suggest_distance(a, b) == SIZE_MAX);
    assert_true(sl_suggest_distance(b, a) == SIZE_MAX);
    assert_false(sl_suggest_near(SIZE_MAX, 1000));
    assert_true(sl_suggest_near(1, 0));
    assert_false(sl_suggest_near(2, 3));
    assert_true(sl_suggest_near(2, 4));
}

/* Room for exactly the answer, and for each length less: nothing, and not a byte behind it. */
static void test_quoting_bounds(void **state)
{
    static const char expected[] = "--x 'a'\\''b'";
    (void)state;
    for (size_t size = 0; size <= sizeof(expected); size++) {
        char out[sizeof(expected) + 1];
        memset(out, 0x7e, sizeof(out));
        int r = sl_suggest_option("--x", "a'b", out, size);
        assert_int_equal(r, size >= sizeof(expected) ? 0 : -EINVAL);
        assert_string_equal(size == 0 ? "" : out, size >= sizeof(expected) ? expected : "");
        assert_int_equal(out[size], 0x7e);
    }
}

/* A name that a packet brought: what cannot be shown is not suggested. */
static void test_hostile_names(void **state)
{
    static const char *const names[] = {"a\nb", "a\x1b[2J", "\x7f", ""};
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(names); i++) {
        char flag[SL_SUGGESTION_MAX];
        sl_dest dest = {.proto = SL_PROTO_TCP, .name = names[i], .port = 80};
        sl_policy_suggest_net(&dest, flag);
        assert_string_equal(flag, "");
    }
    char flag[SL_SUGGESTION_MAX];
    sl_dest dest = {.proto = SL_PROTO_TCP, .name = "$(id)'", .port = 80};
    sl_policy_suggest_net(&dest, flag);
    assert_string_equal(flag, "--net-allow '$(id)'\\'':80'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distance),        cmocka_unit_test(test_quoting),
        cmocka_unit_test(test_suggestions),     cmocka_unit_test(test_distance_is_one),
        cmocka_unit_test(test_distance_bounds), cmocka_unit_test(test_quoting_bounds),
        cmocka_unit_test(test_hostile_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
