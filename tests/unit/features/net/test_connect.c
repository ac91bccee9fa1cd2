/* connect(2), live: what a rule names is reached, what none names hears nothing. The canary with
 * it. NET-01, NET-09, NET-14, NET-16, NET-17, NET-21, SUP-04. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "live.h"

#define ROUNDS 2000

static void port_text(uint16_t port, char out[8])
{
    snprintf(out, 8, "%u", port);
}

static void rule_text(uint16_t port, char out[32])
{
    snprintf(out, 32, "127.0.0.1:%u", port);
}

/* ---- the canary ---- */

static int program_nothing(char **args)
{
    (void)args;
    return 0;
}

static int program_asks_canary(char **args)
{
    (void)args;
    struct sockaddr sa = {.sa_family = AF_UNSPEC};
    LIVE_CHECK(connect(-1, &sa, sizeof(sa)) < 0 && errno == EBADF);
    LIVE_CHECK(syscall(425, 0, NULL) < 0 && errno == EPERM); /* io_uring_setup */
    return 0;
}

static void canary_stands_in_every_run(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) files = live_policy("fs_readable", "/", "max_processes", "0", NULL);
    SL_AUTO(sl_policy) net = live_policy("fs_readable", "/", "net_allow", "192.0.2.1:1", NULL);
    assert_int_equal(live_run(&(struct live_run){.policy = files, .program = "nothing"}), 0);
    assert_int_equal(live_run(&(struct live_run){.policy = files, .program = "asks_canary"}), 0);
    assert_int_equal(live_run(&(struct live_run){.policy = net, .program = "asks_canary"}), 0);
}

/* A file that the child can open after all: the run does not start (SUP-04). */
static void writable_canary_stops_the_run(void **state)
{
    (void)state;
    char path[] = "/tmp/sandlock-canary-XXXXXX";
    sl_autoclose int fd = mkostemp(path, O_CLOEXEC);
    assert_true(fd >= 0);
    SL_AUTO(sl_policy)
    policy = live_policy("fs_readable", "/", "fs_writable", "/tmp", "max_processes", "0", NULL);
    struct live_run run = {.policy = policy, .program = "nothing", .canary = path};
    assert_int_equal(live_run(&run), -1);
    assert_non_null(strstr(run.error, "Landlock does not hold"));
    unlink(path);
}

/* ---- addresses ---- */

static int program_connects(char **args)
{
    struct sockaddr_in allowed = live_addr("127.0.0.1", args[0]);
    struct sockaddr_in denied = live_addr("127.0.0.1", args[1]);
    sl_autoclose int fd = live_connect(&allowed, SOCK_STREAM);
    LIVE_CHECK(fd >= 0);
    LIVE_CHECK(send(fd, "x", 1, 0) == 1);
    struct sockaddr_in peer;
    socklen_t len = sizeof(peer);
    LIVE_CHECK(getpeername(fd, (struct sockaddr *)&peer, &len) == 0);
    LIVE_CHECK(memcmp(&peer, &allowed, 8) == 0);
    LIVE_CHECK(live_connect(&denied, SOCK_STREAM) == -ECONNREFUSED);
    LIVE_CHECK(live_connect(&denied, SOCK_STREAM | SOCK_NONBLOCK) == -ECONNREFUSED);
    LIVE_CHECK(live_connect(&denied, SOCK_DGRAM) == -ECONNREFUSED);
    /* away from this host one is connected without a word, and the first datagram is refused */
    struct sockaddr_in away = live_addr("192.0.2.1", args[1]);
    sl_autoclose int datagrams = live_connect(&away, SOCK_DGRAM);
    char byte;
    LIVE_CHECK(datagrams >= 0);
    LIVE_CHECK(send(datagrams, "x", 1, 0) == 1);
    LIVE_CHECK(recv(datagrams, &byte, 1, 0) < 0 && errno == ECONNREFUSED);
    sl_autoclose int silent = live_connect(&away, SOCK_DGRAM);
    LIVE_CHECK(silent >= 0);
    /* a second connect is what the kernel says it is */
    LIVE_CHECK(connect(fd, (struct sockaddr *)&allowed, sizeof(allowed)) < 0 && errno == EISCONN);
    return 0;
}

