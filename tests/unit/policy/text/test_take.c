/* Single values: what is taken, what is refused, and that the error names the word. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "alloc.h"
#include "core/util.h"
#include "made.h"
#include "policy/policy.h"

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
        {"max_cpu", "0", "from 1 to"},
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

static void test_lengths(void **state)
{
    static const struct {
        const char *field;
        size_t max;
    } cases[] = {{"name", 64}, {"hostname", 64}, {"random_seed", 256}};
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        SL_AUTO(sl_policy) p = new_policy();
        char word[300];
        sl_error err;
        memset(word, 'a', sizeof(word));
        word[10] = '.'; /* a label has 63 */
        word[cases[i].max] = '\0';
        must_set(p, cases[i].field, word);
        word[cases[i].max] = 'a';
        word[cases[i].max + 1] = '\0';
        assert_int_equal(set(p, cases[i].field, word, &err), -EINVAL);
    }
}

static void test_hostnames(void **state)
{
    static const char *const good[] = {"a", "A-1", "build.example.com", "1", "a--b"};
    static const char *const bad[] = {"",     ".",    "a.",  ".a",  "a..b", "-a",  "a-",
                                      "a.-b", "a-.b", "a_b", "a b", "a/b",  "a\n", "\xc3\xbc"};
    char label[65];
    sl_error err;
    (void)state;
    SL_AUTO(sl_policy) p = new_policy();
    for (size_t i = 0; i < SL_ARRAY_LEN(good); i++) {
        must_set(p, "hostname", good[i]);
        assert_string_equal(p->hostname, good[i]); /* the last one */
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        if (set(p, "hostname", bad[i], &err) != -EINVAL) {
            fail_msg("'%s' was taken", bad[i]);
        }
    }
    memset(label, 'a', 64);
    label[63] = '\0';
    must_set(p, "hostname", label);
    label[63] = 'a';
    label[64] = '\0';
    assert_int_equal(set(p, "hostname", label, &err), -EINVAL);
}

static void test_numbers(void **state)
{
    sl_error err;
    (void)state;
    SL_AUTO(sl_policy) p = new_policy();
    must_set(p, "audit", "fd:999999");
    assert_int_equal(set(p, "audit", "fd:1000000", &err), -EINVAL);
    assert_int_equal(set(p, "audit", "fd:-1", &err), -EINVAL);
    assert_int_equal(set(p, "audit", "fd:3 ", &err), -EINVAL);
    must_set(p, "gpu_devices", "0,63");
    assert_true(p->gpu_mask == (1 | UINT64_C(1) << 63));
    must_set(p, "gpu_devices", "1");
    assert_true(p->gpu_mask == (3 | UINT64_C(1) << 63));
    assert_int_equal(set(p, "gpu_devices", "2,64", &err), -EINVAL);
    assert_true(p->gpu_mask == (3 | UINT64_C(1) << 63)); /* not half of it */
    assert_int_equal(set(p, "gpu_devices", "18446744073709551616", &err), -EINVAL);
    assert_int_equal(set(p, "cpu_cores", "18446744073709551616", &err), -EINVAL);
    assert_int_equal(set(p, "cpu_cores", "0-18446744073709551616", &err), -EINVAL);
    must_set(p, "cpu_cores", "0-1023");
    for (size_t i = 0; i < SL_ARRAY_LEN(p->cpu_cores); i++) {
        assert_true(p->cpu_cores[i] == UINT64_MAX);
    }
}

/* Refused values leave no trace: neither parsed nor written. */
static void test_refused_leaves_nothing(void **state)
{
    sl_error err;
    (void)state;
    SL_AUTO(sl_policy) p = new_policy();
    must_set(p, "net_allow", "a.test:80");
    assert_int_equal(set(p, "net_allow", "b.test:0", &err), -EINVAL);
    assert_int_equal(set(p, "http_allow", "get a.test", &err), -EINVAL);
    assert_int_equal(set(p, "resolve", "a.test=x", &err), -EINVAL);
    assert_int_equal(set(p, "net_allow_hosts", "a b", &err), -EINVAL);
    assert_int_equal(set(p, "http_no_inspect", "a b", &err), -EINVAL);
    assert_int_equal(p->net_allow_count, 1);
    assert_int_equal(p->net_allow_text.count, 1);
    assert_int_equal(p->http_allow_count + p->http_allow_text.count, 0);
    assert_false(p->http_allow_given);
    assert_int_equal(p->resolve_count + p->resolve_text.count, 0);
    assert_int_equal(p->net_host_count + p->net_allow_hosts.count, 0);
    assert_int_equal(p->http_no_inspect_count + p->http_no_inspect_text.count, 0);
    must_set(p, "net_allow", "c.test:81"); /* and the place is free */
    assert_string_equal(p->net_allow[1].text, "c.test:81");
}

static void test_no_memory(void **state)
{
    static const char *const values[][2] = {
        {"net_allow", "tcp://a.test:80,443"},
        {"net_deny", "metadata"},
        {"net_allow_hosts", "a.test"},
        {"net_connect", "80,443"},
        {"net_bind", "0,80"},
        {"http_allow", "GET,POST a.test/x?k=v&l=w"},
        {"http_deny", "* a.test"},
        {"http_ports", "8080"},
        {"http_no_inspect", "a.test"},
        {"resolve", "a.test=[::1]:80"},
        {"fs_readable", "/usr"},
        {"env", "A=1"},
        {"name", "job"},
        {"time_start", "2020-02-29T12:00:00Z"},
        {"deny_syscalls", "ptrace"},
        {"gpu_devices", "0"},
    };
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(values); i++) {
        for (unsigned n = 0;; n++) {
            SL_AUTO(sl_policy) p = new_policy();
            sl_error err = {0};
            alloc_fail(n);
            int r = set(p, values[i][0], values[i][1], &err);
            bool failed = alloc_failed();
            if (!failed) {
                assert_int_equal(r, 0);
                assert_true(n > 0);
                break;
            }
            if (r != -ENOMEM || err.kind != SL_ERROR_SYSTEM || err.message[0] == '\0') {
                fail_msg("%s %u: %d '%s'", values[i][0], n, r, err.message);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cores),
        cmocka_unit_test(test_bad_values),
        cmocka_unit_test(test_resolve),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_hostnames),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_refused_leaves_nothing),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
