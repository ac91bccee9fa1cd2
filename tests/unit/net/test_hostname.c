/* What the network room takes for a host name: every byte, every length. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/util.h"
#include "net/hostname_int.h"

static int copy(const char *text, char out[SL_HOSTNAME_MAX])
{
    return sl_hostname_copy((const uint8_t *)text, strlen(text), out);
}

static void test_good(void **state)
{
    static const char *const names[][2] = {
        {"example.com", "example.com"},
        {"WWW.Example.COM", "www.example.com"},
        {"a", "a"},
        {"_dmarc.a-b.0", "_dmarc.a-b.0"},
        {"xn--bcher-kva.example", "xn--bcher-kva.example"},
    };
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(names); i++) {
        char out[SL_HOSTNAME_MAX];
        assert_int_equal(copy(names[i][0], out), 0);
        assert_string_equal(out, names[i][1]);
    }
}

static void test_bad(void **state)
{
    static const char *const names[] = {
        "",     ".",   "a.",  ".a",        "a..b",  "a b",   "a/b", "a:80",
        "a%41", "a\n", "*.a", "b\xc3\xbc", "a\x7f", "[::1]", "a,b", "a\\b",
    };
    char out[SL_HOSTNAME_MAX] = "untouched";
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(names); i++) {
        if (copy(names[i], out) != -EINVAL) {
            fail_msg("'%s' was taken", names[i]);
        }
    }
    assert_int_equal(sl_hostname_copy((const uint8_t *)"a\0b", 3, out), -EINVAL);
    assert_string_equal(out, "untouched");
}

static void test_every_byte(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        const uint8_t name[3] = {'a', (uint8_t)c, 'z'};
        char out[SL_HOSTNAME_MAX];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '-' || c == '_' || c == '.';
        assert_int_equal(sl_hostname_copy(name, 3, out), good ? 0 : -EINVAL);
    }
}

/* RFC 1035 section 2.3.4: labels of 63, names of 253; from memory that ends there. */
static void test_lengths(void **state)
{
    char out[SL_HOSTNAME_MAX];
    (void)state;
    for (size_t len = 1; len <= 300; len++) {
        for (size_t label = 62; label <= 64; label++) {
            sl_autofree uint8_t *name = malloc(len);
            assert_non_null(name);
            size_t longest = 0;
            for (size_t i = 0, run = 0; i < len; i++) {
                bool dot = run == label && i + 1 < len;
                name[i] = dot ? '.' : 'x';
                run = dot ? 0 : run + 1;
                longest = SL_MAX(longest, run);
            }
            bool good = len <= 253 && longest <= 63;
            assert_int_equal(sl_hostname_copy(name, len, out), good ? 0 : -EINVAL);
            assert_true(!good || strlen(out) == len);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_every_byte),
        cmocka_unit_test(test_lengths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
