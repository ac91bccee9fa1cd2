/* Fields: setting, freezing, the two written forms. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/util.h"
#include "policy/policy.h"
#include "policy/suggest.h"

static int set(sl_policy *p, const char *name, const char *value, sl_error *err)
{
    const sl_field *field = sl_field_by_name(name);
    assert_non_null(field);
    return sl_policy_set(p, field, value, err);
}

static void must_set(sl_policy *p, const char *name, const char *value)
{
    sl_error err;
    if (set(p, name, value, &err) < 0) {
        fail_msg("%s", err.message);
    }
}

static sl_policy *new_policy(void)
{
    sl_policy *p = sl_policy_new();
    assert_non_null(p);
    return p;
}

static void test_defaults(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) p = new_policy();
    sl_error err;
    assert_true(p->no_raw_sockets);
    assert_true(p->close_fds);
    assert_false(p->no_udp);
    assert_int_equal(p->max_processes, 64);
    assert_int_equal(sl_policy_freeze(p, &err), 0);
    assert_true(sl_ports_has(&p->http_ports, 80));
    assert_true(sl_ports_has(&p->http_ports, 443));
    assert_false(sl_ports_has(&p->http_ports, 8080));
}

static void test_frozen(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) p = new_policy();
    sl_error err;
    assert_int_equal(sl_policy_freeze(p, &err), 0);
    assert_int_equal(set(p, "no_udp", "true", &err), -EBUSY);
    assert_false(p->no_udp);
    assert_int_equal(sl_policy_freeze(p, &err), 0); /* again: nothing */
}

static void test_http_ports(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) p = new_policy();
    sl_error err;
    must_set(p, "http_ports", "8080,9000-9005");
    must_set(p, "http_allow", "GET a.test:3000");
    must_set(p, "http_deny", "GET a.test:3001");
    assert_int_equal(sl_policy_freeze(p, &err), 0);
    static const uint16_t in[] = {80, 443, 8080, 9005, 3000, 3001};
    for (size_t i = 0; i < SL_ARRAY_LEN(in); i++) {
        assert_true(sl_ports_has(&p->http_ports, in[i]));
    }
    assert_false(
        sl_ports_has(&p->http_ports_given, 3000)); /* named by one rule for its host only */
}

static void test_durations(void **state)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } good[] = {{"90", 90000},  {"1.5", 1500},   {"1.5s", 1500},   {"200ms", 200},
                {"2m", 120000}, {"1h", 3600000}, {"1d", 86400000}, {"0", 0},
                {"0.0001", 1},  {"0.25m", 15000}};
    static const char *const bad[] = {
        "",    "s",   "-1", "+1",          "1.",         ".5",        "1,5",        "1 s",
        "1e3", "abc", "1w", "1000000000d", "9999999999", "1.0000001", "999999999d", "1ss"};
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(good); i++) {
        SL_AUTO(sl_policy) p = new_policy();
        must_set(p, "timeout", good[i].text);
        assert_int_equal(p->timeout_ms, good[i].ms);
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        SL_AUTO(sl_policy) p = new_policy();
        sl_error err;
        if (set(p, "timeout", bad[i], &err) != -EINVAL) {
            fail_msg("'%s' was taken", bad[i]);
        }
        assert_non_null(strstr(err.message, "--timeout"));
    }
}

static void test_sizes(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
        const char *again;
    } good[] = {{"0", 0, "0"},
                {"4095", 4095, "4095"},
                {"4096", 4096, "4K"},
                {"512M", 512u << 20, "512M"},
                {"512m", 512u << 20, "512M"},
                {"1024M", 1u << 30, "1G"},
                {"3G", UINT64_C(3) << 30, "3G"},
                {"1048576T", UINT64_C(1) << 60, "1048576T"}};
    static const char *const bad[] = {"",
                                      "-1",
                                      "M",
                                      "512MM",
                                      "1.5G",
                                      "1 G",
                                      "1GB",
                                      "18446744073709551616",
                                      "0x10",
                                      "+1",
                                      "1P",
                                      "17179869184G",
                                      "1e9",
                                      "512M ",
                                      "99999999999999999999999999"};
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(good); i++) {
        SL_AUTO(sl_policy) p = new_policy();
        char again[SL_SIZE_TEXT_MAX];
        must_set(p, "max_memory", good[i].text);
        assert_true(p->max_memory == good[i].bytes);
        assert_string_equal(sl_size_text(p->max_memory, again), good[i].again);
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        SL_AUTO(sl_policy) p = new_policy();
        sl_error err;
        if (set(p, "max_memory", bad[i], &err) != -EINVAL) {
            fail_msg("'%s' was taken", bad[i]);
        }
        assert_non_null(strstr(err.message, "--max-memory"));
        assert_non_null(strstr(err.message, "expected a size"));
    }
}

