/* What goes through our own ends, live: a steered connection shows the peer that was asked for, a
 * resolver sees its server's answers, a listener of the tree may be reached by the tree. NET-08,
 * NET-20, DNS-03. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "live.h"
#include "policy/synth.h"

#define SERVER  "192.0.2.53" /* nobody: whoever answers is us */
#define WEBSITE "192.0.2.80"

/* ---- a gateway of a few lines: every flow and question is echoed ---- */

static void *echo(void *arg)
{
    char room[512];
    int fd = (int)(intptr_t)arg;
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        poll(&p, 1, -1);
        ssize_t n = recv(fd, room, sizeof(room), 0);
        if (n == 0 || (n < 0 && errno != EAGAIN) ||
            (n > 0 && send(fd, room, (size_t)n, MSG_NOSIGNAL) < 0)) {
            close(fd);
            return NULL;
        }
    }
}

static int start_echo(int fd)
{
    pthread_t thread;
    int mine = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (mine < 0 || pthread_create(&thread, NULL, echo, (void *)(intptr_t)mine) != 0) {
        sl_close(mine);
        return -EACCES;
    }
    pthread_detach(thread);
    return 0;
}

static int on_flow(void *arg, const struct sl_link_flow *flow, int fd)
{
    sl_addr want;
    (void)arg;
    if (sl_addr_parse(WEBSITE, &want) < 0 || !sl_addr_equal(&flow->addr, &want) ||
        flow->port != 80) {
        return -EINVAL;
    }
    return start_echo(fd);
}

static int on_dns(void *arg, const struct sl_link_dns *dns, int fd)
{
    (void)arg;
    (void)dns;
    return start_echo(fd);
}

static void give_names(sl_sandbox *sb, void *arg)
{
    int fd = sl_synth_create();
    (void)arg;
    sl_sandbox_set_synth(sb, fd < 0 ? NULL : sl_synth_map_open(fd, true));
    sl_close(fd);
}

static const sl_supervisor_hooks gateway = {.flow = on_flow, .dns = on_dns};

static bool is_peer(const struct sockaddr_in *sa, const char *addr, uint16_t port)
{
    char text[INET_ADDRSTRLEN];
    return sa->sin_family == AF_INET && ntohs(sa->sin_port) == port &&
           strcmp(inet_ntop(AF_INET, &sa->sin_addr, text, sizeof(text)), addr) == 0;
}

/* ---- steered connections ---- */

static int program_is_steered(char **args)
{
    struct sockaddr_in web = live_addr(WEBSITE, "80");
    struct sockaddr_in other = live_addr(WEBSITE, "81");
    struct sockaddr_in peer = {0};
    socklen_t len = sizeof(peer);
    char byte;
    (void)args;
    sl_autoclose int fd = live_connect(&web, SOCK_STREAM);
    LIVE_CHECK(fd >= 0);
    LIVE_CHECK(getpeername(fd, (struct sockaddr *)&peer, &len) == 0 && len == sizeof(peer));
    LIVE_CHECK(is_peer(&peer, WEBSITE, 80));
    LIVE_CHECK(send(fd, "e", 1, 0) == 1 && recv(fd, &byte, 1, 0) == 1 && byte == 'e');
    len = 4; /* room for a part only: the whole length is told, getpeername(2) */
    memset(&peer, 0, sizeof(peer));
    LIVE_CHECK(getpeername(fd, (struct sockaddr *)&peer, &len) == 0 && len == sizeof(peer));
    LIVE_CHECK(peer.sin_addr.s_addr == 0);
    LIVE_CHECK(getpeername(fd, (void *)8, &len) < 0 && errno == EFAULT);
    LIVE_CHECK(connect(fd, (struct sockaddr *)&web, sizeof(web)) < 0 && errno == EISCONN);
    /* without a peer the next connect is judged afresh (NET-08) */
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    LIVE_CHECK(connect(fd, &none, sizeof(none)) == 0);
    LIVE_CHECK(getpeername(fd, (struct sockaddr *)&peer, &len) < 0 && errno == ENOTCONN);
    LIVE_CHECK(connect(fd, (struct sockaddr *)&other, sizeof(other)) < 0 && errno == ECONNREFUSED);
    /* a socket pair has the kernel's own answer */
    int pair[2];
    struct sockaddr_storage sa;
    len = sizeof(sa);
    LIVE_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    LIVE_CHECK(getpeername(pair[0], (struct sockaddr *)&sa, &len) == 0 && sa.ss_family == AF_UNIX);
    LIVE_CHECK(getpeername(1000, (struct sockaddr *)&sa, &len) < 0 && errno == EBADF);
    return 0;
}

