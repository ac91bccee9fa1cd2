/* What the names of fields mean, in any case, and which of them pass. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
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
        {"SEC-websocket-Key", SL_HTTP_FIELD_WS_KEY},
        {"Transfer_Encoding", SL_HTTP_FIELD_LOOKALIKE},
        {"Content_Type", SL_HTTP_FIELD_OTHER},
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(names); i++) {
        assert_int_equal(sl_http_field_identify(names[i].name, strlen(names[i].name)), names[i].id);
    }
    assert_int_equal(sl_http_field_identify("Hostage", 4), SL_HTTP_FIELD_HOST); /* not terminated */
}

/* A test for every field that frames, routes, authenticates or belongs to one connection. */
static void lookalikes_are_known_by_any_sign(void **state)
{
    (void)state;
    static const char *const mean[] = {
        "Transfer_Encoding", "transfer_encoding", "TRANSFER.ENCODING", "Content_Length",
        "Content~Length", "content+LENGTH", "Keep_Alive", "Proxy_Connection", "proxy.connection",
        "Proxy_Authorization", "Proxy_X", "Proxy-X_", "_proxy-x", "HTTP2_Settings",
        "X_HTTP_Method_Override", "X-HTTP_Method-Override", "X-HTTP-Method_Override",
        "X_HTTP_Method", "X-Method_Override", "WWW_Authenticate", "Sandlock_Verdict",
        "Sec_WebSocket_Key", "Sec-WebSocket_Accept", "Sec-WebSocket-Protocol_",
        "Sec.WebSocket.Extensions",
        /* one byte more, that a proxy may trim */
        "Host_", "_Host", "-Host", "host-", "Host.", "'Host'", "__hOST__", "Te_", "_Upgrade",
        "Upgrade-", "Connection*", "!Connection", "Trailer_", "Expect.", "Content-Length-",
        "-Content-Length", "Content-Length_", "Transfer-Encoding|", "Authorization_",
        "^Authorization"};
    static const char *const mean_nothing[] = {"Transfer-Encoding",
                                               "CONTENT-LENGTH",
                                               "Host",
                                               "te",
                                               "Proxy-Connection",
                                               "Proxy-",
                                               "X-HTTP-Method-Override",
                                               "Authorization", /* themselves */
                                               "X_Forwarded_For",
                                               "X_Request_Id",
                                               "X-Api_Key",
                                               "_",
                                               "---",
                                               "Content_Type",
                                               "Set_Cookie",
                                               "Content__Length",
                                               "Content-Lengt_h",
                                               "ContentLength",
                                               "T_E",
                                               "Hos_t",
                                               "Hosts",
                                               "Host_Name",
                                               "X_Host",
                                               "X-Transfer_Encoding",
                                               "Transfer_Encoding_X",
                                               "Proxy_",
                                               "Proxy",
                                               "Proxys_x"};
    for (size_t i = 0; i < SL_ARRAY_LEN(mean); i++) {
        if (!sl_http_field_is_lookalike(mean[i], strlen(mean[i]))) {
            fail_msg("'%s' passes", mean[i]);
        }
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(mean_nothing); i++) {
        if (sl_http_field_is_lookalike(mean_nothing[i], strlen(mean_nothing[i]))) {
            fail_msg("'%s' is refused", mean_nothing[i]);
        }
    }
    assert_true(sl_http_field_is_lookalike("Host_Name", 5)); /* not terminated */
}

static void any_name_can_be_resembled(void **state)
{
    (void)state;
    assert_true(sl_http_field_resembles("X_Api-Key", 9, "x-api-key"));
    assert_true(sl_http_field_resembles("X-Api_Key", 9, "x-api-key"));
    assert_true(sl_http_field_resembles("X-Api-Key.", 10, "x-api-key"));
    assert_true(sl_http_field_resembles("X-Api-Key", 9, "x_api_key"));
    assert_false(sl_http_field_resembles("X-API-KEY", 9, "x-api-key"));
    assert_false(sl_http_field_resembles("X-Api-Keys", 10, "x-api-key"));
    assert_false(sl_http_field_resembles("X-Api", 5, "x-api-key"));
    assert_false(sl_http_field_resembles("XxApi-Key", 9, "x-api-key"));
    assert_false(sl_http_field_resembles("__", 2, "x"));
}

typedef struct items {
    unsigned count;
    char text[64];
    const char *stop;
} items;

static bool note_item(const char *item, size_t len, void *arg)
{
    items *s = arg;
    size_t at = strlen(s->text);
    s->count++;
    snprintf(s->text + at, sizeof(s->text) - at, "%.*s|", (int)len, item);
    return s->stop != NULL && len == strlen(s->stop) && memcmp(item, s->stop, len) == 0;
}

static void lists_are_walked_item_by_item(void **state)
{
    (void)state;
    sl_http_field f = {.value = " a ,,\tb c\t, d", .value_len = 13};
    items s = {0};
    assert_false(sl_http_field_any(&f, note_item, &s));
    assert_string_equal(s.text, "a|b c|d|");
    s = (items){.stop = "b c"};
    assert_true(sl_http_field_any(&f, note_item, &s));
    assert_int_equal(s.count, 2);
    f.value_len = 0;
    assert_false(sl_http_field_any(&f, note_item, &s));
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
                                        "X-HTTP-Method", "Sandlock-Verdict",  "Content_Length",
                                        "Keep_Alive"};
    static const char *const passes[] = {"Cookie",
                                         "Authorization",
                                         "Expect",
                                         "Trailer",
                                         "Accept",
                                         "X-Request-Id",
                                         "Sec-WebSocket-Key",
                                         "Sec-WebSocket-Protocol",
                                         "X_Request_Id"};
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
    static const char *const refused[] = {"Host",           "content-length", "Transfer-Encoding",
                                          "Cookie",         "SET-COOKIE",     "Authorization",
                                          "Cache-Control",  "Range",          "Location",
                                          "Expect",         "Trailer",        "Upgrade",
                                          "Content_Length", "Host_",          "Set_Cookie",
                                          "Retry.After",    "-Range",         "X_HTTP_Method"};
    for (size_t i = 0; i < SL_ARRAY_LEN(refused); i++) {
        assert_false(sl_http_field_in_trailer(refused[i], strlen(refused[i])));
    }
    assert_true(sl_http_field_in_trailer("X-Sum", 5));
    assert_true(sl_http_field_in_trailer("X_Sum", 5));
    assert_true(sl_http_field_in_trailer("ETag", 4));
    assert_true(sl_http_field_in_trailer("Ranges", 6));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_mean_what_they_mean_in_any_case),
        cmocka_unit_test(lookalikes_are_known_by_any_sign),
        cmocka_unit_test(any_name_can_be_resembled),
        cmocka_unit_test(lists_are_walked_item_by_item),
        cmocka_unit_test(values_are_compared_whole),
        cmocka_unit_test(what_is_of_one_connection_does_not_pass),
        cmocka_unit_test(trailers_decide_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
