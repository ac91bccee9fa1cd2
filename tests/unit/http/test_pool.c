/* Idle upstream connections: only those that are clean and still stand serve again, only whom they
 * were opened for, and there are never too many. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "http/upstream.h"

#define MANY 200

static uv_loop_t loop;
static sl_pool *pool;
static const sl_addr nowhere;

static int set_up(void **state)
{
    (void)state;
    pool = sl_pool_new();
    return uv_loop_init(&loop) < 0 || pool == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    sl_pool_free(pool);
    uv_run(&loop, UV_RUN_DEFAULT);
    return uv_loop_close(&loop);
}

static sl_target to(const char *name)
{
    sl_target t = {.port = 80};
    memcpy(t.name, name, strlen(name) + 1);
    return t;
}

/* Puts a new connection into the pool; returns its far end. */
static int put(const sl_target *t)
{
    int fds[2];
    sl_conn *conn;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    assert_int_equal(sl_conn_new(&loop, fds[0], &conn), 0);
    sl_pool_put(pool, t, &nowhere, conn);
    return fds[1];
}

/* Takes one and tells the far end that it is this. False: there was none. */
static bool take(const sl_target *t, char mark)
{
    sl_addr peer;
    sl_conn *conn = sl_pool_take(pool, t, &peer);
    if (conn == NULL) {
        return false;
    }
    struct iovec iov = {&mark, 1};
    assert_int_equal(sl_conn_send(conn, &iov, 1), 1);
    sl_conn_close(conn);
    return true;
}

static bool ended(int fd)
{
    char c;
    uv_run(&loop, UV_RUN_NOWAIT);
    ssize_t n = recv(fd, &c, 1, MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno == ECONNRESET);
}

static void the_newest_serves_first_and_once(void **state)
{
    (void)state;
    char got[3] = "";
    sl_target t = to("a.test");
    int old = put(&t);
    int new = put(&t);
    assert_true(sl_pool_has(pool, &t));
    assert_true(take(&t, '1'));
    assert_true(take(&t, '2'));
    assert_false(take(&t, '3'));
    assert_false(sl_pool_has(pool, &t));
    assert_false(sl_pool_any(pool));
    assert_int_equal(read(new, got, 1), 1);
    assert_int_equal(read(old, got + 1, 1), 1);
    assert_string_equal(got, "12");
    close(old);
    close(new);
}

static void only_the_same_target_is_served(void **state)
{
    (void)state;
    sl_target t = to("a.test");
    t.tls = t.alpn = true;
    memcpy(t.tls_name, "a.test", 7);
    int fd = put(&t);
    sl_target other[6] = {t, t, t, t, t, t};
    other[0].name[0] = 'b';
    other[1].port = 81;
    other[2].tls = false;
    other[3].alpn = false;
    other[4].tls_name[0] = '\0';
    other[5].name[0] = '\0';
    for (size_t i = 0; i < 6; i++) {
        assert_false(sl_pool_has(pool, &other[i]));
        assert_false(take(&other[i], 'x'));
    }
    assert_true(take(&t, 'x'));
    close(fd);
}

static void addresses_without_a_name_are_told_apart(void **state)
{
    (void)state;
    sl_target one = {.port = 80};
    sl_target two = {.port = 80};
    assert_int_equal(sl_addr_parse("192.0.2.1", &one.addr), 0);
    assert_int_equal(sl_addr_parse("192.0.2.2", &two.addr), 0);
    int fd = put(&one);
    assert_false(take(&two, 'x'));
    assert_true(take(&one, 'x'));
    close(fd);
}

/* Whether or not the loop has told: what ended or spoke is not clean. */
static void what_ended_or_spoke_serves_nobody(void **state)
{
    (void)state;
    sl_target t = to("a.test");
    close(put(&t));
    assert_false(take(&t, 'x'));
    int fd = put(&t);
    assert_int_equal(write(fd, "HTTP/1.1 200 OK\r\n", 17), 17);
    assert_false(take(&t, 'x'));
    assert_true(ended(fd));
    close(fd);
    fd = put(&t);
    assert_int_equal(write(fd, "x", 1), 1);
    uv_run(&loop, UV_RUN_NOWAIT);
    assert_false(sl_pool_any(pool));
    close(fd);
}

static void there_are_never_too_many(void **state)
{
    (void)state;
    static int fds[MANY];
    unsigned kept = 0;
    sl_target t = to("a.test");
    for (unsigned i = 0; i < MANY; i++) {
        fds[i] = put(&t);
    }
    for (unsigned i = 0; i < MANY; i++) {
        kept += ended(fds[i]) ? 0 : 1;
    }
    assert_int_equal(kept, 32); /* to one target; the oldest went */
    assert_true(ended(fds[0]));
    assert_false(ended(fds[MANY - 1]));
    for (unsigned i = 0; i < MANY; i++) {
        close(fds[i]);
    }
    uv_run(&loop, UV_RUN_NOWAIT);
    for (unsigned i = 0; i < MANY; i++) {
        char name[] = "a.test";
        name[0] = (char)('a' + i % 26);
        name[2] = (char)('a' + i / 26);
        t = to(name);
        fds[i] = put(&t);
    }
    kept = 0;
    for (unsigned i = 0; i < MANY; i++) {
        kept += ended(fds[i]) ? 0 : 1;
        close(fds[i]);
    }
    assert_int_equal(kept, 128);
}

static void idle_ones_age(void **state)
{
    (void)state;
    sl_target t = to("a.test");
    int fd = put(&t);
    sl_pool_expire(pool, sl_clock_now_ms());
    assert_true(sl_pool_has(pool, &t));
    sl_pool_expire(pool, sl_clock_now_ms() + SL_TIMEOUT_POOL_MS + 1);
    assert_false(sl_pool_any(pool));
    assert_true(ended(fd));
    close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_newest_serves_first_and_once),
        TEST(only_the_same_target_is_served),
        TEST(addresses_without_a_name_are_told_apart),
        TEST(what_ended_or_spoke_serves_nobody),
        TEST(there_are_never_too_many),
        TEST(idle_ones_age),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
