/* `sandlock profile`: what it lists, shows and removes, and that it removes nothing else. */
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
#include <jansson.h>

#include "cli/mains.h"
#include "cli/profiles.h"
#include "core/util.h"
#include "said.h"
#include "tidy.h"

static struct said said;
static char top[64];

static int begin(void **state)
{
    char path[256];
    (void)state;
    snprintf(top, sizeof(top), "/tmp/sandlock-profile-XXXXXX");
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

#define PROFILE(...) SAID(&said, sl_cli_profile_main, (char *)"profile", __VA_ARGS__)

static void the_list_has_own_and_shipped(void **state)
{
    (void)state;
    size_t shipped;
    (void)sl_cli_shipped_profiles(&shipped);
    write_own("mine", "# for my\x1b[31m work\nmax_processes = 3\n");
    write_own("offline", "# another\n");
    PROFILE((char *)"list");
    assert_int_equal(said.code, 0);
    assert_non_null(
        strstr(said.out.text, "mine             own                for my?[31m work\n"));
    assert_non_null(strstr(said.out.text, "offline          own, hides shipped another\n"));
    assert_non_null(strstr(said.out.text, "agent            shipped "));
    PROFILE((char *)"list", (char *)"--json");
    json_t *rows = json_loads(said.out.text, 0, NULL);
    assert_int_equal(json_array_size(rows), shipped + 1); /* one is hidden */
    json_decref(rows);
}

static void one_is_shown_as_it_is(void **state)
{
    (void)state;
    PROFILE((char *)"show", (char *)"agent");
    assert_int_equal(said.code, 0);
    assert_string_equal(said.out.text, sl_cli_shipped_profile("agent")->text);
    write_own("mine", "max_processes = 3\n");
    PROFILE((char *)"show", (char *)"mine");
    assert_string_equal(said.out.text, "max_processes = 3\n");
    PROFILE((char *)"show", (char *)"agnet");
    said_failure(&said, 2, "'agnet'; did you mean 'agent'?");
}

static void only_one_s_own_are_deleted(void **state)
{
    (void)state;
    char outside[256];
    char *path = write_own("mine", "max_processes = 3\n");
    PROFILE((char *)"delete", (char *)"agent");
    assert_int_not_equal(said.code, 0);
    snprintf(outside, sizeof(outside), "%s/outside.toml", top);
    FILE *f = fopen(outside, "we");
    assert_non_null(f);
    fclose(f);
    PROFILE((char *)"delete", (char *)"../../outside");
    said_failure(&said, 2, "not the name of a profile");
    assert_int_equal(access(outside, F_OK), 0);
    assert_int_equal(access(path, F_OK), 0);
    PROFILE((char *)"delete", (char *)"mine");
    assert_int_equal(said.code, 0);
    assert_int_equal(access(path, F_OK), -1);
    PROFILE((char *)"delete", (char *)"mine");
    assert_int_not_equal(said.code, 0);
}

static void words_are_looked_at_first(void **state)
{
    (void)state;
    SAID(&said, sl_cli_profile_main, (char *)"profile");
    said_failure(&said, 2, "list, show or delete");
    PROFILE((char *)"lst");
    said_failure(&said, 2, "'lst'");
    PROFILE((char *)"list", (char *)"x");
    said_failure(&said, 2, "'x'");
    PROFILE((char *)"show");
    said_failure(&said, 2, "sandlock profile show NAME");
    PROFILE((char *)"delete", (char *)"a", (char *)"b");
    said_failure(&said, 2, "sandlock profile delete NAME");
    PROFILE((char *)"--help");
    assert_int_equal(said.code, 0);
    assert_non_null(strstr(said.out.text, "example"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_list_has_own_and_shipped, begin, end),
        cmocka_unit_test_setup_teardown(one_is_shown_as_it_is, begin, end),
        cmocka_unit_test_setup_teardown(only_one_s_own_are_deleted, begin, end),
        cmocka_unit_test(words_are_looked_at_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
