/* The child's environment: kept, cleaned, set; the trust variables; the program it names. */
#include <errno.h>
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
#include "engine/start/environ.h"

static const char *const trust_files[SL_ARTEFACTS] = {
    [SL_ARTEFACT_CA] = "/run/ca.pem", [SL_ARTEFACT_BUNDLE] = "/run/bundle.pem"};

static char *caller[] = {
    "PATH=/usr/bin:/bin", "HOME=/home/someone", "TOKEN=secret", "LANG=C.UTF-8", "EMPTY=", NULL};

static void set(sl_policy *policy, const char *field, const char *value)
{
    sl_error err = {0};
    if (sl_policy_set(policy, sl_field_by_name(field), value, &err) < 0) {
        fail_msg("%s", err.message);
    }
}

static void expect(const sl_strv *env, const char *name, const char *value)
{
    const char *got = sl_strv_env_get(env, name);
    if (value == NULL) {
        assert_null(got);
    } else {
        assert_non_null(got);
        assert_string_equal(got, value);
    }
}

static void callers_environment_is_kept(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) policy = sl_policy_new();
    sl_strv env = {0};
    set(policy, "env", "TOKEN=other");
    set(policy, "env", "NEW=a=b");
    assert_int_equal(sl_environ_make(policy, caller, &env), 0);
    expect(&env, "HOME", "/home/someone");
    expect(&env, "EMPTY", "");
    expect(&env, "TOKEN", "other");
    expect(&env, "NEW", "a=b");
    assert_int_equal(env.count, 6);
    assert_null(env.items[env.count]);
    sl_strv_done(&env);
}

/* The caller is whoever asked for the run, not this process: its names count, not getenv's. */
static void clean_environment_keeps_five_names(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) policy = sl_policy_new();
    sl_strv env = {0};
    set(policy, "clean_env", "true");
    set(policy, "env", "GIVEN=1");
    setenv("HOME", "/home/of-this-process", 1);
    setenv("TERM", "of-this-process", 1);
    assert_int_equal(sl_environ_make(policy, caller, &env), 0);
    expect(&env, "PATH", "/usr/bin:/bin");
    expect(&env, "HOME", "/home/someone");
    expect(&env, "LANG", "C.UTF-8");
    expect(&env, "TERM", NULL);
    expect(&env, "TOKEN", NULL);
    expect(&env, "GIVEN", "1");
    assert_int_equal(env.count, 4);
    sl_strv_done(&env);
}

/* Of the GPUs by number; what the user sets himself wins; with all of them nothing is said. */
static void visible_devices_are_those_granted(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) policy = sl_policy_new();
    sl_strv env = {0};
    set(policy, "gpu_devices", "12,0");
    set(policy, "gpu_devices", "3");
    set(policy, "env", "HIP_VISIBLE_DEVICES=1");
    set(policy, "clean_env", "true");
    assert_int_equal(sl_environ_make(policy, caller, &env), 0);
    expect(&env, "CUDA_VISIBLE_DEVICES", "0,3,12");
    expect(&env, "NVIDIA_VISIBLE_DEVICES", "0,3,12");
    expect(&env, "ROCR_VISIBLE_DEVICES", "0,3,12");
    expect(&env, "HIP_VISIBLE_DEVICES", "1");
    sl_strv_done(&env);
    set(policy, "gpu_devices", "all");
    assert_int_equal(sl_environ_make(policy, caller, &env), 0);
    expect(&env, "CUDA_VISIBLE_DEVICES", NULL);
    sl_strv_done(&env);
    SL_AUTO(sl_policy) many = sl_policy_new();
    for (int i = 0; i < SL_POLICY_GPUS_MAX; i++) {
        char number[8];
        snprintf(number, sizeof(number), "%d", i);
        set(many, "gpu_devices", number);
    }
    assert_int_equal(sl_environ_make(many, caller, &env), 0);
    assert_string_equal(strrchr(sl_strv_env_get(&env, "CUDA_VISIBLE_DEVICES"), ','), ",63");
    sl_strv_done(&env);
}

