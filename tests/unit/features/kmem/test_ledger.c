/* Charges, and what a look at the tree gives back of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "alloc.h"
#include "features/kmem/ledger.h"

static sl_ledger_item pipe_of(uint64_t ino, uint64_t charge)
{
    return (sl_ledger_item){.ino = ino, .charge = charge, .kind = SL_LEDGER_PIPE};
}

static bool put(sl_ledger *l, uint64_t ino, uint64_t charge)
{
    sl_ledger_item item = pipe_of(ino, charge);
    return sl_ledger_put(l, &item);
}

static bool nothing_stays(void *arg, const sl_ledger_item *item)
{
    (void)arg;
    (void)item;
    return false;
}

static bool tcp_stays(void *arg, const sl_ledger_item *item)
{
    (void)arg;
    return item->kind == SL_LEDGER_TCP;
}

static void a_budget_is_never_passed(void **state)
{
    (void)state;
    SL_AUTO(sl_ledger) l = sl_ledger_new(1000);
    assert_true(put(l, 1, 600));
    assert_false(put(l, 2, 401));
    assert_int_equal(sl_ledger_left(l), 400);
    assert_false(put(l, 1, 1001)); /* nor by what grows */
    assert_int_equal(sl_ledger_find(l, 1)->charge, 600);
    assert_true(put(l, 1, 1000));
    assert_true(put(l, 1, 100));
    assert_true(sl_ledger_expect(l, 500));
    assert_true(sl_ledger_keep(l, 400));
    assert_false(sl_ledger_expect(l, 1));
    assert_false(sl_ledger_keep(l, 1));
    assert_false(put(l, 0, 0)); /* nobody's number */
    assert_int_equal(sl_ledger_budget(l), 1000);
}

static void a_look_gives_back_what_is_gone(void **state)
{
    (void)state;
    SL_AUTO(sl_ledger) l = sl_ledger_new(1000);
    sl_ledger_item new = pipe_of(3, 50);
    assert_true(put(l, 1, 300) && put(l, 2, 300) && sl_ledger_expect(l, 200));
    sl_ledger_look(l);
    assert_true(sl_ledger_see(l, 2));
    assert_false(sl_ledger_see(l, 3));
    sl_ledger_meet(l, &new);
    sl_ledger_looked(l, true, nothing_stays, NULL);
    assert_null(sl_ledger_find(l, 1));
    assert_int_equal(sl_ledger_left(l), 1000 - 300 - 50);
    assert_true(put(l, 4, 650)); /* in the place of the first */
}

static void a_look_that_is_not_whole_gives_nothing_back(void **state)
{
    (void)state;
    SL_AUTO(sl_ledger) l = sl_ledger_new(1000);
    sl_ledger_item new = pipe_of(3, 150);
    assert_true(put(l, 1, 300) && sl_ledger_expect(l, 200));
    sl_ledger_look(l);
    sl_ledger_meet(l, &new); /* one of those that were expected */
    sl_ledger_looked(l, false, nothing_stays, NULL);
    assert_non_null(sl_ledger_find(l, 1));
    assert_int_equal(sl_ledger_left(l), 1000 - 500);
}

static void what_still_sends_stays(void **state)
{
    (void)state;
    SL_AUTO(sl_ledger) l = sl_ledger_new(1000);
    sl_ledger_item tcp = {.ino = 7, .charge = 100, .kind = SL_LEDGER_TCP, .cookie = 9};
    assert_true(sl_ledger_put(l, &tcp) && put(l, 8, 100) && sl_ledger_keep(l, 10));
    for (int i = 0; i < 3; i++) {
        sl_ledger_look(l);
        sl_ledger_looked(l, true, tcp_stays, NULL);
        assert_int_equal(sl_ledger_left(l), 890);
    }
    sl_ledger_look(l);
    sl_ledger_looked(l, true, nothing_stays, NULL);
    assert_int_equal(sl_ledger_left(l), 990);
}

static void parts_and_looks_follow_what_is_left(void **state)
{
    (void)state;
    SL_AUTO(sl_ledger) l = sl_ledger_new(6400);
    assert_int_equal(sl_ledger_share(l, 64, 1, 1000), 100);
    assert_int_equal(sl_ledger_share(l, 64, 1, 50), 50);
    assert_int_equal(sl_ledger_share(l, 64, 200, 1000), 200);
    assert_false(sl_ledger_wants_look(l));
    assert_true(sl_ledger_expect(l, 3199));
    assert_false(sl_ledger_wants_look(l));
    assert_true(sl_ledger_expect(l, 1));
    assert_true(sl_ledger_wants_look(l));
    assert_int_equal(sl_ledger_share(l, 64, 1, 1000), 50);
    sl_ledger_look(l);
    sl_ledger_looked(l, true, nothing_stays, NULL);
    assert_false(sl_ledger_wants_look(l));
    /* where little is left, not for less than a part of all */
    assert_true(put(l, 1, 6350));
    sl_ledger_look(l);
    sl_ledger_looked(l, false, nothing_stays, NULL);
    assert_true(put(l, 2, 50));
    assert_false(sl_ledger_wants_look(l));
}

/* More objects than there is room for: none goes uncounted. */
static void objects_are_bounded(void **state)
{
    (void)state;
    SL_AUTO(sl_ledger) l = sl_ledger_new(UINT64_MAX / 2);
    for (uint64_t i = 1; i <= SL_LEDGER_ITEMS_MAX; i++) {
        assert_true(put(l, i, 1));
    }
    assert_false(put(l, SL_LEDGER_ITEMS_MAX + 1, 1));
    assert_true(put(l, 5, 2)); /* a known one may change */
    sl_ledger_item more = pipe_of(SL_LEDGER_ITEMS_MAX + 1, 1);
    sl_ledger_look(l);
    sl_ledger_meet(l, &more);
    sl_ledger_looked(l, true, nothing_stays, NULL);
    assert_non_null(sl_ledger_find(l, 1)); /* so that look was not whole */
    sl_ledger_look(l);
    sl_ledger_looked(l, true, nothing_stays, NULL);
    assert_null(sl_ledger_find(l, 1));
    assert_true(put(l, SL_LEDGER_ITEMS_MAX + 1, 1));
}

static void no_memory_is_no_ledger(void **state)
{
    (void)state;
    for (unsigned n = 0;; n++) {
        alloc_fail(n);
        sl_ledger *l = sl_ledger_new(1);
        if (!alloc_failed()) {
            assert_non_null(l);
            sl_ledger_free(l);
            break;
        }
        assert_null(l);
    }
    sl_ledger_free(NULL);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_budget_is_never_passed),
        cmocka_unit_test(a_look_gives_back_what_is_gone),
        cmocka_unit_test(a_look_that_is_not_whole_gives_nothing_back),
        cmocka_unit_test(what_still_sends_stays),
        cmocka_unit_test(parts_and_looks_follow_what_is_left),
        cmocka_unit_test(objects_are_bounded),
        cmocka_unit_test(no_memory_is_no_ledger),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