static void test_cores(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) p = new_policy();
    must_set(p, "cpu_cores", "0,2-3");
    must_set(p, "cpu_cores", "64,1023");
    assert_true(p->cpu_cores[0] == 0xd && p->cpu_cores[1] == 1);
    assert_true(p->cpu_cores[15] == UINT64_C(1) << 63);
}

static void test_bad_values(void **state)
{
    static const struct {
        const char *field;
        const char *value;
        const char *message;
    } cases[] = {
        {"time_start", "soon", "expected a time with its zone"},
        {"time_start", "2020-02-29T12:00:00", "'2020-02-29T12:00:00'"},
        {"random_seed", "", "expected a number or a text"},
        {"max_processes", "-1", "expected a number"},
        {"max_processes", "5x", "'5x'"},
        {"max_processes", "", "expected a number"},
        {"max_processes", "4294967296", "expected a number"},
        {"max_processes", "99999999999999999999999", "expected a number"},
        {"max_cpu", "50%", "expected a number"},
        {"max_open_files", "-1", "expected a number"},
        {"num_cpus", "1025", "from 0 to 1024"},
        {"cpu_cores", "", "expected numbers of cores"},
        {"cpu_cores", "3-2", "'3-2'"},
        {"cpu_cores", "0,", "'0,'"},
        {"cpu_cores", "0-", "'0-'"},
        {"cpu_cores", "1024", "from 0 to 1023"},
        {"cpu_cores", "0 1", "expected numbers of cores"},
        {"no_udp", "yes", "true or false"},
        {"fs_readable", "", "expected a path"},
        {"fs_writable", "?", "expected a path"},
        {"env", "A", "NAME=VALUE"},
        {"env", "=x", "NAME=VALUE"},
        {"name", "a/b", "is not a name"},
        {"name", "..", "is not a name"},
        {"name", "", "is not a name"},
        {"audit", "fd:", "descriptor number"},
        {"audit", "fd:x", "descriptor number"},
        {"audit", "", "FILE, fd:N or -"},
        {"cwd", "", "expected a value"},
        {"gpu_devices", "", "numbers from 0 to 63"},
        {"gpu_devices", "0,", "numbers from 0 to 63"},
        {"gpu_devices", "64", "numbers from 0 to 63"},
        {"gpu_devices", "-1", "numbers from 0 to 63"},
        {"gpu_devices", "All", "'All': expected all"},
        {"http_allow", "GET", "METHOD host"},
        {"net_connect", "80,x", "'x' is not a port"},
        {"net_connect", "0", "'0' is not a port"},
        {"net_allow_hosts", "a.test:80", "--net-allow 'a.test:80'"},
        {"net_allow_hosts", "010.0.0.1", "is not an address"},
        {"http_no_inspect", "10.0.0.0/8", "address range"},
        {"resolve", "a.test", "HOST=ADDRESS"},
        {"resolve", "=1.2.3.4", "HOST=ADDRESS"},
        {"resolve", "*.a.test=1.2.3.4", "is not a host name"},
        {"resolve", "1.2.3.4=1.2.3.4", "is not a host name"},
        {"resolve", "127.1=1.2.3.4", "is not a host name"},
        {"resolve", "a.test=b.test", "is not ADDRESS"},
        {"resolve", "a.test=010.0.0.1", "is not ADDRESS"},
        {"resolve", "a.test=1.2.3.4:0", "is not ADDRESS"},
        {"resolve", "a.test=1.2.3.4:65536", "is not ADDRESS"},
        {"resolve", "a.test=1.2.3.4:80-81", "is not ADDRESS"},
        {"resolve", "a.test=", "is not ADDRESS"},
    };
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        SL_AUTO(sl_policy) p = new_policy();
        sl_error err = {0};
        int r = set(p, cases[i].field, cases[i].value, &err);
        if (r != -EINVAL || err.kind != SL_ERROR_USAGE ||
            strstr(err.message, cases[i].message) == NULL) {
            fail_msg("%s '%s': %d '%s'", cases[i].field, cases[i].value, r, err.message);
        }
    }
}

