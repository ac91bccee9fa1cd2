/* The resolver against a mock server on loopback that also lies, stays silent and forges. DNS-11.
 */
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/fd.h"
#include "core/util.h"
#include "net/dns/resolver.h"

struct fixture {
    uv_loop_t loop;
    sl_resolver *resolver;
    uv_poll_t udp;
    uv_poll_t tcp;
    uv_poll_t conn;
    int conn_fd;
    int udp_fd;
    int tcp_fd;
    char servers[32];
    unsigned queries_a;
    unsigned queries_aaaa;
    uint16_t ids[2]; /* the last two */
    /* what came back */
    int called;
    int status;
    sl_addr addrs[SL_RESOLVER_ADDRS_MAX];
    size_t count;
};

/* ---- the mock: the first label of the name says how it behaves ---- */

static uint8_t mock_ttl; /* of addresses */

static size_t put_rr(uint8_t *out, const uint8_t *data, uint16_t type, size_t len)
{
    uint8_t ttl = type == ns_t_cname ? 0 : mock_ttl;
    const uint8_t head[] = {0xc0, 12, 0, (uint8_t)type, 0, 1, 0, 0, 0, ttl, 0, (uint8_t)len};
    memcpy(out, head, sizeof(head));
    memcpy(out + sizeof(head), data, len);
    return sizeof(head) + len;
}

static bool is(const uint8_t *query, const char *label)
{
    return query[12] == strlen(label) && memcmp(query + 13, label, query[12]) == 0;
}

/* Turns the query in `msg` into the answer; returns its length, 0 for silence. */
static size_t mock_answer(struct fixture *f, uint8_t *msg, size_t len, bool tcp)
{
    static const uint8_t v4[] = {192, 0, 2, 1};
    static const uint8_t v4_other[] = {192, 0, 2, 2};
    static const uint8_t v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};
    static const uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 9};
    bool aaaa = msg[len - 3] == ns_t_aaaa;
    f->queries_a += aaaa ? 0 : 1;
    f->queries_aaaa += aaaa ? 1 : 0;
    f->ids[0] = f->ids[1];
    f->ids[1] = (uint16_t)(msg[0] << 8 | msg[1]);
    msg[2] = 0x81;
    msg[3] = 0x80;
    if (is(msg, "none")) {
        msg[3] |= ns_r_nxdomain;
    } else if (is(msg, "broken")) {
        msg[3] |= ns_r_servfail;
    } else if (is(msg, "silent") || (aaaa && is(msg, "nov6"))) {
        return 0;
    } else if (is(msg, "failv6") && aaaa) {
        msg[3] |= ns_r_servfail;
    } else if (is(msg, "garbage")) {
        msg[7] = 9; /* promises nine records */
    } else if (is(msg, "long") && !tcp) {
        msg[2] |= 0x02; /* TC */
    } else if (aaaa && is(msg, "mapped")) {
        msg[7] = 1;
        len += put_rr(msg + len, mapped, ns_t_aaaa, 16);
    } else if (aaaa && (is(msg, "both") || is(msg, "onlyv6"))) {
        msg[7] = 1;
        len += put_rr(msg + len, v6, ns_t_aaaa, 16);
    } else if (!aaaa && !is(msg, "onlyv6") && !is(msg, "empty") && !is(msg, "mapped")) {
        size_t n = is(msg, "many") ? 30 : 2;
        msg[7] = (uint8_t)n;
        if (is(msg, "alias")) { /* an alias of itself, which is enough to carry a TTL */
            const uint8_t target[] = {0xc0, 12};
            msg[7]++;
            len += put_rr(msg + len, target, ns_t_cname, sizeof(target));
        }
        for (size_t i = 0; i < n; i++) {
            len += put_rr(msg + len, i == 0 ? v4 : v4_other, ns_t_a, 4);
        }
    }
    return len;
}

/* Before the true answer: one with another id, one with another question, one from another port. */
static void mock_forge(int fd, const uint8_t *msg, size_t len, const struct sockaddr_in *to)
{
    static const uint8_t evil[] = {203, 0, 113, 66};
    uint8_t forged[512];
    int other = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(other >= 0);
    memcpy(forged, msg, len);
    forged[2] = 0x81;
    forged[3] = 0x80;
    forged[7] = 1;
    size_t n = len + put_rr(forged + len, evil, ns_t_a, 4);
    assert_int_equal(sendto(other, forged, n, 0, (const struct sockaddr *)to, sizeof(*to)), n);
    forged[1] ^= 1;
    assert_int_equal(sendto(fd, forged, n, 0, (const struct sockaddr *)to, sizeof(*to)), n);
    forged[1] ^= 1;
    forged[14] ^= 1; /* a letter of the name */
    assert_int_equal(sendto(fd, forged, n, 0, (const struct sockaddr *)to, sizeof(*to)), n);
    close(other);
}

