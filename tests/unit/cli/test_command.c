/* The words after `sandlock`: found by their names alone, and a mistyped one is answered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "caught.h"
#include "cli/command.h"
#include "core/util.h"

static struct caught caught;

static const char *unknown(const char *word)
{
    caught_begin(&caught, STDERR_FILENO);
    int code = sl_cli_command_unknown(word);
    caught_end(&caught);
    assert_int_equal(code, 2);
    return caught.text;
}

static void each_is_found(void **state)
{
    (void)state;
    size_t count;
    const sl_cli_command *commands = sl_cli_commands(&count);
    assert_int_equal(count, SL_CLI_COMMANDS);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(commands[i].id, i); /* main finds what it does by this */
        assert_true(strlen(commands[i].help) > 0 && strlen(commands[i].help) < 60);
        assert_ptr_equal(sl_cli_command_find(commands[i].name), &commands[i]);
    }
    assert_null(sl_cli_command_find(""));
    assert_null(sl_cli_command_find("ru"));
    assert_null(sl_cli_command_find("runs"));
    assert_null(sl_cli_command_find("--help"));
}

static void the_nearest_is_named(void **state)
{
    (void)state;
    size_t count;
    const sl_cli_command *commands = sl_cli_commands(&count);
    for (size_t i = 0; i < count; i++) {
        char word[32];
        char wanted[64];
        if (strlen(commands[i].name) < 3) {
            continue; /* too short for a guess */
        }
        snprintf(word, sizeof(word), "%sx", commands[i].name);
        snprintf(wanted, sizeof(wanted), "'%s'; did you mean '%s'?", word, commands[i].name);
        assert_non_null(strstr(unknown(word), wanted));
    }
}

/* A program, an option: what was probably wanted. */
static void others_are_told_how(void **state)
{
    (void)state;
    size_t count;
    const sl_cli_command *commands = sl_cli_commands(&count);
    const char *text = unknown("python3");
    for (size_t i = 0; i < count; i++) {
        char quoted[32];
        snprintf(quoted, sizeof(quoted), "'%s'", commands[i].name);
        assert_non_null(strstr(text, quoted));
    }
    assert_non_null(strstr(text, "sandlock run -- python3"));
    assert_non_null(strstr(unknown("-r"), "expected a command before options"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_found),
        cmocka_unit_test(the_nearest_is_named),
        cmocka_unit_test(others_are_told_how),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
