/* What a WebSocket's handshake asks for, and which 101 answers it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "alloc.h"
#include "core/util.h"
#include "http/h1/handshake.h"

#define UP     "Connection: Upgrade\r\nUpgrade: websocket\r\n"
#define KEY    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define ACCEPT "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
#define ASK    "GET /ws HTTP/1.1\r\nHost: a\r\n" UP KEY
#define ANSWER "HTTP/1.1 101 Switching Protocols\r\n" UP ACCEPT

static sl_h1_head h;
static sl_h1_handshake s;

static int set_up(void **state)
{
    (void)state;
    sl_h1_handshake_init(&s);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sl_h1_handshake_done(&s);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static bool asks(const char *text)
{
    assert_int_equal(sl_h1_parse((const uint8_t *)text, strlen(text), false, &h), 0);
    return sl_h1_handshake_asks(&h);
}

static void ask(const char *text)
{
    assert_true(asks(text));
    assert_int_equal(sl_h1_handshake_keep(&s, &h), 0);
}

static const char *why_not(const char *text)
{
    assert_int_equal(sl_h1_parse((const uint8_t *)text, strlen(text), true, &h), 0);
    return sl_h1_handshake_refuses(&s, &h);
}

#define ANSWERS(text) assert_null(why_not(text))
#define REFUSED(text, why)                                                                         \
    do {                                                                                           \
        const char *said = why_not(text);                                                          \
        assert_non_null(said);                                                                     \
        assert_non_null(strstr(said, why));                                                        \
    } while (0)

static void a_request_asks_in_one_form(void **state)
{
    (void)state;
    assert_true(asks(ASK "\r\n"));
    assert_true(asks("GET /ws HTTP/1.1\r\nHost: a\r\nconnection: keep-alive, UPGRADE\r\n"
                     "upgrade: WebSocket\r\nsec-websocket-key: x\r\n\r\n"));
    assert_true(asks(ASK "Content-Length: 0\r\n\r\n"));
    assert_false(asks("GET /ws HTTP/1.1\r\nHost: a\r\n" UP "\r\n"));
    assert_false(asks("GET /ws HTTP/1.1\r\nHost: a\r\n" UP "Sec-WebSocket-Key: \r\n\r\n"));
    assert_false(asks(ASK KEY "\r\n"));
    assert_false(asks("GET /ws HTTP/1.0\r\nHost: a\r\n" UP KEY "\r\n"));
    assert_false(asks("POST /ws HTTP/1.1\r\nHost: a\r\n" UP KEY "\r\n"));
    assert_false(asks(ASK "Content-Length: 1\r\n\r\n"));
    assert_false(asks(ASK "Transfer-Encoding: chunked\r\n\r\n"));
    assert_false(asks("GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n" KEY "\r\n"));
    assert_false(asks(ASK "Upgrade: h2c\r\n\r\n"));
    assert_false(asks("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
                      "Upgrade: websocket, h2c\r\n" KEY "\r\n"));
}

static bool asks_with_key(size_t n)
{
    char text[512];
    snprintf(text, sizeof(text),
             "GET / HTTP/1.1\r\nHost: a\r\n" UP "Sec-WebSocket-Key: %0*d\r\n\r\n", (int)n, 0);
    return asks(text);
}

static void a_key_is_bounded(void **state)
{
    (void)state;
    assert_true(asks_with_key(SL_H1_HANDSHAKE_KEY_MAX));
    assert_int_equal(sl_h1_handshake_keep(&s, &h), 0);
    assert_false(asks_with_key(SL_H1_HANDSHAKE_KEY_MAX + 1));
}

static void the_answer_proves_that_the_key_was_read(void **state)
{
    (void)state;
    ask(ASK "\r\n");
    ANSWERS(ANSWER "\r\n");
    ANSWERS("HTTP/1.1 101 \r\nUpgrade: WEBSOCKET\r\nConnection: x, upgrade\r\n" ACCEPT "\r\n");
    REFUSED("HTTP/1.1 101 x\r\n" UP "\r\n", "Accept");
    REFUSED("HTTP/1.1 101 x\r\n" UP "Sec-WebSocket-Accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n\r\n",
            "Accept");
    REFUSED("HTTP/1.1 101 x\r\n" UP "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=, x\r\n\r\n",
            "Accept");
    REFUSED(ANSWER ACCEPT "\r\n", "Accept");
    ask("GET /ws HTTP/1.1\r\nHost: a\r\n" UP "Sec-WebSocket-Key: eA==\r\n\r\n");
    REFUSED(ANSWER "\r\n", "Accept"); /* to another key */
}

