/* The second process, without the first: what it does when its guardian is gone, and what it hands
 * back when it cannot begin. A whole run: unit.engine.run and the integration tests. */
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

#include "core/util.h"
#include "engine/engine.h"
#include "sandbox/probe.h"
#include "tidy.h"

static char *const argv[] = {(char *)"true", NULL};

struct told {
    int code;
    char err[1024];
};

/* A child of ours as the engine, of which we are the guardian, or not. */
static struct told engine(const char *program, bool orphan)
{
    struct told t = {0};
    int err[2];
    int code;
    assert_int_equal(pipe2(err, O_CLOEXEC), 0);
    pid_t guardian = getpid();
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        sl_error error;
        sl_wire wire;
        sl_prepared prepared;
        dup2(err[1], STDERR_FILENO);
        SL_AUTO(sl_policy) policy = sl_policy_new();
        sl_run_options options = {
            .policy = policy, .argv = argv, .environ = environ, .status_fd = -1};
        sl_wire_init(&wire);
        if (sl_policy_set(policy, sl_field_by_name("fs_readable"), "/", &error) < 0 ||
            sl_policy_freeze(policy, &error) < 0 || sl_prepare(&options, &prepared, &error) < 0 ||
            sl_wire_open(&wire, false) < 0) {
            _exit(99);
        }
        sl_caller_leave_signals(&prepared.caller); /* as the guardian did before its fork */
        free(prepared.program);
        prepared.program = strdup(program);
        _exit(sl_engine_main(&prepared, &wire, orphan ? 1 : guardian));
    }
    close(err[1]);
    assert_int_equal(waitpid(pid, &code, 0), pid);
    t.code = WIFEXITED(code) ? WEXITSTATUS(code) : -1;
    ssize_t n = read(err[0], t.err, sizeof(t.err) - 1);
    t.err[n > 0 ? n : 0] = '\0';
    close(err[0]);
    return t;
}

static void needs_the_kernel(void)
{
    sl_error err;
    if (sl_probe_quick(&err) < 0) {
        print_message("%s\n", err.message);
        skip();
    }
}

/* Started for nobody it starts nothing. */
static void without_a_guardian_nothing_begins(void **state)
{
    (void)state;
    needs_the_kernel();
    struct told t = engine("/bin/true", true);
    assert_int_equal(t.code, 125);
    assert_string_equal(t.err, "");
}

static void its_code_is_the_run_s(void **state)
{
    (void)state;
    needs_the_kernel();
    struct told t = engine("/bin/true", false);
    assert_int_equal(t.code, 0);
    t = engine("/bin/false", false);
    assert_int_equal(t.code, 1);
}

/* The child's own error comes back from behind its fork. */
static void what_cannot_begin_is_said(void **state)
{
    (void)state;
    needs_the_kernel();
    struct told t = engine("/no/such/program", false);
    assert_int_equal(t.code, 127);
    assert_int_equal(strncmp(t.err, "sandlock: ", 10), 0);
    t = engine("/etc/passwd", false);
    assert_int_equal(t.code, 126);
}

int main(void)
{
    char top[] = "/tmp/sandlock-engine-XXXXXX";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_guardian_nothing_begins),
        cmocka_unit_test(its_code_is_the_run_s),
        cmocka_unit_test(what_cannot_begin_is_said),
    };
    if (mkdtemp(top) == NULL || setenv("XDG_RUNTIME_DIR", top, 1) < 0) {
        return 1;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    tidy_tree(top);
    return failed;
}
