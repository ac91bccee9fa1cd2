/* What /proc says of processors and memory, rewritten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/util.h"
#include "features/procfs/machine_text.h"

static const char cpuinfo[] =
    "processor\t: 0\nmodel name\t: A\nphysical id\t: 0\nsiblings\t: 3\ncore id\t\t: 0\n"
    "cpu cores\t: 3\nflags\t\t: x\n\n"
    "processor\t: 1\nmodel name\t: B\nphysical id\t: 1\nsiblings\t: 3\ncore id\t\t: 4\n"
    "cpu cores\t: 3\nflags\t\t: y\n\n";

static const char stat_text[] = "cpu  11 22 33 44 5 6 7 8 9 10\n"
                                "cpu0 1 2 3 4 5 6 7 8 9 10\n"
                                "cpu1 10 20 30 40\n"
                                "intr 5 6\nctxt 7\n";

static unsigned in_turn(const void *arg, unsigned i)
{
    return i % *(const unsigned *)arg;
}

static void expect(sl_buf *out, int r, const char *text)
{
    assert_int_equal(r, 0);
    assert_int_equal(sl_buf_append(out, "", 1), 0);
    assert_string_equal((const char *)sl_buf_head(out), text);
    sl_buf_done(out);
}

static void as_many_processors_as_asked(void **state)
{
    (void)state;
    unsigned real = 2;
    sl_buf out;
    sl_machine_cores cores = {1, in_turn, &real};
    sl_buf_init(&out, 4096);
    expect(&out, sl_machine_cpuinfo(cpuinfo, &cores, &out),
           "processor\t: 0\nmodel name\t: A\nphysical id\t: 0\nsiblings\t: 1\ncore id\t\t: 0\n"
           "cpu cores\t: 1\nflags\t\t: x\n\n");
    cores.shown = 3;
    sl_buf_init(&out, 4096);
    expect(&out, sl_machine_cpuinfo(cpuinfo, &cores, &out),
           "processor\t: 0\nmodel name\t: A\nphysical id\t: 0\nsiblings\t: 3\ncore id\t\t: 0\n"
           "cpu cores\t: 3\nflags\t\t: x\n\n"
           "processor\t: 1\nmodel name\t: B\nphysical id\t: 0\nsiblings\t: 3\ncore id\t\t: 1\n"
           "cpu cores\t: 3\nflags\t\t: y\n\n"
           "processor\t: 2\nmodel name\t: A\nphysical id\t: 0\nsiblings\t: 3\ncore id\t\t: 2\n"
           "cpu cores\t: 3\nflags\t\t: x\n\n");
    sl_buf_init(&out, 4096);
    assert_true(sl_machine_cpuinfo("nothing\n", &cores, &out) < 0);
    sl_buf_done(&out);
}

static void times_are_of_the_processors_shown(void **state)
{
    (void)state;
    unsigned real = 2;
    sl_buf out;
    sl_machine_cores cores = {1, in_turn, &real};
    sl_buf_init(&out, 4096);
    expect(&out, sl_machine_stat(stat_text, &cores, &out),
           "cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 2 3 4 5 6 7 8 9 10\nintr 5 6\nctxt 7\n");
    cores.shown = 3;
    sl_buf_init(&out, 4096);
    expect(&out, sl_machine_stat(stat_text, &cores, &out),
           "cpu  12 24 36 48 10 12 14 16 18 20\ncpu0 1 2 3 4 5 6 7 8 9 10\n"
           "cpu1 10 20 30 40 0 0 0 0 0 0\ncpu2 1 2 3 4 5 6 7 8 9 10\nintr 5 6\nctxt 7\n");
    real = 9; /* a core that the text does not know */
    cores.shown = 3;
    sl_buf_init(&out, 4096);
    expect(&out, sl_machine_stat("cpu  1 1\ncpu0 1 1\n", &cores, &out),
           "cpu  1 1 0 0 0 0 0 0 0 0\ncpu0 1 1 0 0 0 0 0 0 0 0\n"
           "cpu1 0 0 0 0 0 0 0 0 0 0\ncpu2 0 0 0 0 0 0 0 0 0 0\n");
}

static void memory_is_what_is_allowed(void **state)
{
    (void)state;
    sl_buf out;
    static const char real[] = "MemTotal:       24684084 kB\nMemFree:        20844140 kB\n"
                               "MemAvailable:   23351600 kB\nCached:          2348276 kB\n"
                               "SwapTotal:         99999 kB\nAnonPages:        500000 kB\n"
                               "PageTables:           12 kB\nHugePages_Total:       0\n"
                               "DirectMap4k:      200000 kB\n";
    sl_buf_init(&out, 4096);
    expect(&out, sl_machine_meminfo(real, 1024 * 1024, 256 * 1024, &out),
           "MemTotal:           1024 kB\nMemFree:             768 kB\n"
           "MemAvailable:        768 kB\nCached:                0 kB\n"
           "SwapTotal:             0 kB\nAnonPages:           256 kB\n"
           "PageTables:           12 kB\nHugePages_Total:       0\n"
           "DirectMap4k:      200000 kB\n");
    sl_buf_init(&out, 4096);
    expect(&out, sl_machine_meminfo("MemFree: 5 kB\n", 1024 * 1024, 4096 * 1024, &out),
           "MemFree:               0 kB\n");
    sl_buf_init(&out, 16);
    assert_true(sl_machine_meminfo(real, 1024 * 1024, 0, &out) < 0);
    sl_buf_done(&out);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_many_processors_as_asked),
        cmocka_unit_test(times_are_of_the_processors_shown),
        cmocka_unit_test(memory_is_what_is_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
