/* Query strings of rules and requests: what is read out of a rule, what a raw query must have, and
 * every reading of it for a deny rule. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "alloc.h"
#include "core/util.h"
#include "policy/http/query.h"

static sl_strv must_parse(const char *text)
{
    sl_strv pairs = {0};
    sl_error err;
    if (sl_http_query_parse(text, "rule", &pairs, &err) < 0) {
        fail_msg("%s", err.message);
    }
    return pairs;
}

static void test_parse(void **state)
{
    (void)state;
    sl_strv pairs = must_parse("a=1&b=&c%20d=e+f%2Bg&h=x=y&%6B=%76");
    assert_int_equal(pairs.count, 5);
    assert_string_equal(pairs.items[0], "a=1");
    assert_string_equal(pairs.items[1], "b=");
    assert_string_equal(pairs.items[2], "c d=e f+g");
    assert_string_equal(pairs.items[3], "h=x=y");
    assert_string_equal(pairs.items[4], "k=v");
    sl_strv_done(&pairs);
    pairs = must_parse("a=100%&b=%zz&c=%2"); /* a '%' that begins no code is itself */
    assert_string_equal(pairs.items[0], "a=100%");
    assert_string_equal(pairs.items[1], "b=%zz");
    assert_string_equal(pairs.items[2], "c=%2");
    sl_strv_done(&pairs);
    pairs = must_parse("a=%2A&b=%26&c=%3D");
    assert_string_equal(pairs.items[0], "a=*");
    assert_string_equal(pairs.items[1], "b=&");
    assert_string_equal(pairs.items[2], "c==");
    sl_strv_done(&pairs);
}

static void test_parse_refuses(void **state)
{
    static const char *const bad[] = {
        "",      "a",     "=x",    "&",     "a=1&",   "&a=1",  "a=1&&b=2", "a=*",       "*=1",
        "a=%00", "%00=1", "a=%0a", "a=%7f", "a%3D=x", "%3D=x", "a=\x01",   "a=1&b=x*y", "a%3d%3d=1",
    };
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        sl_strv pairs = {0};
        sl_error err = {0};
        int r = sl_http_query_parse(bad[i], "rule 'x'", &pairs, &err);
        if (r != -EINVAL || err.kind != SL_ERROR_USAGE || strstr(err.message, "rule 'x'") == NULL) {
            fail_msg("'%s': %d '%s'", bad[i], r, err.message);
        }
        sl_strv_done(&pairs);
    }
}

static bool allows(const char *rule, const char *query)
{
    sl_strv pairs = must_parse(rule);
    bool r = sl_http_query_allows(&pairs, query);
    sl_strv_done(&pairs);
    return r;
}

static bool denies(const char *rule, const char *query)
{
    sl_strv pairs = must_parse(rule);
    bool r = sl_http_query_denies(&pairs, query);
    sl_strv_done(&pairs);
    return r;
}

static void test_no_pairs(void **state)
{
    sl_strv none = {0};
    (void)state;
    assert_true(sl_http_query_allows(&none, NULL));
    assert_true(sl_http_query_allows(&none, "anything=1"));
    assert_true(sl_http_query_denies(&none, NULL));
    assert_true(sl_http_query_denies(&none, "anything=1"));
}

/* Servers differ in which of two values they believe, and in whether ';' separates: the request is
 * allowed only where all agree, and denied where one might. */
static void test_repeated_keys(void **state)
{
    (void)state;
    assert_true(allows("k=v", "k=v"));
    assert_false(allows("k=v", "k=v&k=w"));
    assert_false(allows("k=v", "k=w&k=v"));
    assert_false(allows("k=v", "k=v&k")); /* without '=': an empty value */
    assert_false(allows("k=v", "k=v&%6b=w"));
    assert_false(allows("k v=1", "k+v=1&k%20v=2"));
    assert_true(allows("k=v&k=w", "k=w&k=v"));
    assert_false(allows("k=v&k=w", "k=v&k=w&k=x"));
    assert_true(denies("k=v", "k=w&k=v"));
    assert_true(denies("k=v", "k=v&k=w"));
    assert_false(allows("k=v", "a=1;k=v"));
    assert_true(denies("k=v", "a=1;k=v"));
    assert_true(denies("k=v", "k=v;a=1"));
    assert_false(denies("k=v", "k=v,a=1"));
    assert_true(denies("k=v;w", "k=v;w")); /* a rule that has the ';' in its value */
    assert_true(allows("k=v;w", "k=v;w"));
}

static void test_bytes(void **state)
{
    (void)state;
    assert_true(allows("k=\xc3\xbc", "k=%C3%BC"));
    assert_true(allows("k=\xc3\xbc", "k=%c3%bc"));
    assert_true(allows("k=%C3%BC", "k=\xc3\xbc"));
    assert_false(allows("k=ab", "k=a"));
    assert_false(allows("k=a", "k=ab"));
    assert_false(allows("k=a", "k=a%00"));
    assert_false(allows("k=a", "k=a%00b"));
    assert_false(allows("k=a", "k=a%"));
    assert_false(allows("k=a", "k=a%2"));
    assert_true(allows("k=a%252", "k=a%252"));
    assert_false(allows("k=%41", "k=%2541")); /* decoded once */
    assert_false(allows("k=v", "k%3Dv"));
    assert_false(allows("k=v", "=k=v"));
    assert_true(allows("k==v", "k==v"));
    assert_false(allows("k=", "K="));
}

static void test_ends(void **state)
{
    (void)state;
    assert_false(allows("k=v", NULL));
    assert_false(allows("k=v", ""));
    assert_false(denies("k=v", NULL));
    assert_false(denies("k=v", ""));
    assert_true(allows("k=v", "&k=v"));
    assert_true(allows("k=v", "k=v&"));
    assert_true(allows("k=v", "&&k=v&&"));
    assert_false(allows("k=", "&"));
}

static void test_no_memory(void **state)
{
    (void)state;
    for (unsigned n = 0;; n++) {
        sl_strv pairs = {0};
        sl_error err = {0};
        alloc_fail(n);
        int r = sl_http_query_parse("a=1&b=2", "rule", &pairs, &err);
        bool failed = alloc_failed();
        size_t count = pairs.count;
        sl_strv_done(&pairs);
        if (!failed) {
            assert_int_equal(r, 0);
            assert_int_equal(count, 2);
            assert_true(n > 1);
            return;
        }
        assert_int_equal(r, -ENOMEM);
        assert_int_equal(err.kind, SL_ERROR_SYSTEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),     cmocka_unit_test(test_parse_refuses),
        cmocka_unit_test(test_no_pairs),  cmocka_unit_test(test_repeated_keys),
        cmocka_unit_test(test_bytes),     cmocka_unit_test(test_ends),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
