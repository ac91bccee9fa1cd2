/* Verdicts on requests: order of rules, the nearest rule, the flag that would allow it. HTTP-19. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/util.h"
#include "policy/verdict.h"

static sl_policy *make(const char *const *words)
{
    sl_policy *p = sl_policy_new();
    sl_error err;
    assert_non_null(p);
    for (; words[0] != NULL; words += 2) {
        const sl_field *field = sl_field_by_name(words[0]);
        assert_non_null(field);
        if (sl_policy_set(p, field, words[1], &err) < 0) {
            fail_msg("%s", err.message);
        }
    }
    assert_int_equal(sl_policy_freeze(p, &err), 0);
    return p;
}

#define POLICY(...) make((const char *const[]){__VA_ARGS__, NULL})

/* A request on a flow to its host; an address is a flow to a literal. */
static sl_http_verdict ask_query(const sl_policy *p, const char *method, const char *host,
                                 uint16_t port, const char *path, const char *query)
{
    sl_http_view view = {.tls = port == 443,
                         .method = method,
                         .host = host,
                         .port = port,
                         .path = path,
                         .query = query};
    sl_http_verdict v;
    view.host_is_addr = sl_addr_parse(host, &view.addr) == 0;
    sl_policy_judge_http(p, &view, &v);
    assert_true(v.allow || v.reason != NULL);
    return v;
}

static sl_http_verdict ask(const sl_policy *p, const char *method, const char *host, uint16_t port,
                           const char *path)
{
    return ask_query(p, method, host, port, path, NULL);
}

static void test_order(void **state)
{
    (void)state;
    SL_AUTO(sl_policy)
    p = POLICY("http_allow", "GET api.test/*", "http_deny", "* api.test/admin*", "http_allow",
               "GET api.test/admin/ok");
    assert_true(ask(p, "GET", "api.test", 443, "/x").allow);
    assert_true(ask(p, "HEAD", "api.test", 443, "/x").allow);
    sl_http_verdict v = ask(p, "GET", "api.test", 443, "/admin/ok");
    assert_false(v.allow); /* a deny rule wins over a longer allow rule */
    assert_string_equal(v.reason, "denied_by_rule");
    assert_string_equal(v.rule, "* api.test/admin*");
    assert_null(v.nearest);
    assert_string_equal(v.allow_with, ""); /* no flag would */
    assert_string_equal(ask(p, "GET", "api.test", 443, "/x").rule, "GET api.test/*");
    assert_false(ask(p, "GET", "b.test", 443, "/x").allow);
    assert_false(ask(p, "get", "api.test", 443, "/x").allow);
}

/* HTTP-04: allowed only if it is under both readings, denied if it is under one. */
static void test_encoded_slash(void **state)
{
    (void)state;
    SL_AUTO(sl_policy)
    p = POLICY("http_allow", "GET npm.test/@team%2F*", "http_allow", "GET npm.test/@team/*",
               "http_allow", "GET git.test/projects/42/*", "http_allow", "GET all.test/*",
               "http_deny", "* all.test/admin/*", "http_deny", "* all.test/*/secret", "http_deny",
               "* all.test/top%2Fsecret");
    assert_true(ask(p, "GET", "npm.test", 443, "/@team%2Fgreet").allow);
    assert_true(ask(p, "GET", "npm.test", 443, "/@team/greet/-/greet-1.0.0.tgz").allow);
    sl_http_verdict v = ask(p, "GET", "npm.test", 443, "/@other%2Fgreet");
    assert_false(v.allow);
    assert_string_equal(v.reason, "path");
    assert_string_equal(v.allow_with, "--http-allow 'GET npm.test/@other%2Fgreet'");
    /* To a server that keeps the code this is project "42/other", not a part of project 42. */
    assert_false(ask(p, "GET", "git.test", 443, "/projects/42%2Fother").allow);
    assert_true(ask(p, "GET", "git.test", 443, "/projects/42/x%2Fy").allow);

    assert_true(ask(p, "GET", "all.test", 443, "/a%2Fb").allow);
    assert_false(ask(p, "GET", "all.test", 443, "/admin%2Fx").allow);    /* decoded */
    assert_false(ask(p, "GET", "all.test", 443, "/a%2Fb/secret").allow); /* written */
    assert_false(ask(p, "GET", "all.test", 443, "/top/secret").allow);
    assert_false(ask(p, "GET", "all.test", 443, "/top%2Fsecret").allow);
}

