/* Connects that nobody heard: kept by port, dropped by port, no more than fit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "engine/caller/unheard.h"

static const sl_net_verdict verdict = {.action = SL_NET_DENY, .reason = "no_rule"};
static sl_unheard u;

static bool add(const char *addr, uint16_t port, const char *exe)
{
    static sl_met met;
    met = (sl_met){.count = 1, .first_ms = port, .last_ms = port, .dest.port = port};
    assert_int_equal(sl_addr_parse(addr, &met.dest.addr), 0);
    snprintf(met.exe, sizeof(met.exe), "%s", exe);
    return sl_unheard_add(&u, &met, &verdict);
}

static void a_port_is_dropped_whatever_its_address(void **state)
{
    (void)state;
    u.count = 0;
    assert_true(add("127.0.0.1", 1, "a"));
    assert_true(add("127.0.0.1", 2, "a"));
    assert_true(add("::1", 1, "a"));
    assert_true(add("127.0.0.1", 2, "a"));
    assert_int_equal(u.count, 3);
    assert_int_equal(sl_unheard_sum(&u), 4);
    sl_unheard_drop(&u, 1);
    assert_int_equal(u.count, 1);
    assert_int_equal(u.items[0].met.dest.port, 2);
    assert_int_equal(u.items[0].met.count, 2);
}

static void programs_are_told_apart(void **state)
{
    (void)state;
    u.count = 0;
    assert_true(add("127.0.0.1", 1, "a"));
    assert_true(add("127.0.0.1", 1, "b"));
    assert_int_equal(u.count, 2);
}

static void there_is_an_end(void **state)
{
    (void)state;
    u.count = 0;
    for (uint16_t port = 1; port <= SL_UNHEARD_MAX; port++) {
        assert_true(add("127.0.0.1", port, "a"));
    }
    assert_false(add("127.0.0.1", SL_UNHEARD_MAX + 1, "a"));
    assert_true(add("127.0.0.1", 1, "a"));
    sl_met named = {.count = 1, .dest = {.name = "a.test", .port = 1}};
    assert_false(sl_unheard_add(&u, &named, &verdict));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_port_is_dropped_whatever_its_address),
        cmocka_unit_test(programs_are_told_apart),
        cmocka_unit_test(there_is_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
