/* Synthetic addresses: given once, read back, and read from pages that lie. DNS-07, DNS-09. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "policy/synth.h"

static sl_synth_map *open_map(int fd, bool writable)
{
    sl_synth_map *map = sl_synth_map_open(fd, writable);
    assert_non_null(map);
    return map;
}

static void test_assign_and_lookup(void **state)
{
    (void)state;
    sl_autoclose int fd = sl_synth_create();
    assert_true(fd >= 0);
    sl_synth_map *writer = open_map(fd, true);
    sl_synth_map *reader = open_map(fd, false);
    sl_addr a;
    sl_addr b;
    sl_addr again;
    char name[SL_HOST_NAME_MAX];
    char text[SL_ADDR_STR_MAX];
    assert_int_equal(sl_synth_assign(writer, "a.test", &a), 0);
    assert_int_equal(sl_synth_assign(writer, "b.test", &b), 0);
    assert_int_equal(sl_synth_assign(writer, "A.test.", &again), 0);
    assert_true(sl_addr_equal(&a, &again));
    assert_false(sl_addr_equal(&a, &b));
    assert_true(sl_synth_is(&a));
    assert_string_equal(sl_addr_format(&a, text), "198.18.0.1");
    assert_int_equal(sl_synth_lookup(reader, &a, name), 0);
    assert_string_equal(name, "a.test");
    assert_int_equal(sl_synth_lookup(reader, &b, name), 0);
    assert_string_equal(name, "b.test");
    sl_addr v6;
    sl_synth_to_v6(&b, &v6);
    assert_true(sl_synth_is(&v6));
    assert_string_equal(sl_addr_format(&v6, text), "2001:2::c612:2");
    assert_int_equal(sl_synth_lookup(reader, &v6, name), 0);
    assert_string_equal(name, "b.test");
    static const char *const none[] = {"2001:2::c612:3",   "2001:2::c612:0",     "2001:2::c614:1",
                                       "2001:2::1:c612:1", "2001:2:0:1::c612:1", "2001:2::1",
                                       "2001:3::c612:1",   "2001:2::",           "198.18.0.3",
                                       "198.18.0.0",       "198.18.0.255",       "198.19.255.254",
                                       "198.20.0.1",       "192.0.2.1",          "2001:db8::1",
                                       "198.17.255.1"};
    for (size_t i = 0; i < SL_ARRAY_LEN(none); i++) {
        sl_addr addr;
        assert_int_equal(sl_addr_parse(none[i], &addr), 0);
        assert_int_equal(sl_synth_lookup(reader, &addr, name), -ENOENT);
    }
    assert_int_equal(sl_synth_assign(reader, "c.test", &again), -EINVAL);
    assert_int_equal(sl_synth_assign(writer, "c test", &again), -EINVAL);
    sl_synth_map_close(reader);
    sl_synth_map_close(writer);
}

static void test_range(void **state)
{
    static const char *const in[] = {"198.18.0.0",        "198.18.0.1",     "198.19.255.255",
                                     "::ffff:198.18.0.1", "2001:2::c612:1", "2001:2:0:ffff::1"};
    static const char *const out[] = {"198.17.255.255",   "198.20.0.0",  "::198.18.0.1", "::1",
                                      "2001:2:1::c612:1", "2001::c612:1"};
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(in); i++) {
        sl_addr addr;
        assert_int_equal(sl_addr_parse(in[i], &addr), 0);
        assert_true(sl_synth_is(&addr));
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(out); i++) {
        sl_addr addr;
        assert_int_equal(sl_addr_parse(out[i], &addr), 0);
        assert_false(sl_synth_is(&addr));
    }
}

static void test_pool_ends(void **state)
{
    (void)state;
    sl_autoclose int fd = sl_synth_create();
    sl_synth_map *map = open_map(fd, true);
    sl_addr addr;
    char want[32];
    char name[SL_HOST_NAME_MAX];
    for (int i = 0; i < SL_SYNTH_MAX; i++) {
        snprintf(want, sizeof(want), "n%d.w.test", i);
        assert_int_equal(sl_synth_assign(map, want, &addr), 0);
        assert_true(addr.bytes[3] != 0 && addr.bytes[3] != 255);
        assert_int_equal(sl_synth_lookup(map, &addr, name), 0);
        assert_string_equal(name, want);
    }
    assert_int_equal(sl_synth_assign(map, "one-more.test", &addr), -ENOSPC);
    /* What was given stays given. */
    assert_int_equal(sl_synth_assign(map, "n0.w.test", &addr), 0);
    assert_int_equal(sl_synth_lookup(map, &addr, name), 0);
    assert_string_equal(name, "n0.w.test");
    sl_synth_map_close(map);
    map = open_map(fd, true); /* a second writer goes on */
    assert_int_equal(sl_synth_assign(map, "n8191.w.test", &addr), 0);
    assert_int_equal(sl_synth_lookup(map, &addr, name), 0);
    assert_string_equal(name, "n8191.w.test");
    sl_synth_map_close(map);
}