static void test_nearest(void **state)
{
    static const struct {
        const char *method, *host;
        uint16_t port;
        const char *path, *nearest, *reason;
    } cases[] = {
        {"POST", "api.test", 443, "/v1/models", "GET api.test/v1/*", "method"},
        {"GET", "api.test", 443, "/v2/models", "GET api.test/v1/*", "path"},
        {"POST", "api.test", 443, "/v1/chat/other", "GET api.test/v1/*", "method"},
        {"PUT", "api.test", 443, "/v1/chat", "POST api.test/v1/chat", "method"},
        {"POST", "api.test", 443, "/w", "POST api.test/v1/chat", "path"},
        {"GET", "api.test", 8080, "/v1/x", "GET api.test/v1/*", "port"},
        {"GET", "sec.test", 80, "/", "https://GET sec.test", "scheme"},
        {"GET", "www.api.test", 443, "/v1/x", "GET api.test/v1/*", "host"},
        {"GET", "apj.test", 443, "/v1/x", "GET api.test/v1/*", "host"},
        {"GET", "unrelated.example", 443, "/v1/x", NULL, "host"},
        {"GET", "q.test", 443, "/", "GET q.test?k=v", "query"},
    };
    (void)state;
    SL_AUTO(sl_policy)
    p = POLICY("http_allow", "POST api.test/v1/chat", "http_allow", "GET api.test/v1/*",
               "http_allow", "https://GET sec.test", "http_allow", "GET q.test?k=v");
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        sl_http_verdict v = ask(p, cases[i].method, cases[i].host, cases[i].port, cases[i].path);
        assert_false(v.allow);
        if (strcmp(v.reason, cases[i].reason) != 0 ||
            strcmp(v.nearest == NULL ? "" : v.nearest,
                   cases[i].nearest == NULL ? "" : cases[i].nearest) != 0) {
            fail_msg("case %zu: '%s', nearest '%s'", i, v.reason,
                     v.nearest == NULL ? "(none)" : v.nearest);
        }
    }
    SL_AUTO(sl_policy) none = POLICY("http_allow", "");
    sl_http_verdict v = ask(none, "GET", "a.test", 443, "/");
    assert_string_equal(v.reason, "no_rule");
    assert_null(v.nearest);
}

static void test_allow_with(void **state)
{
    static const struct {
        const char *method, *host;
        uint16_t port;
        const char *path, *flag;
    } cases[] = {
        {"POST", "api.openai.com", 443, "/v1/files", "--http-allow 'POST api.openai.com/v1/files'"},
        {"GET", "a.test", 8080, "/", "--http-allow 'GET a.test:8080/'"},
        {"GET", "2001:db8::1", 80, "/x", "--http-allow 'GET [2001:db8::1]/x'"},
        {"GET", "192.0.2.1", 81, "/x", "--http-allow 'GET 192.0.2.1:81/x'"},
        {"GET", "a.test", 443, "/it's", "--http-allow 'GET a.test/it'\\''s'"},
        {"GET", "a.test", 443, "/a*b", "--http-allow 'GET a.test/a%2Ab'"},
        {"GET", "a.test", 443, "/$(id)`x`;&|", "--http-allow 'GET a.test/$(id)`x`;&|'"},
        {"OPTIONS", "a.test", 443, "*", "--http-allow 'OPTIONS a.test'"},
        {"X-ODD!", "a.test", 443, "/", "--http-allow 'X-ODD! a.test/'"},
        {"BAD METHOD", "a.test", 443, "/", ""},
        {"BAD\x1b[0m", "a.test", 443, "/", ""},
    };
    (void)state;
    SL_AUTO(sl_policy) p = POLICY("http_allow", "GET other.example");
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        sl_http_verdict v = ask(p, cases[i].method, cases[i].host, cases[i].port, cases[i].path);
        assert_false(v.allow);
        assert_string_equal(v.allow_with, cases[i].flag);
    }
}

/* What the shell makes of a quoted word of ours. */
static void unquote(const char *flag, char *out)
{
    bool quoted = false;
    for (; *flag != '\0'; flag++) {
        if (*flag == '\'') {
            quoted = !quoted;
        } else if (!quoted && *flag == '\\') {
            *out++ = *++flag;
        } else {
            *out++ = *flag;
        }
    }
    *out = '\0';
}

static void test_advice_helps(void **state)
{
    static const char *const paths[] = {"/v1/files", "/it's", "/a*b",        "/%C3%A9",
                                        "/a%3Fb",    "/@x/y", "/a;b=c,d",    "/",
                                        "/a/",       "*",     "/\"<>[]{}|^`"};
    char big[2048];
    (void)state;
    memset(big, 'x', sizeof(big));
    big[0] = '/';
    big[sizeof(big) - 1] = '\0';
    SL_AUTO(sl_policy) p = POLICY("http_allow", "GET other.example");
    for (size_t i = 0; i <= SL_ARRAY_LEN(paths); i++) {
        const char *path = i == SL_ARRAY_LEN(paths) ? big : paths[i];
        char rule[SL_SUGGESTION_MAX];
        sl_http_verdict v = ask(p, "POST", "a.test", 8443, path);
        assert_false(v.allow);
        assert_memory_equal(v.allow_with, "--http-allow ", 13);
        unquote(v.allow_with + 13, rule);
        SL_AUTO(sl_policy) better = POLICY("http_allow", rule);
        if (!ask(better, "POST", "a.test", 8443, path).allow) {
            fail_msg("%s does not allow '%.100s'", v.allow_with, path);
        }
    }
}

