/* All readings of a path against a pattern: an allow rule meets each, a deny rule one. HTTP-04,
 * HTTP-32. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/util.h"
#include "policy/http/path.h"
#include "policy/http/rule.h"

static void test_readings(void **state)
{
    static const struct {
        const char *pattern;
        const char *path;
        bool all; /* readings are met: an allow rule */
        bool one; /* at least: a deny rule */
    } cases[] = {
        /* an encoded slash */
        {"/@s/pkg", "/@s%2Fpkg", false, true},
        {"/@s%2Fpkg", "/@s%2Fpkg", true, true},
        {"/@s%2Fpkg", "/@s/pkg", false, true},
        {"/@s%2F*", "/@s%2Fpkg", true, true},
        {"/@s%2F*", "/@other%2Fpkg", false, false},
        {"/@s/*", "/@s%2Fpkg", false, true},
        {"/@s*", "/@s%2Fpkg", true, true},
        {"/*", "/@s%2Fpkg", true, true},
        {"/a/*/c", "/a/x%2Fy/c", false, true},
        {"/a/*/c", "/a%2Fx/c", false, true},
        {"/*/c", "/a%2Fb/c", false, true},
        {"/projects/42/*", "/projects/42%2Fother", false, true},
        {"/a/**/z", "/a/b%2Fz", false, true},
        {"/a/**/z", "/a/b%2Fc/z", true, true},
        {"/a%2F**%2Fz", "/a%2Fb/c%2Fz", true, true},
        {"/a%2F**%2Fz", "/a%2Fz", false, true},
        {"/**b", "/a%2Fb", true, true},
        {"/*b", "/a%2Fb", false, true},
        /* empty segments, merged or not */
        {"/a/*", "/a//b", true, true},
        {"/a/*", "//a/b", false, true},
        {"/a/b", "/a//b", false, true},
        {"/a//b", "/a//b", true, true},
        {"/a//b", "/a/b", false, true},
        {"/a//b", "/a///b", false, true},
        {"/a///b", "/a//b", false, true},
        {"/a/b/c", "/a//b//c", false, true},
        {"/a//b/c", "/a//b//c", false, true}, /* one merged, one not */
        {"/a//b/c", "/a/b/c", false, true},
        {"/*/b", "//b", false, true},
        {"/a*/b", "/a//b", false, true},
        {"/*/secret", "/a//secret", false, true},
        {"/u/https://x/*", "/u/https://x/y", true, true},
        {"/u/https:/x/*", "/u/https://x/y", false, true},
        {"/u/*", "/u/https://x/y//z", true, true},
        {"/a/**/z", "/a//z", true, true},
        {"/admin/*", "/pub//admin/x", false, false},
        {"/a/*", "/a/%2Fb", true, true},
        {"/a/b", "/a/%2Fb", false, true},
        {"/a/b", "/a%2F%2Fb", false, true},
        /* a host in front, as of "//host/path" */
        {"/secret", "//x/secret", false, true},
        {"/", "//x", false, true},
        {"//x/secret", "//x/secret", true, true},
        {"/*", "//x/secret", true, true},
        {"//x%2A/a", "//x*/a", true, true},
        {"/a;%2A", "/a;*", true, true},
        {"/a;,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,/b",
         "/a;,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,/b", true, true},
        /* an encoded backslash */
        {"/a/*", "/a/b%5Cc", true, true},
        {"/a/b/c", "/a/b%5Cc", false, true},
        {"/a/b%5Cc", "/a/b%5Cc", true, true},
        {"/a/b%5Cc", "/a/b/c", false, true},
        {"/a/*/c", "/a/x%5Cy/c", false, true},
        /* decoded again */
        {"/k/*", "/k/100%25", true, true},
        {"/k/100%25", "/k/100%25", true, true},
        {"/k/*", "/k/a%252Fb", true, true},
        {"/k/a/b", "/k/a%252Fb", false, true},
        {"/k/a%2Fb", "/k/a%252Fb", false, true},
        {"/k/a%252Fb", "/k/a%252Fb", true, true},
        {"/k/a/b", "/k/a%25252Fb", false, true},
        {"/k/a/b", "/k/a%25255Cb", false, true},
        {"/admin", "/%2561dmin", false, true},
        {"/admin", "/%252561dmin", false, true},
        {"/*/x", "/a%252Fb/x", false, true},
        {"/caf%C3%A9", "/caf%25C3%25A9", false, true},
        /* parameters, taken off or not */
        {"/admin", "/admin;x", false, true},
        {"/admin/*", "/admin;x/y", false, true},
        {"/admin/*", "/admin%3Bx=1/y", false, true},
        {"/admin/*", "/admin%253Bx=1/y", false, true},
        {"/pub/*", "/pub/a;x=1/b", true, true},
        {"/pub/*", "/pub;x/a", false, true},
        {"/pub/a;x=1", "/pub/a;x=1", true, true},
        {"/pub/a;x=1", "/pub/a;x=2", false, false},
        {"/pub/a;x=1/b", "/pub/a;x=1/b", true, true},
        {"/a*b", "/a;b", false, true},
        {"/a/b", "/a;/b", false, true},
        {"/a/b", "/a;x%2Fy/b", false, true},
        {"/a/y/b", "/a;x%2Fy/b", false, true},
        /* an end within */
        {"/admin", "/admin%3Fx", false, true},
        {"/admin", "/admin%23x", false, true},
        {"/admin", "/admin%253Fx", false, true},
        {"/wiki/*", "/wiki/Why%3F", true, true},
        {"/a%3Fb", "/a%3Fb", true, true},
        /* one reading */
        {"/a/*", "/a/b", true, true},
        {"/a/*", "/b/b", false, false},
    };
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        const char *pattern = cases[i].pattern;
        const char *path = cases[i].path;
        bool all = sl_http_path_reads(pattern, path, false);
        bool one = sl_http_path_reads(pattern, path, true);
        if (all != cases[i].all || one != cases[i].one) {
            fail_msg("'%s' and '%s': %d and %d", pattern, path, all, one);
        }
    }
}

