/* A head as a value: what frames the message, what belongs to this connection alone, and that our
 * reading and the parser's are one. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/h1/parse.h"

static sl_h1_head h;

static int parse(const char *text, bool response)
{
    return sl_h1_parse((const uint8_t *)text, strlen(text), response, &h);
}

static void request(const char *text)
{
    assert_int_equal(parse(text, false), 0);
}

static void response(const char *text)
{
    assert_int_equal(parse(text, true), 0);
}

static void expect_field(size_t i, const char *name, const char *value, enum sl_http_field_id id)
{
    const sl_http_field *f = &h.fields[i];
    assert_true(i < h.count);
    assert_int_equal(f->name_len, strlen(name));
    assert_memory_equal(f->name, name, f->name_len);
    assert_int_equal(f->value_len, strlen(value));
    assert_memory_equal(f->value, value, f->value_len);
    assert_int_equal(f->id, id);
}

static void a_request_is_its_parts(void **state)
{
    (void)state;
    request("DELETE /a/b?c=d HTTP/1.1\r\nHost: a.test\r\nX-Empty:\r\nX-Wide: \t a  b \t\r\n\r\n");
    assert_string_equal(h.method, "DELETE");
    assert_int_equal(h.target_len, 8);
    assert_memory_equal(h.target, "/a/b?c=d", 8);
    assert_true(h.one_one && h.keep_alive);
    assert_false(h.response || h.chunked || h.has_length || h.upgrade || h.nominates);
    assert_int_equal(h.count, 3);
    expect_field(0, "Host", "a.test", SL_HTTP_FIELD_HOST);
    expect_field(1, "X-Empty", "", SL_HTTP_FIELD_OTHER);
    expect_field(2, "X-Wide", "a  b", SL_HTTP_FIELD_OTHER);
}

static void a_response_is_its_parts(void **state)
{
    (void)state;
    response("HTTP/1.1 404 Not At All\r\nContent-Length: 12\r\n\r\n");
    assert_true(h.response && h.has_length);
    assert_int_equal(h.status, 404);
    assert_int_equal(h.reason_len, 10);
    assert_memory_equal(h.reason, "Not At All", 10);
    assert_int_equal(h.length, 12);
    response("HTTP/1.1 204\r\n\r\n");
    assert_int_equal(h.reason_len, 0);
}

static void nothing_is_left_of_the_head_before(void **state)
{
    (void)state;
    request("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: upgrade, x\r\n"
            "Upgrade: websocket\r\nAuthorization: NTLM x\r\n\r\n");
    assert_true(h.chunked && h.upgrade && h.nominates && h.binding_auth);
    request("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    assert_false(h.chunked || h.upgrade || h.nominates || h.binding_auth || h.has_length);
    assert_false(h.one_one || h.keep_alive);
    assert_int_equal(h.count, 1);
    assert_int_equal(h.length, 0);
}

static void the_body_is_framed_once(void **state)
{
    (void)state;
    request("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999999999999\r\n\r\n");
    assert_true(h.has_length && h.length == 999999999999999999u);
    request("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n");
    assert_true(h.chunked);
    assert_int_equal(parse("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", false),
                     -EBADMSG);
    assert_int_equal(parse("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
                           "Transfer-Encoding: chunked\r\n\r\n",
                           false),
                     -EBADMSG);
    assert_int_equal(
        parse("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
              false),
        -EBADMSG);
}

/* The check before has seen that they are the same. */
static void a_length_said_again_is_one(void **state)
{
    (void)state;
    response("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\ncontent-length:5\r\nZ: a\r\n\r\n");
    assert_true(h.has_length && !h.chunked && h.length == 5);
    assert_int_equal(h.count, 2);
    assert_memory_equal(h.fields[1].name, "Z", 1);
    response("HTTP/1.1 200 OK\r\nContent-Length: 12, 12\r\nConnection: close\r\n\r\n");
    assert_true(h.has_length && h.length == 12 && !h.keep_alive);
    assert_int_equal(
        parse("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", true), -EBADMSG);
    response("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"); /* and none is left over */
    assert_int_equal(h.count, 1);
}

static void half_a_head_is_none(void **state)
{
    (void)state;
    const char *text = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for (size_t n = 0; n < strlen(text); n++) {
        assert_int_equal(sl_h1_parse((const uint8_t *)text, n, false, &h), -EBADMSG);
    }
    assert_int_equal(parse("BREW / HTTP/1.1\r\nHost: a\r\n\r\n", false), -EBADMSG);
    assert_int_equal(parse("HTTP/1.1 200 OK\r\n\r\n", false), -EBADMSG);
    assert_int_equal(parse(text, true), -EBADMSG);
}