/* ---- proxies ---- */

static void proxies_go_beside_http_rules_alone(void **state)
{
    (void)state;
    static char *const from[] = {"http_proxy=http://one.test:1", "NO_PROXY=x", "https_proxy=",
                                 "ALL_PROXY=http://two.test:2",  "GOPROXY=y",  NULL};
    SL_AUTO(sl_policy) policy = sl_policy_new();
    sl_strv env = {0};
    sl_strv removed = {0};
    sl_strv proxies = {0};
    set(policy, "env", "ALL_PROXY=http://three.test:3");
    assert_int_equal(sl_environ_make(policy, from, &env), 0);
    expect(&env, "http_proxy", "http://one.test:1");
    expect(&env, "NO_PROXY", "x");
    sl_strv_done(&env);
    set(policy, "http_allow", "GET a.test/*");
    assert_int_equal(sl_environ_make(policy, from, &env), 0);
    expect(&env, "http_proxy", NULL);
    expect(&env, "NO_PROXY", NULL);
    expect(&env, "GOPROXY", "y");
    expect(&env, "ALL_PROXY", "http://three.test:3");
    assert_int_equal(sl_environ_proxies(policy, from, &removed, &proxies), 0);
    assert_int_equal(removed.count, 2);
    assert_true(sl_strv_has(&removed, "http_proxy") && sl_strv_has(&removed, "NO_PROXY"));
    assert_int_equal(proxies.count, 3);
    sl_strv_done(&env);
    sl_strv_done(&removed);
    sl_strv_done(&proxies);
}

/* ---- trust ---- */

static void put_file(const char *path, const char *text)
{
    sl_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void trust_variables_name_the_runs_files(void **state)
{
    (void)state;
    sl_strv env = {0};
    sl_strv files = {0};
    assert_int_equal(sl_environ_trust(&env, trust_files, &files), 0);
    expect(&env, "SSL_CERT_FILE", "/run/bundle.pem");
    expect(&env, "CURL_CA_BUNDLE", "/run/bundle.pem");
    expect(&env, "REQUESTS_CA_BUNDLE", "/run/bundle.pem");
    expect(&env, "GIT_SSL_CAINFO", "/run/bundle.pem");
    expect(&env, "NODE_EXTRA_CA_CERTS", "/run/ca.pem");
    expect(&env, "DENO_CERT", "/run/ca.pem");
    assert_int_equal(files.count, 0);
    for (size_t i = 0; i < env.count; i++) {
        assert_null(strchr(env.items[i], ' '));
        assert_null(strchr(env.items[i], '#'));
    }
    sl_strv_done(&env);
}

/* What the user had set goes on being believed: merged, each file once; a missing one is nothing.
 */
static void users_bundles_are_merged(void **state)
{
    (void)state;
    char dir[] = "/tmp/sandlock-environ-XXXXXX";
    char one[64];
    char two[64];
    sl_strv env = {0};
    sl_strv list = {0};
    sl_buf pem;
    assert_non_null(mkdtemp(dir));
    snprintf(one, sizeof(one), "%s/one.pem", dir);
    snprintf(two, sizeof(two), "%s/two.pem", dir);
    put_file(one, "-----ONE-----");
    put_file(two, "-----TWO-----\n");
    sl_buf_init(&pem, SL_ENVIRON_BUNDLE_MAX);
    assert_int_equal(sl_strv_env_set(&env, "SSL_CERT_FILE", one), 0);
    assert_int_equal(sl_strv_env_set(&env, "CURL_CA_BUNDLE", one), 0);
    assert_int_equal(sl_strv_env_set(&env, "NODE_EXTRA_CA_CERTS", two), 0);
    assert_int_equal(sl_strv_env_set(&env, "PIP_CERT", "/nowhere/at/all.pem"), 0);
    assert_int_equal(sl_strv_env_set(&env, "AWS_CA_BUNDLE", "relative.pem"), 0);
    assert_int_equal(sl_environ_trust(&env, trust_files, &list), 0);
    assert_int_equal(list.count, 3);
    assert_int_equal(sl_environ_read_trust(&list, &pem), 0);
    assert_int_equal(sl_buf_append(&pem, "", 1), 0);
    assert_string_equal((const char *)sl_buf_head(&pem), "-----ONE-----\n-----TWO-----\n\n");
    expect(&env, "SSL_CERT_FILE", "/run/bundle.pem");
    expect(&env, "NODE_EXTRA_CA_CERTS", "/run/bundle.pem"); /* it adds to the roots */
    expect(&env, "PIP_CERT", "/run/bundle.pem");
    sl_strv_done(&env);
    sl_strv_done(&list);
    sl_buf_done(&pem);
    unlink(one);
    unlink(two);
    assert_int_equal(rmdir(dir), 0);
}

static void bundle_past_the_maximum_is_left_out(void **state)
{
    (void)state;
    char path[] = "/tmp/sandlock-environ-XXXXXX";
    sl_strv list = {0};
    sl_buf pem;
    sl_autoclose int fd = mkostemp(path, O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "0123456789abcdef", 16), 16);
    sl_buf_init(&pem, 8);
    assert_int_equal(sl_strv_add(&list, path), 0);
    assert_int_equal(sl_environ_read_trust(&list, &pem), 0);
    assert_true(pem.len <= 8);
    sl_strv_done(&list);
    sl_buf_done(&pem);
    unlink(path);
}

