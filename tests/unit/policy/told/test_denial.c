/* Denials are gathered: the same is one, with all who met it; and the table has an end. */
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
#include "policy/told/denial.h"

static sl_denial of(const char *what, const char *allow_with, const char *why, uint64_t ms)
{
    sl_denial d = {.count = 1, .first_ms = ms, .last_ms = ms};
    snprintf(d.what, sizeof(d.what), "%s", what);
    snprintf(d.allow_with, sizeof(d.allow_with), "%s", allow_with);
    snprintf(d.why, sizeof(d.why), "%s", why);
    return d;
}

static void the_same_is_one(void **state)
{
    (void)state;
    sl_denials t = {0};
    for (uint64_t ms = 1000; ms > 0; ms--) {
        sl_denial d = of("tls a.test:443", "--http-no-inspect 'a.test'", ms == 7 ? "x" : "y", ms);
        sl_denial_by(&d, ms % 2 == 0 ? "/usr/bin/curl" : "/opt/x/python3");
        sl_denials_add(&t, &d);
    }
    assert_int_equal(t.count, 1);
    assert_int_equal(t.items[0].count, 1000);
    assert_int_equal(t.items[0].first_ms, 1);
    assert_int_equal(t.items[0].last_ms, 1000);
    assert_string_equal(t.items[0].programs, "curl, python3");
    sl_denials_done(&t);
}

/* Where no option helps the reason is all there is. */
static void reasons_are_told_apart(void **state)
{
    (void)state;
    sl_denials t = {0};
    sl_denial a = of("? a.test:80", "", "malformed Host", 1);
    sl_denial b = of("? a.test:80", "", "too long", 1);
    sl_denials_add(&t, &a);
    sl_denials_add(&t, &b);
    sl_denials_add(&t, &b);
    assert_int_equal(t.count, 2);
    sl_denials_sort(&t);
    assert_string_equal(t.items[0].why, "too long");
    sl_denials_done(&t);
}

static void more_than_fit_are_counted(void **state)
{
    (void)state;
    sl_denials t = {0};
    for (unsigned i = 0; i < SL_DENIALS_MAX + 10; i++) {
        char what[32];
        snprintf(what, sizeof(what), "%u", i);
        sl_denial d = of(what, "", "", i);
        d.count = 3;
        sl_denials_add(&t, &d);
    }
    assert_int_equal(t.count, SL_DENIALS_MAX);
    assert_int_equal(t.unlisted, 30);
    sl_denials_done(&t);
    assert_int_equal(t.count, 0);
}

/* Names come from the child: as many as fit, and none may look like two. */
static void programs_are_bounded(void **state)
{
    (void)state;
    sl_denial d = of("x", "", "", 1);
    sl_denial_by(&d, "");
    assert_string_equal(d.programs, "");
    sl_denial_by(&d, "plain");
    sl_denial_by(&d, "/a/evil, other");
    assert_string_equal(d.programs, "plain, evil");
    for (unsigned i = 0; i < 100; i++) {
        char path[64];
        snprintf(path, sizeof(path), "/bin/program-%u", i);
        sl_denial_by(&d, path);
    }
    size_t len = strlen(d.programs);
    assert_true(len < sizeof(d.programs));
    assert_string_equal(d.programs + len - 5, ", ...");
    char long_path[400] = "/";
    memset(long_path + 1, 'x', sizeof(long_path) - 2);
    sl_denial e = of("x", "", "", 1);
    sl_denial_by(&e, long_path);
    assert_string_equal(e.programs, "...");
}

static void reasons_have_words(void **state)
{
    (void)state;
    assert_string_equal(sl_denial_reason("no_rule"), "");
    assert_non_null(strstr(sl_denial_reason("ech"), "encrypted"));
    assert_string_equal(sl_denial_reason("malformed Host"), "malformed Host");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_is_one),           cmocka_unit_test(reasons_are_told_apart),
        cmocka_unit_test(more_than_fit_are_counted), cmocka_unit_test(programs_are_bounded),
        cmocka_unit_test(reasons_have_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
