/* Each word has a help with an example, and that of `run` has every option. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/command.h"
#include "cli/help.h"
#include "cli/mains.h"
#include "cli/options.h"
#include "core/util.h"
#include "said.h"

static struct said said;

static void each_word_has_one_with_an_example(void **state)
{
    (void)state;
    size_t count;
    const sl_cli_command *commands = sl_cli_commands(&count);
    for (size_t i = 0; i < count; i++) {
        char usage[64];
        SAID(&said, sl_cli_help_main, (char *)"help", (char *)commands[i].name);
        assert_int_equal(said.code, 0);
        assert_string_equal(said.err.text, "");
        snprintf(usage, sizeof(usage), "usage: sandlock %s", commands[i].name);
        assert_int_equal(strncmp(said.out.text, usage, strlen(usage)), 0);
        const char *example = strstr(said.out.text, "\nexample");
        if (example == NULL || strstr(example, usage + strlen("usage: ")) == NULL) {
            fail_msg("'%s' has no example of itself", commands[i].name);
        }
        for (const char *line = said.out.text; *line != '\0'; line = strchr(line, '\n') + 1) {
            assert_true(strcspn(line, "\n") <= 120);
        }
    }
}

static void the_program_s_lists_them(void **state)
{
    (void)state;
    size_t count;
    const sl_cli_command *commands = sl_cli_commands(&count);
    SAID(&said, sl_cli_help_main, (char *)"help");
    assert_int_equal(said.code, 0);
    for (size_t i = 0; i < count; i++) {
        char row[128];
        snprintf(row, sizeof(row), "\n  %-10s%s\n", commands[i].name, commands[i].help);
        assert_non_null(strstr(said.out.text, row));
    }
    assert_non_null(strstr(said.out.text, "\nexample:"));
}

static void has_row(const char *option, char letter, const char *argument, const char *help)
{
    char row[128];
    char head[8] = "    ";
    if (letter != 0) {
        snprintf(head, sizeof(head), "-%c, ", letter);
    }
    snprintf(row, sizeof(row), "\n  %s%s%s%s", head, option, argument == NULL ? "" : " ",
             argument == NULL ? "" : argument);
    const char *found = strstr(said.out.text, row);
    if (found == NULL || strstr(found, help) == NULL) {
        fail_msg("no row of '%s' with its help", option);
    }
}

static void that_of_run_has_every_option(void **state)
{
    (void)state;
    size_t count;
    SAID(&said, sl_cli_help_main, (char *)"help", (char *)"run");
    const sl_field *fields = sl_fields(&count);
    for (size_t i = 0; i < count; i++) {
        if (fields[i].option != NULL) {
            has_row(fields[i].option, fields[i].short_option,
                    fields[i].type == SL_FIELD_BOOL ? NULL : fields[i].argument, fields[i].help);
        }
    }
    const sl_cli_option *own = sl_cli_own_options(&count);
    for (size_t i = 0; i < count; i++) {
        has_row(own[i].option, own[i].short_option, own[i].argument, own[i].help);
    }
}

static void help_of_nothing_is_refused(void **state)
{
    (void)state;
    SAID(&said, sl_cli_help_main, (char *)"help", (char *)"rnu");
    said_failure(&said, 2, "'rnu'; did you mean 'run'?");
    SAID(&said, sl_cli_help_main, (char *)"help", (char *)"run", (char *)"ps");
    said_failure(&said, 2, "'ps'");
    SAID(&said, sl_cli_help_main, (char *)"help", (char *)"--help");
    assert_int_equal(said.code, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_word_has_one_with_an_example),
        cmocka_unit_test(the_program_s_lists_them),
        cmocka_unit_test(that_of_run_has_every_option),
        cmocka_unit_test(help_of_nothing_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
