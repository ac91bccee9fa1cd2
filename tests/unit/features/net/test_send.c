/* Sending, live: with an address, with a header, with descriptors. NET-05, NET-06, NET-07, NET-26.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "live.h"

#define BIG (4u << 20) /* more than a socket holds: the sender has to wait */

#define PIECE (64u << 10)

#ifndef MSG_ZEROCOPY
#define MSG_ZEROCOPY 0x4000000
#endif
#ifndef SO_ZEROCOPY
#define SO_ZEROCOPY 60
#endif

static int last_signal;

static void on_signal(int sig)
{
    last_signal = sig;
}

/* ---- datagrams ---- */

static ssize_t send_header(int fd, const void *sa, socklen_t len, const char *text, int flags)
{
    struct iovec iov[2] = {{(void *)text, 1}, {(void *)(text + 1), strlen(text) - 1}};
    struct msghdr msg = {
        .msg_name = (void *)sa, .msg_namelen = len, .msg_iov = iov, .msg_iovlen = 2};
    return sendmsg(fd, &msg, flags);
}

static int program_sends(char **args)
{
    struct sockaddr_in yes = live_addr("127.0.0.1", args[0]);
    struct sockaddr_in no = live_addr("127.0.0.1", args[1]);
    struct sockaddr *yes_sa = (struct sockaddr *)&yes;
    struct sockaddr *no_sa = (struct sockaddr *)&no;
    sl_autoclose int fd = socket(AF_INET, SOCK_DGRAM, 0);
    LIVE_CHECK(sendto(fd, "one", 3, 0, yes_sa, sizeof(yes)) == 3);
    LIVE_CHECK(sendto(fd, "bad", 3, 0, no_sa, sizeof(no)) < 0 && errno == ECONNREFUSED);
    LIVE_CHECK(send_header(fd, &yes, sizeof(yes), "two", 0) == 3);
    LIVE_CHECK(send_header(fd, &no, sizeof(no), "bad", 0) < 0 && errno == ECONNREFUSED);
    /* connected to an allowed peer, named a denied one (NET-07) */
    LIVE_CHECK(connect(fd, yes_sa, sizeof(yes)) == 0);
    LIVE_CHECK(send(fd, "three", 5, 0) == 5);
    LIVE_CHECK(send_header(fd, NULL, 0, "four", 0) == 4);
    LIVE_CHECK(send_header(fd, &no, sizeof(no), "bad", 0) < 0 && errno == ECONNREFUSED);
    /* udp(7) reads AF_UNSPEC as IPv4 */
    no.sin_family = AF_UNSPEC;
    LIVE_CHECK(sendto(fd, "bad", 3, 0, no_sa, sizeof(no)) < 0 && errno == EAFNOSUPPORT);
    no.sin_family = AF_INET;
    /* an IPv4 address on an IPv6 socket (NET-09) */
    sl_autoclose int six = socket(AF_INET6, SOCK_DGRAM, 0);
    LIVE_CHECK(sendto(six, "bad", 3, 0, no_sa, sizeof(no)) < 0 && errno == ECONNREFUSED);
    LIVE_CHECK(sendto(fd, "bad", 3, 0x20000000, no_sa, sizeof(no)) < 0 && errno == EOPNOTSUPP);
    LIVE_CHECK(sendto(fd, "bad", 3, 0, no_sa, 3) < 0 && errno == EINVAL);
    LIVE_CHECK(sendto(fd, "bad", 3, 0, (void *)8, sizeof(no)) < 0 && errno == EFAULT);
    LIVE_CHECK(sendto(fd, (void *)8, 3, 0, yes_sa, sizeof(yes)) < 0 && errno == EFAULT);
    LIVE_CHECK(sendto(fd, "bad", 1u << 20, 0, yes_sa, sizeof(yes)) < 0);
    return 0;
}

