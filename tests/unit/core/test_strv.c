/* String lists: always terminated, ownership is clear also on failure, the environment's forms. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "alloc.h"
#include "core/strv.h"
#include "core/util.h"

#define MANY 1000

static void test_add(void **state)
{
    sl_strv v = {0};
    char word[16];
    (void)state;
    assert_false(sl_strv_has(&v, ""));
    for (int i = 0; i < MANY; i++) {
        snprintf(word, sizeof(word), "w%d", i);
        assert_int_equal(sl_strv_add(&v, word), 0); /* copied: the word is written over */
        assert_null(v.items[v.count]);              /* as execve wants it, at every length */
    }
    assert_int_equal(v.count, MANY);
    assert_string_equal(v.items[0], "w0");
    assert_string_equal(v.items[MANY - 1], "w999");
    assert_true(sl_strv_has(&v, "w500"));
    assert_false(sl_strv_has(&v, "w5000"));
    assert_false(sl_strv_has(&v, "w"));
    sl_strv_done(&v);
    assert_int_equal(v.count, 0);
    assert_null(v.items);
    sl_strv_done(&v);
}

static void test_take(void **state)
{
    sl_strv v = {0};
    char *word = strdup("mine");
    (void)state;
    assert_int_equal(sl_strv_take(&v, NULL), -ENOMEM); /* what a failed strdup gives */
    assert_int_equal(v.count, 0);
    assert_int_equal(sl_strv_take(&v, word), 0);
    assert_ptr_equal(v.items[0], word);
    sl_strv_done(&v);
}

static void test_env(void **state)
{
    sl_strv v = {0};
    (void)state;
    assert_null(sl_strv_env_get(&v, "A"));
    assert_int_equal(sl_strv_env_set(&v, "A", "1"), 0);
    assert_int_equal(sl_strv_env_set(&v, "AB", "2"), 0);
    assert_int_equal(sl_strv_env_set(&v, "B", ""), 0);
    assert_int_equal(sl_strv_env_set(&v, "C", "x=y"), 0);
    assert_string_equal(sl_strv_env_get(&v, "A"), "1"); /* not the one that only begins so */
    assert_string_equal(sl_strv_env_get(&v, "AB"), "2");
    assert_string_equal(sl_strv_env_get(&v, "B"), "");
    assert_string_equal(sl_strv_env_get(&v, "C"), "x=y");
    assert_null(sl_strv_env_get(&v, "a"));
    assert_int_equal(sl_strv_env_set(&v, "A", "a longer one"), 0);
    assert_int_equal(v.count, 4);
    assert_string_equal(v.items[0], "A=a longer one");
    sl_strv_done(&v);
}

/* A variable without '=' comes from nobody's shell, but an environment may hold it. */
static void test_env_odd_items(void **state)
{
    sl_strv v = {0};
    (void)state;
    assert_int_equal(sl_strv_add(&v, "A"), 0);
    assert_int_equal(sl_strv_add(&v, "=x"), 0);
    assert_int_equal(sl_strv_add(&v, ""), 0);
    assert_null(sl_strv_env_get(&v, "A"));
    assert_string_equal(sl_strv_env_get(&v, ""), "x");
    assert_int_equal(sl_strv_env_set(&v, "A", "1"), 0);
    assert_int_equal(v.count, 4);
    assert_string_equal(sl_strv_env_get(&v, "A"), "1");
    sl_strv_done(&v);
}

static void test_no_memory(void **state)
{
    sl_strv v = {0};
    (void)state;
    for (unsigned n = 0; n < 2; n++) { /* the copy, then the list */
        alloc_fail(n);
        assert_int_equal(sl_strv_add(&v, "x"), -ENOMEM);
        assert_true(alloc_failed());
        assert_int_equal(v.count, 0);
    }
    while (v.count + 2 <= v.cap || v.cap == 0) {
        assert_int_equal(sl_strv_add(&v, "x"), 0);
    }
    size_t full = v.count;
    alloc_fail(1); /* growing fails: the list stays */
    assert_int_equal(sl_strv_add(&v, "y"), -ENOMEM);
    assert_true(alloc_failed());
    assert_int_equal(v.count, full);
    assert_null(v.items[full]);
    alloc_fail(0);
    assert_int_equal(sl_strv_take(&v, strdup("y")), -ENOMEM); /* refused at once: strdup's NULL */
    assert_true(alloc_failed());
    assert_false(sl_strv_has(&v, "y"));
    sl_strv_done(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add),       cmocka_unit_test(test_take),
        cmocka_unit_test(test_env),       cmocka_unit_test(test_env_odd_items),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
