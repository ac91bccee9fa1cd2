/* A run from end to end, as the function that the program calls: its exit code and what it says. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "core/util.h"
#include "engine/run.h"
#include "sandbox/probe.h"
#include "tidy.h"

struct told {
    int code;
    char out[1024];
    char err[1024];
    char status[4096];
};

static void read_end(int fds[2], char *text, size_t size)
{
    close(fds[1]);
    size_t len = 0;
    for (ssize_t n; len < size - 1 && (n = read(fds[0], text + len, size - 1 - len)) > 0;) {
        len += (size_t)n;
    }
    text[len] = '\0';
    close(fds[0]);
}

static sl_policy *make_policy(const char *field, const char *value)
{
    sl_error err;
    sl_policy *policy = sl_policy_new();
    assert_int_equal(sl_policy_set(policy, sl_field_by_name("fs_readable"), "/", &err), 0);
    if (field != NULL) {
        assert_int_equal(sl_policy_set(policy, sl_field_by_name(field), value, &err), 0);
    }
    assert_int_equal(sl_policy_freeze(policy, &err), 0);
    return policy;
}

/* The three ends are read to their ends: nobody of the run is left when they are there. */
static struct told run(const char *field, const char *value, char *const *argv)
{
    struct told t = {0};
    int out[2];
    int err[2];
    int status[2];
    int code;
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(pipe2(err, O_CLOEXEC), 0);
    assert_int_equal(pipe2(status, O_CLOEXEC), 0);
    SL_AUTO(sl_policy) policy = make_policy(field, value);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(out[1], STDOUT_FILENO);
        dup2(err[1], STDERR_FILENO);
        _exit(sl_run(&(sl_run_options){
            .policy = policy, .argv = argv, .environ = environ, .status_fd = status[1]}));
    }
    read_end(out, t.out, sizeof(t.out));
    read_end(err, t.err, sizeof(t.err));
    read_end(status, t.status, sizeof(t.status));
    assert_int_equal(waitpid(pid, &code, 0), pid);
    t.code = WIFEXITED(code) ? WEXITSTATUS(code) : -1;
    return t;
}

static struct told run_shell(const char *field, const char *value, const char *script)
{
    char *const argv[] = {(char *)"sh", (char *)"-c", (char *)script, NULL};
    return run(field, value, argv);
}

static void expect(const struct told *t, int code, const char *reason)
{
    json_t *json = json_loads(t->status, 0, NULL);
    if (t->code != code || json == NULL) {
        fail_msg("exit %d, '%s', status '%s'", t->code, t->err, t->status);
    }
    assert_int_equal(json_integer_value(json_object_get(json, "exit_code")), code);
    assert_string_equal(json_string_value(json_object_get(json, "reason")), reason);
    json_decref(json);
}

static void needs_the_kernel(void)
{
    sl_error err;
    if (sl_probe_quick(&err) < 0) {
        print_message("%s\n", err.message);
        skip();
    }
}

static void codes_and_words_are_the_command_s(void **state)
{
    (void)state;
    needs_the_kernel();
    struct told t = run_shell(NULL, NULL, "echo out; echo err >&2; exit 7");
    expect(&t, 7, "exited");
    assert_string_equal(t.out, "out\n");
    assert_string_equal(t.err, "err\n");
    t = run_shell(NULL, NULL, "kill -TERM $$");
    expect(&t, 128 + SIGTERM, "signaled");
    t = run_shell("timeout", "50ms", "sleep 1000");
    expect(&t, 124, "timeout");
}

static void nobody_is_left(void **state)
{
    (void)state;
    needs_the_kernel();
    struct told t = run_shell(NULL, NULL, "setsid sleep 1000 & exit 3");
    expect(&t, 3, "exited");
}

static void failures_before_it_are_told(void **state)
{
    (void)state;
    needs_the_kernel();
    char *const none[] = {(char *)"no-such-program", NULL};
    struct told t = run(NULL, NULL, none);
    expect(&t, 127, "error");
    assert_string_equal(t.err, "sandlock: cannot find command 'no-such-program' in PATH\n");
    t = run_shell("fs_writable", "/no/such/dir", "echo ran");
    expect(&t, 125, "error");
    assert_string_equal(t.out, "");
    assert_int_equal(strncmp(t.err, "sandlock: ", 10), 0);
}

int main(void)
{
    char top[] = "/tmp/sandlock-run-XXXXXX";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_and_words_are_the_command_s),
        cmocka_unit_test(nobody_is_left),
        cmocka_unit_test(failures_before_it_are_told),
    };
    if (mkdtemp(top) == NULL || setenv("XDG_RUNTIME_DIR", top, 1) < 0) {
        return 1;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    tidy_tree(top);
    return failed;
}
