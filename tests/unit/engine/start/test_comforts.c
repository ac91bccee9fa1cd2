/* A place for temporary files where /tmp is none, and apt's word for whoever is root to itself. */
#include <fcntl.h>
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

#include "core/fd.h"
#include "core/util.h"
#include "engine/start/comforts.h"
#include "tidy.h"

#define PARTS "/etc/apt/apt.conf.d"

/* A home below /tmp with a key in it, and the private directory of runs beside it. */
static char home[64];
static char own[64];

static int begin(void **state)
{
    char path[128];
    (void)state;
    snprintf(home, sizeof(home), "/tmp/sandlock-comforts-XXXXXX");
    snprintf(own, sizeof(own), "/var/tmp/sandlock-comforts-XXXXXX");
    if (mkdtemp(home) == NULL || mkdtemp(own) == NULL) {
        return -1;
    }
    snprintf(path, sizeof(path), "%s/.ssh", home);
    if (mkdir(path, 0700) < 0 || chdir(home) < 0) {
        return -1;
    }
    return setenv("XDG_RUNTIME_DIR", own, 1) < 0 || setenv("HOME", home, 1) < 0 ? -1 : 0;
}

static int end(void **state)
{
    (void)state;
    assert_int_equal(chdir("/"), 0);
    tidy_tree(home);
    tidy_tree(own);
    return 0;
}

static sl_policy *policy_of(const char *const pairs[][2])
{
    sl_error err;
    sl_policy *policy = sl_policy_new();
    assert_non_null(policy);
    for (size_t i = 0; pairs[i][0] != NULL; i++) {
        if (sl_policy_set(policy, sl_field_by_name(pairs[i][0]), pairs[i][1], &err) < 0) {
            fail_msg("%s", err.message);
        }
    }
    assert_int_equal(sl_policy_freeze(policy, &err), 0);
    return policy;
}

static sl_sandbox *sandbox_of(const sl_policy *policy)
{
    sl_error err;
    sl_sandbox *sandbox = NULL;
    if (sl_sandbox_new(policy, &sandbox, &err) < 0) {
        fail_msg("%s", err.message);
    }
    return sandbox;
}

static bool told;

static void on_note(const char *line)
{
    told = told || strstr(line, "temporary files go to '/tmp/sandlock-tmp-") != NULL;
}

