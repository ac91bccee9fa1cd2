/* What is made before the first fork: all of it, or an error that names what is missing. */
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

#include "core/util.h"
#include "engine/prepare.h"
#include "sandbox/probe.h"
#include "tidy.h"

static char top[64];

static int begin(void **state)
{
    (void)state;
    snprintf(top, sizeof(top), "/tmp/sandlock-prepare-XXXXXX");
    if (mkdtemp(top) == NULL) {
        return -1;
    }
    return setenv("XDG_RUNTIME_DIR", top, 1) < 0 || setenv("HOME", top, 1) < 0 ? -1 : 0;
}

static int end(void **state)
{
    (void)state;
    tidy_tree(top);
    return 0;
}

static void needs_the_kernel(void)
{
    sl_error err;
    if (sl_probe_quick(&err) < 0) {
        print_message("%s\n", err.message);
        skip();
    }
}

static sl_policy *policy_of(const char *field, const char *value)
{
    sl_error err;
    sl_policy *policy = sl_policy_new();
    assert_non_null(policy);
    assert_int_equal(sl_policy_set(policy, sl_field_by_name("fs_readable"), "/usr", &err), 0);
    if (field != NULL && sl_policy_set(policy, sl_field_by_name(field), value, &err) < 0) {
        fail_msg("%s", err.message);
    }
    assert_int_equal(sl_policy_freeze(policy, &err), 0);
    return policy;
}

static char *const true_argv[] = {(char *)"true", NULL};
static char *const an_environ[] = {(char *)"PATH=/usr/bin:/bin", (char *)"LANG=C", NULL};

static sl_run_options options_of(const sl_policy *policy)
{
    return (sl_run_options){
        .policy = policy, .argv = true_argv, .environ = an_environ, .status_fd = -1};
}

static void a_plain_run_needs_little(void **state)
{
    (void)state;
    sl_error err;
    sl_prepared p;
    sl_spawn spawn;
    sl_spawn_limit limits[SL_SPAWN_LIMITS];
    needs_the_kernel();
    SL_AUTO(sl_policy) policy = policy_of("max_open_files", "64");
    sl_run_options options = options_of(policy);
    assert_int_equal(sl_prepare(&options, &p, &err), 0);
    assert_non_null(p.sandbox);
    assert_null(p.gateway_path);
    assert_null(p.terminal);
    assert_null(p.cgroup);
    assert_non_null(strstr(p.program, "bin/true"));
    assert_string_equal(p.dir->run_name, ""); /* nothing of the run's own but the canary's place */
    sl_prepared_spawn(&p, limits, &spawn);
    assert_ptr_equal(spawn.argv, true_argv);
    assert_ptr_equal(spawn.path, p.program);
    assert_string_equal(spawn.environ[0], "PATH=/usr/bin:/bin");
    assert_int_equal(spawn.terminal_fd, 0);
    assert_int_equal(limits[0].value.rlim_cur, 64);
    sl_prepared_forget(&p); /* what the guardian has no use for */
    assert_null(p.sandbox);
    assert_int_equal(p.env.count, 0);
    assert_non_null(p.dir);
    sl_prepared_done(&p);
}

static void an_empty_environment_is_one(void **state)
{
    (void)state;
    sl_error err;
    sl_prepared p;
    sl_spawn spawn;
    sl_spawn_limit limits[SL_SPAWN_LIMITS];
    static char *const none[] = {NULL};
    needs_the_kernel();
    SL_AUTO(sl_policy) policy = policy_of(NULL, NULL);
    sl_run_options options = options_of(policy);
    options.environ = none;
    assert_int_equal(sl_prepare(&options, &p, &err), 0);
    sl_prepared_spawn(&p, limits, &spawn);
    assert_non_null(spawn.environ);
    assert_null(spawn.environ[0]);
    sl_prepared_done(&p);
}

/* Of the run's own, named by the environment, and removed with it. The gateway's program is not
 * beside the test, and it is asked for last. */
static void trust_has_its_files(void **state)
{
    (void)state;
    sl_error err;
    sl_prepared p;
    needs_the_kernel();
    SL_AUTO(sl_policy) policy = policy_of("http_allow", "GET a.test/*");
    sl_run_options options = options_of(policy);
    assert_true(sl_prepare(&options, &p, &err) < 0);
    assert_non_null(strstr(err.message, "'sandlock-gateway'"));
    for (size_t i = 0; i < SL_ARTEFACTS; i++) {
        struct stat st;
        assert_int_equal(stat(p.dir->trust[i], &st), 0);
        assert_int_equal(st.st_size, 0);
    }
    assert_string_equal(sl_strv_env_get(&p.env, "SSL_CERT_FILE"), p.dir->trust[SL_ARTEFACT_BUNDLE]);
    assert_string_equal(sl_strv_env_get(&p.env, "DENO_CERT"), p.dir->trust[SL_ARTEFACT_CA]);
    char file[PATH_MAX];
    snprintf(file, sizeof(file), "%s", p.dir->trust[SL_ARTEFACT_CA]);
    sl_prepared_done(&p);
    assert_int_equal(access(file, F_OK), -1);
}

static void failures_name_what_is_missing(void **state)
{
    (void)state;
    static const struct {
        const char *field;
        const char *value;
        const char *argv0;
        const char *word;
        int code;
    } rows[] = {{NULL, NULL, "no-such-program", "'no-such-program'", 127},
                {NULL, NULL, "/etc/passwd", "'/etc/passwd'", 126},
                {"allow_degraded", "seccomp", "true", "'seccomp'", 2},
                {"audit", "/no/such/dir/log", "true", "'/no/such/dir/log'", 125},
                {"http_upstream_ca", "/no/such/ca", "true", "'/no/such/ca'", 125},
                {"fs_writable", "/no/such/dir", "true", "'/no/such/dir'", 125}};
    needs_the_kernel();
    for (size_t i = 0; i < SL_ARRAY_LEN(rows); i++) {
        sl_error err;
        sl_prepared p;
        SL_AUTO(sl_policy) policy = policy_of(rows[i].field, rows[i].value);
        sl_run_options options = options_of(policy);
        char *const argv[] = {(char *)rows[i].argv0, NULL};
        options.argv = argv;
        assert_true(sl_prepare(&options, &p, &err) < 0);
        if (strstr(err.message, rows[i].word) == NULL) {
            fail_msg("'%s' does not name %s", err.message, rows[i].word);
        }
        assert_int_equal(sl_error_exit_code(err.kind), rows[i].code);
        sl_prepared_done(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_plain_run_needs_little, begin, end),
        cmocka_unit_test_setup_teardown(an_empty_environment_is_one, begin, end),
        cmocka_unit_test_setup_teardown(trust_has_its_files, begin, end),
        cmocka_unit_test_setup_teardown(failures_name_what_is_missing, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
