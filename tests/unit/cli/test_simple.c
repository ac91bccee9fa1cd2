/* The options of the small commands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/simple.h"
#include "core/util.h"
#include "said.h"

static bool json;
static int code;

/* As a command does it: -1 refused, 0 go on, 1 helped. */
static int words(int argc, char **argv)
{
    sl_error err;
    int r =
        sl_cli_simple_options(argc, argv, strcmp(argv[0], "help") == 0 ? NULL : &json, &code, &err);
    if (r < 0) {
        dprintf(STDERR_FILENO, "sandlock: %s\n", err.message);
        assert_int_equal(sl_error_exit_code(err.kind), 2);
    }
    return r < 0 ? 2 : r;
}

static struct said said;

static void words_are_few(void **state)
{
    (void)state;
    json = false;
    SAID(&said, words, (char *)"check");
    assert_int_equal(said.code, 0);
    assert_false(json);
    SAID(&said, words, (char *)"check", (char *)"--json", (char *)"--json");
    assert_int_equal(said.code, 0);
    assert_true(json);
    SAID(&said, words, (char *)"help", (char *)"--json");
    said_failure(&said, 2, "'--json'");
    SAID(&said, words, (char *)"check", (char *)"--jsn");
    said_failure(&said, 2, "unknown option '--jsn'; expected '--json' or '--help'");
    SAID(&said, words, (char *)"check", (char *)"x");
    said_failure(&said, 2, "'x'; 'sandlock check' takes none");
}

static void help_wins(void **state)
{
    (void)state;
    static const char *const options[] = {"--help", "-h"};
    for (size_t i = 0; i < SL_ARRAY_LEN(options); i++) {
        code = 99;
        SAID(&said, words, (char *)"check", (char *)options[i], (char *)"--nonsense");
        assert_int_equal(said.code, 1);
        assert_int_equal(code, 0);
        assert_non_null(strstr(said.out.text, "usage: sandlock check"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(words_are_few),
                                       cmocka_unit_test(help_wins)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
