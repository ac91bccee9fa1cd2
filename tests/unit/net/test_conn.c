/* Connections: the socket at the bottom, filters in their order, wishes and events, and closing at
 * any moment, in a callback too. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "alloc.h"
#include "core/util.h"
#include "net/conn.h"

struct fixture {
    uv_loop_t loop;
    sl_conn *c;
    int fd;   /* of the connection */
    int peer; /* the other end */
    unsigned events;
    bool close_in_callback;
};

static void on_event(void *arg)
{
    struct fixture *f = arg;
    f->events++;
    if (f->close_in_callback) {
        sl_conn_close(f->c);
        f->c = NULL;
    }
}

static int set_up(void **state)
{
    static struct fixture f;
    int fds[2];
    memset(&f, 0, sizeof(f));
    assert_int_equal(uv_loop_init(&f.loop), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    f.fd = fds[0];
    f.peer = fds[1];
    assert_int_equal(sl_conn_new(&f.loop, f.fd, &f.c), 0);
    sl_conn_on_event(f.c, on_event, &f);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    sl_conn_close(f->c);
    sl_close(f->peer);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0); /* no handle is left */
    return 0;
}

static void turn(struct fixture *f)
{
    uv_run(&f->loop, UV_RUN_NOWAIT);
}

static ssize_t send_text(sl_conn *c, const char *text)
{
    struct iovec iov = {.iov_base = (void *)text, .iov_len = strlen(text)};
    return sl_conn_send(c, &iov, 1);
}

static void test_bytes(void **state)
{
    struct fixture *f = *state;
    char data[16] = "";
    struct iovec iov[2] = {{"hello ", 6}, {"world", 5}};
    assert_int_equal(sl_conn_connect(f->c), 0);
    assert_int_equal(sl_conn_raw_fd(f->c), f->fd);
    assert_int_equal(sl_conn_recv(f->c, data, sizeof(data)), -EAGAIN);
    assert_int_equal(sl_conn_send(f->c, iov, 2), 11);
    assert_int_equal(read(f->peer, data, sizeof(data)), 11);
    assert_string_equal(data, "hello world");
    assert_int_equal(write(f->peer, "abcdef", 6), 6);
    sl_conn_want(f->c, true, false);
    turn(f);
    assert_int_equal(f->events, 1);
    assert_int_equal(sl_conn_recv(f->c, data, 4), 4);
    assert_int_equal(sl_conn_recv(f->c, data, 4), 2);
    assert_int_equal(sl_conn_recv(f->c, data, 4), -EAGAIN);
    assert_int_equal(sl_conn_flush(f->c), 0);
    assert_int_equal(sl_conn_shutdown(f->c), 0);
    assert_int_equal(read(f->peer, data, sizeof(data)), 0);
    sl_close(f->peer);
    f->peer = -1;
    turn(f);
    assert_int_equal(sl_conn_recv(f->c, data, sizeof(data)), 0);
    assert_int_equal(send_text(f->c, "x"), -EPIPE); /* and no SIGPIPE */
}

/* What was given back comes first, also where the socket has nothing, and counts as pending. */
static void test_unread(void **state)
{
    struct fixture *f = *state;
    char data[16];
    assert_false(sl_conn_pending(f->c));
    assert_int_equal(sl_conn_unread(f->c, "abc", 3), 0);
    assert_int_equal(sl_conn_unread(f->c, "def", 3), 0);
    assert_true(sl_conn_pending(f->c));
    assert_false(sl_conn_is_quiet(f->c));
    assert_int_equal(write(f->peer, "ghi", 3), 3);
    assert_int_equal(sl_conn_recv(f->c, data, 2), 2);
    assert_int_equal(sl_conn_recv(f->c, data + 2, sizeof(data) - 2), 4); /* not across the seam */
    assert_false(sl_conn_pending(f->c));
    assert_int_equal(sl_conn_recv(f->c, data + 6, sizeof(data) - 6), 3);
    assert_memory_equal(data, "abcdefghi", 9);
}

