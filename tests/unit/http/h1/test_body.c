/* Bodies: each byte of one is taken once and none of the next message; what is written is framed
 * anew; big ones go from socket to socket. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "http/h1/exchange_int.h"

#define BIG (600u << 10)

static uv_loop_t loop;
static sl_side from;
static sl_side to;
static int source; /* the far ends */
static int sink;
static sl_h1_room room;
static sl_body body;

static int pair(sl_side *s)
{
    int fds[2];
    sl_conn *conn;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0 ||
        sl_conn_new(&loop, fds[0], &conn) < 0) {
        return -1;
    }
    sl_side_init(s, conn);
    return fds[1];
}

static int set_up(void **state)
{
    (void)state;
    if (uv_loop_init(&loop) < 0) {
        return -1;
    }
    sl_buf_init(&room.tail, 2 * SL_H1_TRAILER_MAX);
    source = pair(&from);
    sink = pair(&to);
    sl_body_init(&body, SL_BODY_NONE, 0);
    return source < 0 || sink < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    sl_body_done(&body);
    sl_side_done(&from);
    sl_side_done(&to);
    sl_buf_done(&room.tail);
    close(source);
    close(sink);
    uv_run(&loop, UV_RUN_DEFAULT);
    return uv_loop_close(&loop);
}

static void begin(enum sl_body_kind kind, uint64_t length)
{
    sl_body_done(&body);
    sl_body_init(&body, kind, length);
}

/* Takes from `text`: so many body bytes, and so many used. */
static void take(const char *text, const char *want, size_t want_used)
{
    uint8_t data[256];
    size_t len;
    size_t used;
    memcpy(data, text, strlen(text));
    assert_int_equal(sl_body_take(&body, data, strlen(text), &len, &used), 0);
    assert_int_equal(len, strlen(want));
    assert_memory_equal(data, want, len);
    assert_int_equal(used, want_used);
}

static void no_body_is_done(void **state)
{
    (void)state;
    assert_true(body.done);
    begin(SL_BODY_LENGTH, 0);
    assert_true(body.done);
    begin(SL_BODY_CHUNKED, 0);
    assert_false(body.done);
    begin(SL_BODY_CLOSE, 0);
    assert_false(body.done);
}

static void a_length_ends_where_it_says(void **state)
{
    (void)state;
    begin(SL_BODY_LENGTH, 5);
    take("ab", "ab", 2);
    assert_false(body.done);
    take("cdeGET /", "cde", 3);
    assert_true(body.done);
    assert_int_equal(body.bytes, 5);
}

static void chunks_end_where_they_say(void **state)
{
    (void)state;
    begin(SL_BODY_CHUNKED, 0);
    take("3\r\nabc\r\n1\r\n", "abc", 11);
    assert_false(body.done);
    take("d\r\n0\r\n\r\nGET /", "d", 8);
    assert_true(body.done);
    assert_int_equal(body.bytes, 4);
}

static void malformed_chunks_are_refused(void **state)
{
    (void)state;
    uint8_t data[] = "3\r\nabcd\r\n";
    size_t len;
    size_t used;
    begin(SL_BODY_CHUNKED, 0);
    assert_int_equal(sl_body_take(&body, data, sizeof(data) - 1, &len, &used), -EBADMSG);
}

static void the_connections_end_ends_the_others(void **state)
{
    (void)state;
    begin(SL_BODY_CLOSE, 0);
    take("anything\r\n0\r\n\r\n", "anything\r\n0\r\n\r\n", 15);
    assert_false(body.done);
}

static void expect_sent(const char *text)
{
    char got[512] = "";
    ssize_t n = recv(sink, got, sizeof(got) - 1, MSG_DONTWAIT);
    assert_int_equal(n < 0 ? 0 : n, strlen(text));
    assert_string_equal(got, text);
}

static int send_some(const char *head, const char *text)
{
    sl_buf h;
    uint8_t data[64];
    memcpy(data, text, strlen(text));
    sl_buf_init(&h, 64);
    if (head != NULL) {
        assert_int_equal(sl_buf_append_str(&h, head), 0);
    }
    int r = sl_body_send(&room, &body, &to, head != NULL ? &h : NULL, data, strlen(text));
    sl_buf_done(&h);
    return r;
}

static void what_is_written_is_framed_anew(void **state)
{
    (void)state;
    begin(SL_BODY_LENGTH, 100);
    assert_int_equal(send_some("head\r\n\r\n", "abc"), 0);
    expect_sent("head\r\n\r\nabc");
    assert_int_equal(send_some(NULL, ""), 0);
    expect_sent("");
    begin(SL_BODY_CHUNKED, 0);
    body.chunk_out = true;
    assert_int_equal(send_some("head\r\n\r\n", "0123456789abcdef"), 0);
    expect_sent("head\r\n\r\n10\r\n0123456789abcdef\r\n");
    assert_int_equal(send_some(NULL, ""), 0); /* no bytes are no chunk: that would be the end */
    expect_sent("");
    take("1\r\nx\r\n0\r\nX-Sum: 1\r\nHost: evil\r\n\r\n", "x", 33);
    assert_int_equal(send_some(NULL, "x"), 0);
    expect_sent("1\r\nx\r\n0\r\nX-Sum: 1\r\n\r\n");
}

