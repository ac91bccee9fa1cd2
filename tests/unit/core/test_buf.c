/* The buffer: what goes in comes out, its maximum holds, a failure changes nothing. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "alloc.h"
#include "core/buf.h"
#include "core/util.h"

static void assert_holds(const sl_buf *b, const char *text)
{
    assert_int_equal(b->len, strlen(text));
    if (b->len > 0) {
        assert_memory_equal(sl_buf_head(b), text, b->len);
    }
    assert_true(b->off + b->len <= b->cap);
}

static void test_starts_empty(void **state)
{
    sl_buf b;
    (void)state;
    sl_buf_init(&b, 8);
    assert_null(sl_buf_head(&b));
    assert_int_equal(b.len, 0);
    assert_int_equal(sl_buf_append(&b, NULL, 0), 0);
    assert_null(b.data); /* nothing was allocated */
    sl_buf_release_if_empty(&b);
    sl_buf_done(&b);
    sl_buf_done(&b);
    assert_int_equal(b.max, 8);
}

static void test_append_and_consume(void **state)
{
    sl_buf b;
    (void)state;
    sl_buf_init(&b, 1000);
    assert_int_equal(sl_buf_append_str(&b, "hello"), 0);
    assert_int_equal(sl_buf_append(&b, " world", 6), 0);
    assert_int_equal(sl_buf_printf(&b, " %d%s", 42, "!"), 0);
    assert_holds(&b, "hello world 42!");
    sl_buf_consume(&b, 6);
    assert_holds(&b, "world 42!");
    assert_int_equal(sl_buf_append_str(&b, "?"), 0);
    assert_holds(&b, "world 42!?");
    sl_buf_release_if_empty(&b);
    assert_non_null(b.data); /* it is not */
    sl_buf_consume(&b, b.len);
    assert_int_equal(b.off, 0);
    sl_buf_release_if_empty(&b);
    assert_null(b.data);
    assert_int_equal(sl_buf_append_str(&b, "again"), 0);
    assert_holds(&b, "again");
    sl_buf_done(&b);
}

/* For each small maximum: all of it is had, not a byte more, and what is in stays. */
static void test_maximum(void **state)
{
    static const char text[] = "0123456789abcdef";
    (void)state;
    for (size_t max = 0; max < sizeof(text) - 1; max++) {
        sl_buf b;
        sl_buf_init(&b, max);
        assert_int_equal(sl_buf_append(&b, text, max + 1), -ENOBUFS);
        assert_int_equal(b.len, 0);
        assert_int_equal(sl_buf_append(&b, text, max), 0);
        assert_int_equal(sl_buf_append(&b, text, 1), -ENOBUFS);
        assert_null(sl_buf_reserve(&b, 1));
        assert_int_equal(errno, ENOBUFS);
        assert_int_equal(b.len, max);
        if (max > 0) {
            assert_memory_equal(sl_buf_head(&b), text, max);
            sl_buf_consume(&b, 1);
            assert_int_equal(sl_buf_append(&b, "z", 1), 0); /* room again, whatever lies in front */
            assert_memory_equal(sl_buf_head(&b), text + 1, max - 1);
            assert_int_equal(sl_buf_head(&b)[max - 1], 'z');
        }
        sl_buf_done(&b);
    }
}

static void test_absurd_sizes(void **state)
{
    sl_buf b;
    (void)state;
    sl_buf_init(&b, 1000);
    assert_int_equal(sl_buf_append_str(&b, "x"), 0);
    assert_null(sl_buf_reserve(&b, SIZE_MAX));
    assert_int_equal(errno, ENOBUFS);
    assert_null(sl_buf_reserve(&b, SIZE_MAX - 1));
    assert_null(sl_buf_reserve(&b, 1000));
    assert_holds(&b, "x");
    sl_buf_done(&b);
}

/* As a queue: what goes through is far more than it may hold, and the memory stays small. */
static void test_queue(void **state)
{
    sl_buf b;
    uint8_t in = 0;
    uint8_t out = 0;
    (void)state;
    sl_buf_init(&b, 1024);
    for (unsigned round = 0; round < 10000; round++) {
        for (unsigned i = 0; i < 1 + round % 97 && b.len < b.max; i++, in++) {
            assert_int_equal(sl_buf_append(&b, &in, 1), 0);
        }
        for (unsigned i = 0; i < 1 + round % 89 && b.len > 0; i++, out++) {
            assert_int_equal(sl_buf_head(&b)[0], out);
            sl_buf_consume(&b, 1);
        }
        assert_true(b.cap <= 1024);
    }
    assert_int_equal((uint8_t)(out + b.len), in);
    sl_buf_done(&b);
}

static void test_printf_bound(void **state)
{
    sl_buf b;
    (void)state;
    sl_buf_init(&b, 8);
    assert_int_equal(sl_buf_printf(&b, "%s", "1234567"), 0); /* and the terminator, for a moment */
    assert_holds(&b, "1234567");
    sl_buf_consume(&b, 7);
    assert_int_equal(sl_buf_append_str(&b, "ab"), 0);
    assert_int_equal(sl_buf_printf(&b, "%s", "123456"), -ENOBUFS);
    assert_holds(&b, "ab");
    assert_int_equal(sl_buf_printf(&b, "%s", ""), 0);
    assert_holds(&b, "ab");
    sl_buf_done(&b);
}

static void test_no_memory(void **state)
{
    static uint8_t block[600];
    sl_buf b;
    (void)state;
    sl_buf_init(&b, 10000);
    alloc_fail(0);
    assert_int_equal(sl_buf_append_str(&b, "x"), -ENOMEM);
    assert_true(alloc_failed());
    assert_int_equal(sl_buf_append_str(&b, "abc"), 0);
    sl_buf_consume(&b, 1);
    alloc_fail(0); /* growing fails: what is in it stays, in its place or moved */
    assert_int_equal(sl_buf_append(&b, block, sizeof(block)), -ENOMEM);
    assert_true(alloc_failed());
    assert_holds(&b, "bc");
    alloc_fail(0);
    assert_int_equal(sl_buf_printf(&b, "%600s", ""), -ENOMEM);
    assert_true(alloc_failed());
    assert_holds(&b, "bc");
    assert_int_equal(sl_buf_append(&b, block, sizeof(block)), 0);
    assert_int_equal(b.len, 2 + sizeof(block));
    sl_buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_starts_empty), cmocka_unit_test(test_append_and_consume),
        cmocka_unit_test(test_maximum),      cmocka_unit_test(test_absurd_sizes),
        cmocka_unit_test(test_queue),        cmocka_unit_test(test_printf_bound),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
