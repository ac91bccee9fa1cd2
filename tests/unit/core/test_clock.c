/* Clocks: forward only, each its own, and the written form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "core/clock.h"

static void test_forward(void **state)
{
    (void)state;
    uint64_t ns = sl_clock_now_ns();
    uint64_t ms = sl_clock_now_ms();
    uint64_t cpu = sl_clock_thread_ns();
    assert_true(ns > 0);
    assert_true(ms >= ns / 1000000);
    for (int i = 0; i < 1000; i++) {
        uint64_t later = sl_clock_now_ns();
        uint64_t later_cpu = sl_clock_thread_ns();
        assert_true(later >= ns);
        assert_true(later_cpu >= cpu);
        ns = later;
        cpu = later_cpu;
    }
    assert_true(sl_clock_now_ms() <= sl_clock_now_ns() / 1000000);
}

/* The one on the wall, in UTC whatever the zone is. */
static void test_iso(void **state)
{
    char text[SL_CLOCK_ISO_MAX];
    struct tm tm = {0};
    int ms;
    int n = 0;
    (void)state;
    assert_int_equal(setenv("TZ", "Asia/Kathmandu", 1), 0);
    tzset();
    time_t before = time(NULL);
    assert_ptr_equal(sl_clock_iso(text), text);
    time_t after = time(NULL) + 1;
    assert_int_equal(strlen(text), strlen("2026-01-02T03:04:05.678Z"));
    assert_int_equal(sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ%n", &tm.tm_year, &tm.tm_mon,
                            &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &ms, &n),
                     7);
    assert_int_equal(n, strlen(text));
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    assert_in_range(timegm(&tm), before - 1, after);
    assert_in_range(ms, 0, 999);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forward),
        cmocka_unit_test(test_iso),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