static void of_a_malformed_trailer_nothing_is_sent(void **state)
{
    (void)state;
    begin(SL_BODY_CHUNKED, 0);
    body.chunk_out = true;
    take("0\r\nno colon\r\n\r\n", "", 15);
    assert_int_equal(send_some("head\r\n\r\n", "x"), -EBADMSG);
    expect_sent("");
}

static void only_big_bodies_of_known_length_are_spliced(void **state)
{
    (void)state;
    begin(SL_BODY_LENGTH, 1000);
    assert_false(sl_body_may_splice(&body, &from, &to));
    begin(SL_BODY_CHUNKED, 0);
    assert_false(sl_body_may_splice(&body, &from, &to));
    begin(SL_BODY_LENGTH, BIG);
    assert_int_equal(sl_buf_append(&from.in, "x", 1), 0); /* what waits would be overtaken */
    assert_false(sl_body_may_splice(&body, &from, &to));
    sl_buf_consume(&from.in, 1);
    assert_int_equal(sl_buf_append(&to.out, "x", 1), 0);
    assert_false(sl_body_may_splice(&body, &from, &to));
    sl_buf_consume(&to.out, 1);
    assert_true(sl_body_may_splice(&body, &from, &to));
}

/* Moves `len` bytes, and then some of the next message, through. */
static int pump(size_t len, size_t *ret_got)
{
    static uint8_t data[BIG + 100];
    static uint8_t got[BIG + 100];
    size_t said = 0;
    int r = 0;
    *ret_got = 0;
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)(i * 11 + i / 253);
    }
    for (int i = 0; i < 100000 && r >= 0 && !body.done; i++) {
        ssize_t n = send(source, data + said, len - said, MSG_DONTWAIT | MSG_NOSIGNAL);
        said += n > 0 ? (size_t)n : 0;
        if (said == len) {
            (void)shutdown(source, SHUT_WR);
        }
        r = sl_body_splice(&body, &from, &to);
        n = recv(sink, got + *ret_got, sizeof(got) - *ret_got, MSG_DONTWAIT);
        *ret_got += n > 0 ? (size_t)n : 0;
    }
    ssize_t n;
    while ((n = recv(sink, got + *ret_got, sizeof(got) - *ret_got, MSG_DONTWAIT)) > 0) {
        *ret_got += (size_t)n;
    }
    assert_memory_equal(got, data, *ret_got);
    return r;
}

static void a_big_body_goes_through_and_no_byte_more(void **state)
{
    (void)state;
    size_t got;
    begin(SL_BODY_LENGTH, BIG);
    assert_true(sl_body_may_splice(&body, &from, &to));
    assert_true(pump(BIG + 100, &got) >= 0);
    assert_true(body.done);
    assert_int_equal(got, BIG);
    assert_int_equal(body.bytes, BIG);
    assert_false(sl_splice_is_open(&body.splice));
}

static void less_than_was_announced_is_a_broken_source(void **state)
{
    (void)state;
    size_t got;
    begin(SL_BODY_LENGTH, BIG);
    assert_true(sl_body_may_splice(&body, &from, &to));
    assert_int_equal(pump(BIG - 1, &got), -ECONNRESET);
    assert_false(body.done);
    assert_true(from.eof);
}

static void a_broken_sink_is_told_apart(void **state)
{
    (void)state;
    uint8_t data[1000] = {0};
    begin(SL_BODY_LENGTH, BIG);
    assert_true(sl_body_may_splice(&body, &from, &to));
    close(sink);
    sink = -1;
    assert_int_equal(write(source, data, sizeof(data)), sizeof(data));
    assert_int_equal(sl_body_splice(&body, &from, &to), -EPIPE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_body_is_done),
        TEST(a_length_ends_where_it_says),
        TEST(chunks_end_where_they_say),
        TEST(malformed_chunks_are_refused),
        TEST(the_connections_end_ends_the_others),
        TEST(what_is_written_is_framed_anew),
        TEST(of_a_malformed_trailer_nothing_is_sent),
        TEST(only_big_bodies_of_known_length_are_spliced),
        TEST(a_big_body_goes_through_and_no_byte_more),
        TEST(less_than_was_announced_is_a_broken_source),
        TEST(a_broken_sink_is_told_apart),
    };
    (void)signal(SIGPIPE, SIG_IGN); /* splice(2) has no flag for it */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