/* TMPDIR of a run with this policy, whose caller has `before` ("" for none); NULL: as it was. */
static void expect_temporary(const char *const pairs[][2], const char *before, const char *after)
{
    SL_AUTO(sl_policy) policy = policy_of(pairs);
    SL_AUTO(sl_sandbox) sandbox = sandbox_of(policy);
    sl_strv env = {0};
    if (before[0] != '\0') {
        assert_int_equal(sl_strv_env_set(&env, "TMPDIR", before), 0);
    }
    assert_int_equal(sl_comforts_temporary(policy, sandbox, &env), 0);
    told = false;
    sl_sandbox_say_notes(sandbox, on_note);
    assert_int_equal(told, after != NULL);
    const char *got = sl_strv_env_get(&env, "TMPDIR");
    assert_string_equal(got == NULL ? "" : got, after == NULL ? before : after);
    if (after != NULL) {
        struct stat st;
        assert_true(sl_sandbox_may_write(sandbox, after));
        assert_true(sl_sandbox_may_read(sandbox, after));
        assert_false(sl_sandbox_may_write(sandbox, "/tmp"));
        assert_int_equal(stat(after, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0700);
    }
    sl_strv_done(&env);
}

static void a_home_below_tmp_gets_a_place(void **state)
{
    char place[64];
    (void)state;
    static const char *const none[][2] = {{NULL, NULL}};
    snprintf(place, sizeof(place), "/tmp/sandlock-tmp-%u", (unsigned)geteuid());
    expect_temporary(none, "", place);
    expect_temporary(none, "/tmp", place);
    expect_temporary(none, home, place);
    expect_temporary(none, "/nowhere", place);
}

static void nobody_else_does(void **state)
{
    char path[128];
    (void)state;
    const char *const given[][2] = {{"env", "TMPDIR=/tmp"}, {NULL, NULL}};
    const char *const named[][2] = {{"fs_readable", "/usr"}, {NULL, NULL}};
    const char *const none[][2] = {{NULL, NULL}};
    expect_temporary(given, "", NULL);
    expect_temporary(named, "", NULL);
    snprintf(path, sizeof(path), "%s/work", home);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(chdir(path), 0);
    expect_temporary(none, path, NULL); /* this one can be written */
    snprintf(path, sizeof(path), "%s/.ssh", home);
    assert_int_equal(rmdir(path), 0);
    expect_temporary(none, "", NULL); /* and now /tmp can */
    expect_temporary(none, "/tmp", NULL);
    expect_temporary(named, "/nowhere", NULL);
}

static void what_cannot_be_written_is_no_place(void **state)
{
    static const char *const none[][2] = {{NULL, NULL}};
    char path[128];
    (void)state;
    snprintf(path, sizeof(path), "%s/.ssh", home);
    assert_int_equal(rmdir(path), 0);
    SL_AUTO(sl_policy) policy = policy_of(none);
    SL_AUTO(sl_sandbox) sandbox = sandbox_of(policy);
    static const char *const named[] = {"/var/tmp", "/nowhere", "", own};
    for (size_t i = 0; i < SL_ARRAY_LEN(named); i++) {
        sl_strv env = {0};
        assert_int_equal(sl_strv_env_set(&env, "TMPDIR", named[i]), 0);
        assert_int_equal(sl_comforts_temporary(policy, sandbox, &env), 0);
        assert_string_equal(sl_strv_env_get(&env, "TMPDIR"), "/tmp");
        sl_strv_done(&env);
    }
}

/* A name that somebody else took is not used. */
static void what_is_open_to_others_is_no_place(void **state)
{
    char place[64];
    static const char *const none[][2] = {{NULL, NULL}};
    (void)state;
    snprintf(place, sizeof(place), "/tmp/sandlock-tmp-%u", (unsigned)geteuid());
    expect_temporary(none, "", place);
    assert_int_equal(chmod(place, 0755), 0);
    expect_temporary(none, "", NULL);
    assert_int_equal(chmod(place, 0700), 0);
    const char *const hidden[][2] = {{"fs_denied", place}, {NULL, NULL}};
    expect_temporary(hidden, "", NULL);
}

static bool is_usable(void *arg, const char *path)
{
    (void)arg;
    (void)path;
    return true;
}

/* APT_CONFIG of a run with this policy, whose caller has `before`; NULL: none. */
static char *apt_config(const char *const pairs[][2], const char *before, char **ret_text)
{
    sl_error err;
    size_t len;
    SL_AUTO(sl_policy) policy = policy_of(pairs);
    SL_AUTO(sl_sandbox) sandbox = sandbox_of(policy);
    SL_AUTO(sl_rundir) dir = NULL;
    sl_strv env = {0};
    if (before != NULL) {
        assert_int_equal(sl_strv_env_set(&env, "APT_CONFIG", before), 0);
    }
    assert_int_equal(sl_rundir_open(&dir, is_usable, NULL, &err), 0);
    assert_int_equal(sl_comforts_apt(policy, sandbox, dir, &env), 0);
    const char *got = sl_strv_env_get(&env, "APT_CONFIG");
    char *copy = got == NULL ? NULL : strdup(got);
    if (copy != NULL && ret_text != NULL) {
        assert_true(sl_sandbox_may_read(sandbox, copy));
        assert_false(sl_sandbox_may_write(sandbox, copy));
        assert_int_equal(sl_fd_read_file(copy, 1024, ret_text, &len), 0);
    }
    sl_strv_done(&env);
    return copy;
}

static void root_to_itself_gets_apts_word(void **state)
{
    static const char *const named[][2] = {
        {"privileged", "true"}, {"fs_readable", "/usr"}, {"fs_readable", "/etc"}, {NULL, NULL}};
    (void)state;
    if (access(PARTS, F_OK) < 0) {
        print_message("there is no '%s'\n", PARTS);
        skip();
    }
    for (int i = 0; i < 4; i++) { /* made, and then found; not believed, whatever it is */
        char planted[128];
        snprintf(planted, sizeof(planted), "%s/sandlock/apt.conf", own);
        if (i >= 2) {
            assert_int_equal(unlink(planted), 0);
            sl_autoclose int fd = open(planted, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
            assert_int_equal(i == 2 ? write(fd, "Dpkg::Tools {};\n", 16) : 16, 16);
        }
        sl_autofree char *text = NULL;
        sl_autofree char *path = apt_config(named, NULL, &text);
        assert_non_null(path);
        assert_true(strncmp(path, own, strlen(own)) == 0);
        assert_string_equal(text, "APT::Sandbox::User \"root\";\n");
    }
}

static void apts_word_is_for_nobody_else(void **state)
{
    static const char *const other[][2] = {{"uid", "7"}, {NULL, NULL}};
    static const char *const usr[][2] = {
        {"privileged", "true"}, {"fs_readable", "/usr"}, {NULL, NULL}};
    static const char *const denied[][2] = {
        {"privileged", "true"}, {"fs_denied", PARTS}, {NULL, NULL}};
    static const char *const given[][2] = {
        {"privileged", "true"}, {"env", "APT_CONFIG=/x"}, {NULL, NULL}};
    static const char *const root[][2] = {{"uid", "0"}, {NULL, NULL}};
    (void)state;
    assert_null(apt_config(other, NULL, NULL));
    assert_null(apt_config(usr, NULL, NULL));
    if (access(PARTS, F_OK) == 0) {
        assert_null(apt_config(denied, NULL, NULL));
    }
    assert_null(apt_config(given, NULL, NULL));
    sl_autofree char *kept = apt_config(root, "/mine", NULL);
    assert_string_equal(kept, "/mine");
    if (access(PARTS, F_OK) == 0) { /* but one of ours, in a run within a run, must be readable */
        static const char *const etc[][2] = {
            {"privileged", "true"}, {"fs_readable", "/etc"}, {NULL, NULL}};
        sl_autofree char *text = NULL;
        sl_autofree char *outer = apt_config(root, NULL, NULL);
        sl_autofree char *inner = apt_config(etc, outer, &text);
        assert_string_equal(inner, outer);
        assert_non_null(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_home_below_tmp_gets_a_place, begin, end),
        cmocka_unit_test_setup_teardown(nobody_else_does, begin, end),
        cmocka_unit_test_setup_teardown(what_cannot_be_written_is_no_place, begin, end),
        cmocka_unit_test_setup_teardown(what_is_open_to_others_is_no_place, begin, end),
        cmocka_unit_test_setup_teardown(root_to_itself_gets_apts_word, begin, end),
        cmocka_unit_test_setup_teardown(apts_word_is_for_nobody_else, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
