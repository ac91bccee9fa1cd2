/* What the tree made: found again, forgotten when it is gone, and no more than there is room for.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "features/ipc/known.h"

static void what_was_added_is_known(void **state)
{
    (void)state;
    sl_ipc_known known = {0};
    assert_false(sl_ipc_known_has(&known, 7));
    sl_ipc_known_drop(&known, 7);
    assert_int_equal(sl_ipc_known_reserve(&known, NULL), 0);
    sl_ipc_known_add(&known, 7);
    sl_ipc_known_add(&known, 0);
    sl_ipc_known_add(&known, 7);
    assert_int_equal(known.count, 2);
    assert_true(sl_ipc_known_has(&known, 7) && sl_ipc_known_has(&known, 0));
    sl_ipc_known_drop(&known, 7);
    assert_true(!sl_ipc_known_has(&known, 7) && sl_ipc_known_has(&known, 0));
    sl_ipc_known_done(&known);
}

static bool is_even(uint64_t item)
{
    return item % 2 == 0;
}

static void a_full_list_makes_room_for_what_is_gone_alone(void **state)
{
    (void)state;
    sl_ipc_known known = {0};
    for (uint64_t i = 0; i < SL_IPC_KNOWN_MAX; i++) {
        assert_int_equal(sl_ipc_known_reserve(&known, NULL), 0);
        sl_ipc_known_add(&known, i);
    }
    assert_int_equal(sl_ipc_known_reserve(&known, NULL), -ENOSPC);
    sl_ipc_known_add(&known, SL_IPC_KNOWN_MAX); /* nowhere to put it */
    assert_false(sl_ipc_known_has(&known, SL_IPC_KNOWN_MAX));
    assert_int_equal(sl_ipc_known_reserve(&known, is_even), 0);
    assert_int_equal(known.count, SL_IPC_KNOWN_MAX / 2);
    assert_true(sl_ipc_known_has(&known, 2) && !sl_ipc_known_has(&known, 3));
    sl_ipc_known_done(&known);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_added_is_known),
        cmocka_unit_test(a_full_list_makes_room_for_what_is_gone_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
