/* A port space of its own, live: a port that is taken outside is free inside, by every call that
 * names a port. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "live.h"

#define NOBODY "192.0.2.1:9" /* a rule that grants nothing of what is tried here */

static int bound(int type, const struct sockaddr_in *sa)
{
    int fd = socket(AF_INET, type, 0);
    if (fd >= 0 && bind(fd, (const struct sockaddr *)sa, sizeof(*sa)) < 0) {
        close(fd);
        return -errno;
    }
    return fd;
}

static bool is_named(int fd, const struct sockaddr_in *want,
                     int (*ask)(int, struct sockaddr *, socklen_t *))
{
    struct sockaddr_in sa;
    socklen_t len = sizeof(sa);
    return ask(fd, (struct sockaddr *)&sa, &len) == 0 && len == sizeof(sa) &&
           sa.sin_port == want->sin_port && sa.sin_addr.s_addr == want->sin_addr.s_addr;
}

static int own_name(int fd, struct sockaddr *sa, socklen_t *len)
{
    return getsockname(fd, sa, len);
}

static int peer_name(int fd, struct sockaddr *sa, socklen_t *len)
{
    return getpeername(fd, sa, len);
}

/* ---- streams ---- */

static int program_serves(char **args)
{
    struct sockaddr_in sa = live_addr("127.0.0.1", args[0]);
    socklen_t len = 4;
    sl_autoclose int fd = bound(SOCK_STREAM, &sa);
    LIVE_CHECK(fd >= 0);
    LIVE_CHECK(is_named(fd, &sa, own_name));
    LIVE_CHECK(getsockname(fd, (void *)8, &len) < 0 && errno == EFAULT);
    len = UINT32_MAX;
    LIVE_CHECK(getsockname(fd, (struct sockaddr *)&sa, &len) < 0 && errno == EINVAL);
    LIVE_CHECK(bound(SOCK_STREAM, &sa) == -EADDRINUSE);
    LIVE_CHECK(listen(fd, 4) == 0 && listen(fd, 8) == 0);
    sl_autoclose int there = live_connect(&sa, SOCK_STREAM);
    LIVE_CHECK(there >= 0);
    LIVE_CHECK(is_named(there, &sa, peer_name));
    sl_autoclose int here = accept(fd, NULL, NULL);
    LIVE_CHECK(here >= 0 && is_named(here, &sa, own_name));
    char byte = 0;
    LIVE_CHECK(send(there, "t", 1, 0) == 1 && recv(here, &byte, 1, 0) == 1 && byte == 't');
    LIVE_CHECK(bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 && errno == EINVAL);
    LIVE_CHECK(bind(1000, (struct sockaddr *)&sa, sizeof(sa)) < 0 && errno == EBADF);
    LIVE_CHECK(bind(0, (struct sockaddr *)&sa, sizeof(sa)) < 0 && errno == ENOTSOCK);
    return 0;
}

/* ---- datagrams ---- */

static int64_t receive(int how, int fd, char *byte, struct sockaddr_in *from)
{
    socklen_t len = sizeof(*from);
    struct iovec iov = {byte, 1};
    struct mmsghdr m = {.msg_hdr = {from, sizeof(*from), &iov, 1, NULL, 0, 0}};
    switch (how) {
    case 0:
        return recvfrom(fd, byte, 1, 0, (struct sockaddr *)from, &len);
    case 1:
        return recvmsg(fd, &m.msg_hdr, 0);
    default:
        return recvmmsg(fd, &m, 1, 0, NULL);
    }
}

static int64_t send_by(int how, int fd, char *byte, struct sockaddr_in *to)
{
    struct iovec iov = {byte, 1};
    struct mmsghdr m = {.msg_hdr = {to, sizeof(*to), &iov, 1, NULL, 0, 0}};
    switch (how) {
    case 0:
        return sendto(fd, byte, 1, 0, (struct sockaddr *)to, sizeof(*to));
    case 1:
        return sendmsg(fd, &m.msg_hdr, 0);
    default:
        return sendmmsg(fd, &m, 1, 0);
    }
}

static int program_echoes(char **args)
{
    struct sockaddr_in sa = live_addr("127.0.0.1", args[0]);
    struct sockaddr_in from = {0};
    char byte;
    sl_autoclose int server = bound(SOCK_DGRAM, &sa);
    LIVE_CHECK(server >= 0 && is_named(server, &sa, own_name));
    LIVE_CHECK(bound(SOCK_DGRAM, &sa) == -EADDRINUSE);
    for (int how = 0; how < 3; how++) {
        sl_autoclose int client = socket(AF_INET, SOCK_DGRAM, 0);
        byte = 'q';
        LIVE_CHECK(send_by(how, client, &byte, &sa) == 1);
        LIVE_CHECK(receive(how, server, &byte, &from) == 1 && byte == 'q');
        byte = 'a';
        LIVE_CHECK(send_by(how, server, &byte, &from) == 1);
        from.sin_port = 0;
        LIVE_CHECK(receive(how, client, &byte, &from) == 1 && byte == 'a');
        LIVE_CHECK(from.sin_port == sa.sin_port && from.sin_addr.s_addr == sa.sin_addr.s_addr);
    }
    sl_autoclose int client = live_connect(&sa, SOCK_DGRAM);
    LIVE_CHECK(client >= 0 && is_named(client, &sa, peer_name));
    LIVE_CHECK(send(client, "c", 1, 0) == 1 && recv(server, &byte, 1, 0) == 1 && byte == 'c');
    LIVE_CHECK(recvfrom(client, &byte, 1, MSG_DONTWAIT, (struct sockaddr *)&from,
                        &(socklen_t){sizeof(from)}) < 0 &&
               errno == EAGAIN);
    return 0;
}

