/* Dialling on loopback: the one that answers wins, the error that says most is told. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "net/dial.h"

struct fixture {
    uv_loop_t loop;
    int called;
    int fd;
    sl_dial_target used;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    assert_int_equal(uv_loop_init(&f->loop), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    free(f);
    return 0;
}

static void on_dialled(void *arg, int fd, const sl_dial_target *used)
{
    struct fixture *f = arg;
    f->called++;
    f->fd = fd;
    if (used != NULL) {
        f->used = *used;
    }
}

static int dial(struct fixture *f, const sl_dial_target *targets, size_t count, uint64_t ms)
{
    sl_dial *d = NULL;
    f->called = 0;
    assert_int_equal(sl_dial_start(&f->loop, targets, count, ms, on_dialled, f, &d), 0);
    assert_int_equal(f->called, 0); /* never from inside */
    while (f->called == 0) {
        uv_run(&f->loop, UV_RUN_ONCE);
    }
    assert_int_equal(f->called, 1);
    return f->fd;
}

static const sl_addr v4 = {.family = 4, .bytes = {127, 0, 0, 1}};
static const sl_addr v6 = {.family = 6, .bytes = {[15] = 1}};

/* A listening socket on a port of the system's choice; -1 if the family is not there. */
static int listener(const sl_addr *addr, uint16_t *ret_port)
{
    struct sockaddr_storage sa;
    socklen_t len = sl_addr_to_sockaddr(addr, 0, addr->family == 4 ? AF_INET : AF_INET6, &sa);
    int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&sa, len) < 0) {
        close(fd);
        return -1;
    }
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    *ret_port = ntohs(((struct sockaddr_in *)&sa)->sin_port);
    return fd;
}

/* A port where nothing listens: bound, so that nobody else takes it, but not listening. */
static int closed_port(uint16_t *ret_port)
{
    struct sockaddr_storage sa;
    socklen_t len = sl_addr_to_sockaddr(&v4, 0, AF_INET, &sa);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    *ret_port = ntohs(((struct sockaddr_in *)&sa)->sin_port);
    return fd;
}

/* A listener whose queue is full: connects to it stay unanswered (tcp_syncookies do not help, the
 * accept queue is what is full). `fill` gets the descriptors that fill it. */
static int silent_port(uint16_t *ret_port, int fill[4])
{
    struct sockaddr_storage sa;
    int fd = listener(&v4, ret_port);
    assert_int_equal(listen(fd, 0), 0);
    socklen_t len = sl_addr_to_sockaddr(&v4, *ret_port, AF_INET, &sa);
    for (int i = 0; i < 4; i++) {
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        connect(fill[i], (struct sockaddr *)&sa, len);
    }
    return fd;
}

static void test_connects(void **state)
{
    struct fixture *f = *state;
    uint16_t port;
    int on = 0;
    socklen_t len = sizeof(on);
    int fd = listener(&v4, &port);
    sl_dial_target t = {v4, port};
    int got = dial(f, &t, 1, 5000);
    assert_true(got >= 0);
    assert_int_equal(f->used.port, port);
    assert_int_equal(getsockopt(got, IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
    assert_int_equal(on, 1);
    assert_true(fcntl(got, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(got, F_GETFD) & FD_CLOEXEC);
    int peer = accept(fd, NULL, NULL);
    assert_int_equal(send(got, "x", 1, 0), 1);
    char c = 0;
    assert_int_equal(recv(peer, &c, 1, 0), 1);
    close(peer);
    close(got);
    close(fd);
}

static void test_second_after_refusal(void **state)
{
    struct fixture *f = *state;
    uint16_t closed;
    uint16_t port;
    int a = closed_port(&closed);
    int b = listener(&v4, &port);
    sl_dial_target t[] = {{v4, closed}, {v4, closed}, {v4, port}};
    int got = dial(f, t, 3, 5000);
    assert_true(got >= 0);
    assert_int_equal(f->used.port, port);
    close(got);
    close(a);
    close(b);
}

static void test_second_after_silence(void **state)
{
    struct fixture *f = *state;
    uint16_t silent;
    uint16_t port;
    int fill[4];
    int a = silent_port(&silent, fill);
    int b = listener(&v4, &port);
    sl_dial_target t[] = {{v4, silent}, {v4, port}};
    int got = dial(f, t, 2, 60000);
    assert_true(got >= 0);
    assert_int_equal(f->used.port, port);
    close(got);
    close(a);
    close(b);
    for (int i = 0; i < 4; i++) {
        close(fill[i]);
    }
}

static void test_errors(void **state)
{
    struct fixture *f = *state;
    uint16_t closed;
    uint16_t silent;
    int fill[4];
    int a = closed_port(&closed);
    int b = silent_port(&silent, fill);
    sl_addr none = {.family = 6, .bytes = {0xff, 0x02, [15] = 1}}; /* multicast: no TCP there */
    sl_dial_target refused[] = {{v4, closed}};
    sl_dial_target silence[] = {{v4, silent}};
    sl_dial_target mixed[] = {{v4, silent}, {v4, closed}, {none, 80}};
    sl_dial_target unreachable[] = {{none, 80}};
    assert_int_equal(dial(f, refused, 1, 5000), -ECONNREFUSED);
    assert_int_equal(dial(f, silence, 1, 50), -ETIMEDOUT);
    assert_int_equal(dial(f, mixed, 3, 500), -ECONNREFUSED);
    assert_true(dial(f, unreachable, 1, 5000) < 0); /* fails in connect(2) itself */
    assert_int_equal(f->called, 1);
    close(a);
    close(b);
    for (int i = 0; i < 4; i++) {
        close(fill[i]);
    }
}

/* With both families there, the second attempt is the other family. */
static void test_families_in_turn(void **state)
{
    struct fixture *f = *state;
    uint16_t closed;
    uint16_t port4;
    uint16_t port6;
    int a = closed_port(&closed);
    int b = listener(&v4, &port4);
    int c = listener(&v6, &port6);
    if (c < 0) {
        print_message("no IPv6 on this host's loopback\n");
        close(a);
        close(b);
        skip();
    }
    sl_dial_target t[] = {{v4, closed}, {v4, port4}, {v6, port6}};
    int got = dial(f, t, 3, 5000);
    assert_true(got >= 0);
    assert_int_equal(f->used.addr.family, 6);
    close(got);
    close(a);
    close(b);
    close(c);
}

static void test_cancel_and_bad_calls(void **state)
{
    struct fixture *f = *state;
    uint16_t port;
    sl_dial *d = NULL;
    sl_dial_target t[SL_DIAL_TARGETS_MAX + 1] = {{v4, 1}};
    int fd = listener(&v4, &port);
    sl_dial_target good = {v4, port};
    assert_int_equal(sl_dial_start(&f->loop, &good, 1, 5000, on_dialled, f, &d), 0);
    sl_dial_cancel(d);
    sl_dial_cancel(NULL);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(f->called, 0);
    assert_int_equal(sl_dial_start(&f->loop, t, 0, 1, on_dialled, f, &d), -EINVAL);
    assert_int_equal(sl_dial_start(&f->loop, t, 17, 1, on_dialled, f, &d), -EINVAL);
    assert_int_equal(sl_dial_start(&f->loop, &t[1], 1, 1, on_dialled, f, &d), -EINVAL);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_connects, setup, teardown),
        cmocka_unit_test_setup_teardown(test_second_after_refusal, setup, teardown),
        cmocka_unit_test_setup_teardown(test_second_after_silence, setup, teardown),
        cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_families_in_turn, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cancel_and_bad_calls, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