static void on_udp(uv_poll_t *poll, int status, int events)
{
    struct fixture *f = poll->data;
    uint8_t msg[2048];
    struct sockaddr_in from;
    socklen_t from_len = sizeof(from);
    assert_int_equal(status, 0);
    (void)events;
    ssize_t n = recvfrom(f->udp_fd, msg, 512, 0, (struct sockaddr *)&from, &from_len);
    assert_true(n > 12);
    if (is(msg, "forged")) {
        mock_forge(f->udp_fd, msg, (size_t)n, &from);
    }
    size_t len = mock_answer(f, msg, (size_t)n, false);
    if (len > 0) {
        sendto(f->udp_fd, msg, len, 0, (struct sockaddr *)&from, from_len);
    }
}

/* One query of a TCP connection; the mock holds one connection at a time. */
static void on_conn(uv_poll_t *poll, int status, int events)
{
    struct fixture *f = poll->data;
    uint8_t msg[2048];
    assert_int_equal(status, 0);
    (void)events;
    if (recv(f->conn_fd, msg, 2, MSG_WAITALL) != 2) {
        uv_poll_stop(poll);
        return;
    }
    size_t len = (size_t)(msg[0] << 8 | msg[1]);
    assert_true(len < 512);
    assert_int_equal(recv(f->conn_fd, msg + 2, len, MSG_WAITALL), len);
    len = mock_answer(f, msg + 2, len, true);
    msg[0] = (uint8_t)(len >> 8);
    msg[1] = (uint8_t)len;
    assert_int_equal(send(f->conn_fd, msg, len + 2, MSG_NOSIGNAL), len + 2);
}

static void on_tcp(uv_poll_t *poll, int status, int events)
{
    struct fixture *f = poll->data;
    assert_int_equal(status, 0);
    (void)events;
    assert_int_equal(f->conn_fd, -1);
    f->conn_fd = accept4(f->tcp_fd, NULL, NULL, SOCK_CLOEXEC);
    assert_true(f->conn_fd >= 0);
    assert_int_equal(uv_poll_init(&f->loop, &f->conn, f->conn_fd), 0);
    f->conn.data = f;
    uv_poll_start(&f->conn, UV_READABLE, on_conn);
}

/* ---- fixture ---- */

/* One port for both: the one that TCP gets, which on a busy host has few to give (TIME-WAIT). */
static void mock_start(struct fixture *f)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(sa);
    for (int tries = 0; tries < 50; tries++) {
        sa.sin_port = 0;
        f->udp_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        f->tcp_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(f->tcp_fd, (struct sockaddr *)&sa, len), 0);
        assert_int_equal(getsockname(f->tcp_fd, (struct sockaddr *)&sa, &len), 0);
        if (bind(f->udp_fd, (struct sockaddr *)&sa, len) == 0) {
            break;
        }
        close(f->udp_fd);
        close(f->tcp_fd);
        f->tcp_fd = -1;
    }
    assert_true(f->tcp_fd >= 0);
    assert_int_equal(listen(f->tcp_fd, 8), 0);
    snprintf(f->servers, sizeof(f->servers), "127.0.0.1:%u", ntohs(sa.sin_port));
    assert_int_equal(uv_poll_init(&f->loop, &f->udp, f->udp_fd), 0);
    assert_int_equal(uv_poll_init(&f->loop, &f->tcp, f->tcp_fd), 0);
    f->udp.data = f;
    f->tcp.data = f;
    uv_poll_start(&f->udp, UV_READABLE, on_udp);
    uv_poll_start(&f->tcp, UV_READABLE, on_tcp);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    f->conn_fd = -1;
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(uv_loop_init(&f->loop), 0);
    mock_start(f);
    f->resolver = sl_resolver_new(&f->loop);
    assert_non_null(f->resolver);
    assert_int_equal(sl_resolver_set_servers(f->resolver, f->servers), 0);
    assert_int_equal(sl_resolver_set_hosts_file(f->resolver, "/nonexistent/hosts"), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    sl_resolver_free(f->resolver);
    uv_close((uv_handle_t *)&f->udp, NULL);
    uv_close((uv_handle_t *)&f->tcp, NULL);
    if (f->conn_fd >= 0) {
        uv_close((uv_handle_t *)&f->conn, NULL);
        close(f->conn_fd);
    }
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    close(f->udp_fd);
    close(f->tcp_fd);
    free(f);
    return 0;
}