/* ---- the program ---- */

static void program_is_found_as_execvp_does(void **state)
{
    (void)state;
    char dir[] = "/tmp/sandlock-environ-XXXXXX";
    char path[64];
    char value[128];
    sl_strv env = {0};
    sl_error err = {0};
    char *found = NULL;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/tool", dir);
    snprintf(value, sizeof(value), "/nowhere:%s:/usr/bin:/bin", dir);
    put_file(path, "#!/bin/sh\n");
    assert_int_equal(sl_strv_env_set(&env, "PATH", value), 0);

    assert_true(sl_environ_find("tool", &env, &found, &err) < 0); /* not executable */
    assert_int_equal(err.kind, SL_ERROR_NOT_EXEC);
    assert_int_equal(chmod(path, 0700), 0);
    assert_int_equal(sl_environ_find("tool", &env, &found, &err), 0);
    assert_string_equal(found, path);
    free(sl_steal(&found));
    assert_int_equal(sl_environ_find("sh", &env, &found, &err), 0);
    assert_int_equal(found[0], '/');
    free(sl_steal(&found));
    assert_int_equal(sl_environ_find(path, &env, &found, &err), 0);
    free(sl_steal(&found));

    assert_true(sl_environ_find("no-such-tool", &env, &found, &err) < 0);
    assert_int_equal(err.kind, SL_ERROR_NOT_FOUND);
    assert_non_null(strstr(err.message, "'no-such-tool' in PATH"));
    assert_true(sl_environ_find(dir, &env, &found, &err) < 0);
    assert_int_equal(err.kind, SL_ERROR_NOT_EXEC);
    assert_true(sl_environ_find("", &env, &found, &err) < 0);
    assert_int_equal(err.kind, SL_ERROR_NOT_FOUND);
    assert_null(found);
    sl_strv_done(&env);
    unlink(path);
    rmdir(dir);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(proxies_go_beside_http_rules_alone),
        cmocka_unit_test(callers_environment_is_kept),
        cmocka_unit_test(clean_environment_keeps_five_names),
        cmocka_unit_test(visible_devices_are_those_granted),
        cmocka_unit_test(trust_variables_name_the_runs_files),
        cmocka_unit_test(users_bundles_are_merged),
        cmocka_unit_test(bundle_past_the_maximum_is_left_out),
        cmocka_unit_test(program_is_found_as_execvp_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
