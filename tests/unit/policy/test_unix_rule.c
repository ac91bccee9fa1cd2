/* Rules that name Unix sockets: what is one, what its star stands for, how they stand among the
 * others of net_allow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/util.h"
#include "policy/policy.h"
#include "policy/unix_rule.h"
#include "policy/verdict.h"

static void a_path_is_absolute_and_plain(void **state)
{
    static const struct {
        const char *text;
        const char *wrong; /* NULL: it is right */
    } rules[] = {
        {"unix:/run/docker.sock", NULL},
        {"unix:/run/user/*/bus", NULL},
        {"unix:/tmp/.X11-unix/X0", NULL},
        {"unix:/a/..b/c", NULL},
        {"unix:", "absolute path"},
        {"unix:/", "absolute path"},
        {"unix:run/docker.sock", "absolute path"},
        {"unix://run/docker.sock", "without '//'"},
        {"unix:/run//docker.sock", "without '//'"},
        {"unix:/run/./x", "without '//'"},
        {"unix:/run/../x", "without '//'"},
        {"unix:/run/x/..", "without '//'"},
        {"unix:/run/x/", "without '//'"},
        {"unix:/run/\033[0m", "control characters"},
    };
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(rules); i++) {
        sl_error err = {0};
        const char *path = sl_unix_rule_path(rules[i].text, &err);
        if ((path == NULL) != (rules[i].wrong != NULL) ||
            (path == NULL && strstr(err.message, rules[i].wrong) == NULL)) {
            fail_msg("%s: %s", rules[i].text, path == NULL ? err.message : path);
        }
        assert_true(path == NULL || strcmp(path, rules[i].text + 5) == 0);
    }
    assert_true(sl_unix_rule_is("unix:"));
    assert_false(sl_unix_rule_is("unix.example.com:80"));
}

static void a_star_stays_in_its_segment(void **state)
{
    static const struct {
        const char *rule;
        const char *path;
        bool has;
    } asked[] = {
        {"/run/docker.sock", "/run/docker.sock", true},
        {"/run/docker.sock", "/run/docker.sock2", false},
        {"/run/docker.sock", "/run/docker.soc", false},
        {"/run/user/*/bus", "/run/user/1000/bus", true},
        {"/run/user/*/bus", "/run/user//bus", true},
        {"/run/user/*/bus", "/run/user/1000/x/bus", false},
        {"/run/user/*/bus", "/run/user/1000/bus/x", false},
        {"/run/user/*/bus", "/run/user/bus", false},
        {"/tmp/tmux-*/*", "/tmp/tmux-0/default", true},
        {"/tmp/tmux-*/*", "/tmp/tmux-0/a/b", false},
        {"/tmp/*.sock", "/tmp/a.sock.sock", true},
        {"/tmp/*.sock", "/tmp/a.sock.x", false},
        {"/tmp/a*b*c", "/tmp/abbbcbc", true},
        {"/tmp/a*b*c", "/tmp/abb/bc", false},
        {"/tmp/*", "/tmp/", true},
        {"/*", "/x", true},
        {"/*", "/x/y", false},
    };
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(asked); i++) {
        if (sl_unix_rule_has(asked[i].rule, asked[i].path) != asked[i].has) {
            fail_msg("%s and %s", asked[i].rule, asked[i].path);
        }
    }
}

static sl_policy *make(const char *first, const char *second)
{
    sl_error err = {0};
    sl_policy *policy = sl_policy_new();
    const sl_field *field = sl_field_by_name("net_allow");
    assert_non_null(policy);
    assert_int_equal(sl_policy_set(policy, field, first, &err), 0);
    if (second != NULL) {
        assert_int_equal(sl_policy_set(policy, field, second, &err), 0);
    }
    assert_int_equal(sl_policy_freeze(policy, &err), 0);
    return policy;
}