static void denied_peer_hears_nothing(void **state)
{
    (void)state;
    char rule[32];
    char ports[2][8];
    uint16_t allowed_port;
    uint16_t denied_port;
    sl_autoclose int allowed = live_listen(SOCK_STREAM, "127.0.0.1", &allowed_port);
    sl_autoclose int denied = live_listen(SOCK_STREAM, "127.0.0.1", &denied_port);
    rule_text(allowed_port, rule);
    port_text(allowed_port, ports[0]);
    port_text(denied_port, ports[1]);
    SL_AUTO(sl_policy) policy = live_policy("fs_readable", "/", "net_allow", rule, NULL);
    struct live_run run = {.policy = policy,
                           .program = "connects",
                           .args = {ports[0], ports[1]},
                           .seen = live_seen_new()};
    assert_int_equal(live_run(&run), 0);
    assert_true(live_was_reached(allowed, SOCK_STREAM));
    assert_false(live_was_reached(denied, SOCK_STREAM));
    assert_int_equal(run.seen->denied_count, 3);
    assert_int_equal(run.seen->denied_ports[0], denied_port);
}

/* IPv4 inside IPv6 is IPv4 (NET-09). */
static int program_maps(char **args)
{
    struct sockaddr_in6 sa = {.sin6_family = AF_INET6,
                              .sin6_port = htons((uint16_t)strtoul(args[0], NULL, 10))};
    inet_pton(AF_INET6, "::ffff:127.0.0.1", &sa.sin6_addr);
    int want = strcmp(args[1], "reaches") == 0 ? 0 : ECONNREFUSED;
    sl_autoclose int fd = socket(AF_INET6, SOCK_STREAM, 0);
    LIVE_CHECK(fd >= 0);
    int r = connect(fd, (struct sockaddr *)&sa, sizeof(sa));
    LIVE_CHECK(want == 0 ? r == 0 : r < 0 && errno == want);
    return 0;
}

static void mapped_address_is_judged_as_ipv4(void **state)
{
    (void)state;
    char rule[32];
    char text[8];
    uint16_t port;
    sl_autoclose int fd = live_listen(SOCK_STREAM, "127.0.0.1", &port);
    rule_text(port, rule);
    port_text(port, text);
    SL_AUTO(sl_policy) yes = live_policy("fs_readable", "/", "net_allow", rule, NULL);
    SL_AUTO(sl_policy) no = live_policy("fs_readable", "/", "net_allow", "[::1]", NULL);
    struct live_run run = {.policy = yes, .program = "maps", .args = {text, "reaches"}};
    assert_int_equal(live_run(&run), 0);
    assert_true(live_was_reached(fd, SOCK_STREAM));
    run = (struct live_run){.policy = no, .program = "maps", .args = {text, "refused"}};
    assert_int_equal(live_run(&run), 0);
    assert_false(live_was_reached(fd, SOCK_STREAM));
}

static int refused_with(int fd, const void *sa, uint64_t len)
{
    return syscall(SYS_connect, fd, sa, len) < 0 ? errno : 0;
}

