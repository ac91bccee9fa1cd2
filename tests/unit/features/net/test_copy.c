/* Outgoing messages, copied out of a caller that says what it likes: each part is bounded, and what
 * could turn a packet does not come along. NET-06, NET-07. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "features/net/send_int.h"
#include "trapped.h"

#define AT(p)      ((uint64_t)(uintptr_t)(p))
#define BIG        (300u << 10)
#define PIECES_MAX 1024

/* The caller's memory: written before the fork, read from there. */
static struct msghdr msg;
static struct iovec iov[PIECES_MAX + 1];
static struct sockaddr_storage name;
static uint8_t control[SL_SEND_CONTROL_MAX + 64] __attribute__((aligned(8)));
static uint8_t data[BIG];

static const sl_sock tcp = {.fd = -1, .domain = AF_INET, .type = SOCK_STREAM};
static const sl_sock udp = {.fd = -1, .domain = AF_INET, .type = SOCK_DGRAM};
static const sl_sock udp6 = {.fd = -1, .domain = AF_INET6, .type = SOCK_DGRAM};
static const sl_sock local = {.fd = -1, .domain = AF_UNIX, .type = SOCK_DGRAM};

static int set_up(void **state)
{
    (void)state;
    memset(&msg, 0, sizeof(msg));
    memset(iov, 0, sizeof(iov));
    memset(control, 0, sizeof(control));
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)(i * 31 >> 3);
    }
    return 0;
}

/* Copies `msg` as a caller has it. The result is the caller of this one's to look at. */
static int copy(const sl_sock *sock, struct sl_outgoing *out)
{
    struct trapped *t = trap((const uint64_t[6]){0}, NULL);
    memset(out, 0, sizeof(*out));
    out->unix_pin = -1;
    int r = sl_outgoing_from_msghdr(&t->call, sock, AT(&msg), out);
    assert_int_equal(trapped_answer(t, SL_ANSWER_VALUE(0)), 0);
    return r;
}

static int copy_and_forget(const sl_sock *sock)
{
    static struct sl_outgoing out;
    int r = copy(sock, &out);
    sl_outgoing_done(&out);
    return r;
}

static void test_pieces(void **state)
{
    static struct sl_outgoing out;
    (void)state;
    iov[0] = (struct iovec){data, 3};
    iov[1] = (struct iovec){NULL, 0}; /* of no length: any address */
    iov[2] = (struct iovec){data + 3, 997};
    msg = (struct msghdr){.msg_iov = iov, .msg_iovlen = 3};
    assert_int_equal(copy(&udp, &out), 0);
    assert_int_equal(out.len, 1000);
    assert_memory_equal(out.data, data, 1000);
    assert_int_equal(out.name_len, 0);
    sl_outgoing_done(&out);
    iov[1] = (struct iovec){(void *)8, 1}; /* nowhere */
    assert_int_equal(copy_and_forget(&udp), -EFAULT);
}

static void test_lengths(void **state)
{
    static struct sl_outgoing out;
    static const struct {
        const sl_sock *sock;
        size_t max;
        bool partial;
    } cases[] = {{&udp, SL_SEND_DATAGRAM_MAX, false},
                 {&local, SL_SEND_UNIX_MAX, false},
                 {&tcp, SL_SEND_STREAM_MAX, true}};
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        iov[0] = (struct iovec){data, cases[i].max};
        msg = (struct msghdr){.msg_iov = iov, .msg_iovlen = 1};
        assert_int_equal(copy(cases[i].sock, &out), 0);
        assert_int_equal(out.len, cases[i].max);
        assert_memory_equal(out.data, data, out.len);
        sl_outgoing_done(&out);
        iov[0].iov_len++;
        assert_int_equal(copy(cases[i].sock, &out), cases[i].partial ? 0 : -EMSGSIZE);
        assert_true(out.len <= cases[i].max); /* a stream is sent in part */
        sl_outgoing_done(&out);
    }
}

/* Sums that wrap, and more pieces than there may be. */
static void test_absurd_lengths(void **state)
{
    (void)state;
    iov[0] = (struct iovec){data, SIZE_MAX};
    iov[1] = (struct iovec){data, 2};
    msg = (struct msghdr){.msg_iov = iov, .msg_iovlen = 2};
    assert_int_equal(copy_and_forget(&tcp), -EINVAL);
    iov[0].iov_len = SSIZE_MAX;
    assert_int_equal(copy_and_forget(&tcp), -EINVAL);
    assert_int_equal(copy_and_forget(&udp), -EINVAL);
    memset(iov, 0, sizeof(iov));
    msg.msg_iovlen = PIECES_MAX;
    assert_int_equal(copy_and_forget(&udp), 0);
    msg.msg_iovlen = PIECES_MAX + 1;
    assert_int_equal(copy_and_forget(&udp), -EMSGSIZE);
    msg.msg_iovlen = SIZE_MAX;
    assert_int_equal(copy_and_forget(&udp), -EMSGSIZE);
    msg = (struct msghdr){.msg_iov = (void *)16, .msg_iovlen = 1};
    assert_int_equal(copy_and_forget(&udp), -EFAULT);
}

