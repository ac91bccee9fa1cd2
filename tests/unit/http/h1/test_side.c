/* How bytes wait on one side: what was looked at in vain is not looked at again before more came,
 * what a socket does not take goes out later and first, and both are bounded. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "http/h1/exchange_int.h"

static uv_loop_t loop;
static sl_gateway gw;
static sl_side side;
static int far;

static void on_event(void *arg)
{
    (void)arg;
}

static int set_up(void **state)
{
    (void)state;
    int fds[2];
    sl_conn *conn;
    gw.scratch = malloc(SL_SCRATCH_SIZE);
    if (gw.scratch == NULL || uv_loop_init(&loop) < 0 ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0 ||
        sl_conn_new(&loop, fds[0], &conn) < 0) {
        return -1;
    }
    far = fds[1];
    sl_conn_on_event(conn, on_event, NULL);
    sl_side_init(&side, conn);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sl_side_done(&side);
    sl_side_done(&side); /* harmless */
    close(far);
    free(gw.scratch);
    uv_run(&loop, UV_RUN_DEFAULT);
    return uv_loop_close(&loop);
}

/* The connection hears what is possible now. */
static void turn(void)
{
    sl_conn_want(side.conn, true, true);
    uv_run(&loop, UV_RUN_NOWAIT);
}

static void say(const char *text)
{
    assert_int_equal(write(far, text, strlen(text)), strlen(text));
    turn();
}

static void expect_view(sl_view *v, const char *text)
{
    assert_int_equal(sl_side_view(&gw, &side, v), 1);
    assert_int_equal(v->len, strlen(text));
    assert_memory_equal(v->data, text, v->len);
}

static void what_is_used_up_costs_no_memory(void **state)
{
    (void)state;
    sl_view v;
    assert_int_equal(sl_side_view(&gw, &side, &v), -EAGAIN);
    say("abc");
    expect_view(&v, "abc");
    assert_true(v.scratch);
    assert_int_equal(sl_side_keep(&side, &v, 3, false), 0);
    assert_null(side.in.data);
    assert_int_equal(sl_side_view(&gw, &side, &v), -EAGAIN);
}

static void what_is_too_little_waits_for_more(void **state)
{
    (void)state;
    sl_view v;
    say("abc");
    expect_view(&v, "abc");
    assert_int_equal(sl_side_keep(&side, &v, 1, true), 0);
    assert_int_equal(sl_side_view(&gw, &side, &v), -EAGAIN); /* not looked at again */
    say("d");
    expect_view(&v, "bcd");
    assert_false(v.scratch);
    assert_int_equal(sl_side_keep(&side, &v, 2, false), 0);
    expect_view(&v, "d"); /* it may suffice for what comes next */
    assert_int_equal(sl_side_keep(&side, &v, 1, false), 0);
    assert_null(side.in.data);
}

static void the_end_comes_behind_what_was_kept(void **state)
{
    (void)state;
    sl_view v;
    say("abc");
    expect_view(&v, "abc");
    assert_int_equal(sl_side_keep(&side, &v, 1, false), 0);
    (void)shutdown(far, SHUT_WR);
    turn();
    expect_view(&v, "bc");
    assert_int_equal(sl_side_keep(&side, &v, 2, false), 0);
    assert_int_equal(sl_side_view(&gw, &side, &v), 0);
    assert_true(side.eof);
    assert_int_equal(sl_side_view(&gw, &side, &v), 0);
}

static size_t take(uint8_t *to, size_t size)
{
    ssize_t n = recv(far, to, size, MSG_DONTWAIT);
    return n > 0 ? (size_t)n : 0;
}

static void what_the_socket_does_not_take_goes_first(void **state)
{
    (void)state;
    static uint8_t much[SL_SCRATCH_SIZE];
    static uint8_t got[2 * SL_SCRATCH_SIZE];
    int small = 4096;
    size_t len = 0;
    (void)setsockopt(sl_conn_raw_fd(side.conn), SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    for (size_t i = 0; i < sizeof(much); i++) {
        much[i] = (uint8_t)(i * 7 + i / 251);
    }
    struct iovec iov[2] = {{much, 1000}, {much + 1000, sizeof(much) - 1000}};
    assert_int_equal(sl_side_send(&side, iov, 2), 0);
    assert_true(side.blocked);
    assert_true(side.out.len > 0);
    struct iovec last = {"end", 3};
    assert_int_equal(sl_side_send(&side, &last, 1), 0);
    for (int i = 0; i < 100000 && len < sizeof(much) + 3; i++) {
        len += take(got + len, sizeof(got) - len);
        turn();
        int r = sl_side_flush(&side);
        assert_true(r == 0 || r == -EAGAIN);
        assert_int_equal(side.blocked, r == -EAGAIN);
    }
    assert_int_equal(len, sizeof(much) + 3);
    assert_memory_equal(got, much, sizeof(much));
    assert_memory_equal(got + sizeof(much), "end", 3);
    assert_false(side.blocked);
    assert_null(side.out.data);
}

static void neither_queue_grows_beyond_its_bound(void **state)
{
    (void)state;
    static uint8_t much[SL_SCRATCH_SIZE];
    struct iovec iov = {much, sizeof(much)};
    int r = 0;
    for (int i = 0; i < 64 && r == 0; i++) {
        iov = (struct iovec){much, sizeof(much)};
        r = sl_side_send(&side, &iov, 1);
    }
    assert_int_equal(r, -ENOBUFS);
    assert_true(side.out.cap <= SL_SIDE_OUT_MAX);
    sl_view v = {.data = much, .len = sizeof(much), .scratch = true};
    for (r = 0; r == 0;) {
        r = sl_side_keep(&side, &v, 0, true);
    }
    assert_int_equal(r, -ENOBUFS);
    assert_true(side.in.cap <= SL_SIDE_IN_MAX);
}

static void a_broken_line_is_told(void **state)
{
    (void)state;
    struct iovec iov = {"x", 1};
    close(far);
    far = -1;
    assert_true(sl_side_send(&side, &iov, 1) < 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_used_up_costs_no_memory),      TEST(what_is_too_little_waits_for_more),
        TEST(the_end_comes_behind_what_was_kept),   TEST(what_the_socket_does_not_take_goes_first),
        TEST(neither_queue_grows_beyond_its_bound), TEST(a_broken_line_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
