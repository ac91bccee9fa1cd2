/* The version, as text and as JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/mains.h"
#include "said.h"

static struct said said;

static void it_is_told(void **state)
{
    (void)state;
    SAID(&said, sl_cli_version_main, (char *)"version");
    assert_int_equal(said.code, 0);
    assert_string_equal(said.out.text, "sandlock " SANDLOCK_VERSION "\n");
    SAID(&said, sl_cli_version_main, (char *)"version", (char *)"--json");
    assert_string_equal(said.out.text, "{\"version\": \"" SANDLOCK_VERSION "\"}\n");
    SAID(&said, sl_cli_version_main, (char *)"version", (char *)"x");
    said_failure(&said, 2, "'x'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(it_is_told)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
