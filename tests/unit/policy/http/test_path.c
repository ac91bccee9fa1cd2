/* The one normal form of a path, and path patterns. HTTP-04, HTTP-05, HTTP-06. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/util.h"
#include "policy/http/path.h"
#include "policy/http/rule.h"

static void test_normal_form(void **state)
{
    static const char *const pairs[][2] = {
        {"/", "/"},
        {"//", "/"},
        {"/a", "/a"},
        {"/a/", "/a/"},
        {"/pub/../admin", "/admin"},
        {"/pub/%2e%2e/admin", "/admin"},
        {"/pub/.%2E/admin", "/admin"},
        {"/a//b", "/a/b"},
        {"/a/./b", "/a/b"},
        {"/a/%2E/b", "/a/b"},
        {"/a/.", "/a/"},
        {"/a/..", "/"},
        {"/a/b/..", "/a/"},
        {"/..", "/"},
        {"/../../etc", "/etc"},
        {"/a//../b", "/b"},
        {"/a/...", "/a/..."},
        {"/a/..b", "/a/..b"},
        {"/%7Euser/%41", "/~user/A"},
        {"/a%3bb", "/a%3Bb"},
        {"/a;x=1", "/a;x=1"},
        {"/a%20b", "/a%20b"},
        {"/%c3%a9", "/%C3%A9"},
        {"/%f0%9f%92%a9", "/%F0%9F%92%A9"},
        {"/a%3Fb", "/a%3Fb"},
        {"/a%23b", "/a%23b"},
        {"/@scope/pkg", "/@scope/pkg"},
        {"/@scope%2fpkg", "/@scope%2Fpkg"}, /* as npm asks */
        {"/a%2Fb%2fc", "/a%2Fb%2Fc"},
        {"//a%2fb//c/", "/a%2Fb/c/"},
        {"/a%2f...", "/a%2F..."},
        {"/%61%2f%7e", "/a%2F~"},
        {"/a:b,c$d!e'(f)*g+h=i&j", "/a:b,c$d!e'(f)*g+h=i&j"},
    };
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(pairs); i++) {
        size_t len = strlen(pairs[i][0]);
        sl_autofree char *out = malloc(len + 2); /* exactly what the header asks for */
        assert_non_null(out);
        int n = sl_http_path_normalise(pairs[i][0], len, out);
        if (n < 0) {
            fail_msg("'%s' was refused", pairs[i][0]);
        }
        assert_string_equal(out, pairs[i][1]);
        assert_int_equal((size_t)n, strlen(pairs[i][1]));
        /* The normal form is its own normal form. */
        sl_autofree char *again = malloc((size_t)n + 2);
        assert_non_null(again);
        assert_int_equal(sl_http_path_normalise(out, (size_t)n, again), n);
        assert_string_equal(again, out);
    }
}

static void test_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "a",
        "*",
        "/a b",
        "/a\tb",
        "/a\x7f",
        "/a\x01",
        "/a\\b",
        "/a#b",
        "/admin#/../pub",
        "/a%2f",
        "/%2fa",
        "/%2F",
        "/a/%2fb",
        "/a%2f/b",
        "/a%2f%2Fb",
        "/a%2f.",
        "/a%2f..",
        "/..%2fa",
        "/.%2fa",
        "/%2e%2e%2fa",
        "/a%2f%2e%2e%2fb",
        "/a%2F..;x%2fb",
        "/a%2f..%3bx",
        "/a%2fb/../c",
        "/a/./b%2fc",
        "/a%252fb",
        "/a%2f%5cb",
        "/a%2f%00",
        "/a%5cb",
        "/a%252e",
        "/a%25",
        "/a%00",
        "/a%0a",
        "/a%0D",
        "/a%7f",
        "/a%",
        "/a%2",
        "/a%zz",
        "/a%2x",
        "/\xc3\xa9",
        "/%c0%ae",
        "/%c0%af",
        "/%e0%80%ae",
        "/%80",
        "/%c3",
        "/%c3x",
        "/%c3%28",
        "/%ed%a0%80",
        "/%f4%90%80%80",
        "/%f5%80%80%80",
        "/%ff",
        "/pub/..;/admin",
        "/pub/.;x/a",
        "/..;",
        "/a/%2e%2e;x/b",
        "/a/..%3b/b",
        "/a?b",
    };
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        char out[64];
        if (sl_http_path_normalise(bad[i], strlen(bad[i]), out) != -EINVAL) {
            fail_msg("'%s' was taken as '%s'", bad[i], out);
        }
    }
    char out[8];
    assert_int_equal(sl_http_path_normalise("/a\0b", 4, out), -EINVAL);
}

