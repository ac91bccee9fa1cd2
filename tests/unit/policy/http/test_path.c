/* The forms of a path, and path patterns. HTTP-04, HTTP-05, HTTP-06. */
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

/* The two forms of a path, or a failure of the test. */
static bool take(const char *text, char *normal, char *sent)
{
    sl_http_path p = {.normal = normal, .sent = sent};
    if (sl_http_path_normalise(text, strlen(text), &p) < 0) {
        fail_msg("'%s' was refused", text);
    }
    return p.unclear;
}

static void test_normal_form(void **state)
{
    static const struct {
        const char *written, *normal, *sent;
    } cases[] = {
        {"/", "/", "/"},
        {"//", "//", "//"},
        {"/a", "/a", "/a"},
        {"/a/", "/a/", "/a/"},
        {"/pub/../admin", "/admin", "/admin"},
        {"/pub/%2e%2e/admin", "/admin", "/admin"},
        {"/pub/.%2E/admin", "/admin", "/admin"},
        {"/a//b", "/a//b", "/a//b"},
        {"/u/https://x/", "/u/https://x/", "/u/https://x/"},
        {"/a/./b", "/a/b", "/a/b"},
        {"/a/%2E/b", "/a/b", "/a/b"},
        {"/a/.", "/a/", "/a/"},
        {"/a/..", "/", "/"},
        {"/a/b/..", "/a/", "/a/"},
        {"/..", "/", "/"},
        {"/../../etc", "/etc", "/etc"},
        {"/%61/%62/../c", "/a/c", "/%61/c"},
        {"/a/...", "/a/...", "/a/..."},
        {"/a/..b", "/a/..b", "/a/..b"},
        {"/%7Euser/%41", "/~user/A", "/%7Euser/%41"},
        {"/a%3bb", "/a%3Bb", "/a%3bb"},
        {"/a;x=1", "/a;x=1", "/a;x=1"},
        {"/a%20b", "/a%20b", "/a%20b"},
        {"/%c3%a9", "/%C3%A9", "/%c3%a9"},
        {"/%f0%9f%92%a9", "/%F0%9F%92%A9", "/%f0%9f%92%a9"},
        {"/a%3Fb", "/a%3Fb", "/a%3Fb"},
        {"/a%23b", "/a%23b", "/a%23b"},
        {"/@scope/pkg", "/@scope/pkg", "/@scope/pkg"},
        {"/@scope%2fpkg", "/@scope%2Fpkg", "/@scope%2fpkg"}, /* as npm asks */
        {"/a%2Fb%2fc", "/a%2Fb%2Fc", "/a%2Fb%2fc"},
        {"//a%2fb//c/", "//a%2Fb//c/", "//a%2fb//c/"},
        {"/a%2f...", "/a%2F...", "/a%2f..."},
        {"/a%2f", "/a%2F", "/a%2f"},
        {"/%2fa", "/%2Fa", "/%2fa"},
        {"/a%2f/b", "/a%2F/b", "/a%2f/b"},
        {"/%61%2f%7e", "/a%2F~", "/%61%2f%7e"},
        {"/100%25", "/100%25", "/100%25"},
        {"/50%25%20off", "/50%25%20off", "/50%25%20off"},
        {"/a%252fb", "/a%252fb", "/a%252fb"}, /* what it is the second time is not touched */
        {"/a%5cb", "/a%5Cb", "/a%5cb"},
        {"/a:b,c$d!e'(f)*g+h=i&j", "/a:b,c$d!e'(f)*g+h=i&j", "/a:b,c$d!e'(f)*g+h=i&j"},
    };
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        size_t room = strlen(cases[i].written) + 2; /* exactly what the header asks for */
        sl_autofree char *normal = malloc(room);
        sl_autofree char *sent = malloc(room);
        sl_autofree char *again = malloc(room);
        assert_true(normal != NULL && sent != NULL && again != NULL);
        if (take(cases[i].written, normal, sent)) {
            fail_msg("'%s' is said to be unclear", cases[i].written);
        }
        assert_string_equal(normal, cases[i].normal);
        assert_string_equal(sent, cases[i].sent);
        /* The normal form is its own, and that of what is sent. */
        assert_false(take(normal, again, NULL));
        assert_string_equal(again, normal);
        assert_false(take(sent, again, NULL));
        assert_string_equal(again, normal);
    }
}

