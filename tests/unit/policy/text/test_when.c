/* Moments: ISO 8601 with a zone, Unix seconds; everything else is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/util.h"
#include "policy/text/when.h"

static void moments_are_read(void **state)
{
    static const struct {
        const char *text;
        int64_t ns;
    } good[] = {
        {"0", 0},
        {"1970-01-01T00:00:00Z", 0},
        {"1709208000", 1709208000000000000},
        {"1709208000.5", 1709208000500000000},
        {"1.0000000019", 1000000001},
        {"2024-02-29T12:00:00Z", 1709208000000000000},
        {"2024-02-29t12:00:00z", 1709208000000000000},
        {"2024-02-29 12:00Z", 1709208000000000000},
        {"2024-02-29T13:30:00+01:30", 1709208000000000000},
        {"2024-02-29T11:00:00-0100", 1709208000000000000},
        {"2024-02-29T13:00:00+01", 1709208000000000000},
        {"2024-02-29T12:00:00.25Z", 1709208000250000000},
        {"2000-03-01T00:00:00Z", 951868800000000000},
        {"2199-12-31T23:59:59Z", 7258118399000000000},
        {"7258118400", 7258118400000000000},
    };
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(good); i++) {
        int64_t ns = -1;
        if (sl_when_parse(good[i].text, &ns) != 0 || ns != good[i].ns) {
            fail_msg("'%s' is %lld", good[i].text, (long long)ns);
        }
    }
}

static void others_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        " ",
        "now",
        "-1",
        "1e9",
        "1.",
        ".5",
        "12 ",
        "7258118401",
        "99999999999999999999999",
        "2024-02-29",
        "2024-02-29T12:00:00",
        "2023-02-29T12:00:00Z",
        "2100-02-29T12:00:00Z",
        "2024-13-01T00:00:00Z",
        "2024-00-01T00:00:00Z",
        "2024-04-31T00:00:00Z",
        "2024-02-29T24:00:00Z",
        "2024-02-29T12:60:00Z",
        "2024-02-29T12:00:60Z",
        "2024-02-29T12:00:00.Z",
        "2024-02-29T12:00:00+24:00",
        "2024-02-29T12:00:00+1",
        "2024-02-29T12:00:00+01:",
        "2024-02-29T12:00:00Zx",
        "2024-2-29T12:00:00Z",
        "2024/02/29T12:00:00Z",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:30:00+01:00",
        "2200-01-01T00:00:01Z",
        "0000-01-01T00:00:00Z",
    };
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        int64_t ns = 77;
        if (sl_when_parse(bad[i], &ns) != -EINVAL || ns != 77) {
            fail_msg("'%s' is taken for %lld", bad[i], (long long)ns);
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(moments_are_read),
        cmocka_unit_test(others_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