static int program_sends_many(char **args)
{
    struct sockaddr_in yes = live_addr("127.0.0.1", args[0]);
    struct sockaddr_in no = live_addr("127.0.0.1", args[1]);
    struct iovec iov[3] = {{"one", 3}, {"bad", 3}, {"bad", 3}};
    struct mmsghdr msgs[3];
    memset(msgs, 0, sizeof(msgs));
    for (int i = 0; i < 3; i++) {
        msgs[i].msg_hdr.msg_name = i == 1 ? &no : &yes;
        msgs[i].msg_hdr.msg_namelen = sizeof(yes);
        msgs[i].msg_hdr.msg_iov = &iov[i];
        msgs[i].msg_hdr.msg_iovlen = 1;
    }
    sl_autoclose int fd = socket(AF_INET, SOCK_DGRAM, 0);
    LIVE_CHECK(sendmmsg(fd, msgs, 3, 0) == 1); /* NET-06: the rest stays unsent */
    LIVE_CHECK(msgs[0].msg_len == 3);
    LIVE_CHECK(sendmmsg(fd, msgs + 1, 2, 0) < 0 && errno == ECONNREFUSED);
    LIVE_CHECK(sendmmsg(fd, msgs, 0, 0) == 0);
    return 0;
}

struct pair {
    int yes;
    int no;
    char rule[32];
    char ports[2][8];
};

static void pair_open(struct pair *p, int type)
{
    uint16_t port[2];
    p->yes = live_listen(type, "127.0.0.1", &port[0]);
    p->no = live_listen(type, "127.0.0.1", &port[1]);
    snprintf(p->rule, sizeof(p->rule), "127.0.0.1:%u", port[0]);
    snprintf(p->ports[0], sizeof(p->ports[0]), "%u", port[0]);
    snprintf(p->ports[1], sizeof(p->ports[1]), "%u", port[1]);
}

static void pair_close(struct pair *p)
{
    close(p->yes);
    close(p->no);
}

static void expect_datagram(int fd, const char *text)
{
    char got[64] = {0};
    assert_int_equal(recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT), strlen(text));
    assert_string_equal(got, text);
}

static void datagrams_reach_allowed_peers_only(void **state)
{
    (void)state;
    struct pair p;
    pair_open(&p, SOCK_DGRAM);
    SL_AUTO(sl_policy) policy = live_policy("fs_readable", "/", "net_allow", p.rule, NULL);
    struct live_run run = {.policy = policy, .program = "sends", .args = {p.ports[0], p.ports[1]}};
    assert_int_equal(live_run(&run), 0);
    expect_datagram(p.yes, "one");
    expect_datagram(p.yes, "two");
    expect_datagram(p.yes, "three");
    expect_datagram(p.yes, "four");
    assert_false(live_was_reached(p.yes, SOCK_DGRAM));
    assert_false(live_was_reached(p.no, SOCK_DGRAM));
    pair_close(&p);
}

static void batch_stops_at_a_denied_message(void **state)
{
    (void)state;
    struct pair p;
    pair_open(&p, SOCK_DGRAM);
    SL_AUTO(sl_policy) policy = live_policy("fs_readable", "/", "net_allow", p.rule, NULL);
    struct live_run run = {
        .policy = policy, .program = "sends_many", .args = {p.ports[0], p.ports[1]}};
    assert_int_equal(live_run(&run), 0);
    expect_datagram(p.yes, "one");
    assert_false(live_was_reached(p.yes, SOCK_DGRAM));
    assert_false(live_was_reached(p.no, SOCK_DGRAM));
    pair_close(&p);
}

/* ---- streams ---- */

static bool drain(int fd, size_t want)
{
    sl_autofree char *room = malloc(65536);
    size_t got = 0;
    for (ssize_t n; room != NULL && got < want && (n = read(fd, room, 65536)) > 0;) {
        for (ssize_t i = 0; i < n; i++) {
            if (room[i] != (char)((got + (size_t)i) % 251)) {
                return false;
            }
        }
        got += (size_t)n;
    }
    return got == want;
}

/* Who shares its table of descriptors, or did, has its messages sent on behalf. */
static bool share_table(const char *how)
{
    if (strcmp(how, "shared") != 0) {
        return true;
    }
    pid_t pid = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, 0);
    if (pid == 0) {
        _exit(0);
    }
    return pid > 0 && waitpid(pid, NULL, 0) == pid;
}

