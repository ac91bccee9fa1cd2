/* A socket holds no more than it is charged with: told by filling it. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
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
#include "features/kmem/bounds.h"

#define MB (UINT64_C(1) << 20)

static sl_bounds bounds;

static sl_ledger *ledger_of(uint64_t budget)
{
    sl_ledger *l = sl_ledger_new(budget);
    assert_non_null(l);
    sl_bounds_init(&bounds, budget);
    return l;
}

static uint64_t fill(int fd, size_t size)
{
    static char chunk[65536];
    uint64_t sum = 0;
    for (ssize_t n; (n = send(fd, chunk, size, MSG_DONTWAIT | MSG_NOSIGNAL)) > 0;) {
        sum += (uint64_t)n;
    }
    return sum;
}

static int get(int fd, int option)
{
    int value = 0;
    socklen_t len = sizeof(value);
    assert_int_equal(getsockopt(fd, SOL_SOCKET, option, &value, &len), 0);
    return value;
}

static void pairs_hold_what_they_are_charged(void **state)
{
    (void)state;
    static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM};
    static const uint64_t budgets[] = {1 * MB, 14 * MB, 448 * MB};
    for (size_t i = 0; i < SL_ARRAY_LEN(types) * SL_ARRAY_LEN(budgets); i++) {
        SL_AUTO(sl_ledger) l = ledger_of(budgets[i % SL_ARRAY_LEN(budgets)]);
        int pair[2];
        sl_ledger_item item;
        uint64_t charge = 0;
        assert_int_equal(socketpair(AF_UNIX, types[i / SL_ARRAY_LEN(budgets)], 0, pair), 0);
        for (int k = 0; k < 2; k++) {
            assert_int_equal(sl_bounds_socket(&bounds, l, pair[k], true, &item), 0);
            charge += item.charge;
        }
        assert_in_range(fill(pair[0], 65536) + fill(pair[1], 65536) + fill(pair[0], 4096), 0,
                        charge);
        close(pair[0]);
        close(pair[1]);
    }
}

/* The two ends of a connection, and the listener between. */
static void connections_hold_what_they_are_charged(void **state)
{
    (void)state;
    static const uint64_t budgets[] = {1 * MB, 14 * MB, 448 * MB};
    for (size_t i = 0; i < SL_ARRAY_LEN(budgets); i++) {
        SL_AUTO(sl_ledger) l = ledger_of(budgets[i]);
        struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof(sa);
        sl_ledger_item served;
        sl_ledger_item asks;
        sl_autoclose int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sl_autoclose int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(listener, (struct sockaddr *)&sa, len), 0);
        int backlog = sl_bounds_listener(&bounds, l, listener, 8, &served);
        assert_in_range(backlog, 1, 8);
        assert_int_equal(listen(listener, backlog), 0);
        assert_int_equal(getsockname(listener, (struct sockaddr *)&sa, &len), 0);
        assert_int_equal(sl_bounds_socket(&bounds, l, client, false, &asks), 0);
        assert_int_equal(asks.kind, SL_LEDGER_TCP);
        assert_true(asks.cookie != 0);
        assert_int_equal(connect(client, (struct sockaddr *)&sa, len), 0);
        sl_autoclose int server = accept(listener, NULL, NULL);
        assert_true(server >= 0);
        uint64_t sum = fill(client, 65536) + fill(server, 65536);
        assert_in_range(sum, 4096, asks.charge + served.child);
        /* what was accepted is as small, and stays so */
        sl_ledger_item again;
        assert_int_equal(sl_bounds_socket(&bounds, l, server, false, &again), 0);
        assert_true(again.charge <= served.child);
        /* made smaller where the budget is short */
        assert_true(sl_bounds_press(l, client) >= sl_bounds_pressed(l) ||
                    get(client, SO_SNDBUF) <= (int)sl_bounds_pressed(l));
    }
}

static void a_backlog_fits(void **state)
{
    (void)state;
    SL_AUTO(sl_ledger) l = ledger_of(14 * MB);
    sl_ledger_item item;
    sl_autoclose int tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sl_autoclose int local = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_in_range(sl_bounds_listener(&bounds, l, tcp, 4096, &item), 2, 4095);
    assert_in_range(item.charge, 1, 14 * MB / 4);
    assert_in_range(sl_bounds_listener(&bounds, l, local, -1, &item), 2, 4095);
    assert_int_equal(item.child, sl_bounds_accepted(&bounds));
    assert_int_equal(sl_bounds_listener(&bounds, l, local, 0, &item), 0);
    assert_int_equal(sl_bounds_listener(&bounds, l, STDIN_FILENO + 900, 1, &item), -ENOTSOCK);
}

static void packets_and_datagrams(void **state)
{
    (void)state;
    SL_AUTO(sl_ledger) l = ledger_of(14 * MB);
    sl_ledger_item item;
    sl_autoclose int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sl_autoclose int local = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(sl_bounds_socket(&bounds, l, udp, false, &item), 0);
    assert_true((uint64_t)get(udp, SO_RCVBUF) + (uint64_t)get(udp, SO_SNDBUF) < item.charge);
    assert_int_equal(sl_bounds_socket(&bounds, l, local, false, &item), 0);
    assert_int_equal(get(local, SO_SNDBUF), bounds.datagram);
    assert_in_range(sl_bounds_named(&bounds), bounds.datagram, 14 * MB);
}

static void a_buffer_only_gets_smaller(void **state)
{
    (void)state;
    sl_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int had = get(fd, SO_SNDBUF);
    assert_int_equal(sl_bounds_lower(fd, SO_SNDBUF, 1 << 30), 0);
    assert_int_equal(get(fd, SO_SNDBUF), had);
    assert_int_equal(sl_bounds_lower(fd, SO_SNDBUF, -1), 0);
    assert_int_equal(get(fd, SO_SNDBUF), had);
    assert_int_equal(sl_bounds_lower(fd, SO_SNDBUF, 8192), 0);
    assert_int_equal(get(fd, SO_SNDBUF), 16384);
    assert_true(sl_bounds_lower(-1, SO_SNDBUF, 1) < 0);
}

static void pipes_hold_what_they_are_charged(void **state)
{
    (void)state;
    static char chunk[65536];
    sl_bounds_init(&bounds, MB);
    int ends[2];
    assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
    ssize_t n = write(ends[1], chunk, sizeof(chunk));
    assert_in_range(n, 1, sl_bounds_usual_pipe(&bounds));
    assert_true(write(ends[1], chunk, sizeof(chunk)) <= 0 || n < (ssize_t)sizeof(chunk));
    assert_true(sl_bounds_pipe(&bounds, bounds.page) < sl_bounds_usual_pipe(&bounds));
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_hold_what_they_are_charged),
        cmocka_unit_test(connections_hold_what_they_are_charged),
        cmocka_unit_test(a_backlog_fits),
        cmocka_unit_test(packets_and_datagrams),
        cmocka_unit_test(a_buffer_only_gets_smaller),
        cmocka_unit_test(pipes_hold_what_they_are_charged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