static void test_resolve(void **state)
{
    static const struct {
        const char *value;
        const char *addr;
        uint16_t port;
    } cases[] = {
        {"A.test.=192.0.2.1", "192.0.2.1", 0},    {"a.test=192.0.2.1:8443", "192.0.2.1", 8443},
        {"a.test=[::1]:80", "::1", 80},           {"a.test=[2001:db8::1]", "2001:db8::1", 0},
        {"a.test=2001:db8::1", "2001:db8::1", 0},
    };
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        SL_AUTO(sl_policy) p = new_policy();
        char text[SL_ADDR_STR_MAX];
        must_set(p, "resolve", cases[i].value);
        assert_int_equal(p->resolve_count, 1);
        assert_string_equal(p->resolve[0].name, "a.test");
        assert_string_equal(sl_addr_format(&p->resolve[0].addr, text), cases[i].addr);
        assert_int_equal(p->resolve[0].port, cases[i].port);
    }
}

static void test_ca_needs_key(void **state)
{
    (void)state;
    sl_error err;
    SL_AUTO(sl_policy) p = new_policy();
    must_set(p, "http_ca", "/ca.pem");
    assert_int_equal(sl_policy_freeze(p, &err), -EINVAL);
    assert_non_null(strstr(err.message, "--http-key"));
    assert_false(p->frozen);
    must_set(p, "http_key", "/key.pem");
    assert_int_equal(sl_policy_freeze(p, &err), 0);
}

static void test_many_rules(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) p = new_policy();
    char rule[64];
    sl_error err;
    for (int i = 0; i < SL_POLICY_RULES_MAX; i++) {
        snprintf(rule, sizeof(rule), "GET h%d.test/x", i);
        must_set(p, "http_allow", rule);
    }
    assert_int_equal(p->http_allow_count, SL_POLICY_RULES_MAX);
    assert_string_equal(p->http_allow[4095].host.name, "h4095.test");
    assert_int_equal(set(p, "http_allow", "GET x.test", &err), -EINVAL);
    assert_int_equal(p->http_allow_text.count, SL_POLICY_RULES_MAX);
}

/* ---- the table ---- */

static void test_nearest(void **state)
{
    (void)state;
    assert_string_equal(sl_field_nearest("http_alow")->name, "http_allow");
    assert_string_equal(sl_field_nearest("http-allow")->name, "http_allow");
    assert_string_equal(sl_field_nearest("max_proceses")->name, "max_processes");
    assert_null(sl_field_nearest("zzzzzzzzzz"));
    assert_null(sl_field_by_name("http_alow"));
    assert_int_equal(sl_suggest_distance("", ""), 0);
    assert_int_equal(sl_suggest_distance("abc", "abc"), 0);
    assert_int_equal(sl_suggest_distance("abc", ""), 3);
    assert_int_equal(sl_suggest_distance("abc", "acb"), 1);
    assert_int_equal(sl_suggest_distance("kitten", "sitting"), 3);
    assert_int_equal(sl_suggest_distance("fs_read", "fs-read"), 0);
    char big[SL_SUGGEST_WORD_MAX + 2];
    memset(big, 'a', sizeof(big));
    big[sizeof(big) - 1] = '\0';
    assert_true(sl_suggest_distance(big, "a") == SIZE_MAX);
}

static void test_quoting(void **state)
{
    char out[32];
    (void)state;
    assert_int_equal(sl_suggest_option("--x", "a b", out, sizeof(out)), 0);
    assert_string_equal(out, "--x 'a b'");
    assert_int_equal(sl_suggest_option("--x", "it's $(id)", out, sizeof(out)), 0);
    assert_string_equal(out, "--x 'it'\\''s $(id)'");
    assert_int_equal(sl_suggest_option("--x", "a\nb", out, sizeof(out)), -EINVAL);
    assert_string_equal(out, "");
    assert_int_equal(sl_suggest_option("--x", "a\x1b[31m", out, sizeof(out)), -EINVAL);
    assert_int_equal(sl_suggest_option("--x", "0123456789012345678901234", out, sizeof(out)), 0);
    assert_int_equal(strlen(out), 31);
    assert_int_equal(sl_suggest_option("--x", "01234567890123456789012345", out, sizeof(out)),
                     -EINVAL);
    assert_string_equal(out, "");
}