static void test_deny_only(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) p = POLICY("http_deny", "DELETE api.test", "http_deny", "* *.evil.test");
    assert_true(ask(p, "GET", "api.test", 443, "/").allow);
    assert_true(ask(p, "DELETE", "other.test", 443, "/").allow);
    assert_false(ask(p, "DELETE", "api.test", 443, "/").allow);
    assert_false(ask(p, "GET", "a.evil.test", 443, "/").allow);
    assert_true(ask(p, "GET", "127.0.0.1", 80, "/").allow);
    assert_false(ask(p, "GET", "169.254.169.254", 80, "/latest/meta-data").allow);
    assert_false(ask(p, "GET", "other.test", 8080, "/").allow);
}

static void test_beside_net_rules(void **state)
{
    (void)state;
    SL_AUTO(sl_policy)
    p = POLICY("http_allow", "GET api.test/*", "net_allow", "api.test:443", "net_allow",
               "raw.test:443", "http_deny", "DELETE raw.test");
    /* An HTTP allow rule narrows what the net rule grants; a deny rule takes away from it. */
    assert_false(ask(p, "POST", "api.test", 443, "/").allow);
    assert_true(ask(p, "GET", "api.test", 443, "/").allow);
    assert_true(ask(p, "POST", "raw.test", 443, "/").allow);
    assert_string_equal(ask(p, "POST", "raw.test", 443, "/").rule, "raw.test:443");
    assert_false(ask(p, "DELETE", "raw.test", 443, "/").allow);
    assert_false(ask(p, "POST", "raw.test", 80, "/").allow);
    SL_AUTO(sl_policy) deny = POLICY("http_allow", "GET *", "net_deny", "evil.test");
    sl_http_verdict v = ask(deny, "GET", "evil.test", 443, "/");
    assert_false(v.allow);
    assert_string_equal(v.rule, "evil.test");
}

static void test_ports(void **state)
{
    (void)state;
    SL_AUTO(sl_policy)
    p = POLICY("http_allow", "GET a.test", "http_allow", "GET b.test:8080", "http_ports", "3000");
    assert_true(ask(p, "GET", "a.test", 80, "/").allow);
    assert_true(ask(p, "GET", "a.test", 443, "/").allow);
    assert_true(ask(p, "GET", "a.test", 3000, "/").allow);
    assert_false(ask(p, "GET", "a.test", 8080, "/").allow); /* that is b.test's */
    assert_true(ask(p, "GET", "b.test", 8080, "/").allow);
    assert_false(ask(p, "GET", "b.test", 80, "/").allow);
    /* TLS on 80 and clear text on 443 are not what a rule without a port means. */
    sl_http_view view = {.tls = true, .method = "GET", .host = "a.test", .port = 80, .path = "/"};
    sl_http_verdict v;
    sl_policy_judge_http(p, &view, &v);
    assert_false(v.allow);
    view.tls = false;
    view.port = 443;
    sl_policy_judge_http(p, &view, &v);
    assert_false(v.allow);
}

/* A literal Host on a flow by name would be a second authority. */
static void test_one_authority(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) p = POLICY("http_allow", "GET 192.0.2.1", "http_deny", "GET x.example");
    sl_http_view view = {
        .method = "GET", .host = "192.0.2.1", .host_is_addr = true, .port = 80, .path = "/"};
    sl_http_verdict v;
    sl_policy_judge_http(p, &view, &v);
    assert_false(v.allow);
    assert_int_equal(sl_addr_parse("192.0.2.1", &view.addr), 0);
    sl_policy_judge_http(p, &view, &v);
    assert_true(v.allow);
    assert_int_equal(sl_addr_parse("192.0.2.2", &view.addr), 0);
    sl_policy_judge_http(p, &view, &v);
    assert_false(v.allow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_encoded_slash),
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_allow_with),
        cmocka_unit_test(test_advice_helps),
        cmocka_unit_test(test_deny_only),
        cmocka_unit_test(test_beside_net_rules),
        cmocka_unit_test(test_ports),
        cmocka_unit_test(test_one_authority),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
