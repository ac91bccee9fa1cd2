/* What the names of fields mean, in any case, and which of them pass. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/util.h"
#include "http/field.h"

static void names_mean_what_they_mean_in_any_case(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum sl_http_field_id id;
    } names[] = {
        {"HOST", SL_HTTP_FIELD_HOST},
        {"content-Length", SL_HTTP_FIELD_CONTENT_LENGTH},
        {"Proxy-Authorization", SL_HTTP_FIELD_HOP},
        {"proxy-", SL_HTTP_FIELD_OTHER},
        {"TE", SL_HTTP_FIELD_HOP},
        {"X-HTTP-Method-Override", SL_HTTP_FIELD_OVERRIDE},
        {"Sandlock-Verdict", SL_HTTP_FIELD_HOP},
        {"Cookie", SL_HTTP_FIELD_PROTECTED},
        {"Cookies", SL_HTTP_FIELD_OTHER},
        {"Cooki", SL_HTTP_FIELD_OTHER},
        {"X", SL_HTTP_FIELD_OTHER},
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(names); i++) {
        assert_int_equal(sl_http_field_identify(names[i].name, strlen(names[i].name)), names[i].id);
    }
    assert_int_equal(sl_http_field_identify("Hostage", 4), SL_HTTP_FIELD_HOST); /* not terminated */
}

static void values_are_compared_whole(void **state)
{
    (void)state;
    sl_http_field f = {.value = "WebSocket, x", .value_len = 9};
    assert_true(sl_http_field_is(&f, "websocket"));
    assert_false(sl_http_field_is(&f, "websocke"));
    assert_false(sl_http_field_is(&f, "websockets"));
    assert_false(sl_http_field_is(&f, ""));
}

static void what_is_of_one_connection_does_not_pass(void **state)
{
    (void)state;
    static const char *const stays[] = {"Connection",    "Keep-Alive",        "TE",
                                        "Upgrade",       "Transfer-Encoding", "Content-Length",
                                        "Host",          "Proxy-Connection",  "HTTP2-Settings",
                                        "X-HTTP-Method", "Sandlock-Verdict"};
    static const char *const passes[] = {"Cookie",  "Authorization", "Expect",
                                         "Trailer", "Accept",        "X-Request-Id"};
    for (size_t i = 0; i < SL_ARRAY_LEN(stays); i++) {
        assert_false(sl_http_field_passes(sl_http_field_identify(stays[i], strlen(stays[i]))));
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(passes); i++) {
        assert_true(sl_http_field_passes(sl_http_field_identify(passes[i], strlen(passes[i]))));
    }
}

static void trailers_decide_nothing(void **state)
{
    (void)state;
    static const char *const refused[] = {"Host",          "content-length", "Transfer-Encoding",
                                          "Cookie",        "SET-COOKIE",     "Authorization",
                                          "Cache-Control", "Range",          "Location",
                                          "Expect",        "Trailer",        "Upgrade"};
    for (size_t i = 0; i < SL_ARRAY_LEN(refused); i++) {
        assert_false(sl_http_field_in_trailer(refused[i], strlen(refused[i])));
    }
    assert_true(sl_http_field_in_trailer("X-Sum", 5));
    assert_true(sl_http_field_in_trailer("ETag", 4));
    assert_true(sl_http_field_in_trailer("Ranges", 6));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_mean_what_they_mean_in_any_case),
        cmocka_unit_test(values_are_compared_whole),
        cmocka_unit_test(what_is_of_one_connection_does_not_pass),
        cmocka_unit_test(trailers_decide_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
