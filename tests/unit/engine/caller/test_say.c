/* One line for the person who started the run, whatever is in it. SUP-09. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "caught.h"
#include "core/err.h"
#include "engine/caller/say.h"

static struct caught caught;

static const char *said(const char *message)
{
    caught_begin(&caught, STDERR_FILENO);
    sl_say(message);
    return caught_end(&caught);
}

static void a_message_is_a_line(void **state)
{
    (void)state;
    assert_string_equal(said("the gateway is gone"), "sandlock: the gateway is gone\n");
    assert_string_equal(said(""), "sandlock: \n");
}

static void nothing_acts_on_the_terminal(void **state)
{
    (void)state;
    assert_string_equal(said("a\nsandlock: b\r\x1b[31m\x07"), "sandlock: a?sandlock: b??[31m?\n");
}

static void a_long_message_is_cut(void **state)
{
    (void)state;
    static char message[2 * SL_ERROR_MESSAGE_MAX];
    memset(message, 'x', sizeof(message) - 1);
    const char *line = said(message);
    assert_true(strlen(line) <= SL_ERROR_MESSAGE_MAX + 16);
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_a_line),
        cmocka_unit_test(nothing_acts_on_the_terminal),
        cmocka_unit_test(a_long_message_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