/* The pages hold anything at all: the reader answers a valid name or nothing. */
static void test_hostile_pages(void **state)
{
    static const char *const names[] = {"A.test", "a test",  "a..b", ".",
                                        "",       "a.test.", "a\nb", "\xc3\xa9.test"};
    (void)state;
    sl_autoclose int fd = sl_synth_create();
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    size_t size = (size_t)st.st_size;
    size_t entry = size / SL_SYNTH_MAX;
    char *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(pages != MAP_FAILED);
    sl_synth_map *reader = open_map(fd, false);
    sl_addr addr;
    char name[SL_HOST_NAME_MAX];
    assert_int_equal(sl_addr_parse("198.18.0.1", &addr), 0);
    for (size_t i = 0; i < SL_ARRAY_LEN(names); i++) {
        uint32_t ready = 1;
        memset(pages, 0, entry);
        memcpy(pages, &ready, sizeof(ready));
        memcpy(pages + sizeof(ready), names[i], strlen(names[i]));
        assert_int_equal(sl_synth_lookup(reader, &addr, name), -ENOENT);
    }
    memset(pages, 'a', size); /* no terminator anywhere, flag neither 0 nor 1 */
    assert_int_equal(sl_synth_lookup(reader, &addr, name), -ENOENT);
    for (size_t i = 0; i < SL_SYNTH_MAX; i++) {
        uint32_t ready = 1;
        memcpy(pages + i * entry, &ready, sizeof(ready));
    }
    assert_int_equal(sl_synth_lookup(reader, &addr, name), -ENOENT); /* a label of 253 */
    assert_int_equal(sl_addr_parse("198.18.32.64", &addr), 0);       /* the last entry */
    assert_int_equal(sl_synth_lookup(reader, &addr, name), -ENOENT);
    /* A writer that starts on such pages neither hangs nor believes them. */
    sl_synth_map *writer = open_map(fd, true);
    assert_int_equal(sl_synth_assign(writer, "a.test", &addr), 0);
    assert_int_equal(sl_synth_lookup(reader, &addr, name), 0);
    assert_string_equal(name, "a.test");
    sl_synth_map_close(writer);
    sl_synth_map_close(reader);
    munmap(pages, size);
}

static void test_wrong_files(void **state)
{
    (void)state;
    sl_autoclose int small = memfd_create("small", MFD_CLOEXEC);
    assert_true(small >= 0);
    assert_null(sl_synth_map_open(small, false));
    assert_null(sl_synth_map_open(-1, false));
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_null(sl_synth_map_open(ends[0], false));
    close(ends[0]);
    close(ends[1]);
    sl_autoclose int fd = sl_synth_create();
    assert_int_equal(ftruncate(fd, 0), -1); /* sealed: no SIGBUS for the reader */
    sl_synth_map_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_assign_and_lookup), cmocka_unit_test(test_range),
        cmocka_unit_test(test_pool_ends),         cmocka_unit_test(test_hostile_pages),
        cmocka_unit_test(test_wrong_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
