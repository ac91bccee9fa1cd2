/* The table of options: each is found by each of its spellings and takes what it says, and a
 * mistyped one is answered with the nearest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/options.h"
#include "cli/options_int.h"
#include "core/util.h"

/* A value that each option takes; the fields without one are flags. */
static const struct {
    const char *field;
    const char *value;
} values[] = {
    {"fs_readable", "/usr"},
    {"fs_writable", "/tmp"},
    {"fs_denied", "/boot"},
    {"cwd", "/"},
    {"gpu_devices", "0"},
    {"http_allow", "GET a.test/*"},
    {"http_deny", "* b.test/*"},
    {"http_ports", "80,443"},
    {"http_ca", "/ca.pem"},
    {"http_key", "/key.pem"},
    {"http_ca_out", "/out.pem"},
    {"http_ca_bundle", "own"},
    {"http_upstream_ca", "/up.pem"},
    {"http_no_inspect", "a.test"},
    {"resolve", "a.test=192.0.2.1"},
    {"net_allow", "a.test:443"},
    {"net_deny", "192.0.2.0/24"},
    {"net_allow_hosts", "a.test"},
    {"net_connect", "443"},
    {"net_bind", "8080"},
    {"uid", "7"},
    {"gid", "7"},
    {"allow_syscalls", "write"},
    {"deny_syscalls", "sync"},
    {"extra_deny_syscalls", "sync"},
    {"max_memory", "64M"},
    {"max_processes", "5"},
    {"max_cpu", "50"},
    {"max_open_files", "64"},
    {"cpu_cores", "0"},
    {"num_cpus", "2"},
    {"timeout", "1.5s"},
    {"time_start", "2024-01-01T00:00:00Z"},
    {"random_seed", "7"},
    {"env", "A=b"},
    {"hostname", "box"},
    {"name", "box"},
    {"audit", "/dev/null"},
    {"allow_degraded", "landlock"},
};

static const char *value_of(const sl_field *f)
{
    for (size_t i = 0; i < SL_ARRAY_LEN(values); i++) {
        if (strcmp(values[i].field, f->name) == 0) {
            return values[i].value;
        }
    }
    fail_msg("no value for the new field '%s': add one to the table of this test", f->name);
    return NULL;
}

static void is_field(const char *word, char letter, const sl_field *f, const char *option)
{
    sl_cli_found found;
    assert_true(sl_cli_find(word, word == NULL ? 0 : strlen(word), letter, &found));
    assert_ptr_equal(found.field, f);
    assert_null(found.own);
    assert_string_equal(found.option, option);
    assert_int_equal(found.argument == NULL, f->type == SL_FIELD_BOOL);
}

static void each_is_found_by_each_spelling(void **state)
{
    (void)state;
    size_t count;
    sl_cli_found found;
    const sl_field *fields = sl_fields(&count);
    for (size_t i = 0; i < count; i++) {
        const sl_field *f = &fields[i];
        if (f->option == NULL) {
            continue;
        }
        char longer[64];
        is_field(f->option, 0, f, f->option);
        if (f->option_alias != NULL) {
            is_field(f->option_alias, 0, f, f->option_alias);
        }
        if (f->short_option != 0) {
            is_field(NULL, f->short_option, f, f->option);
        }
        snprintf(longer, sizeof(longer), "%s=x", f->option);
        assert_true(sl_cli_find(longer, strlen(f->option), 0, &found)); /* the length counts */
        assert_false(sl_cli_find(longer, strlen(longer), 0, &found));
        bool found_short = sl_cli_find(f->option, strlen(f->option) - 1, 0, &found);
        assert_true(!found_short || found.option == f->option_alias); /* no abbreviations */
    }
    const sl_cli_option *own = sl_cli_own_options(&count);
    for (size_t i = 0; i < count; i++) {
        assert_true(sl_cli_find(own[i].option, strlen(own[i].option), 0, &found));
        assert_ptr_equal(found.own, &own[i]);
        if (own[i].short_option != 0) {
            assert_true(sl_cli_find(NULL, 0, own[i].short_option, &found));
            assert_ptr_equal(found.own, &own[i]);
        }
    }
    assert_false(sl_cli_find(NULL, 0, 'Z', &found));
    assert_false(sl_cli_find("--", 2, 0, &found));
}

