/* TOML: what the shim makes of each type, and what it refuses. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/util.h"
#include "policy/text/toml.h"

static void parse(const char *text, sl_toml *ret)
{
    sl_error err = {0};
    if (sl_toml_parse(text, strlen(text), ret, &err) < 0) {
        fail_msg("%s", err.message);
    }
}

static const sl_toml *get(const sl_toml *table, const char *key)
{
    assert_int_equal(table->type, SL_TOML_TABLE);
    for (size_t i = 0; i < table->count; i++) {
        if (strcmp(table->items[i].key, key) == 0) {
            return &table->items[i];
        }
    }
    fail_msg("no key '%s'", key);
    return NULL;
}

static void every_type(void **state)
{
    (void)state;
    sl_toml t;
    parse("z = \"a\\u00e9\\n\" # first in the text\n"
          "s = '''\nC:\\x'''\n"
          "c = \"\"\"\\\n\xc2\xa7\"\"\"\n"
          "i = -12_7\n"
          "f = 1.5e1\n"
          "b = true\n"
          "d = 2026-01-02T03:04:05Z\n"
          "t = 03:04:05\n"
          "a = [1, 'x', [ ], {y = 2}]\n"
          "x.\"y z\".w = 3\n"
          "[[l]]\nk = 1\n[[l]]\nk = 2\n",
          &t);
    assert_string_equal(t.items[0].key, "z"); /* in the order of the text */
    assert_string_equal(get(&t, "z")->string, "a\xc3\xa9\n");
    assert_string_equal(get(&t, "s")->string, "C:\\x");
    assert_string_equal(get(&t, "c")->string, "\xc2\xa7");
    assert_int_equal(get(&t, "i")->type, SL_TOML_INTEGER);
    assert_true(get(&t, "f")->number == 15.0 && get(&t, "f")->type == SL_TOML_FLOAT);
    assert_int_equal(get(&t, "b")->integer, 1);
    assert_int_equal(get(&t, "d")->type, SL_TOML_TIME);
    assert_string_equal(get(&t, "d")->string, "2026-01-02T03:04:05Z");
    assert_int_equal(get(&t, "t")->type, SL_TOML_TIME);
    assert_string_equal(get(&t, "t")->string, "03:04:05");
    assert_int_equal(get(&t, "a")->count, 4);
    assert_int_equal(get(&t, "a")->items[2].type, SL_TOML_ARRAY);
    assert_int_equal(get(&get(&t, "a")->items[3], "y")->integer, 2);
    assert_int_equal(get(get(get(&t, "x"), "y z"), "w")->integer, 3);
    assert_int_equal(get(&get(&t, "l")->items[1], "k")->integer, 2);
    sl_toml_done(&t);
    parse("", &t);
    assert_int_equal(t.count, 0);
    sl_toml_done(&t);
    sl_toml_done(&t); /* of an empty one: nothing */
}

/* A time as it was given, but for fractions, which are nanoseconds. */
static void times(void **state)
{
    static const char *const cases[][2] = {
        {"2026-01-02", "2026-01-02"},
        {"2026-01-02 03:04:05", "2026-01-02T03:04:05"},
        {"2026-01-02T03:04:05.25-11:30", "2026-01-02T03:04:05.250000000-11:30"},
        {"2026-01-02t03:04:05.000000001z", "2026-01-02T03:04:05.000000001Z"},
        {"2026-01-02T03:04:05+00:00", "2026-01-02T03:04:05Z"},
        {"23:59:59.999999999", "23:59:59.999999999"},
    };
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        char text[80];
        sl_toml t;
        snprintf(text, sizeof(text), "a = %s\n", cases[i][0]);
        parse(text, &t);
        assert_int_equal(get(&t, "a")->type, SL_TOML_TIME);
        assert_string_equal(get(&t, "a")->string, cases[i][1]);
        sl_toml_done(&t);
    }
}

