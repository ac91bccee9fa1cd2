/* The chunked coding: what it carries arrives however it is cut, and HTTP-12 is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/h1/chunk.h"

/* Feeds `text` in pieces; returns the result and what was carried. */
static bool padded;

static int feed(const char *text, size_t len, size_t step, char *body, size_t *ret_len,
                size_t *ret_used, char *trailer)
{
    sl_h1_chunk d;
    sl_h1_chunk_init(&d);
    d.padded = padded;
    int r = 0;
    *ret_len = *ret_used = 0;
    while (*ret_used < len && r == 0 && !sl_h1_chunk_at_end(&d)) {
        uint8_t piece[4096];
        size_t n = len - *ret_used < step ? len - *ret_used : step;
        size_t got = 0;
        size_t used = 0;
        memcpy(piece, text + *ret_used, n);
        r = sl_h1_chunk_feed(&d, piece, n, &got, &used);
        if (r == 0) {
            memcpy(body + *ret_len, piece, got);
            *ret_len += got;
            *ret_used += used;
        }
    }
    if (r == 0 && !sl_h1_chunk_at_end(&d)) {
        r = -EAGAIN;
    }
    if (trailer != NULL) {
        memcpy(trailer, sl_buf_head(&d.trailer), d.trailer.len);
        trailer[d.trailer.len] = '\0';
    }
    sl_h1_chunk_done(&d);
    return r;
}

static int result(const char *text, size_t len)
{
    char body[4096];
    size_t n;
    size_t used;
    int whole = feed(text, len, 4096, body, &n, &used, NULL);
    assert_int_equal(whole, feed(text, len, 1, body, &n, &used, NULL));
    return whole;
}
#define RESULT(text) result(text, sizeof(text) - 1)

static void carries_the_body(void **state)
{
    (void)state;
    const char text[] = "5\r\nhello\r\n0006;x=y\r\n world\r\n0\r\nA: b\r\nC: d\r\n\r\nnext";
    for (size_t step = 1; step < sizeof(text); step++) {
        char body[64];
        char trailer[64];
        size_t n;
        size_t used;
        assert_int_equal(feed(text, sizeof(text) - 1, step, body, &n, &used, trailer), 0);
        assert_int_equal(n, 11);
        assert_memory_equal(body, "hello world", 11);
        assert_string_equal(trailer, "A: b\r\nC: d\r\n");
        assert_int_equal(used, sizeof(text) - 1 - 4); /* what follows is not ours */
    }
    assert_int_equal(RESULT("0\r\n\r\n"), 0);
    assert_int_equal(RESULT("5\r\nhel"), -EAGAIN);
}

/* From a server; a request has them in one way alone. */
static void blanks_behind_a_size(void **state)
{
    static char endless[1100];
    (void)state;
    memset(endless, ' ', sizeof(endless));
    endless[0] = '5';
    for (int i = 0; i < 2; i++) {
        padded = i == 1;
        int good = padded ? 0 : -EBADMSG;
        assert_int_equal(RESULT("5  \r\nhello\r\n0\t\r\n\r\n"), good);
        assert_int_equal(RESULT("5 ;x=y\r\nhello\r\n0\r\n\r\n"), good);
        assert_int_equal(RESULT("5 5\r\nhello"), -EBADMSG);
        assert_int_equal(RESULT("5 \nhello"), -EBADMSG);
        assert_int_equal(RESULT("5 \v\r\nhello"), -EBADMSG);
        assert_int_equal(RESULT(" 5\r\nhello"), -EBADMSG);
        assert_int_equal(result(endless, sizeof(endless)), -EBADMSG);
    }
    padded = false;
    assert_int_equal(RESULT("0\r\nA: caf\xe9\r\n\r\n"), 0);
}

static void refuses_other_forms(void **state)
{
    (void)state;
    assert_int_equal(RESULT("\r\n"), -EBADMSG);
    assert_int_equal(RESULT(" 5\r\nhello\r\n"), -EBADMSG);
    assert_int_equal(RESULT("5 \r\nhello\r\n"), -EBADMSG);
    assert_int_equal(RESULT("-5\r\n"), -EBADMSG);
    assert_int_equal(RESULT("0x5\r\n"), -EBADMSG);
    assert_int_equal(RESULT("5\nhello\n"), -EBADMSG);
    assert_int_equal(RESULT("5\r\nhelloX\r\n"), -EBADMSG);
    assert_int_equal(RESULT("5\r\nhello\n"), -EBADMSG);
    assert_int_equal(RESULT("5\r\nhello\r\r\n"), -EBADMSG);
    assert_int_equal(RESULT("10000000000000000\r\n"), -EBADMSG);
    assert_int_equal(RESULT("ffffffffffffffff\r\n"), -EBADMSG);
    assert_int_equal(RESULT("5;a\nb\r\nhello\r\n"), -EBADMSG);
    assert_int_equal(RESULT("5;a\0b\r\nhello\r\n"), -EBADMSG);
    assert_int_equal(RESULT("5;a\rb\r\nhello\r\n"), -EBADMSG);
    assert_int_equal(RESULT("0\r\nA: b\n\r\n"), -EBADMSG);
}

static void bounds_what_it_keeps(void **state)
{
    (void)state;
    size_t len = 1 << 20;
    char *text = malloc(len);
    assert_non_null(text);
    memset(text, 'x', len);
    memcpy(text, "5;", 2);
    char body[4096];
    size_t n;
    size_t used;
    assert_int_equal(feed(text, len, 4096, body, &n, &used, NULL), -EBADMSG);
    assert_true(used <= SL_H1_CHUNK_EXT_MAX + 4096);
    memcpy(text, "0\r\nA:", 5);
    assert_int_equal(feed(text, len, 4096, body, &n, &used, NULL), -ENOBUFS);
    assert_true(used <= SL_H1_TRAILER_MAX + 4096);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(carries_the_body),
        cmocka_unit_test(blanks_behind_a_size),
        cmocka_unit_test(refuses_other_forms),
        cmocka_unit_test(bounds_what_it_keeps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
