/* Reading hosts(5): names and aliases in any case, comments, strict addresses, and files that are
 * none. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "alloc.h"
#include "core/fd.h"
#include "core/util.h"
#include "net/dns/hosts_int.h"

#define MAX 4

static char path[64];

static void put(const void *data, size_t len)
{
    snprintf(path, sizeof(path), "/tmp/sandlock-hosts-XXXXXX");
    sl_autoclose int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(sl_fd_write_all(fd, data, len), 0);
}

static size_t lookup(const char *text, const char *name, sl_addr addrs[MAX])
{
    put(text, strlen(text));
    size_t count = sl_hosts_lookup(path, name, addrs, MAX);
    unlink(path);
    return count;
}

static void assert_addr(const sl_addr *addr, const char *text)
{
    char out[SL_ADDR_STR_MAX];
    assert_string_equal(sl_addr_format(addr, out), text);
}

static void test_names(void **state)
{
    static const char text[] = "# the machine\n"
                               "127.0.0.1\tlocalhost\n"
                               "::1 localhost ip6-localhost\r\n"
                               "\n"
                               "  192.0.2.1   db.test DB   alias # db.none\n"
                               "192.0.2.2 db.test\n"
                               "#192.0.2.3 db.test\n"
                               "192.0.2.9 last"; /* no end of the line */
    sl_addr addrs[MAX];
    (void)state;
    assert_int_equal(lookup(text, "localhost", addrs), 2);
    assert_addr(&addrs[0], "127.0.0.1");
    assert_addr(&addrs[1], "::1");
    assert_int_equal(lookup(text, "ip6-localhost", addrs), 1);
    assert_int_equal(lookup(text, "db.test", addrs), 2);
    assert_addr(&addrs[0], "192.0.2.1");
    assert_addr(&addrs[1], "192.0.2.2");
    assert_int_equal(lookup(text, "DB.Test", addrs), 2);
    assert_int_equal(lookup(text, "db", addrs), 1);
    assert_int_equal(lookup(text, "alias", addrs), 1);
    assert_int_equal(lookup(text, "last", addrs), 1);
    assert_int_equal(lookup(text, "db.none", addrs), 0);
    assert_int_equal(lookup(text, "db.tes", addrs), 0);
    assert_int_equal(lookup(text, "127.0.0.1", addrs), 0); /* an address is no name of itself */
    assert_int_equal(lookup(text, "", addrs), 0);
}

static void test_bad_lines(void **state)
{
    static const char *const lines[] = {
        "010.0.0.1 a\n", "127.1 a\n",   "0x7f000001 a\n",   "2130706433 a\n", "a\n",
        "a a\n",         "1.2.3.4\n",   "1.2.3.4#a\n",      "1.2.3.4 #a\n",   "1.2.3.4/32 a\n",
        "::g a\n",       "1.2.3.4,a\n", "fe80::1%eth0 a\n", "\n\n\n",         "",
        "#\n",
    };
    sl_addr addrs[MAX];
    (void)state;
    assert_int_equal(lookup("1.2.3.4 a\n", "a", addrs), 1);
    for (size_t i = 0; i < SL_ARRAY_LEN(lines); i++) {
        if (lookup(lines[i], "a", addrs) != 0) {
            fail_msg("'%s' was taken", lines[i]);
        }
    }
}

static void test_maximum(void **state)
{
    char text[200] = "";
    sl_addr addrs[MAX + 1];
    (void)state;
    for (int i = 0; i < MAX + 3; i++) {
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "192.0.2.%d a\n", i);
    }
    memset(&addrs[MAX], 0x5a, sizeof(addrs[MAX]));
    put(text, strlen(text));
    for (size_t max = 0; max <= MAX; max++) {
        assert_int_equal(sl_hosts_lookup(path, "a", addrs, max), max);
    }
    unlink(path);
    assert_int_equal(addrs[MAX].family, 0x5a);
    assert_addr(&addrs[MAX - 1], "192.0.2.3");
}

static void test_no_file(void **state)
{
    sl_addr addrs[MAX];
    (void)state;
    assert_int_equal(sl_hosts_lookup("/nonexistent", "a", addrs, MAX), 0);
    assert_int_equal(sl_hosts_lookup("/", "a", addrs, MAX), 0);
    assert_int_equal(sl_hosts_lookup("/dev/zero", "a", addrs, MAX), 0); /* has no end */
    put("1.2.3.4 a\n", 10);
    alloc_fail(0);
    assert_int_equal(sl_hosts_lookup(path, "a", addrs, MAX), 0);
    assert_true(alloc_failed());
    assert_int_equal(truncate(path, SL_HOSTS_MAX), 0);
    assert_int_equal(sl_hosts_lookup(path, "a", addrs, MAX), 1);
    assert_int_equal(truncate(path, SL_HOSTS_MAX + 1), 0); /* as if it were not there */
    assert_int_equal(sl_hosts_lookup(path, "a", addrs, MAX), 0);
    unlink(path);
}

/* Bytes that are no text: nothing is found that is not there, and nothing is read behind the end.
 */
static void test_rubbish(void **state)
{
    uint8_t bytes[512];
    sl_addr addrs[MAX];
    unsigned seed = 7;
    (void)state;
    for (int round = 0; round < 50; round++) {
        for (size_t i = 0; i < sizeof(bytes); i++) {
            seed = seed * 1103515245 + 12345;
            bytes[i] = (uint8_t)(seed >> 16);
        }
        put(bytes, sizeof(bytes));
        assert_int_equal(sl_hosts_lookup(path, "localhost", addrs, MAX), 0);
        unlink(path);
    }
    put("1.2.3.4\0a\n5.6.7.8 a\n", 20); /* a text ends at a NUL */
    assert_int_equal(sl_hosts_lookup(path, "a", addrs, MAX), 0);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),   cmocka_unit_test(test_bad_lines),
        cmocka_unit_test(test_maximum), cmocka_unit_test(test_no_file),
        cmocka_unit_test(test_rubbish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
