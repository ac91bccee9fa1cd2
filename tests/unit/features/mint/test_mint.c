/* Sockets and directories where no descriptor can be fetched (pidfd_getfd(2) is refused, as under a
 * container's profile), live. NET-29. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "kernel/place.h"
#include "live.h"

#define ROUNDS 200

/* ---- confined programs ---- */

static int program_reaches(char **args)
{
    struct sockaddr_in yes = live_addr("127.0.0.1", args[0]);
    struct sockaddr_in no = live_addr("127.0.0.1", args[1]);
    LIVE_CHECK(live_connect(&yes, SOCK_STREAM) >= 0);
    LIVE_CHECK(live_connect(&no, SOCK_STREAM) == -ECONNREFUSED);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    LIVE_CHECK(fd >= 0 && (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    LIVE_CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0);
    LIVE_CHECK(sendto(fd, "x", 1, 0, (struct sockaddr *)&yes, sizeof(yes)) == 1);
    LIVE_CHECK(sendto(fd, "x", 1, 0, (struct sockaddr *)&no, sizeof(no)) < 0);
    int other = dup(fd);
    close(fd);
    LIVE_CHECK(sendto(other, "x", 1, 0, (struct sockaddr *)&yes, sizeof(yes)) == 1);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    LIVE_CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    LIVE_CHECK(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP) < 0);
    return 0;
}

/* A name that was closed is free at once, for another process too. */
static int program_binds_again(char **args)
{
    struct sockaddr_in sa = live_addr("127.0.0.1", "0");
    socklen_t len = sizeof(sa);
    (void)args;
    for (int i = 0; i < ROUNDS; i++) {
        int fd = socket(AF_INET, i % 2 == 0 ? SOCK_STREAM : SOCK_DGRAM, 0);
        sa.sin_port = 0;
        LIVE_CHECK(bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0);
        LIVE_CHECK(getsockname(fd, (struct sockaddr *)&sa, &len) == 0);
        close(fd);
        int again = socket(AF_INET, i % 2 == 0 ? SOCK_STREAM : SOCK_DGRAM, 0);
        LIVE_CHECK(bind(again, (struct sockaddr *)&sa, sizeof(sa)) == 0);
        close(again);
    }
    return 0;
}

static int program_pairs(char **args)
{
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    char byte;
    snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", args[0]);
    for (size_t i = 0; i < SL_ARRAY_LEN(types); i++) {
        int pair[2];
        struct iovec iov = {"x", 1};
        struct msghdr named = {&sa, sizeof(sa), &iov, 1, NULL, 0, 0};
        struct msghdr plain = {NULL, 0, &iov, 1, NULL, 0, 0};
        LIVE_CHECK(socketpair(AF_UNIX, types[i] | SOCK_CLOEXEC, 0, pair) == 0);
        LIVE_CHECK((fcntl(pair[1], F_GETFD) & FD_CLOEXEC) != 0);
        LIVE_CHECK(sendmsg(pair[0], &plain, 0) == 1 && recv(pair[1], &byte, 1, 0) == 1);
        (void)sendmsg(pair[0], &named, MSG_DONTWAIT); /* the witness tells where it went */
        (void)sendto(pair[0], "x", 1, MSG_DONTWAIT, (struct sockaddr *)&sa, sizeof(sa));
        close(pair[0]);
        close(pair[1]);
    }
    LIVE_CHECK(socketpair(AF_INET, SOCK_DGRAM, 0, (int[2]){0}) < 0);
    LIVE_CHECK(syscall(SYS_socketpair, AF_UNIX, SOCK_DGRAM, 0, NULL) < 0 && errno == EFAULT);
    return 0;
}

static int count(DIR *dir)
{
    int n = 0;
    while (readdir(dir) != NULL) {
        n++;
    }
    return n;
}

/* A directory that is closed in the middle and opened again begins anew. */
static int program_lists_twice(char **args)
{
    DIR *dir = opendir(args[0]);
    LIVE_CHECK(dir != NULL && count(dir) == 5);
    rewinddir(dir);
    LIVE_CHECK(count(dir) == 5);
    closedir(dir);
    _Alignas(8) char buf[64];
    for (int i = 0; i < 3; i++) {
        int fd = open(args[0], O_RDONLY | O_DIRECTORY);
        LIVE_CHECK(syscall(SYS_getdents64, fd, buf, 56) > 0 && strcmp(buf + 19, ".") == 0);
        LIVE_CHECK(syscall(SYS_getdents64, fd, buf, 32) > 0 && strcmp(buf + 19, "a") == 0);
        close(fd);
    }
    int fd = open(args[0], O_PATH | O_DIRECTORY);
    LIVE_CHECK(syscall(SYS_getdents64, fd, buf, 56) < 0 && errno == EBADF);
    return 0;
}

