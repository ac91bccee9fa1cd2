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
#include "policy/suggest.h"
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distance),
        cmocka_unit_test(test_quoting),
        cmocka_unit_test(test_suggestions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