static void the_answer_is_to_the_protocol(void **state)
{
    (void)state;
    ask(ASK "\r\n");
    REFUSED("HTTP/1.1 101 x\r\n" ACCEPT "\r\n", "another protocol");
    REFUSED("HTTP/1.1 101 x\r\nUpgrade: websocket\r\n" ACCEPT "\r\n", "another protocol");
    REFUSED("HTTP/1.1 101 x\r\nConnection: Upgrade\r\n" ACCEPT "\r\n", "another protocol");
    REFUSED("HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n" ACCEPT "\r\n",
            "another protocol");
    REFUSED(ANSWER "Upgrade: websocket\r\n\r\n", "another protocol");
    REFUSED("HTTP/1.0 101 x\r\n" UP ACCEPT "\r\n", "another protocol");
    REFUSED(ANSWER "Content-Length: 0\r\n\r\n", "body");
    REFUSED(ANSWER "Transfer-Encoding: chunked\r\n\r\n", "body");
}

static void nothing_is_chosen_that_was_not_offered(void **state)
{
    (void)state;
    ask(ASK "\r\n");
    REFUSED(ANSWER "Sec-WebSocket-Protocol: chat\r\n\r\n", "protocol");
    REFUSED(ANSWER "Sec-WebSocket-Protocol:\r\n\r\n", "protocol");
    REFUSED(ANSWER "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n", "extension");
    ANSWERS(ANSWER "Sec-WebSocket-Extensions:\r\n\r\n");
    ask(ASK
        "Sec-WebSocket-Protocol: chat, mqtt\r\nSec-WebSocket-Protocol: v2\r\n"
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, x-a;b=1\r\n\r\n");
    ANSWERS(ANSWER "\r\n");
    ANSWERS(ANSWER "Sec-WebSocket-Protocol: mqtt\r\n\r\n");
    ANSWERS(ANSWER "Sec-WebSocket-Protocol: v2\r\nSec-WebSocket-Extensions: x-a, "
                   "permessage-deflate ; server_no_context_takeover\r\n\r\n");
    REFUSED(ANSWER "Sec-WebSocket-Protocol: Mqtt\r\n\r\n", "protocol");
    REFUSED(ANSWER "Sec-WebSocket-Protocol: chat, mqtt\r\n\r\n", "protocol");
    REFUSED(ANSWER "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: chat\r\n\r\n",
            "protocol");
    REFUSED(ANSWER "Sec-WebSocket-Extensions: permessage\r\n\r\n", "extension");
    REFUSED(ANSWER "Sec-WebSocket-Extensions: x-a\r\nSec-WebSocket-Extensions: x-b\r\n\r\n",
            "extension");
    ask(ASK "\r\n"); /* and nothing is left of what another request offered */
    REFUSED(ANSWER "Sec-WebSocket-Protocol: mqtt\r\n\r\n", "protocol");
}

static void without_memory_nothing_is_kept_by_halves(void **state)
{
    (void)state;
    ask(ASK "\r\n"); /* the library has what it needs from now on */
    for (unsigned n = 0;; n++) {
        assert_true(
            asks(ASK "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: x\r\n\r\n"));
        alloc_fail(n);
        int r = sl_h1_handshake_keep(&s, &h);
        if (!alloc_failed()) {
            assert_int_equal(r, 0);
            break;
        }
        assert_true(r == 0 || r == -ENOMEM || r == -EIO);
        if (r == 0) { /* libcrypto, where it is a part of the program, can do without some */
            ANSWERS(ANSWER "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: x\r\n\r\n");
        }
    }
    ANSWERS(ANSWER "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: x\r\n\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_asks_in_one_form),
        TEST(a_key_is_bounded),
        TEST(the_answer_proves_that_the_key_was_read),
        TEST(the_answer_is_to_the_protocol),
        TEST(nothing_is_chosen_that_was_not_offered),
        TEST(without_memory_nothing_is_kept_by_halves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
