/* Profiles: what each key does, what is refused and in which words, and that --print-policy writes
 * a profile that makes the same policy again. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/util.h"
#include "policy/policy.h"
#include "policy/text/profile.h"

static void apply(sl_policy *policy, const char *text)
{
    sl_error err = {0};
    if (sl_profile_apply(text, strlen(text), "test", policy, &err) < 0) {
        fail_msg("%s in:\n%s", err.message, text);
    }
}

static void freeze(sl_policy *policy)
{
    sl_error err = {0};
    if (sl_policy_freeze(policy, &err) < 0) {
        fail_msg("%s", err.message);
    }
}

static void keys_are_fields(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) p = sl_policy_new();
    apply(p, "fs_readable = ['/usr', \"?/opt/a b\"]\n"
             "no_raw_sockets = false\n"
             "isolate_ipc = true\n"
             "cpu_cores = [0, \"2-3\"]\n"
             "max_processes = 7\n"
             "timeout = \"2m\"\n"
             "net_connect = [80, '443,9000-9005']\n"
             "http_ports = [8080]\n"
             "gpu_devices = [0, '2,3']\n"
             "name = 'job-1'\n"
             "http_allow = ['GET a.test']\n"
             "[env]\n"
             "A = '1'\n"
             "\"B.C\" = 'x=y'\n"
             "[[http.rule]]\n"
             "allow = 'POST b.test/v1/*'\n"
             "[[http.rule]]\n"
             "deny = 'DELETE *'\n");
    freeze(p);
    assert_int_equal(p->fs_readable.count, 2);
    assert_string_equal(p->fs_readable.items[1], "?/opt/a b");
    assert_false(p->no_raw_sockets);
    assert_true(p->isolate_ipc);
    assert_int_equal(p->cpu_cores[0], 0xd);
    assert_int_equal(p->max_processes, 7);
    assert_int_equal(p->timeout_ms, 120000);
    assert_true(sl_ports_has(&p->net_connect, 80) && sl_ports_has(&p->net_connect, 9003));
    assert_true(sl_ports_has(&p->http_ports, 8080));
    assert_int_equal(p->gpu_mask, 0xd);
    assert_string_equal(p->name, "job-1");
    assert_int_equal(p->http_allow_count, 2);
    assert_int_equal(p->http_deny_count, 1);
    assert_string_equal(sl_strv_env_get(&p->env, "B.C"), "x=y");
}

static void times(void **state)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } cases[] = {{"90", 90000}, {"1.5", 1500}, {"1e1", 10000}, {"'200ms'", 200},
                 {"1e-9", 1},   {"0", 0},      {"0.25", 250}};
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        SL_AUTO(sl_policy) p = sl_policy_new();
        char text[64];
        snprintf(text, sizeof(text), "timeout = %s\n", cases[i].text);
        apply(p, text);
        assert_int_equal(p->timeout_ms, cases[i].ms);
    }
}

/* Lists get longer, single values are replaced, an empty list of rules is a rule. */
static void several_add_up(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) p = sl_policy_new();
    apply(p, "fs_readable = ['/usr']\nmax_processes = 7\nisolate_ipc = true\nnet_allow = []\n"
             "[env]\nA = '1'\nB = '1'\n");
    assert_true(p->net_allow_given);
    assert_int_equal(p->net_allow_count, 0);
    apply(p, "fs_readable = ['/etc']\nmax_processes = 9\nisolate_ipc = false\n"
             "net_allow = ['a.test:80']\n[env]\nA = '2'\n");
    assert_int_equal(p->fs_readable.count, 2);
    assert_int_equal(p->max_processes, 9);
    assert_false(p->isolate_ipc);
    assert_int_equal(p->net_allow_count, 1);
    assert_string_equal(p->env.items[p->env.count - 1], "A=2"); /* the last one counts */
    apply(p, "fs_readable = []\n");                             /* a list of paths: nothing */
    assert_int_equal(p->fs_readable.count, 2);
}

