/* The responder on real loopback sockets: UDP bursts, pipelined TCP, silence, floods. DNS-04, -08,
 * -10. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "core/fd.h"
#include "core/util.h"
#include "net/dns/dnsmsg.h"
#include "net/dns/responder.h"

struct fixture {
    uv_loop_t loop;
    sl_responder *responder;
    unsigned asked;
    bool addresses; /* the last question was for some */
    char last[SL_DNSMSG_NAME_MAX];
    char tag[8];
};

/* granted.test has an address, localhost is loopback, full.test finds the pool used up. */
static enum sl_dns_answer on_question(void *arg, void *tag, const char *name, bool addresses,
                                      sl_addr *ret_v4, sl_addr *ret_v6)
{
    struct fixture *f = arg;
    f->asked++;
    f->addresses = addresses;
    memcpy(f->last, name, strlen(name) + 1);
    if (tag != NULL) {
        memcpy(f->tag, tag, sizeof(f->tag));
    }
    if (strcmp(name, "granted.test") == 0) {
        *ret_v4 = (sl_addr){.family = 4, .bytes = {198, 18, 0, 5}};
        *ret_v6 = (sl_addr){.family = 6, .bytes = {0x20, 1, 0, 2, [12] = 198, 18, 0, 5}};
        return SL_DNS_ADDRESS;
    }
    if (strcmp(name, "localhost") == 0) {
        return SL_DNS_LOOPBACK;
    }
    return strcmp(name, "full.test") == 0 ? SL_DNS_SERVFAIL : SL_DNS_NXDOMAIN;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    assert_int_equal(uv_loop_init(&f->loop), 0);
    f->responder = sl_responder_new(&f->loop, on_question, f);
    assert_non_null(f->responder);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    sl_responder_free(f->responder);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    free(f);
    return 0;
}

