/* Signals by name or number. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/signals.h"
#include "core/util.h"

static void names_and_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *word;
        int number;
    } rows[] = {{"TERM", SIGTERM},
                {"term", SIGTERM},
                {"SIGTERM", SIGTERM},
                {"sigterm", SIGTERM},
                {"KILL", SIGKILL},
                {"15", 15},
                {"1", 1},
                {"09", 9},
                {"64", 64},
                {"WINCH", SIGWINCH}};
    for (size_t i = 0; i < SL_ARRAY_LEN(rows); i++) {
        assert_int_equal(sl_cli_signal(rows[i].word), rows[i].number);
    }
    for (int sig = 1; sig <= SIGRTMAX; sig++) {
        char number[8];
        snprintf(number, sizeof(number), "%d", sig);
        assert_int_equal(sl_cli_signal(number), sig);
    }
}

static void all_else_is_none(void **state)
{
    (void)state;
    static const char *const bad[] = {"",    "0",   "65",  "99",         "100",
                                      "-1",  "+1",  " 9",  "9 ",         "1x",
                                      "015", "TER", "SIG", "SIGSIGTERM", "TERMINATE"};
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        if (sl_cli_signal(bad[i]) != -1) {
            fail_msg("'%s' is %d", bad[i], sl_cli_signal(bad[i]));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(names_and_numbers),
                                       cmocka_unit_test(all_else_is_none)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