static void steered_socket_shows_the_asked_peer(void **state)
{
    (void)state;
    SL_AUTO(sl_policy)
    policy = live_policy("fs_readable", "/", "http_allow", "GET http://" WEBSITE "/*", NULL);
    struct live_run run = {
        .policy = policy, .program = "is_steered", .prepare = give_names, .hooks = gateway};
    assert_int_equal(live_run(&run), 0);
}

/* ---- resolvers ---- */

static int program_asks_from(char **args)
{
    struct sockaddr_in server = live_addr(SERVER, "53");
    struct sockaddr_in from = {0};
    socklen_t len = sizeof(from);
    char room[64];
    (void)args;
    sl_autoclose int fd = socket(AF_INET, SOCK_DGRAM, 0);
    for (int i = 0; i < 3; i++) {
        LIVE_CHECK(sendto(fd, "ask", 3, 0, (struct sockaddr *)&server, sizeof(server)) == 3);
        LIVE_CHECK(recvfrom(fd, room, sizeof(room), 0, (struct sockaddr *)&from, &len) == 3);
        LIVE_CHECK(is_peer(&from, SERVER, 53) && memcmp(room, "ask", 3) == 0);
    }
    /* cut short, and said so */
    LIVE_CHECK(sendto(fd, "question", 8, 0, (struct sockaddr *)&server, sizeof(server)) == 8);
    LIVE_CHECK(recvfrom(fd, room, 4, MSG_TRUNC, (struct sockaddr *)&from, &len) == 8);
    LIVE_CHECK(recvfrom(fd, room, 4, MSG_DONTWAIT, (struct sockaddr *)&from, &len) < 0 &&
               errno == EAGAIN);
    return 0;
}

static int program_asks_msg(char **args)
{
    struct sockaddr_in server = live_addr(SERVER, "53");
    struct sockaddr_in from = {0};
    char left[2] = {0};
    char right[64] = {0};
    struct iovec iov[2] = {{left, sizeof(left)}, {right, sizeof(right)}};
    struct mmsghdr msg = {.msg_hdr = {.msg_iov = iov, .msg_iovlen = 2}};
    (void)args;
    sl_autoclose int fd = socket(AF_INET, SOCK_DGRAM, 0);
    LIVE_CHECK(sendto(fd, "asking", 6, 0, (struct sockaddr *)&server, sizeof(server)) == 6);
    msg.msg_hdr.msg_name = &from;
    msg.msg_hdr.msg_namelen = sizeof(from);
    LIVE_CHECK(recvmsg(fd, &msg.msg_hdr, 0) == 6);
    LIVE_CHECK(is_peer(&from, SERVER, 53) && msg.msg_hdr.msg_namelen == sizeof(from));
    LIVE_CHECK(memcmp(left, "as", 2) == 0 && memcmp(right, "king", 4) == 0);
    LIVE_CHECK(msg.msg_hdr.msg_flags == 0 && msg.msg_hdr.msg_controllen == 0);
    memset(&from, 0, sizeof(from));
    LIVE_CHECK(sendto(fd, "again", 5, 0, (struct sockaddr *)&server, sizeof(server)) == 5);
    LIVE_CHECK(recvmmsg(fd, &msg, 1, 0, NULL) == 1 && msg.msg_len == 5);
    LIVE_CHECK(is_peer(&from, SERVER, 53));
    /* a plain socket receives by itself */
    int pair[2];
    struct iovec one = {right, sizeof(right)};
    struct msghdr plain = {.msg_iov = &one, .msg_iovlen = 1};
    LIVE_CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0 && write(pair[0], "plain", 5) == 5);
    LIVE_CHECK(recvmsg(pair[1], &plain, 0) == 5);
    return 0;
}

/* Connected, by UDP and by TCP: whatever server was named, ours answers (DNS-03). */
static int program_asks_connected(char **args)
{
    struct sockaddr_in server = live_addr(SERVER, "53");
    struct sockaddr_in peer = {0};
    socklen_t len = sizeof(peer);
    char room[8];
    static const int types[] = {SOCK_DGRAM, SOCK_STREAM};
    (void)args;
    for (size_t i = 0; i < SL_ARRAY_LEN(types); i++) {
        sl_autoclose int fd = live_connect(&server, types[i]);
        LIVE_CHECK(fd >= 0);
        LIVE_CHECK(getpeername(fd, (struct sockaddr *)&peer, &len) == 0);
        LIVE_CHECK(is_peer(&peer, SERVER, 53));
        LIVE_CHECK(send(fd, "ask", 3, 0) == 3 && recv(fd, room, sizeof(room), 0) == 3);
    }
    return 0;
}

