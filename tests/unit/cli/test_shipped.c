/* The profiles that came with the program are the files of conf/profiles, and each is one. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/profiles.h"
#include "core/fd.h"
#include "core/util.h"
#include "policy/text/profile.h"

static void each_is_its_file(void **state)
{
    (void)state;
    size_t count;
    const sl_cli_shipped *shipped = sl_cli_shipped_profiles(&count);
    assert_true(count >= 5);
    for (size_t i = 0; i < count; i++) {
        char path[512];
        sl_autofree char *text = NULL;
        size_t len;
        snprintf(path, sizeof(path), "%s/profiles/%s.toml", SANDLOCK_CONF, shipped[i].name);
        assert_int_equal(sl_fd_read_file(path, SL_PROFILE_LEN_MAX, &text, &len), 0);
        assert_int_equal(shipped[i].len, len);
        assert_string_equal(shipped[i].text, text);
        assert_ptr_equal(sl_cli_shipped_profile(shipped[i].name), &shipped[i]);
    }
    assert_null(sl_cli_shipped_profile("no-such"));
    assert_null(sl_cli_shipped_profile(""));
}

static void none_is_left_out(void **state)
{
    (void)state;
    size_t files = 0;
    size_t count;
    DIR *d = opendir(SANDLOCK_CONF "/profiles");
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        files += strstr(e->d_name, ".toml") != NULL;
    }
    closedir(d);
    (void)sl_cli_shipped_profiles(&count);
    assert_int_equal(files, count);
}

/* The first line says what it is for; the whole can be frozen. */
static void each_can_be_used(void **state)
{
    (void)state;
    size_t count;
    const sl_cli_shipped *shipped = sl_cli_shipped_profiles(&count);
    for (size_t i = 0; i < count; i++) {
        sl_error err = {0};
        SL_AUTO(sl_policy) policy = sl_policy_new();
        assert_int_equal(strncmp(shipped[i].text, "# ", 2), 0);
        if (sl_cli_profile_load(shipped[i].name, policy, &err) < 0 ||
            sl_policy_freeze(policy, &err) < 0) {
            fail_msg("%s: %s", shipped[i].name, err.message);
        }
    }
}

int main(void)
{
    setenv("XDG_CONFIG_HOME", "/no/such/dir", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_its_file),
        cmocka_unit_test(none_is_left_out),
        cmocka_unit_test(each_can_be_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