/* ---- written forms ---- */

static sl_policy *full_policy(void)
{
    static const char *const values[][2] = {
        {"fs_readable", "/usr"},
        {"fs_readable", "?/opt/a b"},
        {"fs_writable", "."},
        {"fs_denied", "/usr/secret"},
        {"cwd", "/tmp"},
        {"gpu_devices", "0,2"},
        {"net_allow", "db.example.com:5432"},
        {"net_deny", "metadata"},
        {"net_allow_hosts", "git.example.com"},
        {"net_connect", "80,443"},
        {"net_bind", "8000-8010"},
        {"no_raw_sockets", "false"},
        {"no_udp", "true"},
        {"port_remap", "true"},
        {"http_allow", "GET api.example.com/v1/*"},
        {"http_allow", "POST api.example.com/it's?k=\"v\""},
        {"http_deny", "DELETE *"},
        {"http_ports", "8080"},
        {"http_ca", "/ca.pem"},
        {"http_key", "/key.pem"},
        {"http_ca_out", "/out.pem"},
        {"http_upstream_ca", "/roots.pem"},
        {"http_no_inspect", "*.pinned.example"},
        {"resolve", "api.example.com=192.0.2.1:8443"},
        {"isolate_ipc", "true"},
        {"isolate_signals", "true"},
        {"privileged", "true"},
        {"uid", "0"},
        {"gid", "0"},
        {"deny_syscalls", "ptrace,kcmp"},
        {"extra_deny_syscalls", "sync"},
        {"isolate_pids", "true"},
        {"max_memory", "1536M"},
        {"time_start", "2020-02-29T12:00:00Z"},
        {"random_seed", "42"},
        {"no_randomize_memory", "true"},
        {"no_huge_pages", "true"},
        {"deterministic_dirs", "true"},
        {"no_coredump", "true"},
        {"max_processes", "7"},
        {"max_cpu", "150"},
        {"max_open_files", "99"},
        {"cpu_cores", "0,2-3"},
        {"num_cpus", "4"},
        {"timeout", "1.5"},
        {"clean_env", "true"},
        {"env", "A=1"},
        {"env", "B=x\ty\"z\\"},
        {"env", "A=2"},
        {"close_fds", "false"},
        {"hostname", "build-1.example.com"},
        {"name", "job-1"},
        {"audit", "fd:5"},
    };
    sl_policy *p = new_policy();
    for (size_t i = 0; i < SL_ARRAY_LEN(values); i++) {
        must_set(p, values[i][0], values[i][1]);
    }
    sl_error err;
    assert_int_equal(sl_policy_freeze(p, &err), 0);
    return p;
}

/* A policy of defaults alone is no bytes, and an empty buffer has no address. */
static void test_nothing_is_a_policy(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) back = NULL;
    sl_error err;
    assert_int_equal(sl_policy_decode(NULL, 0, &back, &err), 0);
    assert_true(back->frozen);
    assert_false(back->http_allow_given);
}

static void test_round_trip(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) p = full_policy();
    SL_AUTO(sl_policy) back = NULL;
    sl_error err;
    sl_buf one;
    sl_buf two;
    sl_buf_init(&one, 65536);
    sl_buf_init(&two, 65536);
    assert_int_equal(sl_policy_encode(p, &one), 0);
    if (sl_policy_decode(sl_buf_head(&one), one.len, &back, &err) < 0) {
        fail_msg("%s", err.message);
    }
    assert_true(back->frozen);
    assert_int_equal(sl_policy_encode(back, &two), 0);
    assert_int_equal(one.len, two.len);
    assert_memory_equal(sl_buf_head(&one), sl_buf_head(&two), one.len);
    /* Every field but the command line's own differs from its default here: none was forgotten. */
    size_t count;
    const sl_field *fields = sl_fields(&count);
    for (size_t i = 0; i < count; i++) {
        bool found =
            memmem(sl_buf_head(&one), one.len, fields[i].name, strlen(fields[i].name) + 1) != NULL;
        /* allow_syscalls stands beside no other list of calls; test_sysnames.c has it. */
        bool absent = fields[i].cli_only || strcmp(fields[i].name, "allow_syscalls") == 0;
        if (found == absent) {
            fail_msg("field %s", fields[i].name);
        }
    }
    assert_int_equal(back->http_allow_count, 2);
    assert_int_equal(back->timeout_ms, 1500);
    assert_int_equal(back->resolve[0].port, 8443);
    sl_buf_done(&one);
    sl_buf_done(&two);
}