static void test_names(void **state)
{
    static struct sl_outgoing out;
    (void)state;
    memset(&name, 0x5a, sizeof(name));
    msg = (struct msghdr){.msg_name = &name, .msg_namelen = sizeof(struct sockaddr_in)};
    assert_int_equal(copy(&udp, &out), 0);
    assert_int_equal(out.name_len, sizeof(struct sockaddr_in));
    assert_memory_equal(&out.name, &name, sizeof(struct sockaddr_in));
    assert_int_equal(((uint8_t *)&out.name)[sizeof(struct sockaddr_in)], 0); /* nothing behind */
    sl_outgoing_done(&out);
    static const socklen_t bad[] = {1, sizeof(name) + 1, INT32_MAX, (socklen_t)-1};
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        msg.msg_namelen = bad[i];
        assert_int_equal(copy_and_forget(&udp), -EINVAL);
    }
    msg.msg_namelen = sizeof(name);
    assert_int_equal(copy_and_forget(&udp), 0);
    msg.msg_namelen = 0;
    assert_int_equal(copy_and_forget(&udp), 0);
    msg = (struct msghdr){.msg_name = (void *)16, .msg_namelen = 16};
    assert_int_equal(copy_and_forget(&udp), -EFAULT);
}

/* Puts one header of ancillary data at `at`; where the next one goes. */
static size_t put(size_t at, int level, int type, const void *value, size_t len)
{
    struct cmsghdr *c = (struct cmsghdr *)(void *)(control + at);
    *c = (struct cmsghdr){.cmsg_len = CMSG_LEN(len), .cmsg_level = level, .cmsg_type = type};
    memcpy(CMSG_DATA(c), value, len);
    return at + CMSG_SPACE(len);
}

static int copy_control(const sl_sock *sock, size_t len)
{
    msg = (struct msghdr){.msg_control = control, .msg_controllen = len};
    return copy_and_forget(sock);
}

static void test_control(void **state)
{
    int tos = 8;
    struct in_pktinfo plain = {.ipi_spec_dst.s_addr = htonl(INADDR_LOOPBACK)};
    struct in_pktinfo routed = {.ipi_ifindex = 1};
    struct in6_pktinfo routed6 = {.ipi6_ifindex = 1};
    struct in6_pktinfo plain6 = {0};
    struct ucred lie = {.pid = 1};
    uint8_t options[8] = {0x83, 3, 4}; /* a source route: RFC 791 */
    (void)state;
    size_t n = put(0, IPPROTO_IP, IP_TOS, &tos, sizeof(tos));
    n = put(n, IPPROTO_IP, IP_PKTINFO, &plain, sizeof(plain));
    assert_int_equal(copy_control(&udp, n), 0);
    const struct {
        const sl_sock *sock;
        int level;
        int type;
        const void *value;
        size_t len;
        int r;
    } cases[] = {
        {&udp, IPPROTO_IP, IP_PKTINFO, &routed, sizeof(routed), -EPERM},
        {&udp, IPPROTO_IP, IP_PKTINFO, &routed, 0, -EPERM}, /* too short to tell */
        {&udp, IPPROTO_IP, IP_RETOPTS, options, sizeof(options), -EPERM},
        {&udp, IPPROTO_IP, IP_OPTIONS, options, sizeof(options), -EPERM},
        {&udp6, IPPROTO_IPV6, IPV6_PKTINFO, &plain6, sizeof(plain6), 0},
        {&udp6, IPPROTO_IPV6, IPV6_PKTINFO, &routed6, sizeof(routed6), -EPERM},
        {&udp6, IPPROTO_IPV6, IPV6_RTHDR, options, sizeof(options), -EPERM},
        {&udp, SOL_SOCKET, SCM_RIGHTS, &tos, sizeof(tos), -EPERM},
        {&local, SOL_SOCKET, SCM_CREDENTIALS, &lie, sizeof(lie), -EPERM},
        {&local, IPPROTO_IP, IP_TOS, &tos, sizeof(tos), -EPERM},
        {&udp, 12345, 1, &tos, sizeof(tos), -EPERM},
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        n = put(0, IPPROTO_IP, IP_TOS, &tos, sizeof(tos));
        n = cases[i].sock == &local ? 0 : n; /* not only the first one is looked at */
        n = put(n, cases[i].level, cases[i].type, cases[i].value, cases[i].len);
        if (copy_control(cases[i].sock, n) != cases[i].r) {
            fail_msg("case %zu", i);
        }
    }
}

