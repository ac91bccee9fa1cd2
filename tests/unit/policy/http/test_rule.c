/* The grammar of HTTP rules, its errors, and the comparison of one request with one rule. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "alloc.h"
#include "core/util.h"
#include "policy/http/rule.h"

static sl_http_rule must_parse(const char *text)
{
    sl_http_rule rule = {0};
    sl_error err;
    if (sl_http_rule_parse(text, &rule, &err) < 0) {
        fail_msg("%s", err.message);
    }
    return rule;
}

static void test_http_grammar(void **state)
{
    (void)state;
    sl_http_rule r = must_parse("https://GET,HEAD API.example.com:8443/v1/%7ea/*?a=b&c=d%20e+f");
    assert_int_equal(r.scheme, SL_HTTP_SCHEME_HTTPS);
    assert_false(r.any_method);
    assert_int_equal(r.method_count, 2);
    assert_string_equal(r.methods[1], "HEAD");
    assert_int_equal(r.host.kind, SL_HOST_NAME);
    assert_string_equal(r.host.name, "api.example.com");
    assert_int_equal(r.port, 8443);
    assert_string_equal(r.path, "/v1/~a/*");
    assert_int_equal(r.query.count, 2);
    assert_string_equal(r.query.items[1], "c=d e f");
    sl_http_rule_done(&r);
    r = must_parse("* *");
    assert_true(r.any_method);
    assert_int_equal(r.host.kind, SL_HOST_ANY);
    assert_int_equal(r.port, 0);
    assert_null(r.path);
    sl_http_rule_done(&r);
    r = must_parse("GET http://[2001:db8::1]:80/x");
    assert_int_equal(r.scheme, SL_HTTP_SCHEME_HTTP);
    assert_int_equal(r.host.kind, SL_HOST_CIDR);
    assert_int_equal(r.port, 80);
    sl_http_rule_done(&r);
    r = must_parse("GET   example.com/caf\xc3\xa9"); /* written as people write */
    assert_string_equal(r.path, "/caf%C3%A9");
    sl_http_rule_done(&r);
    r = must_parse("PROPFIND example.com?x=1");
    assert_null(r.path);
    assert_int_equal(r.query.count, 1);
    sl_http_rule_done(&r);
}

static void test_http_errors(void **state)
{
    static const struct {
        const char *text;
        const char *message;
    } cases[] = {
        {"", "expected 'METHOD host"},
        {"api.example.com/v1/*", "expected 'METHOD host"},
        {"GET", "expected 'METHOD host"},
        {"GET ", "the host is missing"},
        {" GET a.test", "is not a method"},
        {"get a.test", "write 'GET'"},
        {"GET,post a.test", "write 'POST'"},
        {"GET, a.test", "'' is not a method"},
        {"G\x01T a.test", "is not a method"},
        {"GET,* a.test", "'*' is not a method"},
        {"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG a.test", "is not a method"},
        {"A,B,C,D,E,F,G,H,I,J,K,L,M,N,O,P,Q a.test", "more than 16 methods"},
        {"GET /v1", "the host is missing"},
        {"GET a.test:0", "'0' is not a port"},
        {"GET a.test:65536", "'65536' is not a port"},
        {"GET a.test:", "'' is not a port"},
        {"GET a.test:80,81", "one port or none"},
        {"GET a.test:80-81", "one port or none"},
        {"GET 010.0.0.1", "is not an address"},
        {"GET 10.0.0.0/8", NULL}, /* the address 10.0.0.0 with the path /8 */
        {"GET ::1/x", "in brackets"},
        {"GET [::1/x", "is not an address"},
        {"GET [::1]x", "expected ':port' or a path"},
        {"GET a.test/x y", "no request can have the path"},
        {"GET a.test/x\\y", "no request can have the path"},
        {"GET a.test/x%2f../y", "servers differ in what the path"},
        {"GET a.test/%zz", "servers differ in what the path"},
        {"GET a.test/..;x/y", "servers differ in what the path"},
        {"GET u.test/https://x/*", NULL},
        {"GET s3.test/100%25", NULL},
        {"GET a.test/\xff", "no request can have the path"},
        {"GET a.test/#x", "fragment"},
        {"GET a.test/a/**/../b", "'*' cannot stand with"},
        {"GET a.test?", "expected 'key=value'"},
        {"GET a.test?key", "expected 'key=value'"},
        {"GET a.test?=x", "expected 'key=value'"},
        {"GET a.test?a=1&", "expected 'key=value'"},
        {"GET a.test?a=*", "compared exactly"},
        {"GET a.test?a=%00", "expected 'key=value'"},
        {"GET a.test?a%3D=x", "expected 'key=value'"},
        {"https://GET http://a.test", "written twice"},
        {"GET ftp://a.test", "is not a port"},
        {"GET b\xc3\xbc"
         "cher.example",
         "A-label"},
        {"GET *.*.test", "'*' stands alone"},
    };
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        sl_http_rule rule = {0};
        sl_error err = {0};
        int r = sl_http_rule_parse(cases[i].text, &rule, &err);
        if (cases[i].message == NULL) {
            assert_int_equal(r, 0);
            sl_http_rule_done(&rule);
            continue;
        }
        if (r != -EINVAL || strstr(err.message, cases[i].message) == NULL ||
            err.kind != SL_ERROR_USAGE || strstr(err.message, "HTTP rule") == NULL) {
            fail_msg("'%s': %d '%s'", cases[i].text, r, err.message);
        }
    }
    char big[SL_HTTP_RULE_MAX + 8];
    memset(big, 'a', sizeof(big));
    memcpy(big, "GET a/", 6);
    big[sizeof(big) - 1] = '\0';
    sl_http_rule rule = {0};
    sl_error err;
    assert_int_equal(sl_http_rule_parse(big, &rule, &err), -EINVAL);
    big[SL_HTTP_RULE_MAX] = '\0';
    assert_int_equal(sl_http_rule_parse(big, &rule, &err), 0);
    sl_http_rule_done(&rule);
}