/* A path of one reading means the same to both matchers. */
static void test_both_matchers_agree(void **state)
{
    static const char *const patterns[] = {"/",        "/*",     "/a*",       "/a/*/b", "/**/b",
                                           "/a/**/b",  "/**a",   "/a/***/b",  "/*a*b/", "/a/**b*",
                                           "/**/a/**", "/*/*/b", "/a**/b/*a", "/%61b"};
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(patterns); i++) {
        for (unsigned n = 0; n < 3 * 3 * 3 * 3 * 3 * 3; n++) {
            char path[16] = "/";
            unsigned rest = n;
            for (size_t k = 1; k < 7; k++, rest /= 3) {
                path[k] = "ab/"[rest % 3];
            }
            if (strstr(path, "//") != NULL) {
                continue;
            }
            bool fits = sl_http_path_match(patterns[i], path);
            if (sl_http_path_reads(patterns[i], path, false) != fits ||
                sl_http_path_reads(patterns[i], path, true) != fits) {
                fail_msg("'%s' and '%s' disagree", patterns[i], path);
            }
        }
    }
}

/* Each way to merge each run of slashes, written out, with the same done to the pattern or not:
 * what is allowed must be met by every one, and what one of them meets is denied. */
static void test_merging_written_out(void **state)
{
    static const char *const patterns[] = {"/*",   "/a/*",  "/*/a",    "/a*/b",  "/**/a",
                                           "/a/b", "/a/*b", "/a/**/b", "/*/*/a", "/b/*/**"};
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(patterns); i++) {
        for (unsigned n = 0; n < 3 * 3 * 3 * 3 * 3 * 3; n++) {
            char path[16] = "/a";
            unsigned rest = n;
            for (size_t k = 2; k < 8; k++, rest /= 3) {
                path[k] = "ab/"[rest % 3];
            }
            bool all = sl_http_path_reads(patterns[i], path, false);
            bool one = sl_http_path_reads(patterns[i], path, true);
            for (unsigned drop = 0; drop < 256; drop++) {
                char read[16];
                size_t len = 0;
                for (size_t k = 0; path[k] != '\0'; k++) {
                    bool repeated = len > 0 && read[len - 1] == '/' && path[k] == '/';
                    if (!repeated || (drop >> k & 1) == 0) {
                        read[len++] = path[k];
                    }
                }
                read[len] = '\0';
                bool met = sl_http_path_match(patterns[i], read);
                if ((all && !met) || (met && !one)) {
                    fail_msg("'%s' and '%s', read as '%s'", patterns[i], path, read);
                }
            }
        }
    }
}

/* What cannot be followed is denied. */
static void test_too_much(void **state)
{
    char pattern[512] = "/";
    char path[512] = "//";
    (void)state;
    for (size_t i = 0; i < 100; i++) {
        memcpy(pattern + 1 + 2 * i, "a*", 3);
        memcpy(path + 2 + 2 * i, "aa", 3);
    }
    assert_false(sl_http_path_reads(pattern, path, false));
    assert_true(sl_http_path_reads(pattern, path, true));
}

static void test_odd(void **state)
{
    static const char *const odd[] = {"/a//b", "/a%2Fb", "/a%5Cb", "/a%25",
                                      "/a;b",  "/a%3Bb", "/a%",    "/a%3Fb"};
    static const char *const plain[] = {"/", "/a/b", "/a%20b", "/%C3%A9", "/a.b/~c"};
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(odd); i++) {
        assert_true(sl_http_path_is_odd(odd[i]));
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(plain); i++) {
        assert_false(sl_http_path_is_odd(plain[i]));
        assert_false(sl_http_path_is_unclear(plain[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_readings),
        cmocka_unit_test(test_both_matchers_agree),
        cmocka_unit_test(test_merging_written_out),
        cmocka_unit_test(test_too_much),
        cmocka_unit_test(test_odd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
