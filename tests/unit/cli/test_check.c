/* What this kernel can do: the exit code, the table and the JSON say the same as the probe. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "cli/mains.h"
#include "said.h"
#include "sandbox/probe.h"

static struct said said;

static bool runs_here(void)
{
    sl_probe_result rows[SL_PROBE_MAX];
    bool runs = true;
    size_t count = sl_probe_all(rows);
    for (size_t i = 0; i < count; i++) {
        runs = runs && (rows[i].works || !rows[i].required);
    }
    return runs;
}

static void the_table_has_every_row(void **state)
{
    (void)state;
    sl_probe_result rows[SL_PROBE_MAX];
    size_t count = sl_probe_all(rows);
    bool runs = runs_here();
    SAID(&said, sl_cli_check_main, (char *)"check");
    assert_int_equal(said.code, runs ? 0 : 1);
    assert_string_equal(said.err.text, "");
    const char *line = said.out.text;
    assert_int_equal(strncmp(line, "FEATURE ", 8), 0);
    for (size_t i = 0; i < count; i++) {
        line = strchr(line, '\n') + 1;
        assert_int_equal(strncmp(line, rows[i].name, strlen(rows[i].name)), 0);
        char shown[16];
        sscanf(line, "%*s %15s", shown);
        assert_string_equal(shown, rows[i].works      ? "works"
                                   : rows[i].required ? "MISSING"
                                                      : "missing");
    }
    line = strchr(line, '\n') + 1;
    assert_int_equal(strncmp(line, runs ? "sandlock run works" : "sandlock run refuses", 18), 0);
}

static void the_json_has_the_same(void **state)
{
    (void)state;
    sl_probe_result rows[SL_PROBE_MAX];
    size_t count = sl_probe_all(rows);
    SAID(&said, sl_cli_check_main, (char *)"check", (char *)"--json");
    json_t *json = json_loads(said.out.text, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(json, "version")), SANDLOCK_VERSION);
    assert_int_equal(json_is_true(json_object_get(json, "runs")), runs_here());
    assert_int_equal(json_integer_value(json_object_get(json, "landlock_abi")),
                     sl_probe_landlock_abi());
    json_t *features = json_object_get(json, "features");
    assert_int_equal(json_array_size(features), count);
    for (size_t i = 0; i < count; i++) {
        json_t *row = json_array_get(features, i);
        assert_string_equal(json_string_value(json_object_get(row, "name")), rows[i].name);
        assert_int_equal(json_is_true(json_object_get(row, "works")), rows[i].works);
        assert_int_equal(json_is_true(json_object_get(row, "required")), rows[i].required);
        assert_string_equal(json_string_value(json_object_get(row, "lost")), rows[i].lost);
    }
    json_decref(json);
}

static void other_words_are_refused(void **state)
{
    (void)state;
    SAID(&said, sl_cli_check_main, (char *)"check", (char *)"landlock");
    said_failure(&said, 2, "'landlock'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_has_every_row),
        cmocka_unit_test(the_json_has_the_same),
        cmocka_unit_test(other_words_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