/* What one spelling finds no other finds. */
static void no_spelling_is_twofold(void **state)
{
    (void)state;
    size_t count;
    char letters[128] = "";
    size_t used = 0;
    const sl_field *fields = sl_fields(&count);
    for (size_t i = 0; i < count; i++) {
        if (fields[i].short_option != 0) {
            assert_null(strchr(letters, fields[i].short_option));
            letters[used++] = fields[i].short_option;
        }
        for (size_t k = 0; fields[i].option != NULL && k < i; k++) {
            assert_true(fields[k].option == NULL ||
                        strcmp(fields[i].option, fields[k].option) != 0);
        }
    }
    const sl_cli_option *own = sl_cli_own_options(&count);
    for (size_t i = 0; i < count; i++) {
        if (own[i].short_option != 0) {
            assert_null(strchr(letters, own[i].short_option));
            letters[used++] = own[i].short_option;
        }
    }
}

static void parses(char *const *argv, int argc)
{
    sl_error err;
    sl_cli_run run;
    if (sl_cli_run_parse(argc, argv, &run, &err) < 0) {
        fail_msg("'%s %s': %s", argv[1], argv[2], err.message);
    }
    sl_cli_run_done(&run);
}

/* As two words and as one; the CA and its key only together. */
static void each_parses(void **state)
{
    (void)state;
    size_t count;
    const sl_field *fields = sl_fields(&count);
    for (size_t i = 0; i < count; i++) {
        const sl_field *f = &fields[i];
        if (f->option == NULL) {
            continue;
        }
        bool flag = f->type == SL_FIELD_BOOL;
        const char *value = flag ? "true" : value_of(f);
        const char *beside = strcmp(f->name, "http_ca") == 0    ? "--http-key=/key.pem"
                             : strcmp(f->name, "http_key") == 0 ? "--http-ca=/ca.pem"
                                                                : "--quiet";
        char joined[128];
        snprintf(joined, sizeof(joined), "%s=%s", f->option, value);
        char *const one[] = {(char *)"run", joined, (char *)beside, (char *)"true", NULL};
        char *const two[] = {(char *)"run",  (char *)f->option, (char *)(flag ? beside : value),
                             (char *)beside, (char *)"true",    NULL};
        parses(one, 4);
        parses(two, 5);
    }
}

/* One letter too many, or none where there was one. */
static void a_mistyped_one_is_answered(void **state)
{
    (void)state;
    size_t count;
    sl_cli_found found;
    const sl_field *fields = sl_fields(&count);
    for (size_t i = 0; i < count; i++) {
        if (fields[i].option == NULL || strlen(fields[i].option) < 7) {
            continue; /* too short for a guess */
        }
        sl_error err;
        char word[64];
        char wanted[64];
        snprintf(word, sizeof(word), "%sq", fields[i].option);
        snprintf(wanted, sizeof(wanted), "did you mean '%s'?", fields[i].option);
        assert_false(sl_cli_find(word, strlen(word), 0, &found));
        assert_int_equal(sl_cli_unknown_long(word, strlen(word), &err), -EINVAL);
        if (strstr(err.message, wanted) == NULL) {
            fail_msg("'%s' does not say %s", err.message, wanted);
        }
    }
    sl_error err;
    assert_true(sl_cli_unknown_long("--quite-another-thing", 21, &err) < 0);
    assert_null(strstr(err.message, "did you mean"));
    assert_true(sl_cli_unknown_short('R', "-R/x", &err) < 0);
    assert_non_null(strstr(err.message, "did you mean '-r' (--fs-read)?"));
    assert_true(sl_cli_unknown_short('~', "-~", &err) < 0);
    assert_null(strstr(err.message, "did you mean"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_found_by_each_spelling),
        cmocka_unit_test(no_spelling_is_twofold),
        cmocka_unit_test(each_parses),
        cmocka_unit_test(a_mistyped_one_is_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