static int ask(const char *program)
{
    SL_AUTO(sl_policy)
    policy = live_policy("fs_readable", "/", "net_allow", "example.com:443", NULL);
    return live_run(&(struct live_run){
        .policy = policy, .program = program, .prepare = give_names, .hooks = gateway});
}

static void answers_come_from_the_asked_server(void **state)
{
    (void)state;
    assert_int_equal(ask("asks_from"), 0);
}

static void messages_come_from_the_asked_server(void **state)
{
    (void)state;
    assert_int_equal(ask("asks_msg"), 0);
}

static void connected_questions_are_answered(void **state)
{
    (void)state;
    assert_int_equal(ask("asks_connected"), 0);
}

/* ---- listeners of the tree ---- */

static int program_serves_itself(char **args)
{
    struct sockaddr_in sa = live_addr("127.0.0.1", "0");
    struct sockaddr_in stranger = live_addr("127.0.0.1", args[0]);
    socklen_t len = sizeof(sa);
    sl_autoclose int fd = socket(AF_INET, SOCK_STREAM, 0);
    LIVE_CHECK(bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0);
    LIVE_CHECK(getsockname(fd, (struct sockaddr *)&sa, &len) == 0);
    LIVE_CHECK(live_connect(&sa, SOCK_STREAM) == -ECONNREFUSED);
    LIVE_CHECK(listen(fd, 4) == 0);
    sl_autoclose int there = live_connect(&sa, SOCK_STREAM);
    LIVE_CHECK(there >= 0);
    sl_autoclose int here = accept(fd, NULL, NULL);
    LIVE_CHECK(here >= 0 && send(there, "x", 1, 0) == 1);
    LIVE_CHECK(live_connect(&stranger, SOCK_STREAM) == -ECONNREFUSED);
    LIVE_CHECK(listen(1000, 4) < 0 && errno == EBADF);
    return 0;
}

/* NET-20: where binding is restricted, listen(2) does not choose a port by itself. */
static int program_listens_unbound(char **args)
{
    (void)args;
    sl_autoclose int fd = socket(AF_INET, SOCK_STREAM, 0);
    LIVE_CHECK(listen(fd, 4) < 0 && errno == EACCES);
    struct sockaddr_in any = live_addr("0.0.0.0", "0");
    LIVE_CHECK(bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0 && errno == EACCES);
    return 0;
}

static void tree_reaches_its_own_listeners(void **state)
{
    (void)state;
    char text[8];
    uint16_t port;
    sl_autoclose int stranger = live_listen(SOCK_STREAM, "127.0.0.1", &port);
    snprintf(text, sizeof(text), "%u", port);
    SL_AUTO(sl_policy) policy = live_policy("fs_readable", "/", "net_allow", "192.0.2.1:1", NULL);
    struct live_run run = {.policy = policy, .program = "serves_itself", .args = {text}};
    assert_int_equal(live_run(&run), 0);
    assert_false(live_was_reached(stranger, SOCK_STREAM));
}

static void restricted_binding_covers_listen(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) policy = live_policy("fs_readable", "/", "net_allow", "", NULL);
    SL_AUTO(sl_policy) bind = live_policy("fs_readable", "/", "net_bind", "8080", NULL);
    assert_int_equal(live_run(&(struct live_run){.policy = policy, .program = "listens_unbound"}),
                     0);
    assert_int_equal(live_run(&(struct live_run){.policy = bind, .program = "listens_unbound"}), 0);
}

int main(int argc, char **argv)
{
    static const struct live_program programs[] = {
        {"is_steered", program_is_steered},
        {"asks_from", program_asks_from},
        {"asks_msg", program_asks_msg},
        {"asks_connected", program_asks_connected},
        {"serves_itself", program_serves_itself},
        {"listens_unbound", program_listens_unbound},
        {NULL, NULL},
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(steered_socket_shows_the_asked_peer),
        cmocka_unit_test(answers_come_from_the_asked_server),
        cmocka_unit_test(messages_come_from_the_asked_server),
        cmocka_unit_test(connected_questions_are_answered),
        cmocka_unit_test(tree_reaches_its_own_listeners),
        cmocka_unit_test(restricted_binding_covers_listen),
    };
    live_start(argc, argv, programs);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    live_pretend_older();
    return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