/* ---- /proc/net ---- */

static bool lists(int fd, const char *words)
{
    static char text[65536];
    size_t len = 0;
    ssize_t n;
    while (fd >= 0 && (n = read(fd, text + len, sizeof(text) - 1 - len)) > 0) {
        len += (size_t)n;
    }
    text[len] = '\0';
    sl_close(fd);
    return strstr(text, words) != NULL;
}

static int program_reads_list(char **args)
{
    struct sockaddr_in sa = live_addr("127.0.0.1", args[0]);
    char words[64];
    sl_autoclose int fd = bound(SOCK_STREAM, &sa);
    LIVE_CHECK(fd >= 0 && listen(fd, 4) == 0);
    snprintf(words, sizeof(words), " 0100007F:%04X 00000000:0000 0A", ntohs(sa.sin_port));
    struct open_how how = {.flags = O_RDONLY};
    LIVE_CHECK(lists(openat(AT_FDCWD, "/proc/net/tcp", O_RDONLY), words));
    int by_memory = (int)syscall(SYS_openat2, AT_FDCWD, "/proc/self/net/tcp", &how, sizeof(how));
    bool unknown = by_memory < 0 && errno == ENOSYS; /* on older kernels: files/truncate.c */
    LIVE_CHECK(unknown || lists(by_memory, words));
#ifdef SYS_open
    LIVE_CHECK(lists((int)syscall(SYS_open, "/proc/thread-self/net/../net/tcp", O_RDONLY), words));
#endif
    LIVE_CHECK(!lists(open("/proc/net/udp", O_RDONLY), words));
    LIVE_CHECK(open("/proc/net/tcp", O_RDWR) < 0 || geteuid() == 0);
    return 0;
}

/* ---- the tests: with and without network rules, the port taken outside ---- */

static void run_both(const char *program, int type)
{
    uint16_t port;
    char text[8];
    sl_autoclose int taken = live_listen(type, "127.0.0.1", &port);
    snprintf(text, sizeof(text), "%u", port);
    for (int rules = 0; rules < 2; rules++) {
        SL_AUTO(sl_policy)
        policy = live_policy("fs_readable", "/", "port_remap", "true", rules ? "net_allow" : "cwd",
                             rules ? NOBODY : "/", NULL);
        struct live_run run = {.policy = policy, .program = program, .args = {text}};
        assert_int_equal(live_run(&run), 0);
        assert_false(live_was_reached(taken, type));
    }
}

static void a_taken_port_is_free_inside(void **state)
{
    (void)state;
    run_both("serves", SOCK_STREAM);
}

static void datagrams_show_the_names_inside(void **state)
{
    (void)state;
    run_both("echoes", SOCK_DGRAM);
}

static void the_list_of_sockets_shows_the_names_inside(void **state)
{
    (void)state;
    run_both("reads_list", SOCK_STREAM);
}

/* net_bind names ports inside, and nothing else may be bound by any call. */
static int program_binds(char **args)
{
    struct sockaddr_in granted = live_addr("127.0.0.1", args[0]);
    struct sockaddr_in other = live_addr("127.0.0.1", args[1]);
    struct sockaddr_in any = live_addr("127.0.0.1", "0");
    sl_autoclose int fd = bound(SOCK_STREAM, &granted);
    LIVE_CHECK(fd >= 0 && is_named(fd, &granted, own_name) && listen(fd, 1) == 0);
    LIVE_CHECK(bound(SOCK_STREAM, &other) == -EACCES);
    LIVE_CHECK(bound(SOCK_STREAM, &any) == -EACCES);
    sl_autoclose int unbound = socket(AF_INET, SOCK_STREAM, 0);
    LIVE_CHECK(listen(unbound, 1) < 0 && errno == EACCES);
    return 0;
}

static void net_bind_judges_the_name(void **state)
{
    (void)state;
    uint16_t port;
    char text[8];
    char next[8];
    sl_autoclose int taken = live_listen(SOCK_STREAM, "127.0.0.1", &port);
    assert_true(taken >= 0);
    snprintf(text, sizeof(text), "%u", port);
    snprintf(next, sizeof(next), "%u", port == 65535 ? port - 1 : port + 1);
    SL_AUTO(sl_policy)
    policy = live_policy("fs_readable", "/", "port_remap", "true", "net_bind", text, NULL);
    struct live_run run = {.policy = policy, .program = "binds", .args = {text, next}};
    assert_int_equal(live_run(&run), 0);
}

int main(int argc, char **argv)
{
    static const struct live_program programs[] = {
        {"serves", program_serves},
        {"echoes", program_echoes},
        {"reads_list", program_reads_list},
        {"binds", program_binds},
        {NULL, NULL},
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_taken_port_is_free_inside),
        cmocka_unit_test(datagrams_show_the_names_inside),
        cmocka_unit_test(the_list_of_sockets_shows_the_names_inside),
        cmocka_unit_test(net_bind_judges_the_name),
    };
    live_start(argc, argv, programs);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    live_pretend_older();
    return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
