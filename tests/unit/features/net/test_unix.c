/* Unix sockets by path, live: the tree's own and named ones are reached, whoever else listens hears
 * nothing; datagrams with it, behind the gate and without. NET-28. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "kernel/landlock.h"
#include "live.h"

static struct sockaddr_un address(const char *path)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
    return sa;
}

/* A server at this path. */
static int serve(const char *path, int type)
{
    struct sockaddr_un sa = address(path);
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
        (type != SOCK_DGRAM && listen(fd, 8) < 0)) {
        return -errno;
    }
    return fd;
}

static int reach(const char *path, int type)
{
    struct sockaddr_un sa = address(path);
    sl_autoclose int fd = socket(AF_UNIX, type, 0);
    return connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ? errno : 0;
}

static int send_to(int fd, const char *path)
{
    struct sockaddr_un sa = address(path);
    return sendto(fd, "sendto", 6, 0, (struct sockaddr *)&sa, sizeof(sa)) < 0 ? errno : 0;
}

static int send_header(int fd, const char *path)
{
    struct sockaddr_un sa = address(path);
    struct iovec iov = {.iov_base = "sendmsg", .iov_len = 7};
    struct msghdr msg = {
        .msg_name = &sa, .msg_namelen = sizeof(sa), .msg_iov = &iov, .msg_iovlen = 1};
    return sendmsg(fd, &msg, 0) < 0 ? errno : 0;
}

static int send_many(int fd, const char *path)
{
    struct sockaddr_un sa = address(path);
    struct iovec iov = {.iov_base = "sendmmsg", .iov_len = 8};
    struct mmsghdr msg = {
        .msg_hdr = {.msg_name = &sa, .msg_namelen = sizeof(sa), .msg_iov = &iov, .msg_iovlen = 1}};
    return sendmmsg(fd, &msg, 1, 0) < 0 ? errno : 0;
}

static bool hears(int fd, const char *text)
{
    char got[32];
    ssize_t n = recv(fd, got, sizeof(got), MSG_DONTWAIT);
    return n == (ssize_t)strlen(text) && memcmp(got, text, (size_t)n) == 0;
}

/* ---- the directory of one test ---- */

struct place {
    char dir[40];
    char stranger[64]; /* somebody outside listens there */
    char mail[64];     /* and takes datagrams here */
    int listener;
    int mailbox;
};

static void place_init(struct place *p)
{
    *p = (struct place){.dir = "/tmp/sandlock-unix-XXXXXX"};
    assert_non_null(mkdtemp(p->dir));
    snprintf(p->stranger, sizeof(p->stranger), "%s/stranger", p->dir);
    snprintf(p->mail, sizeof(p->mail), "%s/mail", p->dir);
    p->listener = serve(p->stranger, SOCK_STREAM);
    p->mailbox = serve(p->mail, SOCK_DGRAM);
    assert_true(p->listener >= 0 && p->mailbox >= 0);
}

static void place_done(struct place *p)
{
    char path[64];
    static const char *const names[] = {"stranger", "mail", "own", "own-mail", "link"};
    sl_close(p->listener);
    sl_close(p->mailbox);
    for (size_t i = 0; i < SL_ARRAY_LEN(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", p->dir, names[i]);
        unlink(path);
    }
    assert_int_equal(rmdir(p->dir), 0);
}

/* ---- streams ---- */

static int program_serves_itself(char **args)
{
    char path[64];
    LIVE_CHECK(chdir(args[0]) == 0);
    LIVE_CHECK(reach("own", SOCK_STREAM) == ENOENT);
    int own = serve("own", SOCK_STREAM);
    LIVE_CHECK(own >= 0 && reach("own", SOCK_STREAM) == 0);
    LIVE_CHECK(reach("own", SOCK_SEQPACKET) == ECONNREFUSED); /* nobody of this kind */
    LIVE_CHECK(reach("stranger", SOCK_STREAM) == EACCES);
    LIVE_CHECK(symlink("stranger", "link") == 0 && reach("link", SOCK_STREAM) == EACCES);
    sl_autoclose int mine = open("own", O_PATH | O_CLOEXEC);
    sl_autoclose int other = open("stranger", O_PATH | O_CLOEXEC);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", mine);
    LIVE_CHECK(mine >= 0 && reach(path, SOCK_STREAM) == 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", other);
    LIVE_CHECK(other >= 0 && reach(path, SOCK_STREAM) == EACCES);
    close(own); /* its file is left: servers that start look whether anybody answers */
    LIVE_CHECK(reach("own", SOCK_STREAM) == ECONNREFUSED);
    /* the name of the own one, the socket of the other */
    LIVE_CHECK(rename("stranger", "own") == 0 && reach("own", SOCK_STREAM) == EACCES);
    LIVE_CHECK(rename("own", "stranger") == 0);
    return 0;
}

static void listeners_of_the_tree_are_in_reach(void **state)
{
    static const char *const rules[] = {NULL, "192.0.2.1:1"};
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(rules); i++) {
        struct place p;
        place_init(&p);
        SL_AUTO(sl_policy)
        policy = live_policy("fs_readable", "/", "fs_writable", p.dir,
                             rules[i] == NULL ? NULL : "net_allow", rules[i], NULL);
        struct live_run run = {.policy = policy, .program = "serves_itself", .args = {p.dir}};
        assert_int_equal(live_run(&run), 0);
        assert_false(live_was_reached(p.listener, SOCK_STREAM));
        place_done(&p);
    }
}

/* ---- the gate ---- */

static int program_sends_datagrams(char **args)
{
    int pair[2];
    bool gated = sl_landlock_abi() < SL_LANDLOCK_ABI_UNIX;
    LIVE_CHECK(chdir(args[0]) == 0);
    sl_autoclose int own = serve("own-mail", SOCK_DGRAM);
    sl_autoclose int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    LIVE_CHECK(own >= 0 && fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
    LIVE_CHECK(send_to(fd, "own-mail") == 0 && hears(own, "sendto"));
    LIVE_CHECK(send_to(fd, "mail") == EACCES);
    LIVE_CHECK(send_header(fd, "mail") == (gated ? EPIPE : EACCES));
    LIVE_CHECK(send_many(fd, "mail") == (gated ? EPIPE : EACCES));
    LIVE_CHECK(reach("mail", SOCK_DGRAM) == EACCES);
    LIVE_CHECK(send_to(fd, "missing") == ENOENT);
    LIVE_CHECK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) == 0);
    LIVE_CHECK(fcntl(pair[0], F_GETFD) == FD_CLOEXEC);
    LIVE_CHECK(send(pair[0], "a", 1, 0) == 1 && send(pair[0], "bc", 2, 0) == 2);
    LIVE_CHECK(hears(pair[1], "a") && hears(pair[1], "bc"));
    LIVE_CHECK(send_to(pair[0], "mail") != 0 || hears(pair[1], "sendto"));
    LIVE_CHECK(send_header(pair[0], "mail") != 0 || hears(pair[1], "sendmsg"));
    LIVE_CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 99, pair) < 0 && errno == EPROTONOSUPPORT);
    LIVE_CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, NULL) < 0 && errno == EFAULT);
    return 0;
}

