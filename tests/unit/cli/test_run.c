/* `sandlock run`, as far as nothing runs: bad words end it, the policy and the help are printed.
 * What runs: unit.cli.main. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/mains.h"
#include "core/util.h"
#include "said.h"

static struct said said;

#define RUN(...) SAID(&said, sl_cli_run_main, (char *)"run", __VA_ARGS__)

static void the_policy_is_printed(void **state)
{
    (void)state;
    RUN((char *)"-r", (char *)"/usr", (char *)"--http-allow=GET a.test/x",
        (char *)"--print-policy");
    assert_int_equal(said.code, 0);
    assert_string_equal(said.err.text, "");
    assert_non_null(strstr(said.out.text, "\"GET a.test/x\""));
    assert_non_null(strstr(said.out.text, "\"/usr\""));
}

static void the_help_is_printed(void **state)
{
    (void)state;
    RUN((char *)"-r", (char *)"/usr", (char *)"--help", (char *)"--nonsense");
    assert_int_equal(said.code, 0);
    assert_int_equal(strncmp(said.out.text, "usage: sandlock run ", 20), 0);
}

static void bad_words_end_it(void **state)
{
    (void)state;
    RUN((char *)"--htp-allow", (char *)"GET a.test/", (char *)"--", (char *)"true");
    said_failure(&said, 2, "did you mean '--http-allow'?");
    RUN((char *)"-r", (char *)"/");
    said_failure(&said, 2, "no command given");
    RUN((char *)"--no-supervisor", (char *)"-t", (char *)"5", (char *)"--", (char *)"true");
    said_failure(&said, 2, "--no-supervisor cannot be had with --timeout");
}

/* One that is not open, and one that nobody can write to. */
static void the_status_must_be_for_somebody(void **state)
{
    (void)state;
    char option[32];
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(fd > STDERR_FILENO);
    snprintf(option, sizeof(option), "--status-fd=%d", fd);
    RUN(option, (char *)"--", (char *)"true");
    said_failure(&said, 125, "cannot be written to");
    close(fd);
    RUN(option, (char *)"--", (char *)"true");
    said_failure(&said, 125, "is not open");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_policy_is_printed),
        cmocka_unit_test(the_help_is_printed),
        cmocka_unit_test(bad_words_end_it),
        cmocka_unit_test(the_status_must_be_for_somebody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