static void on_resolved(void *arg, int status, const sl_addr *addrs, size_t count)
{
    struct fixture *f = arg;
    f->called++;
    f->status = status;
    f->count = count;
    memcpy(f->addrs, addrs, count * sizeof(*addrs));
}

static int resolve(struct fixture *f, const char *name)
{
    sl_resolver_query *query = NULL;
    f->called = 0;
    assert_int_equal(sl_resolver_start(f->resolver, name, on_resolved, f, &query), 0);
    assert_int_equal(f->called, 0); /* never from inside */
    while (f->called == 0) {
        uv_run(&f->loop, UV_RUN_ONCE);
    }
    assert_int_equal(f->called, 1);
    return f->status;
}

static void assert_addr(const sl_addr *addr, const char *want)
{
    char text[SL_ADDR_STR_MAX];
    assert_string_equal(sl_addr_format(addr, text), want);
}

static void test_both_families(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(resolve(f, "both.test"), 0);
    assert_int_equal(f->count, 3);
    assert_addr(&f->addrs[0], "192.0.2.1");
    assert_addr(&f->addrs[1], "192.0.2.2");
    assert_addr(&f->addrs[2], "2001:db8::1");
    /* DNS-06: one look-up, and ids that are not counted up. */
    assert_int_equal(f->queries_a, 1);
    assert_int_equal(f->queries_aaaa, 1);
    assert_int_not_equal(f->ids[1], (uint16_t)(f->ids[0] + 1));
}

static void test_one_family(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(resolve(f, "onlyv6.test"), 0);
    assert_int_equal(f->count, 1);
    assert_addr(&f->addrs[0], "2001:db8::1");
    assert_int_equal(resolve(f, "onlyv4.test"), 0);
    assert_int_equal(f->count, 2);
}

/* A silent or failing AAAA neither fails nor holds up the A; the whole test ends long before the
 * resolver would give up. */
static void test_v6_fails(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(resolve(f, "nov6.test"), 0);
    assert_int_equal(f->count, 2);
    assert_int_equal(f->queries_aaaa, 1); /* not even repeated */
    assert_int_equal(resolve(f, "failv6.test"), 0);
    assert_int_equal(f->count, 2);
}

static void test_mapped(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(resolve(f, "mapped.test"), 0);
    assert_int_equal(f->count, 1);
    assert_int_equal(f->addrs[0].family, 4);
    assert_addr(&f->addrs[0], "192.0.2.9");
}

static void test_many(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(resolve(f, "many.test"), 0);
    assert_int_equal(f->count, SL_RESOLVER_ADDRS_MAX);
}

static void test_failures(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(resolve(f, "none.test"), -ENOENT);
    assert_int_equal(resolve(f, "empty.test"), -ENOENT);
    assert_int_equal(resolve(f, "garbage.test"), -EIO);
    assert_int_equal(resolve(f, "broken.test"), -EIO);
    assert_int_equal(f->count, 0);
    sl_resolver_set_timeout(f->resolver, 100);
    assert_int_equal(resolve(f, "silent.test"), -ETIMEDOUT);
}

static void test_no_server(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_in sa;
    socklen_t len = sizeof(sa);
    char server[32];
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sa = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    close(fd);
    snprintf(server, sizeof(server), "127.0.0.1:%u", ntohs(sa.sin_port));
    assert_int_equal(sl_resolver_set_servers(f->resolver, server), 0);
    /* Which of the two depends on whose send(2) eats the port-unreachable (c-ares 1.18). */
    sl_resolver_set_timeout(f->resolver, 200);
    int status = resolve(f, "both.test");
    assert_true(status == -EIO || status == -ETIMEDOUT);
    assert_int_equal(f->count, 0);
}

static void test_truncated_goes_to_tcp(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(resolve(f, "long.test"), 0);
    assert_int_equal(f->count, 2);
    assert_int_equal(f->queries_a, 2);
}

/* DNS-11 */
static void test_forged(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(resolve(f, "forged.test"), 0);
    assert_int_equal(f->count, 2);
    assert_addr(&f->addrs[0], "192.0.2.1");
    assert_addr(&f->addrs[1], "192.0.2.2");
}

