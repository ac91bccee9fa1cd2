/* Two connections joined: every byte once and in order, each way by itself, a slow reader holds the
 * other side up instead of filling memory, and the end of one way is not the end of the other. */
#include <errno.h>
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
#include "net/relay.h"

#define TURNS 100000

struct fixture {
    uv_loop_t loop;
    sl_conn *client;
    sl_conn *upstream;
    int user;   /* who talks to `client` */
    int server; /* who `upstream` talks to */
    sl_relay relay;
    uint8_t scratch[16384];
    int result;
};

static void on_event(void *arg)
{
    struct fixture *f = arg;
    if (f->result == -EAGAIN) {
        f->result = sl_relay_pump(&f->relay);
    }
}

static sl_conn *half(struct fixture *f, int *ret_peer)
{
    int fds[2];
    sl_conn *c = NULL;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    assert_int_equal(sl_conn_new(&f->loop, fds[0], &c), 0);
    sl_conn_on_event(c, on_event, f);
    *ret_peer = fds[1];
    return c;
}

static int set_up(void **state)
{
    static struct fixture f;
    memset(&f, 0, sizeof(f));
    assert_int_equal(uv_loop_init(&f.loop), 0);
    f.client = half(&f, &f.user);
    f.upstream = half(&f, &f.server);
    sl_relay_init(&f.relay, f.client, f.upstream, f.scratch, sizeof(f.scratch));
    f.result = -EAGAIN;
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    sl_relay_done(&f->relay);
    sl_relay_done(&f->relay);
    sl_conn_close(f->client);
    sl_conn_close(f->upstream);
    sl_close(f->user);
    sl_close(f->server);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    return 0;
}

/* Turns of the loop until there is something to read; what that is. */
static ssize_t wait_read(struct fixture *f, int fd, void *data, size_t cap)
{
    for (int i = 0; i < TURNS; i++) {
        ssize_t n = read(fd, data, cap);
        if (n >= 0 || errno != EAGAIN) {
            return n < 0 ? -errno : n;
        }
        uv_run(&f->loop, UV_RUN_NOWAIT);
    }
    fail_msg("nothing came");
    return -1;
}

static void start(struct fixture *f)
{
    f->result = sl_relay_pump(&f->relay);
}

static void test_both_ways(void **state)
{
    struct fixture *f = *state;
    char data[32] = "";
    assert_int_equal(sl_relay_feed(&f->relay.up, "first ", 6), 0);
    start(f);
    assert_int_equal(f->result, -EAGAIN);
    assert_int_equal(write(f->user, "request", 7), 7);
    size_t got = 0;
    while (got < 13) {
        got += (size_t)wait_read(f, f->server, data + got, sizeof(data) - got);
    }
    assert_string_equal(data, "first request");
    assert_int_equal(write(f->server, "answer", 6), 6);
    memset(data, 0, sizeof(data));
    assert_int_equal(wait_read(f, f->user, data, sizeof(data)), 6);
    assert_string_equal(data, "answer");
    assert_int_equal(f->relay.up.bytes, 13);
    assert_int_equal(f->relay.down.bytes, 6);
}

static void test_one_way_ends(void **state)
{
    struct fixture *f = *state;
    char data[32];
    start(f);
    assert_int_equal(write(f->user, "all", 3), 3);
    assert_int_equal(shutdown(f->user, SHUT_WR), 0);
    assert_int_equal(wait_read(f, f->server, data, sizeof(data)), 3);
    assert_int_equal(wait_read(f, f->server, data, sizeof(data)), 0); /* told on */
    assert_int_equal(f->result, -EAGAIN);
    assert_int_equal(write(f->server, "late", 4), 4); /* the other goes on */
    assert_int_equal(wait_read(f, f->user, data, sizeof(data)), 4);
    assert_int_equal(shutdown(f->server, SHUT_WR), 0);
    assert_int_equal(wait_read(f, f->user, data, sizeof(data)), 0);
    assert_int_equal(f->result, 0);
}

