/* The two written forms of a policy. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "alloc.h"
#include "core/util.h"
#include "made.h"
#include "policy/policy.h"

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
        {"http_ca_bundle", "merged"},
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
        {"debug", "true"},
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

/* Cut anywhere, the link's form is refused or is a policy of less; never read beyond its end. */
static void test_every_cut(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) p = full_policy();
    sl_buf out;
    sl_buf_init(&out, 65536);
    assert_int_equal(sl_policy_encode(p, &out), 0);
    for (size_t len = 0; len < out.len; len++) {
        SL_AUTO(sl_policy) back = NULL;
        sl_error err = {0};
        sl_autofree char *exact = malloc(len + (len == 0));
        assert_non_null(exact);
        memcpy(exact, sl_buf_head(&out), len);
        int r = sl_policy_decode(exact, len, &back, &err);
        assert_true((r == 0) == (back != NULL));
        assert_true(r == 0 || err.message[0] != '\0');
    }
    sl_buf_done(&out);
}

static void test_no_room(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) p = full_policy();
    sl_buf all;
    sl_buf_init(&all, 65536);
    assert_int_equal(sl_policy_encode(p, &all), 0);
    for (size_t max = 0; max <= all.len; max++) {
        sl_buf out;
        sl_buf_init(&out, max);
        assert_int_equal(sl_policy_encode(p, &out), max == all.len ? 0 : -ENOBUFS);
        sl_buf_done(&out);
    }
    sl_buf_done(&all);
}

static void test_no_memory(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) p = full_policy();
    sl_buf all;
    sl_error err;
    sl_buf_init(&all, 65536);
    assert_int_equal(sl_policy_encode(p, &all), 0);
    for (unsigned n = 0;; n++) {
        sl_buf out;
        sl_buf_init(&out, 65536);
        alloc_fail(n);
        int encoded = sl_policy_encode(p, &out);
        int shown = encoded < 0 ? 0 : sl_policy_to_toml(p, &out, &err);
        bool failed = alloc_failed();
        sl_buf_done(&out);
        assert_int_equal(encoded < 0 ? encoded : shown, failed ? -ENOMEM : 0);
        if (!failed) {
            break;
        }
    }
    for (unsigned n = 0;; n++) {
        SL_AUTO(sl_policy) back = NULL;
        alloc_fail(n);
        int r = sl_policy_decode(sl_buf_head(&all), all.len, &back, &err);
        if (!alloc_failed()) {
            assert_int_equal(r, 0);
            assert_true(n > 50);
            break;
        }
        assert_true(r < 0);
        assert_null(back);
        assert_true(err.message[0] != '\0');
    }
    sl_buf_done(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_a_policy),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_empty_lists),
        cmocka_unit_test(test_decode_refuses),
        cmocka_unit_test(test_toml),
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