static void test_unread_maximum(void **state)
{
    struct fixture *f = *state;
    static char block[(32 << 10) + 1];
    assert_int_equal(sl_conn_unread(f->c, block, sizeof(block)), -ENOBUFS);
    assert_false(sl_conn_pending(f->c));
    assert_int_equal(sl_conn_unread(f->c, block, sizeof(block) - 1), 0);
    assert_int_equal(sl_conn_unread(f->c, block, 1), -ENOBUFS);
    assert_int_equal(sl_conn_recv(f->c, block, sizeof(block)), sizeof(block) - 1);
    alloc_fail(0);
    assert_int_equal(sl_conn_unread(f->c, "x", 1), -ENOMEM);
    assert_true(alloc_failed());
}

static void test_quiet(void **state)
{
    struct fixture *f = *state;
    char data[4];
    assert_true(sl_conn_is_quiet(f->c));
    assert_int_equal(write(f->peer, "x", 1), 1);
    assert_false(sl_conn_is_quiet(f->c)); /* something came: it was only looked at */
    assert_int_equal(sl_conn_recv(f->c, data, sizeof(data)), 1);
    assert_true(sl_conn_is_quiet(f->c));
    assert_int_equal(write(f->peer, "rest", 4), 4);
    assert_int_equal(sl_conn_discard(f->c, data, sizeof(data)), 4);
    assert_int_equal(sl_conn_discard(f->c, data, sizeof(data)), -EAGAIN);
    sl_close(f->peer);
    f->peer = -1;
    assert_false(sl_conn_is_quiet(f->c)); /* the end is something */
}

/* ---- wishes ---- */

static void test_wishes(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(write(f->peer, "x", 1), 1);
    turn(f);
    assert_int_equal(f->events, 0); /* nothing was wished */
    sl_conn_want(f->c, true, false);
    turn(f);
    assert_int_equal(f->events, 1);
    sl_conn_want(f->c, false, false);
    turn(f);
    turn(f);
    assert_int_equal(f->events, 1);
    sl_conn_want(f->c, false, true);
    turn(f);
    assert_int_equal(f->events, 2);
    sl_conn_want(f->c, false, false);
    turn(f); /* the last event of a wish that was taken back */
    turn(f);
    unsigned before = f->events;
    sl_conn_kick(f->c);
    sl_conn_kick(f->c);
    turn(f);
    assert_int_equal(f->events, before + 1); /* once a turn */
    turn(f);
    assert_int_equal(f->events, before + 1);
    assert_int_equal(sl_conn_unread(f->c, "y", 1), 0);
    sl_conn_want(f->c, true, false); /* the socket will not announce what is held */
    turn(f);
    assert_true(f->events > before + 1);
}

static void test_close_in_callback(void **state)
{
    struct fixture *f = *state;
    f->close_in_callback = true;
    assert_int_equal(write(f->peer, "x", 1), 1);
    sl_conn_want(f->c, true, true);
    sl_conn_kick(f->c);
    turn(f);
    turn(f);
    assert_int_equal(f->events, 1); /* closed is closed, whatever was pending */
    assert_null(f->c);
}

static void test_close_twice(void **state)
{
    struct fixture *f = *state;
    char byte;
    uint64_t before = sl_conn_events();
    sl_conn_want(f->c, true, true);
    sl_conn_kick(f->c);
    sl_conn_close(f->c);
    sl_conn_close(f->c); /* its memory goes between turns */
    sl_conn_kick(f->c);
    assert_int_equal(read(f->peer, &byte, 1), 0); /* the socket at once */
    f->c = NULL;
    turn(f);
    assert_int_equal(f->events, 0);
    assert_true(sl_conn_events() == before);
    sl_conn_close(NULL);
}

static void test_new_fails(void **state)
{
    struct fixture *f = *state;
    sl_conn *c = NULL;
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    alloc_fail(0);
    assert_int_equal(sl_conn_new(&f->loop, fds[0], &c), -ENOMEM);
    assert_true(alloc_failed());
    assert_int_equal(fcntl(fds[0], F_GETFD), -1); /* taken over, on failure too */
    sl_close(fds[1]);
    assert_true(sl_conn_new(&f->loop, -1, &c) < 0);
    assert_null(c);
}