/* ---- comparison ---- */

struct request {
    const char *rule;
    const char *method;
    const char *host;
    const char *addr; /* of a flow to a literal */
    uint16_t port;
    const char *path;
    const char *query;
    unsigned missing; /* parts that must not agree */
};

static unsigned compare(const struct request *q, bool *ret_denies)
{
    sl_http_rule rule = must_parse(q->rule);
    sl_addr other;
    sl_http_view view = {.tls = q->port == 443,
                         .method = q->method,
                         .host = q->host,
                         .host_is_addr = sl_addr_parse(q->host, &other) == 0,
                         .port = q->port,
                         .path = q->path,
                         .query = q->query};
    if (q->addr != NULL) {
        assert_int_equal(sl_addr_parse(q->addr, &view.addr), 0);
    }
    bool is_http = q->port == 80 || q->port == 443;
    unsigned parts = sl_http_rule_match(&rule, &view, is_http);
    *ret_denies = sl_http_rule_denies(&rule, &view, is_http);
    sl_http_rule_done(&rule);
    return parts;
}

static void test_match(void **state)
{
    static const struct request requests[] = {
        {"GET a.test", "GET", "a.test", NULL, 443, "/x", NULL, 0},
        {"GET a.test", "HEAD", "a.test", NULL, 443, "/x", NULL, 0},
        {"HEAD a.test", "GET", "a.test", NULL, 443, "/x", NULL, SL_HTTP_PART_METHOD},
        {"GET a.test", "get", "a.test", NULL, 443, "/x", NULL, SL_HTTP_PART_METHOD},
        {"GET a.test", "POST", "a.test", NULL, 443, "/x", NULL, SL_HTTP_PART_METHOD},
        {"GET,POST a.test", "POST", "a.test", NULL, 80, "/", NULL, 0},
        {"* a.test", "ANYTHING", "a.test", NULL, 80, "/", NULL, 0},
        {"GET a.test", "GET", "b.test", NULL, 443, "/", NULL, SL_HTTP_PART_HOST},
        {"GET *.a.test", "GET", "x.y.a.test", NULL, 443, "/", NULL, 0},
        {"GET *.a.test", "GET", "a.test", NULL, 443, "/", NULL, SL_HTTP_PART_HOST},
        {"GET a.test", "GET", "a.test", NULL, 8080, "/", NULL, SL_HTTP_PART_PORT},
        {"GET a.test:8080", "GET", "a.test", NULL, 8080, "/", NULL, 0},
        {"GET a.test:8080", "GET", "a.test", NULL, 80, "/", NULL, SL_HTTP_PART_PORT},
        {"https://GET a.test", "GET", "a.test", NULL, 80, "/", NULL, SL_HTTP_PART_SCHEME},
        {"http://GET a.test", "GET", "a.test", NULL, 443, "/", NULL, SL_HTTP_PART_SCHEME},
        {"GET a.test/v1/*", "GET", "a.test", NULL, 443, "/v1/x", NULL, 0},
        {"GET a.test/v1/*", "GET", "a.test", NULL, 443, "/v2/x", NULL, SL_HTTP_PART_PATH},
        {"GET a.test/v1", "GET", "a.test", NULL, 443, "/V1", NULL, SL_HTTP_PART_PATH},
        {"OPTIONS a.test", "OPTIONS", "a.test", NULL, 80, "*", NULL, 0},
        {"OPTIONS a.test/*", "OPTIONS", "a.test", NULL, 80, "*", NULL, SL_HTTP_PART_PATH},
        /* literal addresses */
        {"GET 127.0.0.1", "GET", "127.0.0.1", "127.0.0.1", 80, "/", NULL, 0},
        {"GET 127.0.0.1", "GET", "localhost", "127.0.0.1", 80, "/", NULL, 0},
        {"GET 127.0.0.1", "GET", "127.0.0.1", "127.0.0.2", 80, "/", NULL, SL_HTTP_PART_HOST},
        {"GET localhost", "GET", "localhost", "127.0.0.1", 80, "/", NULL, 0},
        {"GET localhost", "GET", "127.0.0.1", "127.0.0.1", 80, "/", NULL, 0},
        {"GET localhost", "GET", "::1", "::1", 80, "/", NULL, 0},
        {"GET localhost", "GET", "localhost", "127.0.0.2", 80, "/", NULL, SL_HTTP_PART_HOST},
        {"GET localhost", "GET", "a.localhost", "127.0.0.1", 80, "/", NULL, SL_HTTP_PART_HOST},
        {"GET *.localhost", "GET", "a.localhost", "127.0.0.1", 80, "/", NULL, 0},
        {"GET *", "GET", "localhost", "127.0.0.1", 80, "/", NULL, SL_HTTP_PART_HOST},
        {"GET *", "GET", "169.254.169.254", "169.254.169.254", 80, "/", NULL, SL_HTTP_PART_HOST},
        {"GET *", "GET", "192.0.2.1", "192.0.2.1", 80, "/", NULL, 0},
        {"GET a.test", "GET", "a.test", "192.0.2.1", 80, "/", NULL, SL_HTTP_PART_HOST},
        {"GET 192.0.2.1", "GET", "a.test", "192.0.2.1", 80, "/", NULL, SL_HTTP_PART_HOST},
        {"GET 192.0.2.1", "GET", "192.0.2.1", NULL, 80, "/", NULL, SL_HTTP_PART_HOST},
    };
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(requests); i++) {
        const struct request *q = &requests[i];
        bool denies;
        unsigned parts = compare(q, &denies);
        if (parts != (SL_HTTP_PART_ALL & ~q->missing)) {
            fail_msg("'%s': %s %s:%u%s gives %#x", q->rule, q->method, q->host, q->port, q->path,
                     parts);
        }
        if (q->missing == 0 && !denies) {
            fail_msg("'%s' allows %s %s%s but would not deny it", q->rule, q->method, q->host,
                     q->path);
        }
    }
}