static void test_patterns(void **state)
{
    static const struct {
        const char *pattern;
        const char *path;
        bool matches;
    } cases[] = {
        {"/", "/", true},
        {"/", "/a", false},
        {"/a", "/a", true},
        {"/a", "/A", false},
        {"/a", "/a/", false},
        {"/v1/*", "/v1/", true},
        {"/v1/*", "/v1/a/b/c", true},
        {"/v1/*", "/v1", false},
        {"/v1/*", "/v10", false},
        {"/v1*", "/v10/a", true},
        {"/*", "/anything/at/all", true},
        {"/a/*/c", "/a/b/c", true},
        {"/a/*/c", "/a//c", true},
        {"/a/*/c", "/a/b/x/c", false},
        {"/a/*.json", "/a/b.json", true},
        {"/a/*.json", "/a/b/c.json", false},
        {"/a/x*y*z", "/a/x1y2y3z", true},
        {"/a/x*y*z", "/a/x1y2/z", false},
        {"/repos/*/pulls/*/files", "/repos/r/pulls/1/files", true},
        {"/repos/*/pulls/*/files", "/repos/r/s/pulls/1/files", false},
        {"/a/**/z", "/a/b/c/z", true},
        {"/a/**/z", "/a/z", true},
        {"/a/**/z", "/a/bz", false},
        {"/a/**/z", "/az", false},
        {"/a/**z", "/a/b/cz", true},
        {"/**/info/refs", "/org/repo.git/info/refs", true},
        {"/**/info/refs", "/info/refs", true},
        {"/**/info/refs", "/xinfo/refs", false},
        {"/**/a/*/b", "/a/x/a/y/b", true},
        {"/**/a/*/b", "/a/x/y/a/b", false},
        {"/a/**/b/**/c", "/a/1/b/2/3/b/c", true},
        {"/a/**", "/a/", true},
        {"/a/**", "/a/b/c", true},
        {"/@org/*", "/%40org/pkg", true}, /* the same character */
        {"/%40org/*", "/@org/pkg", true},
        {"/a%2Ab", "/a*b", true}, /* a coded star is a star */
        {"/a%2Ab", "/axb", false},
        {"/a%3Fb", "/a%3Fb", true},
        {"/caf%C3%A9", "/caf%C3%A9", true},
        {"/*", "*", false}, /* OPTIONS * */
    };
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        if (sl_http_path_match(cases[i].pattern, cases[i].path, SL_HTTP_WRITTEN) !=
                cases[i].matches ||
            sl_http_path_match(cases[i].pattern, cases[i].path, SL_HTTP_DECODED) !=
                cases[i].matches) {
            fail_msg("'%s' and '%s': expected %d", cases[i].pattern, cases[i].path,
                     cases[i].matches);
        }
    }
}

static void test_readings(void **state)
{
    static const struct {
        const char *pattern;
        const char *path;
        bool written;
        bool decoded;
    } cases[] = {
        {"/@s/pkg", "/@s%2Fpkg", false, true},
        {"/@s%2Fpkg", "/@s%2Fpkg", true, true},
        {"/@s%2Fpkg", "/@s/pkg", false, true},
        {"/@s%2F*", "/@s%2Fpkg", true, true},
        {"/@s%2F*", "/@other%2Fpkg", false, false},
        {"/@s/*", "/@s%2Fpkg", false, true},
        {"/@s*", "/@s%2Fpkg", true, true},
        {"/*", "/@s%2Fpkg", true, true},
        {"/a/*/c", "/a/x%2Fy/c", true, false},
        {"/a/*/c", "/a%2Fx/c", false, true},
        {"/*/c", "/a%2Fb/c", true, false},
        {"/projects/42/*", "/projects/42%2Fother", false, true},
        {"/a/**/z", "/a/b%2Fz", false, true},
        {"/a/**/z", "/a/b%2Fc/z", true, true},
        {"/a%2F**%2Fz", "/a%2Fb/c%2Fz", true, true},
        {"/a%2F**%2Fz", "/a%2Fz", false, true},
        {"/**b", "/a%2Fb", true, true},
        {"/*b", "/a%2Fb", true, false},
    };
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        const char *pattern = cases[i].pattern;
        const char *path = cases[i].path;
        if (sl_http_path_match(pattern, path, SL_HTTP_WRITTEN) != cases[i].written ||
            sl_http_path_match(pattern, path, SL_HTTP_DECODED) != cases[i].decoded) {
            fail_msg("'%s' and '%s': expected %d and %d", pattern, path, cases[i].written,
                     cases[i].decoded);
        }
    }
}

/* The plainest definition there is, for short words: the fast matcher must agree with it. */
static bool slow_match(const char *p, const char *start, const char *t)
{
    if (*p == '\0') {
        return *t == '\0';
    }
    if (p[0] == '*' && (p[1] == '*' || p[1] == '\0')) {
        const char *rest = p + (p[1] == '*' ? 2 : 1);
        if (p[1] == '*' && p > start && p[-1] == '/' && *rest == '/') {
            for (const char *s = t; s != NULL; s = strchr(s, '/'), s = s == NULL ? NULL : s + 1) {
                if (slow_match(rest + 1, start, s)) {
                    return true;
                }
            }
            return false;
        }
        for (;; t++) {
            if (slow_match(rest, start, t)) {
                return true;
            }
            if (*t == '\0') {
                return false;
            }
        }
    }
    if (p[0] == '*') {
        for (;; t++) {
            if (slow_match(p + 1, start, t)) {
                return true;
            }
            if (*t == '\0' || *t == '/') {
                return false;
            }
        }
    }
    return *p == *t && slow_match(p + 1, start, t + 1);
}

/* Word number `n` over the alphabet, behind a slash. */
static void word(unsigned n, const char *alphabet, char *out)
{
    size_t k = strlen(alphabet);
    *out++ = '/';
    for (; n > 0; n /= (unsigned)k) {
        n--;
        *out++ = alphabet[n % k];
    }
    *out = '\0';
}

static void test_patterns_exhaustively(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 364; i++) { /* up to 5 characters of 3 */
        char pattern[16];
        word(i, "a*/", pattern);
        for (unsigned j = 0; j < 127; j++) { /* up to 6 of 2 */
            char path[16];
            word(j, "a/", path);
            bool fits = slow_match(pattern, pattern, path);
            if (sl_http_path_match(pattern, path, SL_HTTP_WRITTEN) != fits ||
                sl_http_path_match(pattern, path, SL_HTTP_DECODED) != fits) {
                fail_msg("'%s' and '%s' disagree", pattern, path);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_normal_form),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_readings),
        cmocka_unit_test(test_patterns_exhaustively),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