static void too_many_fields_are_refused(void **state)
{
    (void)state;
    size_t size = 64 + 8 * (SL_HEAD_FIELDS_MAX + 1);
    char *text = calloc(1, size);
    assert_non_null(text);
    size_t at = (size_t)snprintf(text, size, "GET / HTTP/1.1\r\n");
    for (unsigned i = 0; i <= SL_HEAD_FIELDS_MAX; i++) {
        memcpy(text + at + 6 * i, "X: y\r\n", 6);
    }
    at += 6 * (size_t)SL_HEAD_FIELDS_MAX;
    memcpy(text + at, "\r\n", 3);
    request(text);
    assert_int_equal(h.count, SL_HEAD_FIELDS_MAX);
    memcpy(text + at, "X: y\r\n\r\n", 9);
    assert_int_equal(parse(text, false), -EBADMSG);
    free(text);
}

static void the_connection_goes_on_or_not(void **state)
{
    (void)state;
    static const struct {
        const char *version;
        const char *fields;
        bool keep;
    } cases[] = {
        {"1.1", "", true},
        {"1.1", "Connection: close\r\n", false},
        {"1.1", "Connection: x, CLOSE\r\n", false},
        {"1.1", "Connection: keep-alive, close\r\n", false},
        {"1.1", "Connection: keep-alive\r\nConnection: close\r\n", false},
        {"1.0", "", false},
        {"1.0", "Connection: Keep-Alive\r\n", true},
        {"1.0", "Connection: keep-alive, close\r\n", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[256];
        snprintf(text, sizeof(text), "GET / HTTP/%s\r\nHost: a\r\n%s\r\n", cases[i].version,
                 cases[i].fields);
        request(text);
        assert_int_equal(h.keep_alive, cases[i].keep);
    }
}

static void an_upgrade_takes_two_fields(void **state)
{
    (void)state;
    request("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n");
    assert_false(h.upgrade);
    request("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n\r\n");
    assert_false(h.upgrade);
    request("GET / HTTP/1.1\r\nHost: a\r\nConnection: ,, Upgrade ,\r\nUpgrade: WebSocket\r\n\r\n");
    assert_true(h.upgrade);
    assert_true(sl_http_field_is(sl_h1_find(&h, SL_HTTP_FIELD_UPGRADE), "websocket"));
    assert_false(sl_http_field_is(sl_h1_find(&h, SL_HTTP_FIELD_UPGRADE), "websocke"));
}

static void connection_names_its_own_fields(void **state)
{
    (void)state;
    request("GET / HTTP/1.1\r\nHost: a\r\nConnection: x-one , X-Two\r\nX-One: 1\r\n\r\n");
    assert_true(h.nominates);
    assert_true(sl_h1_connection_has(&h, "X-ONE", 5));
    assert_true(sl_h1_connection_has(&h, "x-two", 5));
    assert_false(sl_h1_connection_has(&h, "x-on", 4));
    assert_false(sl_h1_connection_has(&h, "x-one ", 6));
    assert_null(sl_h1_find(&h, SL_HTTP_FIELD_EXPECT));
}

static void a_lookalike_means_nothing_to_us(void **state)
{
    (void)state;
    response("HTTP/1.1 200 OK\r\nContent_Length: 5\r\nTransfer_Encoding: chunked\r\n"
             "Keep_Alive: x\r\nX_Y: z\r\n\r\n");
    assert_false(h.has_length || h.chunked);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(h.fields[i].id, SL_HTTP_FIELD_LOOKALIKE);
    }
    expect_field(3, "X_Y", "z", SL_HTTP_FIELD_OTHER);
}

static void authentication_that_binds_is_noticed(void **state)
{
    (void)state;
    request("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer NTLM\r\n\r\n");
    assert_false(h.binding_auth);
    request("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: negotiate YII\r\n\r\n");
    assert_true(h.binding_auth);
    response("HTTP/1.1 401 No\r\nWWW-Authenticate: Basic x\r\nWWW-Authenticate: ntlm\r\n"
             "Content-Length: 0\r\n\r\n");
    assert_true(h.binding_auth);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_its_parts),
        cmocka_unit_test(a_response_is_its_parts),
        cmocka_unit_test(nothing_is_left_of_the_head_before),
        cmocka_unit_test(the_body_is_framed_once),
        cmocka_unit_test(a_length_said_again_is_one),
        cmocka_unit_test(half_a_head_is_none),
        cmocka_unit_test(too_many_fields_are_refused),
        cmocka_unit_test(the_connection_goes_on_or_not),
        cmocka_unit_test(an_upgrade_takes_two_fields),
        cmocka_unit_test(connection_names_its_own_fields),
        cmocka_unit_test(a_lookalike_means_nothing_to_us),
        cmocka_unit_test(authentication_that_binds_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