static void test_query(void **state)
{
    static const struct {
        const char *rule;
        const char *query;
        bool allows;
        bool denies;
    } cases[] = {
        {"GET a.test?k=v", NULL, false, false},
        {"GET a.test?k=v", "", false, false},
        {"GET a.test?k=v", "k=v", true, true},
        {"GET a.test?k=v", "x=1&k=v&y=2", true, true},
        {"GET a.test?k=v", "k=w", false, false},
        {"GET a.test?k=v", "K=v", false, false},
        {"GET a.test?k=v", "%6b=%76", true, true},
        {"GET a.test?k=a%20b", "k=a+b", true, true},
        {"GET a.test?k=a%20b", "k=a%20b", true, true},
        {"GET a.test?k=a%2Bb", "k=a+b", false, false},
        {"GET a.test?k=", "k", true, true},
        {"GET a.test?k=v", "k=v&k=w", false, true}, /* which one does the server believe? */
        {"GET a.test?k=v", "k=w&k=v", false, true},
        {"GET a.test?k=v", "k=v&%6b=w", false, true},
        {"GET a.test?k=v", "k=v&k=v", true, true},
        {"GET a.test?k=1&k=2", "k=2&k=1", true, true},
        {"GET a.test?k=1&k=2", "k=1", false, false},
        {"GET a.test?k=v", "x=1;k=v", false, true},
        {"GET a.test?a=1&b=2", "b=2&a=1", true, true},
        {"GET a.test?a=1&b=2", "a=1", false, false},
        {"GET a.test?k=v", "k=v%", false, false},
        {"GET a.test?k=v", "k=v%00", false, false},
    };
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        struct request q = {cases[i].rule, "GET", "a.test", NULL, 80, "/", cases[i].query, 0};
        bool denies;
        bool allows = compare(&q, &denies) == SL_HTTP_PART_ALL;
        if (allows != cases[i].allows || denies != cases[i].denies) {
            fail_msg("'%s' and '%s': allows %d denies %d", cases[i].rule,
                     cases[i].query == NULL ? "(none)" : cases[i].query, allows, denies);
        }
    }
}