/* More than fits: each call takes a part and waits for room (never this thread of the engine). */
static int program_sends_much(char **args)
{
    int pair[2];
    LIVE_CHECK(share_table(args[0]));
    sl_autofree char *data = malloc(BIG);
    LIVE_CHECK(data != NULL && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    for (size_t i = 0; i < BIG; i++) {
        data[i] = (char)(i % 251);
    }
    pid_t reader = fork();
    LIVE_CHECK(reader >= 0);
    if (reader == 0) {
        close(pair[0]);
        _exit(drain(pair[1], BIG) ? 0 : 1);
    }
    close(pair[1]);
    for (size_t sent = 0; sent < BIG;) {
        struct iovec iov = {data + sent, BIG - sent};
        struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
        ssize_t n = sendmsg(pair[0], &msg, 0);
        LIVE_CHECK(n > 0);
        sent += (size_t)n;
    }
    int status;
    LIVE_CHECK(waitpid(reader, &status, 0) == reader && status == 0);
    return 0;
}

static int program_breaks_pipe(char **args)
{
    int pair[2];
    LIVE_CHECK(share_table(args[0]));
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGPIPE, &action, NULL);
    LIVE_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    close(pair[1]);
    LIVE_CHECK(send_header(pair[0], NULL, 0, "x ", MSG_NOSIGNAL) < 0 && errno == EPIPE);
    LIVE_CHECK(last_signal == 0);
    LIVE_CHECK(send_header(pair[0], NULL, 0, "x ", 0) < 0 && errno == EPIPE);
    LIVE_CHECK(last_signal == SIGPIPE);
    return 0;
}

static char *const tables[] = {"own", "shared"};

static void streams_wait_and_break_as_bare_ones(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) policy = live_policy("fs_readable", "/", "net_allow", "192.0.2.1:1", NULL);
    static const char *const programs[] = {"sends_much", "breaks_pipe"};
    for (size_t i = 0; i < 4; i++) {
        struct live_run run = {
            .policy = policy, .program = programs[i / 2], .args = {tables[i % 2]}};
        assert_int_equal(live_run(&run), 0);
    }
}

/* ---- ancillary data ---- */

struct control {
    _Alignas(struct cmsghdr) char bytes[256];
    size_t len;
};

static void put_control(struct control *c, int level, int type, const void *data, size_t len)
{
    struct cmsghdr h = {.cmsg_len = CMSG_LEN(len), .cmsg_level = level, .cmsg_type = type};
    c->len = CMSG_ALIGN(c->len);
    memcpy(c->bytes + c->len, &h, sizeof(h));
    memcpy(c->bytes + c->len + sizeof(h), data, len);
    c->len += h.cmsg_len; /* no padding behind the last one: the kernel takes that */
}

static int send_control(int fd, struct control *c)
{
    struct iovec iov = {"x", 1};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = c->bytes, .msg_controllen = c->len};
    return sendmsg(fd, &msg, 0) < 0 ? errno : 0;
}

/* The descriptors that came: how many, and whether each is the file of ours. */
static int received(int fd, const struct stat *ours, int *ret_strangers)
{
    _Alignas(struct cmsghdr) char room[1024];
    char byte;
    int count = 0;
    struct iovec iov = {&byte, 1};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room)};
    *ret_strangers = 0;
    if (recvmsg(fd, &msg, MSG_DONTWAIT) != 1) {
        return -1;
    }
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c != NULL; c = CMSG_NXTHDR(&msg, c)) {
        for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
            int got;
            struct stat st;
            memcpy(&got, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            if (fstat(got, &st) < 0 || st.st_ino != ours->st_ino || st.st_dev != ours->st_dev) {
                (*ret_strangers)++;
            }
            close(got);
            count++;
        }
    }
    return count;
}