static void test_empty_lists(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) p = new_policy();
    SL_AUTO(sl_policy) back = NULL;
    sl_error err;
    sl_buf out;
    sl_buf_init(&out, 65536);
    must_set(p, "net_allow", "");
    must_set(p, "http_allow", "");
    must_set(p, "net_deny", ""); /* nothing denied: as if not given */
    assert_int_equal(sl_policy_freeze(p, &err), 0);
    assert_true(p->net_allow_given);
    assert_int_equal(sl_policy_encode(p, &out), 0);
    assert_int_equal(sl_policy_decode(sl_buf_head(&out), out.len, &back, &err), 0);
    assert_true(back->net_allow_given);
    assert_true(back->http_allow_given);
    assert_int_equal(back->net_allow_count, 0);
    sl_buf_consume(&out, out.len);
    assert_int_equal(sl_policy_to_toml(p, &out, &err), 0);
    assert_int_equal(sl_buf_append(&out, "", 1), 0);
    assert_string_equal((char *)sl_buf_head(&out), "http_allow = []\nnet_allow = []\n");
    sl_buf_done(&out);
}

#define BYTES(s) (s), sizeof(s) - 1

static void test_decode_refuses(void **state)
{
    static const struct {
        const char *data;
        size_t len;
    } bad[] = {
        {BYTES("no_udp")},
        {BYTES("no_udp\0")},
        {BYTES("no_udp\0true")},
        {BYTES("no_udp\0true\0x")},
        {BYTES("no_such_field\0x\0")},
        {BYTES("allow_degraded\0landlock\0")},
        {BYTES("http_allow\0GET 010.0.0.1\0")},
        {BYTES("http_ca\0/x\0")},
        {BYTES("\0\0")},
    };
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        sl_policy *p = NULL;
        sl_error err = {0};
        assert_true(sl_policy_decode(bad[i].data, bad[i].len, &p, &err) < 0);
        assert_null(p);
        assert_true(err.message[0] != '\0');
    }
    SL_AUTO(sl_policy) p = NULL;
    sl_error err;
    assert_int_equal(sl_policy_decode("", 0, &p, &err), 0);
    assert_non_null(p);
}

static void test_toml(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) p = full_policy();
    sl_error err;
    sl_buf out;
    sl_buf_init(&out, 65536);
    assert_int_equal(sl_policy_to_toml(p, &out, &err), 0);
    assert_int_equal(sl_buf_append(&out, "", 1), 0);
    const char *text = (char *)sl_buf_head(&out);
    static const char *const parts[] = {
        "fs_readable = [\n  \"/usr\",\n  \"?/opt/a b\",\n]\n",
        "cwd = \"/tmp\"\n",
        "  \"POST api.example.com/it's?k=\\\"v\\\"\",\n",
        "no_raw_sockets = false\n",
        "max_memory = \"1536M\"\n",
        "max_processes = 7\n",
        "max_cpu = 150\n",
        "cpu_cores = [\n  \"0,2-3\",\n]\n",
        "timeout = 1.500\n",
        "[env]\n\"B\" = \"x\\u0009y\\\"z\\\\\"\n\"A\" = \"2\"\n",
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(parts); i++) {
        if (strstr(text, parts[i]) == NULL) {
            fail_msg("not found:\n%s\nin:\n%s", parts[i], text);
        }
    }
    assert_null(strstr(text, "\"A\" = \"1\"")); /* a key twice would be no TOML */
    sl_buf_done(&out);
    SL_AUTO(sl_policy) odd = new_policy();
    must_set(odd, "fs_readable", "/a\xff");
    assert_int_equal(sl_policy_freeze(odd, &err), 0);
    assert_int_equal(sl_policy_to_toml(odd, &out, &err), -EILSEQ);
    assert_non_null(strstr(err.message, "--fs-read"));
    sl_buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_frozen),
        cmocka_unit_test(test_http_ports),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_cores),
        cmocka_unit_test(test_bad_values),
        cmocka_unit_test(test_resolve),
        cmocka_unit_test(test_ca_needs_key),
        cmocka_unit_test(test_many_rules),
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_quoting),
        cmocka_unit_test(test_nothing_is_a_policy),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_empty_lists),
        cmocka_unit_test(test_decode_refuses),
        cmocka_unit_test(test_toml),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
