/* What is shown of runs, as text and as JSON. SUP-09. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "cli/mains.h"
#include "core/util.h"
#include "runs_rig.h"
#include "said.h"

static struct said said;

static void no_run_is_an_empty_list(void **state)
{
    (void)state;
    SAID(&said, sl_cli_ps_main, (char *)"ps");
    assert_int_equal(said.code, 0);
    assert_string_equal(said.out.text,
                        "NAME  PID     STATE         STARTED               COMMAND\n");
    SAID(&said, sl_cli_ps_main, (char *)"ps", (char *)"--json");
    assert_string_equal(said.out.text, "[]\n");
    SAID(&said, sl_cli_ps_main, (char *)"ps", (char *)"x");
    said_failure(&said, 2, "'x'");
    SAID(&said, sl_cli_inspect_main, (char *)"inspect", (char *)"box");
    said_failure(&said, 1, "there is no run 'box'");
}

static void each_run_is_a_row(void **state)
{
    (void)state;
    char row[128];
    pid_t pid = rig_start("box", 0);
    rig_start("other-box", 0);
    SAID(&said, sl_cli_ps_main, (char *)"ps");
    assert_int_equal(said.code, 0);
    snprintf(row, sizeof(row), "\nbox        %-8drunning       2026-01-02T03:04:05Z  sh -c 'a b'\n",
             rig_command_pid(pid));
    assert_non_null(strstr(said.out.text, row));
    assert_non_null(strstr(said.out.text, "\nother-box  "));
    SAID(&said, sl_cli_ps_main, (char *)"ps", (char *)"--json");
    json_t *rows = json_loads(said.out.text, 0, NULL);
    assert_int_equal(json_array_size(rows), 2);
    json_decref(rows);
}

/* Facts as comments, so that all of it is a policy. */
static void one_is_shown_with_its_policy(void **state)
{
    (void)state;
    rig_start("box", 0);
    SAID(&said, sl_cli_inspect_main, (char *)"inspect", (char *)"box");
    assert_int_equal(said.code, 0);
    assert_non_null(strstr(said.out.text, "# name     box\n"));
    assert_non_null(strstr(said.out.text, "# command  sh -c 'a b'\n# allowed  2\n# denied   3\n"));
    assert_non_null(strstr(said.out.text, "\nx = 1\n"));
    SAID(&said, sl_cli_inspect_main, (char *)"inspect", (char *)"box", (char *)"--json");
    json_t *json = json_loads(said.out.text, 0, NULL);
    assert_int_equal(json_integer_value(json_object_get(json, "denied")), 3);
    assert_null(json_object_get(json, "policy_toml")); /* the same, for people */
    json_decref(json);
}

static void what_a_run_says_is_text(void **state)
{
    (void)state;
    rig_start("a\\u001b[31m\\nb", 0); /* as JSON carries it */
    SAID(&said, sl_cli_ps_main, (char *)"ps");
    assert_null(strchr(said.out.text, '\x1b'));
    assert_non_null(strstr(said.out.text, "a\\x1b[31m\\x0ab"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIGGED(no_run_is_an_empty_list),
        RIGGED(each_run_is_a_row),
        RIGGED(one_is_shown_with_its_policy),
        RIGGED(what_a_run_says_is_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