/* NET-21. */
static int program_misaddresses(char **args)
{
    struct sockaddr_in sa = live_addr("127.0.0.1", args[0]);
    sl_autoclose int fd = socket(AF_INET, SOCK_STREAM, 0);
    sl_autoclose int file = open("/dev/null", O_RDONLY);
    LIVE_CHECK(fd >= 0 && file >= 0);
    LIVE_CHECK(refused_with(fd, &sa, 0) == EINVAL);
    LIVE_CHECK(refused_with(fd, &sa, 1) == EINVAL);
    LIVE_CHECK(refused_with(fd, &sa, 4) == EINVAL);
    LIVE_CHECK(refused_with(fd, &sa, 0xffffffffu) == EINVAL);
    LIVE_CHECK(refused_with(fd, &sa, 0x7fffffffu) == EINVAL);
    LIVE_CHECK(refused_with(fd, &sa, 129) == EINVAL);
    LIVE_CHECK(refused_with(fd, NULL, sizeof(sa)) == EFAULT);
    LIVE_CHECK(refused_with(fd, (void *)8, sizeof(sa)) == EFAULT);
    LIVE_CHECK(refused_with(fd, (void *)UINTPTR_MAX, sizeof(sa)) == EFAULT);
    LIVE_CHECK(refused_with(1000, &sa, sizeof(sa)) == EBADF);
    LIVE_CHECK(refused_with(file, &sa, sizeof(sa)) == ENOTSOCK);
    sa.sin_family = 77;
    LIVE_CHECK(refused_with(fd, &sa, sizeof(sa)) == EAFNOSUPPORT);
    sa.sin_family = AF_INET;
    LIVE_CHECK(refused_with(fd, &sa, 1ull << 32 | sizeof(sa)) == 0); /* an int is 32 bits */
    return 0;
}

static void odd_addresses_get_their_errno(void **state)
{
    (void)state;
    char rule[32];
    char text[8];
    uint16_t port;
    sl_autoclose int fd = live_listen(SOCK_STREAM, "127.0.0.1", &port);
    assert_true(fd >= 0);
    rule_text(port, rule);
    port_text(port, text);
    SL_AUTO(sl_policy) policy = live_policy("fs_readable", "/", "net_allow", rule, NULL);
    struct live_run run = {.policy = policy, .program = "misaddresses", .args = {text}};
    assert_int_equal(live_run(&run), 0);
}

/* ---- a peer that rewrites the address (NET-01) ---- */

struct flipping {
    struct sockaddr_in sa;
    uint16_t ports[2];
    atomic_bool stop;
};

static void *flip(void *arg)
{
    struct flipping *f = arg;
    volatile uint16_t *port = &f->sa.sin_port;
    for (unsigned i = 0; !atomic_load(&f->stop); i++) {
        *port = f->ports[i & 1];
    }
    return NULL;
}

static int program_races(char **args)
{
    struct flipping f = {.sa = live_addr("127.0.0.1", args[0])};
    pthread_t thread;
    unsigned reached = 0;
    f.ports[0] = f.sa.sin_port;
    f.ports[1] = live_addr("127.0.0.1", args[1]).sin_port;
    LIVE_CHECK(pthread_create(&thread, NULL, flip, &f) == 0);
    for (unsigned i = 0; i < ROUNDS; i++) {
        int fd = socket(AF_INET, SOCK_DGRAM, 0);
        LIVE_CHECK(fd >= 0);
        if (connect(fd, (struct sockaddr *)&f.sa, sizeof(f.sa)) == 0) {
            send(fd, "x", 1, 0);
            reached++;
        }
        if (sendto(fd, "y", 1, 0, (struct sockaddr *)&f.sa, sizeof(f.sa)) == 1) {
            reached++;
        }
        close(fd);
    }
    atomic_store(&f.stop, true);
    pthread_join(thread, NULL);
    LIVE_CHECK(reached > 0);
    return 0;
}

static void rewritten_address_reaches_nobody_else(void **state)
{
    (void)state;
    char rule[32];
    char ports[2][8];
    uint16_t allowed_port;
    uint16_t denied_port;
    sl_autoclose int allowed = live_listen(SOCK_DGRAM, "127.0.0.1", &allowed_port);
    sl_autoclose int denied = live_listen(SOCK_DGRAM, "127.0.0.1", &denied_port);
    rule_text(allowed_port, rule);
    port_text(allowed_port, ports[0]);
    port_text(denied_port, ports[1]);
    SL_AUTO(sl_policy) policy = live_policy("fs_readable", "/", "net_allow", rule, NULL);
    struct live_run run = {.policy = policy, .program = "races", .args = {ports[0], ports[1]}};
    assert_int_equal(live_run(&run), 0);
    assert_true(live_was_reached(allowed, SOCK_DGRAM));
    assert_false(live_was_reached(denied, SOCK_DGRAM));
}

/* ---- Unix sockets ---- */