/* Two UDP sockets connected to each other on loopback: [0] the child's, [1] the responder's. */
static void udp_pair(int fds[2])
{
    struct sockaddr_in sa[2];
    for (int i = 0; i < 2; i++) {
        socklen_t len = sizeof(sa[i]);
        sa[i] =
            (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        fds[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        assert_true(fds[i] >= 0);
        assert_int_equal(bind(fds[i], (struct sockaddr *)&sa[i], sizeof(sa[i])), 0);
        assert_int_equal(getsockname(fds[i], (struct sockaddr *)&sa[i], &len), 0);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(connect(fds[i], (struct sockaddr *)&sa[1 - i], sizeof(sa[i])), 0);
    }
}

static size_t make_query(uint8_t *out, uint16_t id, const char *name, uint16_t qtype)
{
    static const uint8_t rest[] = {1, 0, 0, 1, 0, 0, 0, 0, 0, 0};
    size_t n = 12;
    out[0] = (uint8_t)(id >> 8);
    out[1] = (uint8_t)id;
    memcpy(out + 2, rest, sizeof(rest));
    while (*name != '\0') {
        size_t len = strcspn(name, ".");
        out[n++] = (uint8_t)len;
        memcpy(out + n, name, len);
        n += len;
        name += len + (name[len] == '.' ? 1 : 0);
    }
    const uint8_t tail[] = {0, (uint8_t)(qtype >> 8), (uint8_t)qtype, 0, 1};
    memcpy(out + n, tail, sizeof(tail));
    return n + sizeof(tail);
}

static ssize_t turn_until_readable(struct fixture *f, int fd, uint8_t *out, size_t cap)
{
    for (;;) {
        ssize_t n = recv(fd, out, cap, MSG_DONTWAIT);
        if (n >= 0 || errno != EAGAIN) {
            return n < 0 ? -errno : n;
        }
        uv_run(&f->loop, UV_RUN_ONCE);
    }
}

static ssize_t ask(struct fixture *f, int fd, const char *name, uint16_t qtype, uint8_t *out)
{
    uint8_t query[512];
    size_t len = make_query(query, 99, name, qtype);
    assert_int_equal(send(fd, query, len, 0), len);
    return turn_until_readable(f, fd, out, 512);
}

static void test_answers(void **state)
{
    static const struct {
        const char *name;
        uint16_t qtype;
        uint8_t rcode;
        uint8_t answers;
    } cases[] = {
        {"granted.test", 1, SL_DNS_NOERROR, 1},   {"granted.test", 28, SL_DNS_NOERROR, 1},
        {"granted.test", 16, SL_DNS_NOERROR, 0},  {"granted.test", 65, SL_DNS_NOERROR, 0},
        {"granted.test", 255, SL_DNS_NOERROR, 0}, {"granted.test", 252, SL_DNS_NOERROR, 0},
        {"granted.test", 12, SL_DNS_NOERROR, 0},  {"granted.test", 10, SL_DNS_NOERROR, 0},
        {"GRANTED.Test", 1, SL_DNS_NOERROR, 1},   {"other.test", 1, SL_DNS_NXNAME, 0},
        {"other.test", 16, SL_DNS_NXNAME, 0},     {"full.test", 1, SL_DNS_FAIL, 0},
        {"localhost", 1, SL_DNS_NOERROR, 1},      {"localhost", 28, SL_DNS_NOERROR, 1},
        {"a b.test", 1, SL_DNS_NXNAME, 0},
    };
    struct fixture *f = *state;
    int fds[2];
    udp_pair(fds);
    assert_int_equal(sl_responder_add(f->responder, fds[1], false, strdup("who-me?")), 0);
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        uint8_t out[512];
        ssize_t n = ask(f, fds[0], cases[i].name, cases[i].qtype, out);
        assert_true(n >= 12);
        if ((out[3] & 15) != cases[i].rcode || out[7] != cases[i].answers) {
            fail_msg("case %zu: rcode %d, %d answers", i, out[3] & 15, out[7]);
        }
        assert_int_equal(out[1], 99);
    }
    assert_string_equal(f->tag, "who-me?");
    close(fds[0]);
}

static void test_reverse_is_not_asked(void **state)
{
    struct fixture *f = *state;
    uint8_t out[512];
    int fds[2];
    udp_pair(fds);
    assert_int_equal(sl_responder_add(f->responder, fds[1], false, NULL), 0);
    assert_true(ask(f, fds[0], "5.0.18.198.in-addr.arpa", 12, out) >= 12);
    assert_int_equal(out[3] & 15, SL_DNS_NXNAME);
    assert_int_equal(f->asked, 0);
    assert_true(ask(f, fds[0], "not-in-addr.arpa", 1, out) >= 12);
    assert_int_equal(f->asked, 1);
    close(fds[0]);
}

static void test_other_class(void **state)
{
    struct fixture *f = *state;
    uint8_t query[512];
    uint8_t out[512];
    int fds[2];
    udp_pair(fds);
    assert_int_equal(sl_responder_add(f->responder, fds[1], false, NULL), 0);
    size_t len = make_query(query, 1, "granted.test", 1);
    query[len - 1] = 3; /* CHAOS */
    assert_int_equal(send(fds[0], query, len, 0), len);
    assert_true(turn_until_readable(f, fds[0], out, sizeof(out)) >= 12);
    assert_int_equal(out[3] & 15, SL_DNS_REFUSED);
    assert_int_equal(f->asked, 0);
    close(fds[0]);
}

/* Rubbish between good questions: silence for it, answers for them, in order. */
static void test_udp_burst(void **state)
{
    struct fixture *f = *state;
    int fds[2];
    uint8_t query[512];
    uint8_t out[512];
    static uint8_t big[9000];
    udp_pair(fds);
    for (uint16_t id = 0; id < 64; id++) {
        size_t len = make_query(query, id, "granted.test", 1);
        assert_int_equal(send(fds[0], query, len, 0), len);
        assert_int_equal(send(fds[0], "", 0, 0), 0);
        assert_int_equal(send(fds[0], "\xff", 1, 0), 1);
    }
    assert_int_equal(send(fds[0], big, sizeof(big), 0), sizeof(big));
    assert_int_equal(sl_responder_add(f->responder, fds[1], false, NULL), 0);
    for (uint16_t id = 0; id < 64; id++) {
        assert_true(turn_until_readable(f, fds[0], out, sizeof(out)) >= 12);
        assert_int_equal(out[1], id);
        assert_int_equal(out[7], 1);
    }
    assert_int_equal(f->asked, 64);
    assert_int_equal(sl_responder_count(f->responder), 1);
    close(fds[0]);
}

static void test_udp_peer_gone(void **state)
{
    struct fixture *f = *state;
    uint8_t query[512];
    int fds[2];
    udp_pair(fds);
    size_t len = make_query(query, 1, "granted.test", 1);
    assert_int_equal(send(fds[0], query, len, 0), len);
    assert_int_equal(send(fds[0], query, len, 0), len);
    close(fds[0]);
    assert_int_equal(sl_responder_add(f->responder, fds[1], false, NULL), 0);
    while (sl_responder_count(f->responder) > 0) {
        uv_run(&f->loop, UV_RUN_ONCE);
    }
    assert_int_equal(fcntl(fds[1], F_GETFD), -1);
}

static size_t put_framed(uint8_t *out, uint16_t id, const char *name)
{
    size_t len = make_query(out + 2, id, name, 1);
    out[0] = (uint8_t)(len >> 8);
    out[1] = (uint8_t)len;
    return len + 2;
}

/* Many queries in one stream, split at every place; the answers come in order. Then the end. */
static void test_stream_pipelined(void **state)
{
    struct fixture *f = *state;
    enum { COUNT = 40 };
    static uint8_t in[COUNT * 64];
    static uint8_t out[COUNT * 128];
    size_t len = 0;
    size_t got = 0;
    int fds[2];
    for (uint16_t id = 0; id < COUNT; id++) {
        len += put_framed(in + len, id, id % 2 == 0 ? "granted.test" : "other.test");
    }
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(sl_responder_add(f->responder, fds[1], true, NULL), 0);
    for (size_t i = 0; i < len; i += 7) {
        size_t n = SL_MIN((size_t)7, len - i);
        assert_int_equal(send(fds[0], in + i, n, 0), n);
        uv_run(&f->loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(shutdown(fds[0], SHUT_WR), 0);
    for (;;) {
        ssize_t n = turn_until_readable(f, fds[0], out + got, sizeof(out) - got);
        assert_true(n >= 0);
        if (n == 0) {
            break;
        }
        got += (size_t)n;
    }
    size_t off = 0;
    for (uint16_t id = 0; id < COUNT; id++) {
        assert_true(off + 14 <= got);
        assert_int_equal(out[off + 3], id);
        assert_int_equal(out[off + 2 + 7], id % 2 == 0 ? 1 : 0);
        off += 2 + (size_t)(out[off] << 8 | out[off + 1]);
    }
    assert_int_equal(off, got);
    assert_int_equal(sl_responder_count(f->responder), 0);
    close(fds[0]);
}

/* A peer that asks and never reads: we stop reading it, and drop nothing once it reads again. */
static void test_stream_slow_reader(void **state)
{
    struct fixture *f = *state;
    uint8_t in[64];
    uint8_t out[4096];
    size_t len = put_framed(in, 1, "granted.test");
    size_t sent = 0;
    size_t partial = 0; /* bytes of the last query that went */
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(sl_responder_add(f->responder, fds[1], true, NULL), 0);
    for (int stuck = 0; stuck < 3;) {
        ssize_t n = send(fds[0], in + partial, len - partial, MSG_DONTWAIT);
        if (n < 0) {
            assert_int_equal(errno, EAGAIN);
            stuck++;
        } else {
            partial = (partial + (size_t)n) % len;
            sent += partial == 0 ? 1 : 0;
        }
        uv_run(&f->loop, UV_RUN_NOWAIT);
    }
    assert_true(f->asked < sent); /* it did stop */
    assert_int_equal(shutdown(fds[0], SHUT_WR), 0);
    size_t got = 0;
    ssize_t n;
    while ((n = turn_until_readable(f, fds[0], out, sizeof(out))) > 0) {
        got += (size_t)n;
    }
    assert_int_equal(n, 0);
    assert_int_equal(got, sent * (len + 16));
    assert_int_equal(f->asked, sent);
    close(fds[0]);
}

/* DNS-10: a length and then silence, 200 times: all closed in time, another one served. */
static void test_stream_silence(void **state)
{
    struct fixture *f = *state;
    enum { COUNT = 200 };
    int silent[COUNT];
    int fds[2];
    uint8_t in[64];
    uint8_t out[512];
    sl_responder_set_stream_idle(f->responder, 50);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        assert_int_equal(sl_responder_add(f->responder, fds[1], true, NULL), 0);
        assert_int_equal(send(fds[0], "\x00\x20x", 3, 0), 3);
        silent[i] = fds[0];
    }
    udp_pair(fds);
    assert_int_equal(sl_responder_add(f->responder, fds[1], false, NULL), 0);
    size_t len = make_query(in, 9, "granted.test", 1);
    assert_int_equal(send(fds[0], in, len, 0), len);
    assert_true(turn_until_readable(f, fds[0], out, sizeof(out)) > 12);
    for (int i = 0; i < COUNT; i++) {
        ssize_t n = turn_until_readable(f, silent[i], out, sizeof(out));
        assert_true(n == 0 || n == -ECONNRESET);
        close(silent[i]);
    }
    assert_int_equal(sl_responder_count(f->responder), 1);
    close(fds[0]);
}

static void test_stream_rubbish(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {{"\x00\x00", 2}, {"\xff\xff", 2}, {"\x00\x01x", 3}};
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        uint8_t out[64];
        int fds[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        assert_int_equal(sl_responder_add(f->responder, fds[1], true, NULL), 0);
        assert_int_equal(send(fds[0], cases[i].bytes, cases[i].len, 0), cases[i].len);
        ssize_t n = turn_until_readable(f, fds[0], out, sizeof(out));
        assert_true(n == 0 || n == -ECONNRESET);
        close(fds[0]);
    }
    assert_int_equal(f->asked, 0);
}

/* One socket over the maximum closes the longest idle, and only that. */
static void test_socket_limit(void **state)
{
    struct fixture *f = *state;
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur < 2 * SL_RESPONDER_SOCKETS_MAX + 64) {
        print_message("hard limit of descriptors is too low here: %lu\n", limit.rlim_cur);
        skip();
    }
    static int child[SL_RESPONDER_SOCKETS_MAX + 1];
    uint8_t out[512];
    for (size_t i = 0; i < SL_ARRAY_LEN(child); i++) {
        int fds[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        assert_int_equal(sl_responder_add(f->responder, fds[1], true, NULL), 0);
        child[i] = fds[0];
    }
    assert_int_equal(sl_responder_count(f->responder), SL_RESPONDER_SOCKETS_MAX);
    assert_int_equal(turn_until_readable(f, child[0], out, sizeof(out)), 0);
    for (size_t i = 1; i < SL_ARRAY_LEN(child); i++) {
        size_t len = put_framed(out, (uint16_t)i, "granted.test");
        assert_int_equal(send(child[i], out, len, 0), len);
        assert_int_equal(turn_until_readable(f, child[i], out, sizeof(out)), len + 16);
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(child); i++) {
        close(child[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reverse_is_not_asked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_class, setup, teardown),
        cmocka_unit_test_setup_teardown(test_udp_burst, setup, teardown),
        cmocka_unit_test_setup_teardown(test_udp_peer_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stream_pipelined, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stream_slow_reader, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stream_silence, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stream_rubbish, setup, teardown),
        cmocka_unit_test_setup_teardown(test_socket_limit, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