/* Numbers in a message are the sender's own descriptors, never the engine's. */
static int program_passes_descriptors(char **args)
{
    int pair[2];
    int strangers;
    struct stat st;
    LIVE_CHECK(share_table(args[0]));
    int file = open("/etc/passwd", O_RDONLY);
    LIVE_CHECK(file >= 0 && fstat(file, &st) == 0);
    LIVE_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    struct control c = {.len = 0};
    put_control(&c, SOL_SOCKET, SCM_RIGHTS, (int[]){file, file}, 2 * sizeof(int));
    LIVE_CHECK(send_control(pair[0], &c) == 0);
    LIVE_CHECK(received(pair[1], &st, &strangers) == 2 && strangers == 0);
    /* two headers, the last without padding */
    c.len = 0;
    put_control(&c, SOL_SOCKET, SCM_RIGHTS, &file, sizeof(int));
    put_control(&c, SOL_SOCKET, SCM_RIGHTS, &file, sizeof(int));
    LIVE_CHECK(send_control(pair[0], &c) == 0);
    LIVE_CHECK(received(pair[1], &st, &strangers) == 2 && strangers == 0);
    /* numbers that only the engine has open */
    for (int fd = 3; fd < 64; fd++) {
        if (fcntl(fd, F_GETFD) >= 0) {
            continue;
        }
        c.len = 0;
        put_control(&c, SOL_SOCKET, SCM_RIGHTS, &file, sizeof(int));
        put_control(&c, SOL_SOCKET, SCM_RIGHTS, &fd, sizeof(int));
        LIVE_CHECK(send_control(pair[0], &c) == EBADF);
        LIVE_CHECK(received(pair[1], &st, &strangers) == -1);
    }
    return 0;
}

static int program_lies(char **args)
{
    int pair[2];
    struct ucred cred = {.pid = getpid(), .uid = getuid(), .gid = getgid()};
    struct control c = {.len = 0};
    (void)args;
    LIVE_CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
    put_control(&c, SOL_SOCKET, SCM_CREDENTIALS, &cred, sizeof(cred));
    LIVE_CHECK(send_control(pair[0], &c) == EPERM);
    c.len = 0;
    put_control(&c, SOL_SOCKET, SCM_RIGHTS, &pair[0], sizeof(int));
    ((struct cmsghdr *)c.bytes)->cmsg_len = 1000;
    LIVE_CHECK(send_control(pair[0], &c) == EINVAL);
    ((struct cmsghdr *)c.bytes)->cmsg_len = 3;
    LIVE_CHECK(send_control(pair[0], &c) == EINVAL);
    char byte;
    LIVE_CHECK(recv(pair[1], &byte, 1, MSG_DONTWAIT) < 0);
    return 0;
}

static void descriptors_are_the_senders(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) policy = live_policy("fs_readable", "/", "net_allow", "192.0.2.1:1", NULL);
    for (size_t i = 0; i < 2; i++) {
        struct live_run run = {
            .policy = policy, .program = "passes_descriptors", .args = {tables[i]}};
        assert_int_equal(live_run(&run), 0);
    }
    assert_int_equal(live_run(&(struct live_run){.policy = policy, .program = "lies"}), 0);
}

/* Whom the receiver sees, with more than one message of each kind of table. */
static int program_says_who_it_is(char **args)
{
    int pair[2];
    int on = 1;
    char byte;
    LIVE_CHECK(share_table(args[0]));
    LIVE_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0);
    LIVE_CHECK(setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == 0);
    for (int i = 0; i < 3; i++) {
        _Alignas(struct cmsghdr) char room[128];
        struct ucred cred;
        struct iovec iov = {&byte, 1};
        struct msghdr msg = {
            .msg_iov = &iov, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room)};
        LIVE_CHECK(send_header(pair[0], NULL, 0, "x ", 0) == 2);
        LIVE_CHECK(recvmsg(pair[1], &msg, 0) == 1 && CMSG_FIRSTHDR(&msg) != NULL);
        memcpy(&cred, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(cred));
        LIVE_CHECK((cred.pid == getpid()) == (strcmp(args[0], "own") == 0));
    }
    return 0;
}

static void messages_tell_who_sent_them(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) policy = live_policy("fs_readable", "/", "net_allow", "192.0.2.1:1", NULL);
    for (size_t i = 0; i < 2; i++) {
        struct live_run run = {.policy = policy, .program = "says_who_it_is", .args = {tables[i]}};
        assert_int_equal(live_run(&run), 0);
    }
}