/* Readings that cannot be told one by one: dots that appear late, or took a doubtful segment. */
static void test_unclear(void **state)
{
    static const struct {
        const char *written, *sent;
    } cases[] = {
        {"/a%", "/a%"},
        {"/a%2", "/a%2"},
        {"/a%zz", "/a%zz"},
        {"/a%u002e", "/a%u002e"},
        {"/%%32%66", "/%%32%66"},
        {"/a%25u002f", "/a%25u002f"},
        {"/a%25%252f", "/a%25%252f"},
        {"/a%252%2566", "/a%252%2566"},
        {"/a%252525252525", "/a%252525252525"},
        {"/a%25c0%25ae", "/a%25c0%25ae"},
        {"/a%2500", "/a%2500"},
        {"/a//../b", "/a/b"},
        {"//..", "/"},
        {"/a%2fb/../c", "/c"},
        {"/a;x/../c", "/c"},
        {"/a%2f.", "/a%2f."},
        {"/a%2f..", "/a%2f.."},
        {"/..%2fa", "/..%2fa"},
        {"/.%2fa", "/.%2fa"},
        {"/%2e%2e%2fa", "/%2e%2e%2fa"},
        {"/..%5ca", "/..%5ca"},
        {"/a%5c..%5cb", "/a%5c..%5cb"},
        {"/a/%252e%252e/b", "/a/%252e%252e/b"},
        {"/a/.%252e", "/a/.%252e"},
        {"/a%252f..", "/a%252f.."},
        {"/a%25252f..", "/a%25252f.."},
        {"/pub/..;/admin", "/pub/..;/admin"},
        {"/pub/.;x/a", "/pub/.;x/a"},
        {"/..;", "/..;"},
        {"/a/%2e%2e;x/b", "/a/%2e%2e;x/b"},
        {"/a/..%3b/b", "/a/..%3b/b"},
        {"/a/..%253b/b", "/a/..%253b/b"},
        {"/a/..%00x", NULL}, /* never */
        {"/a/..%3fx", "/a/..%3fx"},
    };
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        char normal[64];
        char sent[64];
        if (cases[i].sent == NULL) {
            sl_http_path p = {.normal = normal};
            assert_int_equal(sl_http_path_normalise(cases[i].written, strlen(cases[i].written), &p),
                             -EINVAL);
            continue;
        }
        if (!take(cases[i].written, normal, sent)) {
            fail_msg("'%s' is said to be clear: '%s'", cases[i].written, normal);
        }
        assert_string_equal(sent, cases[i].sent);
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
        "/a%2f%00",
        "/a%00",
        "/a%0a",
        "/a%0D",
        "/a%7f",
        "/\xc3\xa9",
        "/%c0%ae",
        "/%c0%af",
        "/%e0%80%ae",
        "/%80",
        "/%c3",
        "/%c3x",
        "/%c3%28",
        "/%c3/%a9",
        "/%ed%a0%80",
        "/%f4%90%80%80",
        "/%f5%80%80%80",
        "/%ff",
        "/a?b",
    };
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        char out[64];
        sl_http_path p = {.normal = out};
        if (sl_http_path_normalise(bad[i], strlen(bad[i]), &p) != -EINVAL) {
            fail_msg("'%s' was taken as '%s'", bad[i], out);
        }
    }
    char out[8];
    sl_http_path p = {.normal = out};
    assert_int_equal(sl_http_path_normalise("/a\0b", 4, &p), -EINVAL);
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
        if (sl_http_path_match(cases[i].pattern, cases[i].path) != cases[i].matches) {
            fail_msg("'%s' and '%s': expected %d", cases[i].pattern, cases[i].path,
                     cases[i].matches);
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
            if (sl_http_path_match(pattern, path) != fits) {
                fail_msg("'%s' and '%s' disagree", pattern, path);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_normal_form),
        cmocka_unit_test(test_unclear),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_patterns_exhaustively),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