static const struct {
    const char *text;
    const char *message;
} mistakes[] = {
    {"\n\nfs_writeable = ['a']\n",
     "cannot read profile 'test': line 3, column 1: unknown key 'fs_writeable'; did you mean "
     "'fs_writable'?"},
    {"  http-allow = []", "line 1, column 3: unknown key 'http-allow'; did you mean 'http_allow'?"},
    {"zzzzzzzzzzzz = 1", "line 1, column 1: unknown key 'zzzzzzzzzzzz'"},
    {"[limits]\nmax_processes = 1", "unknown key 'limits'"},
    {"allow_degraded = ['landlock']", "'allow_degraded' is for the command line alone"},
    {"max_processes = 'x'",
     "line 1, column 17: 'max_processes': expected an integer, found a string"},
    {"max_processes = 1.0", "expected an integer, found a float"},
    {"max_processes = -1", "line 1, column 17: max_processes: '-1': expected a number"},
    {"max_processes = 4294967296", "max_processes: '4294967296': expected a number"},
    {"isolate_ipc = 1", "'isolate_ipc': expected true or false, found an integer"},
    {"isolate_ipc = 'true'", "expected true or false, found a string"},
    {"name = 1", "'name': expected a string, found an integer"},
    {"name = 'a/b'", "name: 'a/b' is not a name"},
    {"fs_readable = '/usr'", "'fs_readable': expected an array of strings, found a string"},
    {"fs_readable = [\n'/usr',\n1]", "line 3, column 1: 'fs_readable': expected an array of "
                                     "strings, found an integer in it"},
    {"fs_readable = ['']", "fs_readable: expected a path"},
    {"net_allow = ['']", "expected SPEC, found ''; none at all is []"},
    {"net_allow = ['a.test:0']", "line 1, column 14: net_allow: "},
    {"net_connect = [80, 0]", "line 1, column 20: net_connect: '0' is not a port"},
    {"net_connect = [1.5]", "expected an array of strings and integers, found a float in it"},
    {"gpu_devices = [64]", "gpu_devices: '64': expected all"},
    {"cpu_cores = [-1]", "cpu_cores: '-1': expected numbers of cores"},
    {"timeout = true", "expected a number of seconds or a string, found a boolean"},
    {"timeout = -1", "timeout: '-1': expected a time"},
    {"timeout = -1.5", "expected a time"},
    {"timeout = nan", "expected a time"},
    {"timeout = inf", "expected a time"},
    {"timeout = 1e300", "expected a time"},
    {"timeout = 2026-01-01", "found a date or a time"},
    {"env = ['A=1']", "'env': expected a table of strings, found an array"},
    {"env.A = 1", "'A': expected a string, found an integer"},
    {"[env]\n'A=B' = '1'", "line 2, column 1: env: 'A=B': expected the name of a variable"},
    {"[env]\n'' = '1'", "expected the name of a variable"},
    {"http = 1", "'http': expected tables, each headed [[http.rule]], found an integer"},
    {"[http.rule]\nallow = 'GET a.test'",
     "expected tables, each headed [[http.rule]], found a table"},
    {"[[http.rules]]\nallow = 'GET a.test'", "unknown key 'rules'; did you mean 'rule'?"},
    {"time_start = 2024-05-01",
     "line 1, column 14: time_start: '2024-05-01': expected a time with"},
    {"time_start = 2024-05-01T12:00:00", "'2024-05-01T12:00:00': expected a time with its zone"},
    {"time_start = 12:00:00", "'12:00:00': expected a time with its zone"},
    {"time_start = -1", "'-1': expected a time with its zone"},
    {"time_start = true", "expected a date-time, a string or Unix seconds, found a boolean"},
    {"random_seed = 1.5", "'random_seed': expected a string or an integer, found a float"},
    {"random_seed = 2024-05-01", "expected a string or an integer, found a date or a time"},
    {"hostname = 7", "'hostname': expected a string, found an integer"},
    {"[[http.rule]]\n", "expected one of 'allow' and 'deny'"},
    {"[[http.rule]]\nallow = 'GET a.test'\ndeny = 'GET b.test'",
     "expected one of 'allow' and 'deny'"},
    {"[[http.rule]]\nallow = ''", "expected one of 'allow' and 'deny'"},
    {"[[http.rule]]\nalow = 'GET a.test'",
     "line 2, column 1: unknown key 'alow'; did you mean 'allow'?"},
    {"[[http.rule]]\nallow = ['GET a.test']", "'allow': expected a string, found an array"},
    {"[[http.rule]]\nallow = 'GET'", "line 2, column 9: allow: "},
    {"[[http.rule]]\nallow = 'GET a.test'\nmax_requests = '60/min'",
     "line 3, column 1: 'max_requests' narrows an http.rule, which this version"},
    {"[[http.rule]]\nallow = 'GET a.test'\nmax_bytes_out = '10M'", "'max_bytes_out' narrows"},
    {"[[http.rule]]\nallow = 'GET a.test'\nbody.json.\"model\" = ['x']", "'body' narrows"},
    {"a = [", "cannot read profile 'test': line 1, column "},
};

static void what_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(mistakes); i++) {
        SL_AUTO(sl_policy) p = sl_policy_new();
        sl_error err = {0};
        int r = sl_profile_apply(mistakes[i].text, strlen(mistakes[i].text), "test", p, &err);
        if (r >= 0 || err.kind != SL_ERROR_USAGE ||
            strstr(err.message, mistakes[i].message) == NULL) {
            fail_msg("%d '%s' for:\n%s", r, err.message, mistakes[i].text);
        }
        assert_null(strchr(err.message, '\n'));
    }
}