/* IP options in a message would turn the packet; a time to live would not. */
static int program_turns_packets(char **args)
{
    struct sockaddr_in yes = live_addr("127.0.0.1", args[0]);
    sl_autoclose int fd = socket(AF_INET, SOCK_DGRAM, 0);
    int ttl = 9;
    struct control c = {.len = 0};
    LIVE_CHECK(connect(fd, (struct sockaddr *)&yes, sizeof(yes)) == 0);
    put_control(&c, IPPROTO_IP, IP_TTL, &ttl, sizeof(ttl));
    LIVE_CHECK(send_control(fd, &c) == 0);
    c.len = 0;
    put_control(&c, IPPROTO_IP, IP_RETOPTS, "\x83\x07\x04\x7f\x00\x00\x01", 7);
    LIVE_CHECK(send_control(fd, &c) == EPERM);
    c.len = 0;
    put_control(&c, SOL_SOCKET, SO_MARK, &ttl, sizeof(ttl));
    LIVE_CHECK(send_control(fd, &c) == EPERM);
    return 0;
}

static void packets_cannot_be_turned(void **state)
{
    (void)state;
    struct pair p;
    pair_open(&p, SOCK_DGRAM);
    SL_AUTO(sl_policy) policy = live_policy("fs_readable", "/", "net_allow", p.rule, NULL);
    struct live_run run = {.policy = policy, .program = "turns_packets", .args = {p.ports[0]}};
    assert_int_equal(live_run(&run), 0);
    expect_datagram(p.yes, "x");
    assert_false(live_was_reached(p.yes, SOCK_DGRAM));
    pair_close(&p);
}

/* The kernel would go on reading the engine's copy after the call, when it is somebody else's
 * memory already: bytes that were sent must stay what they were. */
static int program_sends_lazily(char **args)
{
    struct sockaddr_in yes = live_addr("127.0.0.1", args[0]);
    sl_autofree char *data = malloc(PIECE);
    int one = 1;
    sl_autoclose int fd = live_connect(&yes, SOCK_STREAM);
    sl_autoclose int other = live_connect(&yes, SOCK_STREAM);
    LIVE_CHECK(data != NULL && fd >= 0 && other >= 0);
    if (setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)) < 0) {
        LIVE_CHECK(errno == EPERM);
    }
    struct iovec iov = {data, PIECE};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    memset(data, 'A', PIECE);
    while (sendmsg(fd, &msg, MSG_ZEROCOPY | MSG_DONTWAIT) > 0) {
    }
    memset(data, 'B', PIECE);
    while (sendmsg(other, &msg, MSG_DONTWAIT) > 0) {
    }
    return 0;
}

static void sent_bytes_do_not_change(void **state)
{
    (void)state;
    char room[4096];
    struct pair p;
    pair_open(&p, SOCK_STREAM);
    SL_AUTO(sl_policy) policy = live_policy("fs_readable", "/", "net_allow", p.rule, NULL);
    struct live_run run = {.policy = policy, .program = "sends_lazily", .args = {p.ports[0]}};
    assert_int_equal(live_run(&run), 0);
    sl_autoclose int fd = accept(p.yes, NULL, NULL);
    assert_true(fd >= 0);
    size_t total = 0;
    for (ssize_t n; (n = recv(fd, room, sizeof(room), 0)) > 0;) {
        for (ssize_t i = 0; i < n; i++) {
            assert_int_equal(room[i], 'A');
        }
        total += (size_t)n;
    }
    assert_true(total > PIECE);
    pair_close(&p);
}

int main(int argc, char **argv)
{
    static const struct live_program programs[] = {
        {"sends", program_sends},
        {"sends_many", program_sends_many},
        {"sends_much", program_sends_much},
        {"breaks_pipe", program_breaks_pipe},
        {"passes_descriptors", program_passes_descriptors},
        {"lies", program_lies},
        {"says_who_it_is", program_says_who_it_is},
        {"turns_packets", program_turns_packets},
        {"sends_lazily", program_sends_lazily},
        {NULL, NULL},
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(datagrams_reach_allowed_peers_only),
        cmocka_unit_test(batch_stops_at_a_denied_message),
        cmocka_unit_test(streams_wait_and_break_as_bare_ones),
        cmocka_unit_test(descriptors_are_the_senders),
        cmocka_unit_test(messages_tell_who_sent_them),
        cmocka_unit_test(packets_cannot_be_turned),
        cmocka_unit_test(sent_bytes_do_not_change),
    };
    live_start(argc, argv, programs);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    live_pretend_older();
    return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
