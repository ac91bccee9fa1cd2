/* How a run ended: which of several reasons counts, and what is told of it. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>
#include <jansson.h>

#include "caught.h"
#include "core/util.h"
#include "engine/caller/outcome.h"

static struct caught caught;

/* What it tells: the status line, and in `caught` standard error. */
static json_t *tell(sl_outcome *o, int code)
{
    int fds[2];
    char line[4096] = {0};
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    caught_begin(&caught, STDERR_FILENO);
    int told = sl_outcome_tell(o, NULL, fds[1], false);
    caught_end(&caught);
    assert_int_equal(told, code);
    close(fds[1]);
    assert_true(read(fds[0], line, sizeof(line) - 1) > 0);
    close(fds[0]);
    json_t *json = json_loads(line, 0, NULL);
    assert_non_null(json);
    assert_int_equal(json_integer_value(json_object_get(json, "exit_code")), code);
    return json;
}

static void expect(sl_outcome *o, int code, const char *reason, const char *message,
                   const char *err)
{
    json_t *json = tell(o, code);
    const char *got = json_string_value(json_object_get(json, "message"));
    assert_string_equal(json_string_value(json_object_get(json, "reason")), reason);
    assert_string_equal(got == NULL ? "" : got, message);
    assert_string_equal(caught.text, err);
    json_decref(json);
}

static void the_command_s_own_end(void **state)
{
    (void)state;
    sl_outcome o;
    sl_outcome_init(&o, NULL);
    expect(&o, 0, "exited", "", "");
    sl_outcome_init(&o, NULL);
    sl_outcome_exited(&o, W_EXITCODE(7, 0));
    assert_false(sl_outcome_is_failure(&o));
    expect(&o, 7, "exited", "", "");
    sl_outcome_init(&o, "box");
    sl_outcome_exited(&o, W_EXITCODE(0, SIGTERM));
    json_t *json = tell(&o, 128 + SIGTERM);
    assert_string_equal(json_string_value(json_object_get(json, "reason")), "signaled");
    assert_int_equal(json_integer_value(json_object_get(json, "signal")), SIGTERM);
    assert_string_equal(json_string_value(json_object_get(json, "name")), "box");
    json_decref(json);
}

/* The tree is killed then, and its end is no news. */
static void the_first_reason_stands(void **state)
{
    (void)state;
    sl_outcome o;
    sl_outcome_init(&o, NULL);
    sl_outcome_timeout(&o);
    sl_outcome_exited(&o, W_EXITCODE(0, SIGKILL));
    expect(&o, 124, "timeout", "", "");
    sl_outcome_init(&o, NULL);
    sl_outcome_failed(&o, "the gateway ended unexpectedly");
    sl_outcome_exited(&o, W_EXITCODE(0, SIGKILL));
    assert_true(sl_outcome_is_failure(&o));
    expect(&o, 125, "error", "the gateway ended unexpectedly; the run is over",
           "sandlock: the gateway ended unexpectedly; the run is over\n");
}

static void memory_is_said_at_once(void **state)
{
    (void)state;
    sl_outcome o;
    sl_outcome_init(&o, NULL);
    caught_begin(&caught, STDERR_FILENO);
    sl_outcome_over_memory(&o, 64u << 20);
    assert_string_equal(caught_end(&caught),
                        "sandlock: the command went over its memory limit of 64M\n");
    sl_outcome_exited(&o, W_EXITCODE(0, SIGKILL));
    expect(&o, 137, "memory", "the command went over its memory limit of 64M", "");
}

static void a_run_that_did_not_begin(void **state)
{
    (void)state;
    sl_outcome o;
    sl_error err;
    sl_error_kind_set(&err, SL_ERROR_NOT_EXEC, EACCES, "cannot execute '/x'");
    sl_outcome_init(&o, NULL);
    sl_outcome_not_started(&o, &err);
    memset(&err, 0, sizeof(err)); /* it keeps nothing of it */
    assert_true(sl_outcome_is_failure(&o));
    expect(&o, 126, "error", "cannot execute '/x'", "sandlock: cannot execute '/x'\n");
}

static void nobody_is_left_to_tell(void **state)
{
    (void)state;
    sl_outcome o;
    sl_outcome_init(&o, NULL);
    sl_outcome_orphaned(&o);
    assert_true(sl_outcome_is_failure(&o));
    expect(&o, 125, "error", "", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_command_s_own_end),  cmocka_unit_test(the_first_reason_stands),
        cmocka_unit_test(memory_is_said_at_once), cmocka_unit_test(a_run_that_did_not_begin),
        cmocka_unit_test(nobody_is_left_to_tell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
