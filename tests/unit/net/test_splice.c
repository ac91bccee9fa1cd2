/* Bytes through a pipe: all of them in order, ends and errors told apart by side, and no more pipes
 * than there may be. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "net/splice.h"

#define TOTAL (3u << 20)

struct fixture {
    sl_splice s;
    int source[2]; /* written at 1, read from at 0 */
    int sink[2];   /* written at 0, read from at 1 */
};

static int set_up(void **state)
{
    static struct fixture f;
    f = (struct fixture){.s = SL_SPLICE_NONE};
    int type = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
    assert_int_equal(socketpair(AF_UNIX, type, 0, f.source), 0);
    assert_int_equal(socketpair(AF_UNIX, type, 0, f.sink), 0);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    sl_splice_close(&f->s);
    sl_splice_close(&f->s);
    for (int i = 0; i < 2; i++) {
        sl_close(f->source[i]);
        sl_close(f->sink[i]);
    }
    return 0;
}

static void move(struct fixture *f, uint64_t max, uint64_t budget, sl_splice_moved *ret)
{
    sl_splice_move(&f->s, f->source[0], f->sink[0], max, budget, ret);
    assert_true(ret->taken <= max);
}

static void test_moves(void **state)
{
    struct fixture *f = *state;
    sl_splice_moved m;
    char data[32] = "";
    assert_false(sl_splice_is_open(&f->s));
    assert_int_equal(sl_splice_open(&f->s), 0);
    assert_true(sl_splice_is_open(&f->s));
    assert_true(fcntl(f->s.in, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(f->s.out, F_GETFD) & FD_CLOEXEC);
    move(f, UINT64_MAX, 1000, &m);
    assert_true(m.want_read && !m.want_write && !m.end);
    assert_int_equal(m.taken + m.delivered, 0);
    assert_int_equal(write(f->source[1], "hello world", 11), 11);
    move(f, 5, 1000, &m); /* at most so many: what is behind belongs to somebody else */
    assert_int_equal(m.taken, 5);
    assert_int_equal(m.delivered, 5);
    assert_false(m.want_read || m.want_write || m.end);
    assert_int_equal(read(f->sink[1], data, sizeof(data)), 5);
    assert_memory_equal(data, "hello", 5);
    move(f, 0, 1000, &m);
    assert_int_equal(m.taken, 0);
    assert_int_equal(read(f->source[0], data, sizeof(data)), 6); /* it is still there */
    assert_memory_equal(data, " world", 6);
}

static void test_ends(void **state)
{
    struct fixture *f = *state;
    sl_splice_moved m;
    assert_int_equal(sl_splice_open(&f->s), 0);
    assert_int_equal(write(f->source[1], "last", 4), 4);
    assert_int_equal(shutdown(f->source[1], SHUT_WR), 0);
    move(f, UINT64_MAX, 1000, &m);
    assert_int_equal(m.delivered, 4);
    assert_true(m.end);
    assert_int_equal(m.error_in | m.error_out, 0);
}

static void test_errors_have_a_side(void **state)
{
    struct fixture *f = *state;
    sl_splice_moved m;
    assert_int_equal(sl_splice_open(&f->s), 0);
    sl_splice_move(&f->s, -1, f->sink[0], 10, 10, &m);
    assert_int_equal(m.error_in, -EBADF);
    assert_int_equal(m.error_out, 0);
    assert_false(m.end || m.want_read || m.want_write);
    assert_int_equal(write(f->source[1], "x", 1), 1);
    sl_splice_move(&f->s, f->source[0], -1, 10, 10, &m);
    assert_int_equal(m.error_out, -EBADF);
    assert_int_equal(m.error_in, 0);
    assert_int_equal(m.taken, 1);
    assert_int_equal(f->s.held, 1); /* taken and not lost: it is in the pipe */
    move(f, 10, 10, &m);
    assert_int_equal(m.delivered, 1);
    assert_int_equal(m.taken, 0);
}

/* Far more than pipe and sockets hold, against a sink that stops: nothing lost, nothing changed. */
static void test_stream(void **state)
{
    struct fixture *f = *state;
    sl_splice_moved m;
    static uint8_t out[8192];
    static uint8_t in[8192];
    size_t written = 0;
    size_t taken = 0;
    size_t got = 0;
    bool sink_was_full = false;
    assert_int_equal(sl_splice_open(&f->s), 0);
    while (got < TOTAL) {
        for (size_t n = 0; written < TOTAL; written += n) {
            size_t len = SL_MIN(sizeof(out), TOTAL - written);
            for (size_t i = 0; i < len; i++) {
                out[i] = (uint8_t)((written + i) * 31 >> 3);
            }
            ssize_t w = write(f->source[1], out, len);
            if (w < 0) {
                assert_int_equal(errno, EAGAIN);
                break;
            }
            n = (size_t)w;
        }
        move(f, TOTAL - taken, 64 << 10, &m);
        taken += m.taken;
        assert_int_equal(m.error_in | m.error_out, 0);
        sink_was_full |= m.want_write;
        if (m.want_write || m.want_read || taken == TOTAL) {
            ssize_t n = read(f->sink[1], in, sizeof(in));
            for (ssize_t i = 0; i < n; i++) {
                assert_int_equal(in[i], (uint8_t)((got + (size_t)i) * 31 >> 3));
            }
            got += n > 0 ? (size_t)n : 0;
        }
    }
    assert_true(sink_was_full);
    assert_int_equal(taken, TOTAL);
    assert_int_equal(f->s.held, 0);
}

static void test_pipes_are_counted(void **state)
{
    static sl_splice all[SL_SPLICE_PIPES_MAX];
    struct rlimit limit = {.rlim_cur = 1024, .rlim_max = 1024};
    sl_splice more = SL_SPLICE_NONE;
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_max < 2 * SL_SPLICE_PIPES_MAX + 64) {
        print_message("too few descriptors here: %llu\n", (unsigned long long)limit.rlim_max);
        skip();
    }
    limit.rlim_cur = SL_MAX(limit.rlim_cur, 2 * SL_SPLICE_PIPES_MAX + 64);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    for (size_t i = 0; i < SL_SPLICE_PIPES_MAX; i++) {
        assert_int_equal(sl_splice_open(&all[i]), 0);
    }
    assert_int_equal(sl_splice_open(&more), -ENOBUFS);
    assert_false(sl_splice_is_open(&more));
    sl_splice_close(&more); /* counts nothing */
    assert_int_equal(sl_splice_open(&more), -ENOBUFS);
    sl_splice_close(&all[0]);
    assert_int_equal(sl_splice_open(&more), 0);
    sl_splice_close(&more);
    for (size_t i = 0; i < SL_SPLICE_PIPES_MAX; i++) {
        sl_splice_close(&all[i]); /* the first once more: nothing */
    }
    for (size_t i = 0; i < SL_SPLICE_PIPES_MAX; i++) {
        assert_int_equal(sl_splice_open(&all[i]), 0);
        sl_splice_close(&all[i]);
    }
}

static void test_no_descriptors(void **state)
{
    struct rlimit limit;
    struct rlimit none;
    sl_splice s = SL_SPLICE_NONE;
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int r = sl_splice_open(&s);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(r, -EMFILE);
    assert_false(sl_splice_is_open(&s));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_moves, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_errors_have_a_side, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stream, set_up, tear_down),
        cmocka_unit_test(test_pipes_are_counted),
        cmocka_unit_test(test_no_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