/* ---- tests ---- */

static void sockets_are_judged(void **state)
{
    (void)state;
    uint16_t yes;
    uint16_t no;
    char rule[64];
    char yes_text[8];
    char no_text[8];
    sl_autoclose int yes_tcp = live_listen(SOCK_STREAM, "127.0.0.1", &yes);
    sl_autoclose int no_tcp = live_listen(SOCK_STREAM, "127.0.0.1", &no);
    sl_autoclose int yes_udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sl_autoclose int no_udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    snprintf(yes_text, sizeof(yes_text), "%u", yes);
    snprintf(no_text, sizeof(no_text), "%u", no);
    struct sockaddr_in sa = live_addr("127.0.0.1", yes_text);
    assert_int_equal(bind(yes_udp, (struct sockaddr *)&sa, sizeof(sa)), 0);
    sa = live_addr("127.0.0.1", no_text);
    assert_int_equal(bind(no_udp, (struct sockaddr *)&sa, sizeof(sa)), 0);
    snprintf(rule, sizeof(rule), "127.0.0.1:%u", yes);
    SL_AUTO(sl_policy) policy = live_policy("fs_readable", "/", "net_allow", rule, NULL);
    struct live_run run = {.policy = policy, .program = "reaches", .args = {yes_text, no_text}};
    assert_int_equal(live_run(&run), 0);
    assert_true(live_was_reached(yes_tcp, SOCK_STREAM));
    assert_false(live_was_reached(no_tcp, SOCK_STREAM));
    assert_true(live_was_reached(yes_udp, SOCK_DGRAM));
    assert_true(live_was_reached(yes_udp, SOCK_DGRAM));
    assert_false(live_was_reached(no_udp, SOCK_DGRAM));
}

static void closed_names_are_free(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) policy = live_policy("fs_readable", "/", "net_allow", "192.0.2.1:1", NULL);
    struct live_run run = {.policy = policy, .program = "binds_again"};
    assert_int_equal(live_run(&run), 0);
}

static void pairs_reach_nobody_else(void **state)
{
    (void)state;
    char dir[] = "/tmp/sandlock-mint-XXXXXX";
    char path[64];
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/witness", dir);
    snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
    sl_autoclose int witness = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(witness, (struct sockaddr *)&sa, sizeof(sa)), 0);
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
    assert_int_equal(sendto(pair[0], "x", 1, 0, (struct sockaddr *)&sa, sizeof(sa)), 1);
    assert_true(live_was_reached(witness, SOCK_DGRAM)); /* so it is, bare */
    close(pair[0]);
    close(pair[1]);
    SL_AUTO(sl_policy) policy = live_policy("fs_readable", "/", "net_allow", "192.0.2.1:1", NULL);
    struct live_run run = {.policy = policy, .program = "pairs", .args = {path}};
    assert_int_equal(live_run(&run), 0);
    assert_false(live_was_reached(witness, SOCK_DGRAM));
    unlink(path);
    rmdir(dir);
}

static void names_come_sorted_without(void **state)
{
    (void)state;
    static const char *const names[] = {"c", "a", "b"};
    char dir[] = "/tmp/sandlock-mint-XXXXXX";
    char path[64];
    assert_non_null(mkdtemp(dir));
    for (size_t i = 0; i < SL_ARRAY_LEN(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    }
    SL_AUTO(sl_policy) policy = live_policy("fs_readable", "/", "deterministic_dirs", "true", NULL);
    struct live_run run = {.policy = policy, .program = "lists_twice", .args = {dir}};
    assert_int_equal(live_run(&run), 0);
    for (size_t i = 0; i < SL_ARRAY_LEN(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        unlink(path);
    }
    rmdir(dir);
}

/* From now on, and for all that is started: as under a container's profile. */
static int refuse_fetching(void **state)
{
    (void)state;
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_getfd, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {4, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0) {
        return -1;
    }
    return sl_place_fetches() ? -1 : 0;
}

int main(int argc, char **argv)
{
    static const struct live_program programs[] = {
        {"reaches", program_reaches},
        {"binds_again", program_binds_again},
        {"pairs", program_pairs},
        {"lists_twice", program_lists_twice},
        {NULL, NULL},
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(sockets_are_judged),
        cmocka_unit_test(closed_names_are_free),
        cmocka_unit_test(pairs_reach_nobody_else),
        cmocka_unit_test(names_come_sorted_without),
    };
    live_start(argc, argv, programs);
    return cmocka_run_group_tests(tests, refuse_fetching, NULL);
}
