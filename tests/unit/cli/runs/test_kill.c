/* The end of a run: it is gone when that is said, and nobody else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/mains.h"
#include "core/util.h"
#include "runs_rig.h"
#include "said.h"

static struct said said;

static bool is_gone(pid_t pid)
{
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}

static void the_one_that_is_meant_is_gone(void **state)
{
    (void)state;
    pid_t box = rig_start("box", 0);
    pid_t other = rig_start("other", 0);
    SAID(&said, sl_cli_kill_main, (char *)"kill", (char *)"box");
    assert_int_equal(said.code, 0);
    assert_string_equal(said.err.text, "");
    assert_true(is_gone(box));
    assert_false(is_gone(other));
    SAID(&said, sl_cli_kill_main, (char *)"kill", (char *)"none");
    said_failure(&said, 1, "there is no run 'none'");
    assert_false(is_gone(other));
}

/* With --signal the command gets that signal and nothing is waited for. */
static void a_signal_alone(void **state)
{
    (void)state;
    pid_t box = rig_start("box", SIGUSR1);
    SAID(&said, sl_cli_kill_main, (char *)"kill", (char *)"--signal", (char *)"USR1",
         (char *)"box");
    assert_int_equal(said.code, 0);
    assert_string_equal(said.err.text, "");
    assert_false(is_gone(box));
}

/* What does not end when it is asked is killed, and that is said. */
static void the_deaf_are_killed(void **state)
{
    (void)state;
    pid_t box = rig_start("box", SIGTERM);
    SAID(&said, sl_cli_kill_main, (char *)"kill", (char *)"box");
    assert_int_equal(said.code, 0);
    assert_non_null(strstr(said.err.text, "did not end within 5 s of SIGTERM; killing it\n"));
    assert_true(is_gone(box));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIGGED(the_one_that_is_meant_is_gone),
        RIGGED(a_signal_alone),
        RIGGED(the_deaf_are_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