static void test_broken(void **state)
{
    struct fixture *f = *state;
    char data[32];
    start(f);
    sl_close(f->server); /* both its directions */
    f->server = -1;
    assert_int_equal(wait_read(f, f->user, data, sizeof(data)), 0);
    assert_int_equal(write(f->user, "x", 1), 1);
    for (int i = 0; i < TURNS && f->result == -EAGAIN; i++) {
        uv_run(&f->loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(f->result, -EPIPE);
}

static uint8_t pattern(uint64_t at)
{
    return (uint8_t)(at * 2654435761u >> 7);
}

/* Writes what goes in; false when the socket is full. */
static bool push(int fd, uint64_t *sent, uint64_t total)
{
    uint8_t out[4096];
    size_t len = (size_t)SL_MIN((uint64_t)sizeof(out), total - *sent);
    for (size_t i = 0; i < len; i++) {
        out[i] = pattern(*sent + i);
    }
    ssize_t n = len == 0 ? -1 : write(fd, out, len);
    *sent += n > 0 ? (uint64_t)n : 0;
    return n > 0;
}

static void pull(int fd, uint64_t *got, size_t cap)
{
    uint8_t in[65536];
    ssize_t n = read(fd, in, SL_MIN(cap, sizeof(in)));
    for (ssize_t i = 0; i < n; i++) {
        assert_int_equal(in[i], pattern(*got + (uint64_t)i));
    }
    *got += n > 0 ? (uint64_t)n : 0;
}

/* Beyond what begins to be spliced, and both ways at once. */
static void test_much(void **state)
{
    struct fixture *f = *state;
    const uint64_t total = 6u << 20;
    uint64_t sent[2] = {0, 0};
    uint64_t got[2] = {0, 0};
    bool spliced = false;
    start(f);
    for (int i = 0; i < TURNS && (got[0] < total || got[1] < total); i++) {
        while (push(f->user, &sent[0], total)) {
        }
        while (push(f->server, &sent[1], total)) {
        }
        uv_run(&f->loop, UV_RUN_NOWAIT);
        assert_int_equal(f->result, -EAGAIN);
        spliced |= sl_splice_is_open(&f->relay.up.splice);
        pull(f->server, &got[0], 65536);
        pull(f->user, &got[1], 3001);
    }
    assert_true(got[0] == total);
    assert_true(got[1] == total);
    assert_true(f->relay.up.bytes == total);
    assert_true(spliced);
}

/* A reader that does not read: the writer is held up before much is kept. */
static void test_slow_reader(void **state)
{
    struct fixture *f = *state;
    const uint64_t total = 64u << 20;
    uint64_t sent = 0;
    uint64_t got = 0;
    start(f);
    for (int quiet = 0; quiet < 100; quiet++) {
        while (push(f->user, &sent, total)) {
            quiet = 0;
        }
        uv_run(&f->loop, UV_RUN_NOWAIT);
        assert_int_equal(f->result, -EAGAIN);
        assert_true(f->relay.up.held.len <= SL_RELAY_HELD_MAX);
    }
    assert_true(sent < 8u << 20);
    uint64_t stop = sent;
    for (int i = 0; i < TURNS && got < stop; i++) { /* and goes on where it was */
        pull(f->server, &got, 65536);
        uv_run(&f->loop, UV_RUN_NOWAIT);
    }
    assert_true(got == stop);
}

static void test_paused(void **state)
{
    struct fixture *f = *state;
    char data[32];
    f->relay.up.paused = true;
    start(f);
    assert_int_equal(write(f->user, "wait", 4), 4);
    for (int i = 0; i < 10; i++) {
        uv_run(&f->loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(read(f->server, data, sizeof(data)), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(write(f->server, "still", 5), 5); /* the other way is not */
    assert_int_equal(wait_read(f, f->user, data, sizeof(data)), 5);
    f->relay.up.paused = false;
    assert_int_equal(sl_relay_pump(&f->relay), -EAGAIN);
    assert_int_equal(wait_read(f, f->server, data, sizeof(data)), 4);
}

static void test_feed_maximum(void **state)
{
    struct fixture *f = *state;
    static uint8_t block[SL_RELAY_HELD_MAX];
    assert_int_equal(sl_relay_feed(&f->relay.down, block, sizeof(block)), 0);
    assert_int_equal(sl_relay_feed(&f->relay.down, "x", 1), -ENOBUFS);
    assert_int_equal(f->relay.down.held.len, SL_RELAY_HELD_MAX);
    alloc_fail(0);
    assert_int_equal(sl_relay_feed(&f->relay.up, "x", 1), -ENOMEM);
    assert_true(alloc_failed());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_both_ways, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_one_way_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_broken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_much, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_slow_reader, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_paused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_feed_maximum, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
