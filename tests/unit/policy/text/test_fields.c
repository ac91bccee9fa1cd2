/* The table of fields. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "policy/policy.h"

static void test_nearest(void **state)
{
    (void)state;
    assert_string_equal(sl_field_nearest("http_alow")->name, "http_allow");
    assert_string_equal(sl_field_nearest("http-allow")->name, "http_allow");
    assert_string_equal(sl_field_nearest("max_proceses")->name, "max_processes");
    assert_null(sl_field_nearest("zzzzzzzzzz"));
    assert_null(sl_field_by_name("http_alow"));
}

/* What every reader of the table relies on. */
static void test_rows(void **state)
{
    size_t count;
    const sl_field *fields = sl_fields(&count);
    (void)state;
    assert_true(count > 0);
    for (size_t i = 0; i < count; i++) {
        const sl_field *f = &fields[i];
        bool sound = f->name != NULL && f->help != NULL && f->group != NULL &&
                     f->offset < sizeof(sl_policy) &&
                     f->name[strspn(f->name, "abcdefghijklmnopqrstuvwxyz_")] == '\0' &&
                     (f->option == NULL || strncmp(f->option, "--", 2) == 0) &&
                     (f->type == SL_FIELD_BOOL) == (f->argument == NULL) &&
                     (!f->negated || f->type == SL_FIELD_BOOL) &&
                     (!f->empty_ok || (f->type == SL_FIELD_LIST && f->take != NULL)) &&
                     (!f->times_ok || f->type == SL_FIELD_STRING) &&
                     (f->given_offset == SIZE_MAX || f->given_offset < sizeof(sl_policy));
        if (!sound) {
            fail_msg("row '%s'", f->name);
        }
        assert_ptr_equal(sl_field_by_name(f->name), f); /* no name twice */
        assert_ptr_equal(sl_field_nearest(f->name), f);
    }
}

/* No option, alias or letter twice, and no two fields in one member. */
static void test_rows_differ(void **state)
{
    size_t count;
    const sl_field *fields = sl_fields(&count);
    (void)state;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            const sl_field *a = &fields[i];
            const sl_field *b = &fields[j];
            bool same =
                (a->option != NULL && b->option_alias != NULL &&
                 strcmp(a->option, b->option_alias) == 0) ||
                (i != j &&
                 (a->offset == b->offset ||
                  (a->option != NULL && b->option != NULL && strcmp(a->option, b->option) == 0) ||
                  (a->short_option != 0 && a->short_option == b->short_option)));
            if (same) {
                fail_msg("'%s' and '%s'", a->name, b->name);
            }
        }
    }
}

static void test_what(void **state)
{
    (void)state;
    assert_string_equal(sl_field_what(sl_field_by_name("http_allow")), "--http-allow");
    assert_string_equal(sl_field_what(sl_field_by_name("close_fds")), "close_fds");
    assert_null(sl_field_by_name(""));
    assert_null(sl_field_by_name("--http-allow"));
    assert_null(sl_field_nearest("x"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_rows_differ),
        cmocka_unit_test(test_what),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
