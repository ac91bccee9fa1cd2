/* Where profiles are: the user's own first, then the shipped, and nothing outside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/profiles.h"
#include "core/fd.h"
#include "core/util.h"
#include "tidy.h"

static char top[64];

static int begin(void **state)
{
    char path[256];
    (void)state;
    snprintf(top, sizeof(top), "/tmp/sandlock-profiles-XXXXXX");
    if (mkdtemp(top) == NULL || setenv("XDG_CONFIG_HOME", top, 1) < 0) {
        return -1;
    }
    snprintf(path, sizeof(path), "%s/sandlock", top);
    if (mkdir(path, 0700) < 0) {
        return -1;
    }
    snprintf(path, sizeof(path), "%s/sandlock/profiles", top);
    return mkdir(path, 0700);
}

static int end(void **state)
{
    (void)state;
    tidy_tree(top);
    return 0;
}

static char *write_own(const char *name, const char *text)
{
    static char path[256];
    snprintf(path, sizeof(path), "%s/sandlock/profiles/%s.toml", top, name);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    fclose(f);
    return path;
}

static void the_directory_is_the_user_s(void **state)
{
    (void)state;
    static const struct {
        const char *config;
        const char *home;
        const char *dir;
    } rows[] = {{"/c", "/h", "/c/sandlock/profiles"},
                {NULL, "/h", "/h/.config/sandlock/profiles"},
                {"relative", "/h", "/h/.config/sandlock/profiles"}, /* not to be used: XDG 0.8 */
                {"", "/h", "/h/.config/sandlock/profiles"},
                {NULL, NULL, NULL},
                {NULL, "relative", NULL}};
    for (size_t i = 0; i < SL_ARRAY_LEN(rows); i++) {
        unsetenv("XDG_CONFIG_HOME");
        unsetenv("HOME");
        if (rows[i].config != NULL) {
            setenv("XDG_CONFIG_HOME", rows[i].config, 1);
        }
        if (rows[i].home != NULL) {
            setenv("HOME", rows[i].home, 1);
        }
        sl_autofree char *dir = sl_cli_profile_dir();
        if (rows[i].dir == NULL) {
            assert_null(dir);
        } else {
            assert_string_equal(dir, rows[i].dir);
        }
    }
}

/* A name is no path. */
static void names_are_names(void **state)
{
    (void)state;
    static const char *const good[] = {"a", "my.profile-2_x", "A9"};
    static const char *const bad[] = {"",    ".",    "..",  ".hidden", "-x",
                                      "a/b", "../x", "a b", "a\nb",    "\xc3\xa9"};
    char name[66];
    sl_error err;
    for (size_t i = 0; i < SL_ARRAY_LEN(good); i++) {
        assert_int_equal(sl_cli_profile_check_name(good[i], &err), 0);
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        assert_true(sl_cli_profile_check_name(bad[i], &err) < 0);
        assert_int_equal(sl_error_exit_code(err.kind), 2);
    }
    memset(name, 'x', 65);
    name[65] = '\0';
    assert_true(sl_cli_profile_check_name(name, &err) < 0);
    name[64] = '\0';
    assert_int_equal(sl_cli_profile_check_name(name, &err), 0);
}

static void the_user_s_own_comes_first(void **state)
{
    (void)state;
    sl_error err;
    sl_autofree char *text = NULL;
    sl_autofree char *path = NULL;
    size_t len;
    assert_int_equal(sl_cli_profile_read("offline", &text, &len, &path, &err), 0);
    assert_null(path); /* shipped */
    assert_string_equal(text, sl_cli_shipped_profile("offline")->text);
    free(sl_steal(&text));
    const char *own = write_own("offline", "max_processes = 3\n");
    assert_int_equal(sl_cli_profile_read("offline", &text, &len, &path, &err), 0);
    assert_string_equal(path, own);
    assert_string_equal(text, "max_processes = 3\n");
}

static void what_is_not_there_is_named(void **state)
{
    (void)state;
    sl_error err;
    char *text = NULL;
    char *path = NULL;
    size_t len;
    assert_true(sl_cli_profile_read("ofline", &text, &len, &path, &err) < 0);
    assert_non_null(strstr(err.message, "'ofline'; did you mean 'offline'?"));
    assert_true(sl_cli_profile_read("quite-another", &text, &len, &path, &err) < 0);
    assert_non_null(strstr(err.message, top));
    assert_int_equal(sl_error_exit_code(err.kind), 2);
}

/* -p: a word with a slash or the ending is a file, any other a name. */
static void a_word_is_a_file_or_a_name(void **state)
{
    (void)state;
    sl_error err;
    SL_AUTO(sl_policy) policy = sl_policy_new();
    write_own("mine", "max_processes = 3\n");
    assert_int_equal(sl_cli_profile_load("mine", policy, &err), 0);
    assert_int_equal(policy->max_processes, 3);
    assert_int_equal(sl_cli_profile_load(write_own("other", "max_processes = 4\n"), policy, &err),
                     0);
    assert_int_equal(policy->max_processes, 4);
    assert_true(sl_cli_profile_load("mine.toml", policy, &err) < 0); /* here, not there */
    assert_true(sl_cli_profile_load("./mine", policy, &err) < 0);
    assert_true(sl_cli_profile_load("/tmp", policy, &err) < 0);
    assert_non_null(strstr(err.message, "no regular file"));
    assert_true(sl_cli_profile_load(write_own("bad", "max_proceses = 4\n"), policy, &err) < 0);
    assert_non_null(strstr(err.message, "bad.toml"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_directory_is_the_user_s),
        cmocka_unit_test(names_are_names),
        cmocka_unit_test_setup_teardown(the_user_s_own_comes_first, begin, end),
        cmocka_unit_test_setup_teardown(what_is_not_there_is_named, begin, end),
        cmocka_unit_test_setup_teardown(a_word_is_a_file_or_a_name, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
