/* What is remembered of DNS, and for how long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "net/dns/answers.h"

static const sl_addr one = {.family = 4, .bytes = {192, 0, 2, 1}};
static const sl_addr two = {.family = 4, .bytes = {192, 0, 2, 2}};
static sl_addr found[SL_ANSWERS_ADDRS_MAX];

static void test_ttl(void **state)
{
    (void)state;
    sl_answers *a = sl_answers_new();
    assert_non_null(a);
    assert_int_equal(sl_answers_get(a, "a.test", 1000, found), 0);
    sl_answers_put(a, "a.test", &one, 1, 5, 1000);
    assert_int_equal(sl_answers_get(a, "a.test", 5999, found), 1);
    assert_memory_equal(&found[0], &one, sizeof(one));
    assert_int_equal(sl_answers_get(a, "b.test", 5999, found), 0);
    assert_int_equal(sl_answers_get(a, "a.test", 6000, found), 0);
    assert_int_equal(sl_answers_get(a, "a.test", 1000, found), 0); /* it is gone */
    sl_answers_free(a);
    sl_answers_free(NULL);
}

static void test_cap(void **state)
{
    (void)state;
    sl_answers *a = sl_answers_new();
    uint64_t end = 1000 + SL_ANSWERS_TTL_MAX_S * 1000;
    sl_answers_put(a, "a.test", &one, 1, INT32_MAX, 1000);
    assert_int_equal(sl_answers_get(a, "a.test", end - 1, found), 1);
    assert_int_equal(sl_answers_get(a, "a.test", end, found), 0);
    sl_answers_free(a);
}

static void test_not_kept(void **state)
{
    (void)state;
    sl_answers *a = sl_answers_new();
    sl_answers_put(a, "a.test", &one, 1, 0, 0);
    assert_int_equal(sl_answers_get(a, "a.test", 0, found), 0);
    sl_answers_put(a, "a.test", &one, 1, -1, 0); /* the top bit of a TTL */
    assert_int_equal(sl_answers_get(a, "a.test", 0, found), 0);
    sl_answers_put(a, "a.test", &one, 0, 60, 0);
    assert_int_equal(sl_answers_get(a, "a.test", 0, found), 0);
    /* The newest word counts, also when it is not to be kept. */
    sl_answers_put(a, "a.test", &one, 1, 60, 0);
    sl_answers_put(a, "a.test", &two, 1, 60, 0);
    assert_int_equal(sl_answers_get(a, "a.test", 0, found), 1);
    assert_memory_equal(&found[0], &two, sizeof(two));
    sl_answers_put(a, "a.test", &one, 1, 0, 0);
    assert_int_equal(sl_answers_get(a, "a.test", 0, found), 0);
    sl_answers_free(a);
}

static void test_bound(void **state)
{
    (void)state;
    char name[32];
    sl_answers *a = sl_answers_new();
    for (int i = 0; i <= SL_ANSWERS_MAX; i++) {
        snprintf(name, sizeof(name), "n%d.test", i);
        sl_answers_put(a, name, &one, 1, i == 7 ? 1 : 50, 0);
    }
    assert_int_equal(sl_answers_get(a, "n7.test", 0, found), 0); /* it would have ended first */
    assert_int_equal(sl_answers_get(a, "n0.test", 0, found), 1);
    assert_int_equal(sl_answers_get(a, name, 0, found), 1);
    sl_answers_clear(a);
    assert_int_equal(sl_answers_get(a, name, 0, found), 0);
    sl_answers_put(a, "all.test", (const sl_addr[SL_ANSWERS_ADDRS_MAX + 1]){0},
                   SL_ANSWERS_ADDRS_MAX + 1, 50, 0);
    assert_int_equal(sl_answers_get(a, "all.test", 0, found), 0);
    sl_answers_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ttl),
        cmocka_unit_test(test_cap),
        cmocka_unit_test(test_not_kept),
        cmocka_unit_test(test_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