/* Headers that do not fit in what there is, each way. */
static void test_control_lengths(void **state)
{
    int tos = 8;
    (void)state;
    size_t n = put(0, IPPROTO_IP, IP_TOS, &tos, sizeof(tos));
    struct cmsghdr *c = (struct cmsghdr *)(void *)control;
    static const size_t bad[] = {0, 1, sizeof(struct cmsghdr) - 1, CMSG_SPACE(4) + 1, SIZE_MAX};
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        c->cmsg_len = bad[i];
        assert_int_equal(copy_control(&udp, n), -EINVAL);
    }
    c->cmsg_len = CMSG_LEN(sizeof(tos));
    assert_int_equal(copy_control(&udp, CMSG_LEN(sizeof(tos))), 0); /* the last needs no padding */
    assert_int_equal(copy_control(&udp, sizeof(*c) - 1), 0);        /* no header: nothing */
    memset(control, 0, sizeof(control));
    assert_int_equal(copy_control(&udp, SL_SEND_CONTROL_MAX + 1), -ENOBUFS);
    msg = (struct msghdr){.msg_control = (void *)16, .msg_controllen = 64};
    assert_int_equal(copy_and_forget(&udp), -EFAULT);
}

/* Descriptors are pinned, all of them or none stays open; an unpadded header behind them, too. */
static void test_rights(void **state)
{
    static struct sl_outgoing out;
    int pipes[2];
    (void)state;
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    size_t n = put(0, SOL_SOCKET, SCM_RIGHTS, pipes, sizeof(pipes));
    n = put(n, SOL_SOCKET, SCM_RIGHTS, pipes, sizeof(int));
    msg = (struct msghdr){.msg_control = control,
                          .msg_controllen = CMSG_SPACE(sizeof(pipes)) + CMSG_LEN(sizeof(int))};
    assert_int_equal(copy(&local, &out), 0);
    assert_int_equal(out.fd_count, 3);
    int passed;
    memcpy(&passed, CMSG_DATA((struct cmsghdr *)(void *)(out.control + CMSG_SPACE(sizeof(pipes)))),
           sizeof(passed));
    assert_int_equal(passed, out.fds[2]); /* ours, where the caller's number was */
    assert_int_equal(write(out.fds[1], "x", 1), 1);
    char byte;
    assert_int_equal(read(pipes[0], &byte, 1), 1); /* the same open file */
    int first = out.fds[0];
    sl_outgoing_done(&out);
    assert_int_equal(fcntl(first, F_GETFD), -1);
    int bad[2] = {pipes[0], 9999};
    (void)put(0, SOL_SOCKET, SCM_RIGHTS, bad, sizeof(bad));
    assert_int_equal(copy_control(&local, CMSG_SPACE(sizeof(bad))), -EBADF);
    sl_close(pipes[0]);
    sl_close(pipes[1]);
}

static void test_args(void **state)
{
    static struct sl_outgoing out;
    (void)state;
    struct trapped *t = trap((const uint64_t[6]){0, AT(data), 100, 0, AT(&name), 16}, NULL);
    memset(&out, 0, sizeof(out));
    out.unix_pin = -1;
    assert_int_equal(sl_outgoing_from_args(&t->call, &udp, &out), 0);
    assert_int_equal(out.len, 100);
    assert_int_equal(out.name_len, 16);
    sl_outgoing_done(&out);
    t->call.args[2] = UINT64_MAX;
    memset(&out, 0, sizeof(out));
    out.unix_pin = -1;
    assert_int_equal(sl_outgoing_from_args(&t->call, &udp, &out), -EMSGSIZE);
    sl_outgoing_done(&out);
    assert_int_equal(trapped_answer(t, SL_ANSWER_VALUE(0)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_pieces, set_up),
        cmocka_unit_test_setup(test_lengths, set_up),
        cmocka_unit_test_setup(test_absurd_lengths, set_up),
        cmocka_unit_test_setup(test_names, set_up),
        cmocka_unit_test_setup(test_control, set_up),
        cmocka_unit_test_setup(test_control_lengths, set_up),
        cmocka_unit_test_setup(test_rights, set_up),
        cmocka_unit_test_setup(test_args, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
