/* What guardian and engine tell each other, and what each sees of the other's death. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/wire.h"

#define SOON_MS 10000

static void signals_come_in_their_order(void **state)
{
    (void)state;
    unsigned char got[8];
    sl_wire w;
    sl_wire_init(&w);
    assert_int_equal(sl_wire_open(&w, false), 0);
    assert_int_equal(read(w.signals[0], got, sizeof(got)), -1); /* never waited for */
    sl_wire_pass_on(&w, SIGTERM);
    sl_wire_pass_on(&w, SIGUSR1);
    assert_int_equal(read(w.signals[0], got, sizeof(got)), 2);
    assert_int_equal(got[0], SIGTERM);
    assert_int_equal(got[1], SIGUSR1);
    sl_wire_done(&w);
    sl_wire_done(&w);
}

/* An engine that reads nothing holds no guardian up. */
static void passing_on_never_waits(void **state)
{
    (void)state;
    sl_wire w;
    sl_wire_init(&w);
    assert_int_equal(sl_wire_open(&w, false), 0);
    for (int i = 0; i < 1 << 17; i++) {
        sl_wire_pass_on(&w, SIGHUP);
    }
    sl_wire_done(&w);
}

static void news_come_one_by_one(void **state)
{
    (void)state;
    sl_wire w;
    sl_wire_init(&w);
    assert_int_equal(sl_wire_open(&w, true), 0);
    sl_wire_tell(&w, SL_NEWS_STARTED);
    sl_wire_tell(&w, SL_NEWS_ENDED);
    assert_int_equal(sl_wire_read_news(&w), SL_NEWS_STARTED);
    assert_int_equal(sl_wire_read_news(&w), SL_NEWS_ENDED);
    sl_wire_tell(&w, SL_NEWS_STARTED);
    sl_wire_keep_guardian(&w); /* as when the engine dies */
    assert_int_equal(sl_wire_read_news(&w), SL_NEWS_STARTED);
    assert_int_equal(sl_wire_read_news(&w), SL_NEWS_ENDED);
    sl_wire_close_news(&w);
    assert_int_equal(w.news[0], -1);
    sl_wire_done(&w);
}

/* Without a terminal between there is nobody to tell. */
static void no_news_without_a_terminal(void **state)
{
    (void)state;
    sl_wire w;
    sl_wire_init(&w);
    assert_int_equal(sl_wire_open(&w, false), 0);
    assert_int_equal(w.news[0], -1);
    sl_wire_tell(&w, SL_NEWS_STARTED);
    sl_wire_done(&w);
}

static void the_terminal_is_waited_for(void **state)
{
    (void)state;
    sl_wire w;
    sl_wire_init(&w);
    assert_int_equal(sl_wire_open(&w, true), 0);
    sl_wire_pass_on(&w, SIGTERM); /* late signals are for nobody */
    sl_wire_pass_on(&w, SL_WIRE_RESTORED);
    assert_true(sl_wire_await_restored(&w, SOON_MS));
    assert_true(sl_wire_await_restored(&w, 1)); /* a guardian that hangs is not waited for */
    sl_wire_keep_engine(&w);                    /* as when the guardian dies */
    assert_false(sl_wire_await_restored(&w, SOON_MS));
    sl_wire_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signals_come_in_their_order), cmocka_unit_test(passing_on_never_waits),
        cmocka_unit_test(news_come_one_by_one),        cmocka_unit_test(no_news_without_a_terminal),
        cmocka_unit_test(the_terminal_is_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
