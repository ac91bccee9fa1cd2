/* Sockets by the kernel's word: those of this test are found, by the cookie that they have, and no
 * longer when they are gone. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "kernel/diag/diag.h"

static int listener(const char *text, int type, uint16_t *ret_port)
{
    sl_addr addr;
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);
    assert_int_equal(sl_addr_parse(text, &addr), 0);
    int family = addr.family == 6 ? AF_INET6 : AF_INET;
    int fd = socket(family, type | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    len = sl_addr_to_sockaddr(&addr, 0, family, &ss);
    assert_int_equal(bind(fd, (struct sockaddr *)&ss, len), 0);
    if (type == SOCK_STREAM) {
        assert_int_equal(listen(fd, 1), 0);
    }
    len = sizeof(ss);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
    assert_int_equal(sl_addr_from_sockaddr(&ss, len, &addr, ret_port), 0);
    return fd;
}

static uint64_t cookie_of(int fd)
{
    uint64_t cookie = 0;
    socklen_t len = sizeof(cookie);
    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len), 0);
    return cookie;
}

static struct sl_diag_question ask_tcp(uint16_t port)
{
    return (struct sl_diag_question){
        .family = AF_INET, .protocol = IPPROTO_TCP, .port = port, .states = 1u << SL_DIAG_LISTEN};
}

static void test_find(void **state)
{
    sl_addr addr;
    sl_addr other;
    struct inet_diag_msg m;
    uint16_t port;
    (void)state;
    assert_int_equal(sl_addr_parse("127.0.0.1", &addr), 0);
    assert_int_equal(sl_addr_parse("127.0.0.2", &other), 0);
    int fd = listener("127.0.0.1", SOCK_STREAM, &port);
    struct sl_diag_question q = ask_tcp(port);
    assert_true(sl_diag_find(&q, &addr, &m));
    assert_true(sl_diag_cookie(&m) == cookie_of(fd));
    assert_int_equal(ntohs(m.id.idiag_sport), port);
    assert_true(sl_diag_is_reached(&m, &addr));
    assert_false(sl_diag_is_reached(&m, &other));
    assert_false(sl_diag_find(&q, &other, &m));
    sl_close(fd);
    assert_false(sl_diag_find(&q, &addr, &m));
}

struct seen {
    uint64_t cookie;
    unsigned times;
    unsigned others;
};

static void on_socket(void *arg, const struct inet_diag_msg *m)
{
    struct seen *s = arg;
    s->times += sl_diag_cookie(m) == s->cookie;
    s->others += sl_diag_cookie(m) != s->cookie;
}

static void test_each(void **state)
{
    uint16_t port;
    uint16_t other_port;
    (void)state;
    int fd = listener("127.0.0.1", SOCK_STREAM, &port);
    int other = listener("127.0.0.1", SOCK_STREAM, &other_port);
    struct seen s = {.cookie = cookie_of(fd)};
    struct sl_diag_question q = ask_tcp(port);
    assert_true(sl_diag_each(&q, on_socket, &s));
    assert_int_equal(s.times, 1);
    assert_int_equal(s.others, 0);
    q.port = 0; /* at all */
    assert_true(sl_diag_each(&q, on_socket, &s));
    assert_int_equal(s.times, 2);
    assert_true(s.others >= 1);
    sl_close(fd);
    sl_close(other);
    q.port = port;
    s = (struct seen){0};
    assert_true(sl_diag_each(&q, on_socket, &s)); /* complete, and empty */
    assert_int_equal(s.times + s.others, 0);
}

static void test_udp(void **state)
{
    uint16_t port;
    (void)state;
    int fd = listener("127.0.0.1", SOCK_DGRAM, &port);
    struct seen s = {.cookie = cookie_of(fd)};
    struct sl_diag_question q = {
        .family = AF_INET, .protocol = IPPROTO_UDP, .port = port, .states = UINT32_MAX};
    assert_true(sl_diag_each(&q, on_socket, &s));
    assert_int_equal(s.times, 1);
    sl_close(fd);
}

/* Which addresses find which sockets: its own, or all where it is bound to none. */
static void test_is_reached(void **state)
{
    static const struct {
        int family;
        const char *bound;
        const char *to;
        bool reached;
    } cases[] = {
        {AF_INET, "192.0.2.1", "192.0.2.1", true},
        {AF_INET, "192.0.2.1", "192.0.2.2", false},
        {AF_INET, "0.0.0.0", "192.0.2.2", true},
        {AF_INET, "192.0.2.1", "2001:db8::1", false},
        {AF_INET, "0.0.0.0", "2001:db8::1", false},
        {AF_INET6, "2001:db8::1", "2001:db8::1", true},
        {AF_INET6, "2001:db8::1", "2001:db8::2", false},
        {AF_INET6, "2001:db8::1", "192.0.2.1", false},
        {AF_INET6, "::", "2001:db8::2", true},
        {AF_INET6, "::", "192.0.2.1", true},
        {AF_INET6, "::ffff:192.0.2.1", "192.0.2.1", true},
        {AF_INET6, "::ffff:192.0.2.1", "192.0.2.2", false},
    };
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        struct inet_diag_msg m = {.idiag_family = (uint8_t)cases[i].family};
        struct sockaddr_storage ss;
        sl_addr bound;
        sl_addr to;
        assert_int_equal(sl_addr_parse(cases[i].bound, &bound), 0);
        assert_int_equal(sl_addr_parse(cases[i].to, &to), 0);
        assert_true(sl_addr_to_sockaddr(&bound, 1, cases[i].family, &ss) > 0);
        if (cases[i].family == AF_INET6) {
            memcpy(m.id.idiag_src, &((struct sockaddr_in6 *)&ss)->sin6_addr, 16);
        } else {
            memcpy(m.id.idiag_src, &((struct sockaddr_in *)&ss)->sin_addr, 4);
        }
        if (sl_diag_is_reached(&m, &to) != cases[i].reached) {
            fail_msg("%s to %s", cases[i].to, cases[i].bound);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_each),
        cmocka_unit_test(test_udp),
        cmocka_unit_test(test_is_reached),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