static void test_deny_is_wide(void **state)
{
    static const struct request requests[] = {
        {"* 127.0.0.1", "GET", "0.0.0.0", "0.0.0.0", 80, "/", NULL, 0},
        {"* localhost", "GET", "127.0.0.2", "127.0.0.2", 80, "/", NULL, 0},
        {"* *", "GET", "169.254.169.254", "169.254.169.254", 80, "/", NULL, 0},
        {"* 10.0.0.1", "GET", "64:ff9b::a00:1", "64:ff9b::a00:1", 80, "/", NULL, 0},
        {"GET a.test/@x", "HEAD", "a.test", NULL, 80, "/%40x", NULL, 0},
    };
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(requests); i++) {
        bool denies;
        (void)compare(&requests[i], &denies);
        if (!denies) {
            fail_msg("'%s' does not deny %s", requests[i].rule, requests[i].host);
        }
    }
}

static void test_methods(void **state)
{
    char method[SL_HTTP_METHOD_MAX + 1];
    (void)state;
    assert_true(sl_http_method_valid("GET"));
    assert_true(sl_http_method_valid("M-SEARCH"));
    assert_true(sl_http_method_valid("!#$%&'*+-.^_`|~09Az"));
    assert_false(sl_http_method_valid(""));
    for (int c = 1; c < 256; c++) { /* RFC 9110 section 5.6.2 */
        char text[] = {'G', (char)c, '\0'};
        bool token = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     strchr("!#$%&'*+-.^_`|~", c) != NULL;
        assert_int_equal(sl_http_method_valid(text), token);
    }
    memset(method, 'A', sizeof(method));
    method[SL_HTTP_METHOD_MAX - 1] = '\0';
    assert_true(sl_http_method_valid(method));
    method[SL_HTTP_METHOD_MAX - 1] = 'A';
    method[SL_HTTP_METHOD_MAX] = '\0';
    assert_false(sl_http_method_valid(method));
}

static void test_http_no_memory(void **state)
{
    (void)state;
    for (unsigned n = 0;; n++) {
        sl_http_rule rule = {0};
        sl_error err = {0};
        alloc_fail(n);
        int r = sl_http_rule_parse("GET,HEAD https://a.test:8443/v1/*?a=b&c=d", &rule, &err);
        if (!alloc_failed()) {
            assert_int_equal(r, 0);
            assert_true(n > 3);
            sl_http_rule_done(&rule);
            return;
        }
        assert_int_equal(r, -ENOMEM);
        assert_int_equal(err.kind, SL_ERROR_SYSTEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http_grammar),   cmocka_unit_test(test_http_errors),
        cmocka_unit_test(test_match),          cmocka_unit_test(test_query),
        cmocka_unit_test(test_deny_is_wide),   cmocka_unit_test(test_methods),
        cmocka_unit_test(test_http_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
