/* Certificates in text: each found, none read past its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/util.h"
#include "net/tls/pem.h"

/* In memory of exactly its size, where a sanitizer sees one byte too far. */
static size_t count(const char *text)
{
    size_t len = strlen(text);
    char *copy = malloc(len == 0 ? 1 : len);
    const char *at = copy;
    const char *body;
    size_t body_len;
    size_t n = 0;
    memcpy(copy, text, len);
    while (sl_pem_next(&at, copy + len, &body, &body_len)) {
        assert_true(body >= copy && body + body_len <= copy + len);
        assert_memory_equal(body, "\nAA", SL_MIN(body_len, (size_t)3));
        n++;
    }
    free(copy);
    return n;
}

static void test_next(void **state)
{
    (void)state;
    assert_int_equal(count(""), 0);
    assert_int_equal(count(SL_PEM_BEGIN), 0);
    assert_int_equal(count(SL_PEM_BEGIN "\nAA\n-----END CERTIFICATE----"), 0);
    assert_int_equal(count(SL_PEM_END SL_PEM_BEGIN), 0);
    assert_int_equal(count(SL_PEM_BEGIN SL_PEM_END), 1);
    assert_int_equal(
        count("x " SL_PEM_BEGIN "\nAA\n" SL_PEM_END "\nkey\n" SL_PEM_BEGIN "\nAA\n" SL_PEM_END), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_next)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