/* Both written forms say again what was said. */
static void expect_the_same(const sl_policy *policy, const char *toml)
{
    sl_error err = {0};
    sl_buf text;
    sl_buf link;
    sl_buf again;
    SL_AUTO(sl_policy) decoded = NULL;
    sl_buf_init(&text, 4096);
    sl_buf_init(&link, 4096);
    sl_buf_init(&again, 4096);
    assert_int_equal(sl_policy_to_toml(policy, &text, &err), 0);
    assert_int_equal(sl_buf_append(&text, "", 1), 0);
    assert_string_equal((const char *)sl_buf_head(&text), toml);
    assert_int_equal(sl_policy_encode(policy, &link), 0);
    assert_int_equal(sl_policy_decode(sl_buf_head(&link), link.len, &decoded, &err), 0);
    assert_int_equal(sl_policy_encode(decoded, &again), 0);
    assert_int_equal(again.len, link.len);
    assert_memory_equal(sl_buf_head(&again), sl_buf_head(&link), link.len);
    assert_true(sl_policy_restricts_net(policy) == sl_policy_restricts_net(decoded));
    sl_buf_done(&text);
    sl_buf_done(&link);
    sl_buf_done(&again);
}

static void they_grant_and_never_restrict(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) alone = make("unix:/run/x", NULL);
    assert_false(sl_policy_restricts_net(alone));
    assert_false(sl_policy_restricts_bind(alone));
    assert_int_equal(alone->net_unix.count, 1);
    expect_the_same(alone, "net_allow = [\n  \"unix:/run/x\",\n]\n");
    SL_AUTO(sl_policy) none = make("", "unix:/run/x");
    assert_true(sl_policy_restricts_net(none) && sl_policy_restricts_bind(none));
    expect_the_same(none, "net_allow = [\n  \"\",\n  \"unix:/run/x\",\n]\n");
    SL_AUTO(sl_policy) beside = make("unix:/run/x", "192.0.2.1:443");
    assert_true(sl_policy_restricts_net(beside) && !sl_policy_restricts_bind(beside));
    expect_the_same(beside, "net_allow = [\n  \"unix:/run/x\",\n  \"192.0.2.1:443\",\n]\n");
}

static void they_belong_to_net_allow_alone(void **state)
{
    sl_error err = {0};
    (void)state;
    SL_AUTO(sl_policy) policy = sl_policy_new();
    assert_true(sl_policy_set(policy, sl_field_by_name("net_deny"), "unix:/run/x", &err) < 0);
    assert_non_null(strstr(err.message, "--net-allow"));
}

static void a_refusal_suggests_one(void **state)
{
    char words[SL_SUGGESTION_MAX];
    (void)state;
    sl_dest dest = {.proto = SL_PROTO_UNIX, .name = "/tmp/tmux-0/default"};
    sl_policy_suggest_net(&dest, words);
    assert_string_equal(words, "--net-allow 'unix:/tmp/tmux-0/default'");
    dest.name = "/tmp/it's";
    sl_policy_suggest_net(&dest, words);
    assert_string_equal(words, "--net-allow 'unix:/tmp/it'\\''s'");
    dest.name = "/tmp/*"; /* would name others, too */
    sl_policy_suggest_net(&dest, words);
    assert_string_equal(words, "");
}

/* Without a grant the run is a safe one, unless that is taken back. */
static void the_default_view_isolates(void **state)
{
    static const struct {
        const char *field;
        const char *value;
        bool abstract;
        bool signals;
    } given[] = {
        {"name", "x", true, true},
        {"fs_denied", "/x", true, true},
        {"fs_readable", "/", false, false},
        {"fs_writable", "/tmp", false, false},
        {"isolate_ipc", "false", false, true},
        {"isolate_ipc", "true", true, true},
        {"isolate_signals", "false", true, false},
    };
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(given); i++) {
        sl_error err = {0};
        SL_AUTO(sl_policy) policy = sl_policy_new();
        assert_int_equal(
            sl_policy_set(policy, sl_field_by_name(given[i].field), given[i].value, &err), 0);
        assert_int_equal(sl_policy_freeze(policy, &err), 0);
        assert_int_equal(sl_policy_isolates_abstract(policy), given[i].abstract);
        assert_int_equal(sl_policy_isolates_signals(policy), given[i].signals);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_is_absolute_and_plain),
        cmocka_unit_test(a_star_stays_in_its_segment),
        cmocka_unit_test(they_grant_and_never_restrict),
        cmocka_unit_test(they_belong_to_net_allow_alone),
        cmocka_unit_test(a_refusal_suggests_one),
        cmocka_unit_test(the_default_view_isolates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