static int unix_socket(const char *path, int type)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    size_t len = strlen(path);
    assert_true(len < sizeof(sa.sun_path));
    memcpy(sa.sun_path, path, len + 1);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    if (type != SOCK_DGRAM) {
        assert_int_equal(listen(fd, 8), 0);
    }
    return fd;
}

static int unix_connect(const char *path, int type)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    sl_autoclose int fd = socket(AF_UNIX, type, 0);
    memcpy(sa.sun_path, path, SL_MIN(strlen(path), sizeof(sa.sun_path)));
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    return connect(fd, (struct sockaddr *)&sa, SL_MIN(len + 1, sizeof(sa))) < 0 ? errno : 0;
}

/* args: the granted directory, the other one, the abstract name */
static int program_goes_unix(char **args)
{
    char path[256];
    LIVE_CHECK(chdir(args[0]) == 0);
    LIVE_CHECK(unix_connect("here", SOCK_STREAM) == 0);
    LIVE_CHECK(unix_connect("./here", SOCK_STREAM) == 0);
    snprintf(path, sizeof(path), "%s/here", args[0]);
    LIVE_CHECK(unix_connect(path, SOCK_STREAM) == 0);
    LIVE_CHECK(unix_connect("stranger", SOCK_STREAM) ==
               EACCES); /* a grant of its directory alone */
    sl_autoclose int own = unix_socket("own", SOCK_STREAM);
    LIVE_CHECK(unix_connect("own", SOCK_STREAM) == 0);
    snprintf(path, sizeof(path), "%s/there", args[1]);
    LIVE_CHECK(unix_connect(path, SOCK_STREAM) == EACCES);
    snprintf(path, sizeof(path), "%s/there-dgram", args[1]);
    LIVE_CHECK(unix_connect(path, SOCK_DGRAM) == EACCES);
    LIVE_CHECK(unix_connect("link", SOCK_STREAM) == EACCES); /* a link to the other one */
    LIVE_CHECK(symlink(path, "mine") == 0);
    LIVE_CHECK(unix_connect("mine", SOCK_DGRAM) == EACCES);
    snprintf(path, sizeof(path), "../%s/there", strrchr(args[1], '/') + 1);
    LIVE_CHECK(unix_connect(path, SOCK_STREAM) == EACCES);
    LIVE_CHECK(unix_connect("missing", SOCK_STREAM) == ENOENT);
    LIVE_CHECK(unix_connect("/run/nscd/socket", SOCK_STREAM) == ENOENT);
    memset(path, 'a', 108); /* no terminator anywhere */
    path[108] = '\0';
    LIVE_CHECK(unix_connect(path, SOCK_STREAM) == ENOENT);
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    snprintf(sa.sun_path + 1, sizeof(sa.sun_path) - 1, "%s", args[2]);
    sl_autoclose int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(args[2]));
    LIVE_CHECK(connect(fd, (struct sockaddr *)&sa, len) < 0 && errno == EPERM);
    int pair[2];
    LIVE_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && write(pair[0], "x", 1) == 1);
    return 0;
}

