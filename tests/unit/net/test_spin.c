/* The loop runs what there is to run and then returns, whatever it thinks of sleeping. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/spin.h"

static unsigned fired;

static void on_timer(uv_timer_t *timer)
{
    if (++fired == 3) {
        uv_close((uv_handle_t *)timer, NULL);
    }
}

static void run(void)
{
    uv_loop_t loop;
    uv_timer_t timer;
    fired = 0;
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(uv_timer_init(&loop, &timer), 0);
    assert_int_equal(uv_timer_start(&timer, on_timer, 1, 1), 0);
    sl_spin_run(&loop);
    assert_int_equal(fired, 3);
    assert_int_equal(uv_loop_close(&loop), 0); /* nothing was left open */
}

static void it_runs_until_nothing_is_left(void **state)
{
    (void)state;
    run();
}

static void it_runs_on_one_processor(void **state)
{
    (void)state;
    cpu_set_t all;
    cpu_set_t one;
    assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; cpu++) {
        if (CPU_ISSET(cpu, &all)) {
            CPU_SET(cpu, &one);
        }
    }
    assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
    run();
    assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_runs_until_nothing_is_left),
        cmocka_unit_test(it_runs_on_one_processor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