/* ---- filters ---- */

/* Turns letters by thirteen; says nothing about what it does not know. */
struct rot13 {
    sl_filter filter;
    unsigned *destroyed;
    bool noisy;
};

static void rotate(char *text, ssize_t len)
{
    for (ssize_t i = 0; i < len; i++) {
        if (text[i] >= 'a' && text[i] <= 'z') {
            text[i] = "abcdefghijklmnopqrstuvwxyz"[(text[i] - 'a' + 13) % 26];
        }
    }
}

static ssize_t rot13_recv(sl_filter *f, void *data, size_t cap)
{
    ssize_t n = sl_filter_recv(f->next, data, cap);
    rotate(data, n);
    return n;
}

static ssize_t rot13_send(sl_filter *f, const struct iovec *iov, int count)
{
    char text[64];
    struct iovec one = {.iov_base = text, .iov_len = SL_MIN(iov->iov_len, sizeof(text))};
    (void)count;
    memcpy(text, iov->iov_base, one.iov_len);
    rotate(text, (ssize_t)one.iov_len);
    return sl_filter_send(f->next, &one, 1);
}

static bool rot13_quiet(const sl_filter *f)
{
    return !((const struct rot13 *)f)->noisy;
}

static void rot13_destroy(sl_filter *f)
{
    struct rot13 *r = (struct rot13 *)f;
    ++*r->destroyed;
    free(r);
}

static struct rot13 *push_rot13(sl_conn *c, unsigned *destroyed)
{
    static const sl_filter_ops ops = {.name = "rot13",
                                      .recv = rot13_recv,
                                      .send = rot13_send,
                                      .quiet = rot13_quiet,
                                      .destroy = rot13_destroy};
    struct rot13 *r = calloc(1, sizeof(*r));
    assert_non_null(r);
    r->filter.ops = &ops;
    r->destroyed = destroyed;
    sl_conn_push(c, &r->filter);
    return r;
}

static void test_filters(void **state)
{
    struct fixture *f = *state;
    char data[16] = "";
    unsigned destroyed = 0;
    struct rot13 *r = push_rot13(f->c, &destroyed);
    assert_ptr_equal(sl_conn_top(f->c), &r->filter);
    assert_int_equal(sl_conn_raw_fd(f->c), -1); /* the socket's bytes are not the holder's */
    assert_int_equal(send_text(f->c, "hello"), 5);
    assert_int_equal(read(f->peer, data, sizeof(data)), 5);
    assert_string_equal(data, "uryyb");
    assert_int_equal(write(f->peer, "jbeyq", 5), 5);
    assert_int_equal(sl_conn_recv(f->c, data, sizeof(data)), 5);
    assert_string_equal(data, "world");
    assert_int_equal(sl_conn_connect(f->c), 0); /* what it leaves out, the next one says */
    assert_int_equal(sl_conn_flush(f->c), 0);
    assert_false(sl_conn_pending(f->c));
    assert_true(sl_conn_is_quiet(f->c));
    r->noisy = true;
    assert_false(sl_conn_is_quiet(f->c));
    r->noisy = false;
    push_rot13(f->c, &destroyed); /* twice is as if not at all */
    assert_int_equal(send_text(f->c, "hello"), 5);
    memset(data, 0, sizeof(data));
    assert_int_equal(read(f->peer, data, sizeof(data)), 5);
    assert_string_equal(data, "hello");
    assert_int_equal(write(f->peer, "xyz", 3), 3);
    assert_int_equal(sl_conn_discard(f->c, data, sizeof(data)), 3);
    assert_memory_equal(data, "xyz", 3); /* raw, whatever the filters would make of it */
    assert_int_equal(sl_conn_shutdown(f->c), 0);
    sl_conn_close(f->c);
    f->c = NULL;
    assert_int_equal(destroyed, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unread, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unread_maximum, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_quiet, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wishes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_close_in_callback, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_close_twice, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_new_fails, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_filters, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