static void unix_sockets_of_the_tree_and_named_ones(void **state)
{
    (void)state;
    char here[] = "/tmp/sandlock-here-XXXXXX";
    char there[] = "/tmp/sandlock-there-XXXXXX";
    char paths[6][64];
    char name[64];
    char rule[80];
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    assert_non_null(mkdtemp(here));
    assert_non_null(mkdtemp(there));
    snprintf(paths[0], sizeof(paths[0]), "%s/here", here);
    snprintf(paths[1], sizeof(paths[1]), "%s/there", there);
    snprintf(paths[2], sizeof(paths[2]), "%s/there-dgram", there);
    snprintf(paths[3], sizeof(paths[3]), "%s/link", here);
    snprintf(paths[4], sizeof(paths[4]), "%s/stranger", here);
    snprintf(paths[5], sizeof(paths[5]), "%s/own", here);
    snprintf(rule, sizeof(rule), "unix:%s", paths[0]);
    sl_autoclose int ours = unix_socket(paths[0], SOCK_STREAM);
    sl_autoclose int stranger = unix_socket(paths[4], SOCK_STREAM);
    sl_autoclose int other = unix_socket(paths[1], SOCK_STREAM);
    sl_autoclose int other_dgram = unix_socket(paths[2], SOCK_DGRAM);
    assert_true(other_dgram >= 0);
    assert_int_equal(symlink(paths[1], paths[3]), 0);
    snprintf(name, sizeof(name), "sandlock-test-%d", (int)getpid());
    memcpy(sa.sun_path + 1, name, strlen(name));
    sl_autoclose int abstract = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(abstract, (struct sockaddr *)&sa,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name))),
                     0);
    assert_int_equal(listen(abstract, 1), 0);
    SL_AUTO(sl_policy)
    policy = live_policy("fs_readable", "/", "fs_writable", here, "net_allow", "192.0.2.1:1",
                         "net_allow", rule, NULL);
    struct live_run run = {.policy = policy, .program = "goes_unix", .args = {here, there, name}};
    assert_int_equal(live_run(&run), 0);
    for (int i = 0; i < 3; i++) {
        assert_true(live_was_reached(ours, SOCK_STREAM));
    }
    assert_false(live_was_reached(other, SOCK_STREAM));
    assert_false(live_was_reached(stranger, SOCK_STREAM));
    assert_false(live_was_reached(abstract, SOCK_STREAM));
    for (size_t i = 0; i < SL_ARRAY_LEN(paths); i++) {
        unlink(paths[i]);
    }
    snprintf(paths[3], sizeof(paths[3]), "%s/mine", here);
    unlink(paths[3]);
    assert_int_equal(rmdir(here), 0);
    assert_int_equal(rmdir(there), 0);
}

/* A close that waits would wait in the engine, which may close last; a reset does not wait. */
static int program_lingers(char **args)
{
    (void)args;
    struct linger linger = {.l_onoff = 1, .l_linger = 60};
    socklen_t len = sizeof(linger);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    LIVE_CHECK(fd >= 0);
    LIVE_CHECK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, len) == 0);
    LIVE_CHECK(getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &len) == 0 && linger.l_onoff == 0);
    linger = (struct linger){.l_onoff = 1, .l_linger = 0};
    LIVE_CHECK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, len) == 0);
    LIVE_CHECK(getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &len) == 0);
    LIVE_CHECK(linger.l_onoff == 1 && linger.l_linger == 0);
    LIVE_CHECK(setsockopt(fd, SOL_SOCKET, SO_LINGER, NULL, len) < 0 && errno == EFAULT);
    int on = 1; /* the other options are not our business */
    LIVE_CHECK(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) == 0);
    return 0;
}

static void close_never_lingers(void **state)
{
    (void)state;
    SL_AUTO(sl_policy)
    policy = live_policy("fs_readable", "/", "net_allow", "192.0.2.1:1", NULL);
    SL_AUTO(sl_policy) files = live_policy("fs_readable", "/", NULL);
    struct live_run run = {.policy = policy, .program = "lingers"};
    assert_int_equal(live_run(&run), 0);
    run.policy = files;
    assert_int_equal(live_run(&run), 0);
}

int main(int argc, char **argv)
{
    static const struct live_program programs[] = {
        {"nothing", program_nothing},
        {"asks_canary", program_asks_canary},
        {"connects", program_connects},
        {"maps", program_maps},
        {"races", program_races},
        {"misaddresses", program_misaddresses},
        {"goes_unix", program_goes_unix},
        {"lingers", program_lingers},
        {NULL, NULL},
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(canary_stands_in_every_run),
        cmocka_unit_test(writable_canary_stops_the_run),
        cmocka_unit_test(denied_peer_hears_nothing),
        cmocka_unit_test(mapped_address_is_judged_as_ipv4),
        cmocka_unit_test(odd_addresses_get_their_errno),
        cmocka_unit_test(rewritten_address_reaches_nobody_else),
        cmocka_unit_test(unix_sockets_of_the_tree_and_named_ones),
        cmocka_unit_test(close_never_lingers),
    };
    live_start(argc, argv, programs);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    live_pretend_older();
    return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
