/* A run without a supervisor: what it is refused with, and that it becomes the command. Every field
 * of a policy: unit.sandbox.alone. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "engine/alone.h"
#include "sandbox/probe.h"

static char *const true_argv[] = {(char *)"true", NULL};
static char *const no_environ[] = {NULL};

static sl_policy *policy_of(const char *field, const char *value)
{
    sl_error err;
    sl_policy *policy = sl_policy_new();
    assert_non_null(policy);
    if (field != NULL && sl_policy_set(policy, sl_field_by_name(field), value, &err) < 0) {
        fail_msg("%s", err.message);
    }
    assert_int_equal(sl_policy_freeze(policy, &err), 0);
    return policy;
}

static sl_run_options options_of(const sl_policy *policy)
{
    return (sl_run_options){.policy = policy,
                            .argv = true_argv,
                            .environ = no_environ,
                            .status_fd = -1,
                            .quiet = true,
                            .no_supervisor = true};
}

static void refused(const sl_run_options *options, const char *word)
{
    sl_error err;
    assert_true(sl_alone_check(options, &err) < 0);
    assert_int_equal(sl_error_exit_code(err.kind), 2);
    if (strstr(err.message, word) == NULL) {
        fail_msg("'%s' does not name '%s'", err.message, word);
    }
}

static void what_needs_run_time_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *field;
        const char *value;
        const char *word;
    } rows[] = {{"timeout", "5s", "--timeout"},
                {"audit", "/dev/null", "--audit"},
                {"net_allow", "192.0.2.1:443", "rules that name hosts"},
                {"net_bind", "8080", "--net-bind"},
                {"max_memory", "64M", "--max-memory"}};
    sl_error err;
    for (size_t i = 0; i < SL_ARRAY_LEN(rows); i++) {
        SL_AUTO(sl_policy) policy = policy_of(rows[i].field, rows[i].value);
        sl_run_options options = options_of(policy);
        refused(&options, rows[i].word);
    }
    SL_AUTO(sl_policy) policy = policy_of("fs_readable", "/");
    sl_run_options options = options_of(policy);
    assert_int_equal(sl_alone_check(&options, &err), 0);
    options.interactive = true;
    refused(&options, "--interactive");
    options = options_of(policy);
    options.status_fd = 2;
    refused(&options, "--status-fd");
}

/* No process of ours stays: the number is the same. */
static void it_becomes_the_command(void **state)
{
    (void)state;
    sl_error err;
    char out[32] = {0};
    int fds[2];
    int status;
    if (sl_probe_quick(&err) < 0) {
        print_message("%s\n", err.message);
        skip();
    }
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    SL_AUTO(sl_policy) policy = policy_of("fs_readable", "/");
    sl_run_options options = options_of(policy);
    char *const argv[] = {(char *)"sh", (char *)"-c", (char *)"echo $$", NULL};
    options.argv = argv;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        sl_prepared prepared;
        dup2(fds[1], STDOUT_FILENO);
        if (sl_prepare(&options, &prepared, &err) == 0) {
            (void)sl_alone_enter(&prepared, &err);
        }
        dprintf(STDERR_FILENO, "%s\n", err.message);
        _exit(99);
    }
    close(fds[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_true(read(fds[0], out, sizeof(out) - 1) > 0);
    char own[32];
    snprintf(own, sizeof(own), "%d\n", (int)pid);
    assert_string_equal(out, own);
    close(fds[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_needs_run_time_is_refused),
        cmocka_unit_test(it_becomes_the_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