static void places(void **state)
{
    (void)state;
    sl_toml t;
    parse("a = 1\n\n  '\xc3\xa9' = 'x'\nlist = [\n  1,\n  2,\n]\n[tab]\nin = 1\n", &t);
    assert_int_equal(get(&t, "a")->line, 1);
    assert_int_equal(get(&t, "a")->column, 5);
    assert_int_equal(get(&t, "\xc3\xa9")->key_line, 3);
    assert_int_equal(get(&t, "\xc3\xa9")->key_column, 3);
    assert_int_equal(get(&t, "\xc3\xa9")->column, 9); /* characters, not bytes */
    assert_int_equal(get(&t, "list")->items[1].line, 6);
    assert_int_equal(get(&t, "list")->items[1].column, 3);
    assert_int_equal(get(get(&t, "tab"), "in")->key_line, 9);
    sl_toml_done(&t);
}

static void what_is_no_toml(void **state)
{
    static const struct {
        const char *text;
        const char *place;
    } bad[] = {
        {"a", "line 1, column "},
        {"a = ", "line 1, column "},
        {"a = 1\nb = [1,\n", "line 2, column "},
        {"a = 1\na = 2", "line 2, column "},
        {"a = 1\na.b = 2", "line 2, column "},
        {"a = \"x", "line 1, column "},
        {"a = \"\xff\"", "line 1, column "},
        {"\xc3\xa9 = 1", "line 1, column "},
        {"a = 1\n\xe1\x9a\x81 = 1", "line 2, column "},
        {"a = 1 b = 2", "line 1, column "},
        {"a = 99999999999999999999", "line 1, column "},
        {"a = \"\\q\"", "line 1, column "},
        {"[a]\n[a]\n", "line 2, column "},
        {"a = 08", "line 1, column "},
        {"[?", "line 1, column "},
        {"a = true1", "line 1, column "},
        {"a = 'x\x01'", "line 1, column "},
        {"a = \"x\\u0000y\"", "NUL"},
        {"\"x\\u0000y\" = 1", "NUL"},
    };
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        sl_toml t = {0};
        sl_error err = {0};
        int r = sl_toml_parse(bad[i].text, strlen(bad[i].text), &t, &err);
        if (r != -EINVAL || err.kind != SL_ERROR_USAGE ||
            strstr(err.message, bad[i].place) == NULL) {
            fail_msg("%zu: %d '%s'", i, r, err.message);
        }
        assert_int_equal(t.count, 0);
    }
}

static char *repeat(const char *before, const char *piece, size_t times, const char *after)
{
    size_t n = strlen(piece);
    char *text = malloc(strlen(before) + n * times + strlen(after) + 1);
    assert_non_null(text);
    char *p = stpcpy(text, before);
    for (size_t i = 0; i < times; i++) {
        p = stpcpy(p, piece);
    }
    stpcpy(p, after);
    return text;
}

static void expect_bound(char *text, const char *words)
{
    sl_toml t = {0};
    sl_error err = {0};
    int r = sl_toml_parse(text, strlen(text), &t, &err);
    if (words == NULL) {
        assert_int_equal(r, 0);
    } else if (r != -EINVAL || strstr(err.message, words) == NULL) {
        fail_msg("'%s' for want of '%s'", err.message, words);
    }
    sl_toml_done(&t);
    free(text);
}

static void bounds(void **state)
{
    (void)state;
    expect_bound(repeat("a = [", "1,", 60000, "]"), NULL);
    expect_bound(repeat("a = [", "1,", SL_TOML_VALUES_MAX, "]"), "too many values");
    expect_bound(repeat("a = 1 #", "x", SL_TOML_LEN_MAX, ""), "longer than");
    expect_bound(repeat("a = ", "[", 14, "]]]]]]]]]]]]]]"), NULL);
    expect_bound(repeat("a = ", "[", 100000, ""), "line 1");
    expect_bound(repeat("a", ".a", 12, " = 1"), NULL);
    expect_bound(repeat("a", ".a", 500, " = 1"), "too deep");
    expect_bound(repeat("[a", ".a", 500, "]"), "too deep");
    expect_bound(repeat("a", ".a", 300000, " = 1"), "dots");
    expect_bound(repeat("b = 1\na", ".a", 300000, " = 1"), "line 2: more than 1024 dots");
    expect_bound(repeat("a = [", "'../../x.y.z',\n", 20000, "]"), NULL);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type),      cmocka_unit_test(times),  cmocka_unit_test(places),
        cmocka_unit_test(what_is_no_toml), cmocka_unit_test(bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