/* One moment, however it is written; a seed is what it reads as. */
static void times_and_seeds(void **state)
{
    static const char *const moments[] = {
        "2024-05-01T12:00:00.5Z",   "2024-05-01 14:00:00.5+02:00",
        "'2024-05-01T12:00:00.5Z'", "1714564800.5",
        "'1714564800.5'",
    };
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(moments); i++) {
        SL_AUTO(sl_policy) p = sl_policy_new();
        sl_error err = {0};
        char text[120];
        snprintf(text, sizeof(text), "time_start = %s\nrandom_seed = 42\n", moments[i]);
        if (sl_profile_apply(text, strlen(text), "test", p, &err) < 0) {
            fail_msg("%s", err.message);
        }
        assert_true(p->time_start_ns == 1714564800500000000);
        assert_string_equal(p->random_seed, "42");
    }
}

/* The first of two mistakes in the text is told, whatever the order of the keys' names. */
static void first_mistake_first(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) p = sl_policy_new();
    sl_error err = {0};
    const char *text = "zz_unknown = 1\naa_unknown = 2\n";
    assert_true(sl_profile_apply(text, strlen(text), "test", p, &err) < 0);
    assert_non_null(strstr(err.message, "'zz_unknown'"));
}

/* ---- round trips ---- */

/* Values that a field takes; lists get some of them. */
static const struct {
    const char *field;
    const char *values[6];
} samples[] = {
    {"fs_readable", {"/usr", "?/opt/a b", "/it's \"q\"", "/tab\there", "/\xc3\xa9"}},
    {"fs_writable", {".", "/tmp", "?/x\\y"}},
    {"fs_denied", {"/usr/secret", "?/gone"}},
    {"cwd", {"/tmp", "a b", "\x01\x7f"}},
    {"gpu_devices", {"all", "0", "3,1,2"}},
    {"net_allow", {"db.example.com:5432", "udp://[2001:db8::]/32:53", "loopback", ""}},
    {"net_deny", {"metadata", "*.example.com"}},
    {"net_allow_hosts", {"git.example.com", "*.test"}},
    {"net_connect", {"80,443", "9000-9005"}},
    {"net_bind", {"0", "8000-8010"}},
    {"no_raw_sockets", {"false"}},
    {"no_udp", {"true"}},
    {"port_remap", {"true"}},
    {"http_allow", {"GET api.example.com/v1/*", "POST a.test/it's?k=\"v\"", ""}},
    {"http_deny", {"DELETE *", "* secret.test"}},
    {"http_ports", {"8080", "9000-9005"}},
    {"http_ca", {"/ca.pem"}},
    {"http_key", {"/key.pem"}},
    {"http_ca_out", {"/out.pem"}},
    {"http_ca_bundle", {"own"}},
    {"http_upstream_ca", {"/roots.pem", "/more roots.pem"}},
    {"http_no_inspect", {"*.pinned.example", "one.example"}},
    {"resolve", {"api.example.com=192.0.2.1:8443", "b.test=[::1]"}},
    {"isolate_ipc", {"true"}},
    {"isolate_signals", {"true"}},
    {"isolate_pids", {"true"}},
    {"max_memory", {"512M", "1536K", "3000"}},
    {"max_cpu", {"50", "150"}},
    {"max_open_files", {"64"}},
    {"cpu_cores", {"0", "2-3"}},
    {"num_cpus", {"1", "99"}},
    {"max_processes", {"0", "7", "2147483647"}},
    {"timeout", {"1.5", "0.001", "90", "3650d"}},
    {"privileged", {"true"}},
    {"uid", {"0"}}, /* with privileged no other */
    {"gid", {"0"}},
    {"allow_syscalls", {"", "write", "write,socket"}},
    {"deny_syscalls", {"", "ptrace", "ptrace,kcmp"}},
    {"extra_deny_syscalls", {"sync"}},
    {"debug", {"true"}},
    {"time_start", {"0", "2020-02-29T12:00:00Z"}},
    {"random_seed", {"42", "a \"seed\" with\ttabs"}},
    {"no_randomize_memory", {"true"}},
    {"no_huge_pages", {"true"}},
    {"deterministic_dirs", {"true"}},
    {"no_coredump", {"true"}},
    {"clean_env", {"true"}},
    {"env", {"A=1", "B=x\ty\"z\\\n", "A=2", "C.D= ", "\"=\"", "E=a=b"}},
    {"close_fds", {"false"}},
    {"hostname", {"box-1.example.com"}},
    {"name", {"job-1", "x.y_z"}},
    {"audit", {"fd:5", "-", "/var/log/a b"}},
};