static void test_hosts_file(void **state)
{
    static const char text[] = "# a comment\n"
                               "127.0.0.1\tlocalhost\n"
                               "2001:db8::7 pinned.test Both.Test # other.test\n"
                               "192.0.2.77   alias  BOTH.test\r\n"
                               "0300.0.2.1 octal.test\n"
                               "192.0.2.78 last.test";
    struct fixture *f = *state;
    char path[] = "/tmp/sandlock-test-hosts-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
    close(fd);
    assert_int_equal(sl_resolver_set_hosts_file(f->resolver, path), 0);
    assert_int_equal(resolve(f, "both.test"), 0);
    assert_int_equal(f->count, 2); /* both lines, IPv4 first, and nothing from DNS */
    assert_addr(&f->addrs[0], "192.0.2.77");
    assert_addr(&f->addrs[1], "2001:db8::7");
    assert_int_equal(resolve(f, "last.test"), 0);
    assert_addr(&f->addrs[0], "192.0.2.78");
    assert_int_equal(f->queries_a + f->queries_aaaa, 0);
    assert_int_equal(resolve(f, "other.test"), 0);
    assert_addr(&f->addrs[0], "192.0.2.1");
    assert_int_equal(resolve(f, "octal.test"), 0);
    assert_addr(&f->addrs[0], "192.0.2.1"); /* the line is not understood, so DNS is asked */
    unlink(path);
}

/* How many times DNS is asked for the addresses of a name that is resolved twice. */
static unsigned asked_twice(struct fixture *f, const char *name, int status, size_t count)
{
    f->queries_a = 0;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(resolve(f, name), status);
        assert_int_equal(f->count, count);
    }
    return f->queries_a;
}

static void test_answers_are_remembered(void **state)
{
    struct fixture *f = *state;
    mock_ttl = 60;
    assert_int_equal(asked_twice(f, "both.test", 0, 3), 1);
    assert_addr(&f->addrs[0], "192.0.2.1");
    assert_addr(&f->addrs[2], "2001:db8::1");
    assert_int_equal(asked_twice(f, "onlyv6.test", 0, 1), 1);
    assert_int_equal(asked_twice(f, "mapped.test", 0, 1), 1);
    assert_addr(&f->addrs[0], "192.0.2.9");
    assert_int_equal(asked_twice(f, "many.test", 0, SL_RESOLVER_ADDRS_MAX), 1);
    /* No failure is, nor half an answer, nor what an alias lends for no time. */
    assert_int_equal(asked_twice(f, "none.test", -ENOENT, 0), 2);
    assert_int_equal(asked_twice(f, "empty.test", -ENOENT, 0), 2);
    assert_int_equal(asked_twice(f, "failv6.test", 0, 2), 2);
    assert_int_equal(asked_twice(f, "nov6.test", 0, 2), 2);
    assert_int_equal(asked_twice(f, "alias.test", 0, 2), 2);
    mock_ttl = 0;
    assert_int_equal(asked_twice(f, "other.test", 0, 2), 2);
}

static void test_cancel(void **state)
{
    struct fixture *f = *state;
    sl_resolver_query *query = NULL;
    assert_int_equal(sl_resolver_start(f->resolver, "both.test", on_resolved, f, &query), 0);
    sl_resolver_cancel(query);
    assert_int_equal(sl_resolver_start(f->resolver, "silent.test", on_resolved, f, &query), 0);
    uv_run(&f->loop, UV_RUN_NOWAIT);
    sl_resolver_cancel(query);
    sl_resolver_cancel(NULL);
    assert_int_equal(sl_resolver_start(f->resolver, "silent.test", on_resolved, f, &query), 0);
    assert_int_equal(resolve(f, "none.test"), -ENOENT); /* no call but this one's */
    /* One is still running; teardown frees the resolver beneath it. */
}

static void test_limits(void **state)
{
    struct fixture *f = *state;
    sl_resolver_query *query = NULL;
    for (size_t i = 0; i < SL_RESOLVER_QUERIES_MAX; i++) {
        assert_int_equal(sl_resolver_start(f->resolver, "silent.test", on_resolved, f, &query), 0);
    }
    assert_int_equal(sl_resolver_start(f->resolver, "x.test", on_resolved, f, &query), -EBUSY);
    static const char *const bad[] = {"", "A.test", "a..b", "a.test.", "a b", "a\\046b", "a/b"};
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        assert_int_equal(sl_resolver_start(f->resolver, bad[i], on_resolved, f, &query), -EINVAL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_both_families, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_family, setup, teardown),
        cmocka_unit_test_setup_teardown(test_v6_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mapped, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failures, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_server, setup, teardown),
        cmocka_unit_test_setup_teardown(test_truncated_goes_to_tcp, setup, teardown),
        cmocka_unit_test_setup_teardown(test_forged, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hosts_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_answers_are_remembered, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cancel, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
