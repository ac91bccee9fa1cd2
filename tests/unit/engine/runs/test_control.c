/* The control socket against peers of every kind: only a whole request of an unconfined process of
 * this user is answered, and no peer is waited for. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

#include "served.h"

#define NOBODY 65534

static const struct sl_control_request good = {.magic = SL_CONTROL_MAGIC, .what = SL_CONTROL_LIST};

static int reach(const struct served *s)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(sa.sun_path, sizeof(sa.sun_path), "/proc/self/fd/%d/%.63s", s->at,
             s->dir->control_name);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    return fd;
}

/* To the end of the stream: the bytes there were. */
static size_t drain(int fd)
{
    char data[256];
    size_t all = 0;
    ssize_t n;
    while ((n = recv(fd, data, sizeof(data), 0)) > 0) {
        all += (size_t)n;
    }
    return all;
}

static size_t answer_to(const struct served *s, const void *request, size_t size)
{
    sl_autoclose int fd = reach(s);
    (void)send(fd, request, size, MSG_NOSIGNAL);
    shutdown(fd, SHUT_WR);
    return drain(fd);
}

static void is_nobody_elses(void **state)
{
    struct served *s = *state;
    struct stat st;
    assert_int_equal(fstatat(s->at, s->dir->control_name, &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_int_equal(st.st_mode, S_IFSOCK | 0600);
    assert_int_equal(fstat(s->at, &st), 0);
    assert_int_equal(st.st_mode, S_IFDIR | 0700);
}

static void garbage_gets_no_byte(void **state)
{
    struct served *s = *state;
    struct sl_control_request bad = good;
    char noise[4096];
    memset(noise, 0xa5, sizeof(noise));
    assert_int_not_equal(answer_to(s, &good, sizeof(good)), 0);
    assert_int_equal(answer_to(s, noise, sizeof(noise)), 0);
    bad.magic ^= 1;
    assert_int_equal(answer_to(s, &bad, sizeof(bad)), 0);
    bad = good;
    bad.zero = 1;
    assert_int_equal(answer_to(s, &bad, sizeof(bad)), 0);
    bad = good;
    bad.what = UINT32_MAX;
    assert_int_equal(answer_to(s, &bad, sizeof(bad)), 0);
    assert_int_not_equal(answer_to(s, &good, sizeof(good)), 0);
}

static void every_truncation_gets_no_byte(void **state)
{
    struct served *s = *state;
    for (size_t size = 0; size < sizeof(good); size++) {
        assert_int_equal(answer_to(s, &good, size), 0);
    }
    assert_int_not_equal(answer_to(s, &good, sizeof(good)), 0);
}

static void a_request_may_come_in_pieces(void **state)
{
    struct served *s = *state;
    sl_autoclose int fd = reach(s);
    for (size_t i = 0; i < sizeof(good); i++) {
        assert_int_equal(send(fd, (const char *)&good + i, 1, MSG_NOSIGNAL), 1);
    }
    assert_int_not_equal(drain(fd), 0);
}

static bool has_ended(int fd)
{
    struct pollfd ended = {.fd = fd, .events = POLLIN};
    return poll(&ended, 1, 0) == 1;
}

/* All places are taken by peers that say nothing: one more is turned away as long as they all are
 * there, they are in time, and then others are served again. */
static void silent_peers_are_dropped(void **state)
{
    struct served *s = *state;
    int silent[SL_CONTROL_PEERS_MAX];
    for (size_t i = 0; i < SL_CONTROL_PEERS_MAX; i++) {
        silent[i] = reach(s);
    }
    bool served = answer_to(s, &good, sizeof(good)) > 0;
    bool all_there = true;
    for (size_t i = 0; i < SL_CONTROL_PEERS_MAX; i++) {
        all_there = all_there && !has_ended(silent[i]);
    }
    assert_false(served && all_there);
    for (size_t i = 0; i < SL_CONTROL_PEERS_MAX; i++) {
        assert_int_equal(drain(silent[i]), 0);
        sl_close(silent[i]);
    }
    while (answer_to(s, &good, sizeof(good)) == 0) {
        sched_yield(); /* the loop lets a place go a moment after its peer sees the end */
    }
}

/* In a process of its own, which `become` changes first. 0: no byte came back. */
static int answer_after(const struct served *s, bool (*become)(void))
{
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct sockaddr_un sa = {.sun_family = AF_UNIX};
        snprintf(sa.sun_path, sizeof(sa.sun_path), "%.63s", s->dir->control_name);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fchdir(s->at) < 0 || !become() || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
            _exit(2);
        }
        (void)send(fd, &good, sizeof(good), MSG_NOSIGNAL);
        _exit(drain(fd) > 0 ? 1 : 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static bool stay(void)
{
    return true;
}

static bool be_confined(void)
{
    struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {.len = 1, .filter = &allow};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static bool be_nobody(void)
{
    return setgid(NOBODY) == 0 && setuid(NOBODY) == 0;
}

static void the_confined_command_nobody(void **state)
{
    struct served *s = *state;
    assert_int_equal(answer_after(s, stay), 1);
    assert_int_equal(answer_after(s, be_confined), 0);
}

/* The modes keep others out; were they opened by mistake, the peer's uid still would. */
static void other_users_are_turned_away(void **state)
{
    struct served *s = *state;
    if (geteuid() != 0) {
        print_message("SKIP: only root can be somebody else\n");
        skip();
    }
    assert_int_equal(answer_after(s, be_nobody), 2);
    assert_int_equal(fchmod(s->at, 0711), 0);
    assert_int_equal(fchmodat(s->at, s->dir->control_name, 0666, 0), 0);
    assert_int_equal(answer_after(s, be_nobody), 0);
    assert_int_equal(answer_after(s, stay), 1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        SERVED(is_nobody_elses),
        SERVED(garbage_gets_no_byte),
        SERVED(every_truncation_gets_no_byte),
        SERVED(a_request_may_come_in_pieces),
        SERVED(silent_peers_are_dropped),
        SERVED(the_confined_command_nobody),
        SERVED(other_users_are_turned_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