static sl_buf to_toml(const sl_policy *policy)
{
    sl_buf out;
    sl_error err = {0};
    sl_buf_init(&out, SL_PROFILE_LEN_MAX);
    if (sl_policy_to_toml(policy, &out, &err) < 0) {
        fail_msg("%s", err.message);
    }
    return out;
}

/* What is printed makes a policy that encodes the same. Of a variable that is set twice the printed
 * form has the last one only, so that is compared as printed. */
static void check_round_trip(sl_policy *policy)
{
    SL_AUTO(sl_policy) back = sl_policy_new();
    sl_error err = {0};
    freeze(policy);
    sl_buf one = to_toml(policy);
    if (sl_profile_apply((char *)sl_buf_head(&one), one.len, "printed", back, &err) < 0) {
        fail_msg("%s in:\n%.*s", err.message, (int)one.len, sl_buf_head(&one));
    }
    freeze(back);
    sl_buf two = to_toml(back);
    if (one.len != two.len ||
        (one.len > 0 && memcmp(sl_buf_head(&one), sl_buf_head(&two), one.len))) {
        fail_msg("first:\n%.*s\nthen:\n%.*s", (int)one.len, sl_buf_head(&one), (int)two.len,
                 sl_buf_head(&two));
    }
    sl_buf link_one;
    sl_buf link_two;
    sl_buf_init(&link_one, SL_PROFILE_LEN_MAX);
    sl_buf_init(&link_two, SL_PROFILE_LEN_MAX);
    if (policy->env.count == 0) {
        assert_int_equal(sl_policy_encode(policy, &link_one), 0);
        assert_int_equal(sl_policy_encode(back, &link_two), 0);
        assert_int_equal(link_one.len, link_two.len);
        assert_true(link_one.len == 0 ||
                    memcmp(sl_buf_head(&link_one), sl_buf_head(&link_two), link_one.len) == 0);
    }
    sl_buf_done(&link_one);
    sl_buf_done(&link_two);
    sl_buf_done(&one);
    sl_buf_done(&two);
}

static void set(sl_policy *policy, const char *field, const char *value)
{
    sl_error err = {0};
    if (sl_policy_set(policy, sl_field_by_name(field), value, &err) < 0) {
        fail_msg("%s", err.message);
    }
}

/* Each field by itself, with each of its values, and no field forgotten. */
static void each_field_comes_back(void **state)
{
    (void)state;
    size_t count;
    const sl_field *fields = sl_fields(&count);
    for (size_t f = 0; f < count; f++) {
        bool found = fields[f].cli_only;
        for (size_t i = 0; i < SL_ARRAY_LEN(samples); i++) {
            for (size_t v = 0; strcmp(samples[i].field, fields[f].name) == 0 && v < 6 &&
                               samples[i].values[v] != NULL;
                 v++) {
                SL_AUTO(sl_policy) p = sl_policy_new();
                set(p, fields[f].name, samples[i].values[v]);
                if (strcmp(fields[f].name, "http_ca") == 0) {
                    set(p, "http_key", "/key.pem");
                } else if (strcmp(fields[f].name, "http_key") == 0) {
                    set(p, "http_ca", "/ca.pem");
                }
                check_round_trip(p);
                found = true;
            }
        }
        if (!found) {
            fail_msg("no sample of the field '%s'", fields[f].name);
        }
    }
}

static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* Any mix of fields and values. */
static void any_policy_comes_back(void **state)
{
    (void)state;
    uint32_t seed = 20261125;
    for (int round = 0; round < 500; round++) {
        SL_AUTO(sl_policy) p = sl_policy_new();
        bool ca = next_random(&seed) % 4 == 0;
        for (size_t i = 0; i < SL_ARRAY_LEN(samples); i++) {
            size_t values = 0;
            while (values < 6 && samples[i].values[values] != NULL) {
                values++;
            }
            bool of_ca = strcmp(samples[i].field, "http_ca") == 0 ||
                         strcmp(samples[i].field, "http_key") == 0;
            size_t times_set = of_ca ? ca : next_random(&seed) % 4;
            if (strcmp(samples[i].field, "allow_syscalls") == 0) {
                times_set = 0; /* stands beside no other list of calls */
            }
            for (size_t n = 0; n < times_set; n++) {
                set(p, samples[i].field, samples[i].values[next_random(&seed) % values]);
            }
        }
        check_round_trip(p);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_fields),       cmocka_unit_test(times),
        cmocka_unit_test(several_add_up),        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(first_mistake_first),   cmocka_unit_test(times_and_seeds),
        cmocka_unit_test(each_field_comes_back), cmocka_unit_test(any_policy_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