static void datagrams_of_the_tree_by_the_gate(void **state)
{
    struct place p;
    (void)state;
    place_init(&p);
    SL_AUTO(sl_policy) policy = live_policy("fs_readable", "/", "fs_writable", p.dir, NULL);
    struct live_run run = {.policy = policy, .program = "sends_datagrams", .args = {p.dir}};
    assert_int_equal(live_run(&run), 0);
    assert_false(live_was_reached(p.mailbox, SOCK_DGRAM));
    place_done(&p);
}

/* ---- named sockets ---- */

static int program_sends_to_named(char **args)
{
    LIVE_CHECK(chdir(args[0]) == 0);
    sl_autoclose int own = serve("own-mail", SOCK_DGRAM);
    sl_autoclose int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    LIVE_CHECK(own >= 0 && fd >= 0);
    LIVE_CHECK(send_to(fd, "mail") == 0 && send_header(fd, "mail") == 0);
    LIVE_CHECK(send_many(fd, "mail") == 0 && reach("mail", SOCK_DGRAM) == 0);
    LIVE_CHECK(send_header(fd, "own-mail") == 0 && hears(own, "sendmsg"));
    LIVE_CHECK(reach("stranger", SOCK_STREAM) == EACCES); /* which is not named */
    return 0;
}

static void datagrams_to_a_named_socket(void **state)
{
    (void)state;
    for (int way = 0; way < 2; way++) {
        struct place p;
        char rule[80];
        place_init(&p);
        snprintf(rule, sizeof(rule), "unix:%s/m*l", p.dir);
        SL_AUTO(sl_policy)
        policy =
            live_policy("fs_readable", "/", "fs_writable", p.dir,
                        way == 0 ? "net_allow" : "fs_writable", way == 0 ? rule : p.mail, NULL);
        struct live_run run = {.policy = policy, .program = "sends_to_named", .args = {p.dir}};
        assert_int_equal(live_run(&run), 0);
        assert_true(hears(p.mailbox, "sendto") && hears(p.mailbox, "sendmsg"));
        assert_true(hears(p.mailbox, "sendmmsg"));
        assert_false(live_was_reached(p.listener, SOCK_STREAM));
        place_done(&p);
    }
}

/* What is denied is denied by any name. */
static int program_goes_to_denied(char **args)
{
    LIVE_CHECK(chdir(args[0]) == 0);
    LIVE_CHECK(reach("stranger", SOCK_STREAM) == EACCES);
    return 0;
}

static void a_denial_wins_over_a_name(void **state)
{
    struct place p;
    char rule[80];
    (void)state;
    place_init(&p);
    snprintf(rule, sizeof(rule), "unix:%s", p.stranger);
    SL_AUTO(sl_policy)
    policy = live_policy("fs_readable", "/", "fs_denied", p.stranger, "net_allow", rule, NULL);
    struct live_run run = {.policy = policy, .program = "goes_to_denied", .args = {p.dir}};
    assert_int_equal(live_run(&run), 0);
    assert_false(live_was_reached(p.listener, SOCK_STREAM));
    place_done(&p);
}

int main(int argc, char **argv)
{
    static const struct live_program programs[] = {
        {"serves_itself", program_serves_itself},
        {"sends_datagrams", program_sends_datagrams},
        {"sends_to_named", program_sends_to_named},
        {"goes_to_denied", program_goes_to_denied},
        {NULL, NULL},
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(listeners_of_the_tree_are_in_reach),
        cmocka_unit_test(datagrams_of_the_tree_by_the_gate),
        cmocka_unit_test(datagrams_to_a_named_socket),
        cmocka_unit_test(a_denial_wins_over_a_name),
    };
    live_start(argc, argv, programs);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    live_pretend_older();
    return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
