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
                                   : rows[i].made_up  ? "supervisor"
                                   : rows[i].required ? "MISSING"
                                                      : "missing");
    }
    line = strstr(line, "\n\nPROTECTION ") + 1;
    sl_probe_protection protections[SL_HOLDS_COUNT];
    sl_probe_protections(protections);
    for (size_t i = 0; i < SL_HOLDS_COUNT; i++) {
        char name[32];
        char held[16];
        line = strchr(line + 1, '\n');
        assert_int_equal(sscanf(line, "%31s %15s", name, held), 2);
        assert_string_equal(name, protections[i].name);
        assert_string_equal(held, protections[i].held);
    }
    line = strstr(line, "\n\n") + 2;
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
    sl_probe_protection protections[SL_HOLDS_COUNT];
    sl_probe_protections(protections);
    json_t *list = json_object_get(json, "protections");
    assert_int_equal(json_array_size(list), SL_HOLDS_COUNT);
    for (size_t i = 0; i < SL_HOLDS_COUNT; i++) {
        json_t *row = json_array_get(list, i);
        assert_string_equal(json_string_value(json_object_get(row, "name")), protections[i].name);
        assert_string_equal(json_string_value(json_object_get(row, "held")), protections[i].held);
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
