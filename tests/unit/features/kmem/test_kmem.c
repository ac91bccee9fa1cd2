/* Kernel memory of a tree under max_memory: pipes, sockets and what else holds some, live. RES-12.
 * All of it once more where no descriptor can be fetched. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "kernel/place.h"
#include "live.h"

#define LIMIT   "64M"
#define QUARTER (16u << 20)
#define MANY    900 /* descriptors that every user may have */

static char chunk[65536];

static uint64_t fill(int fd)
{
    uint64_t sum = 0;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    for (size_t size = sizeof(chunk); size >= 1024; size /= 2) {
        for (ssize_t n; (n = write(fd, chunk, size)) > 0;) {
            sum += (uint64_t)n;
        }
    }
    return sum;
}

/* ---- confined programs ---- */

/* Pipes get smaller, then there are none; one that is closed makes room. */
static int program_pipes(char **args)
{
    int ends[MANY][2];
    uint64_t sum = 0;
    int count = 0;
    int small = 0;
    (void)args;
    while (count < MANY / 2 && pipe2(ends[count], count % 2 == 0 ? O_CLOEXEC : 0) == 0) {
        LIVE_CHECK((fcntl(ends[count][1], F_GETFD) & FD_CLOEXEC) == (count % 2 == 0));
        small += fcntl(ends[count][0], F_GETPIPE_SZ) < 65536;
        sum += fill(ends[count][1]);
        count++;
    }
    LIVE_CHECK(small > 0 && small < count);
    LIVE_CHECK(sum > QUARTER / 4 && sum <= QUARTER);
    for (int i = 0; i < count; i++) {
        close(ends[i][0]);
        close(ends[i][1]);
    }
    for (int i = 0; i < 2000; i++) { /* in turn, as many as one likes */
        int two[2];
#ifdef SYS_pipe
        LIVE_CHECK(syscall(SYS_pipe, two) == 0);
#else
        LIVE_CHECK(pipe(two) == 0);
#endif
        LIVE_CHECK(write(two[1], "x", 1) == 1 && read(two[0], chunk, 1) == 1);
        close(two[0]);
        close(two[1]);
    }
    return 0;
}

static int program_resizes(char **args)
{
    int ends[2];
    LIVE_CHECK(pipe(ends) == 0);
    LIVE_CHECK(fcntl(ends[1], F_SETPIPE_SZ, 100000) == 131072);
    LIVE_CHECK(fcntl(ends[0], F_GETPIPE_SZ) == 131072);
    LIVE_CHECK(fcntl(ends[1], F_SETPIPE_SZ, 4096) == 4096);
    LIVE_CHECK(fcntl(ends[1], F_SETPIPE_SZ, -1) < 0 && errno == EINVAL);
    LIVE_CHECK(fcntl(900, F_SETPIPE_SZ, 4096) < 0 && errno == EBADF);
    /* one with a name stays as it is: it may be opened at any time */
    LIVE_CHECK(mkfifo(args[0], 0600) == 0);
    int fifo = open(args[0], O_RDWR | O_CLOEXEC);
    unlink(args[0]);
    LIVE_CHECK(fifo >= 0 && fcntl(fifo, F_SETPIPE_SZ, 1 << 20) < 0 && errno == EPERM);
    LIVE_CHECK(fcntl(fifo, F_SETPIPE_SZ, 4096) == 4096);
    int large = 0;
    for (int i = 0; i < 100 && pipe(ends) == 0; i++) {
        int r = fcntl(ends[1], F_SETPIPE_SZ, 1 << 20);
        LIVE_CHECK(r > 0 || errno == EPERM);
        large += r > 0;
    }
    LIVE_CHECK(large > 0 && large <= 14);
    return 0;
}

static int program_names_pipes(char **args)
{
    int count = 0;
    char path[256];
    LIVE_CHECK(mknod(args[0], S_IFREG | 0600, 0) == 0); /* what is no FIFO goes on */
    unlink(args[0]);
    for (; count < 1000; count++) {
        snprintf(path, sizeof(path), "%s-%d", args[0], count);
#ifdef SYS_mknod
        long r = count % 2 == 0 ? syscall(SYS_mknod, path, S_IFIFO | 0600, 0) : mkfifo(path, 0600);
#else
        long r = mkfifo(path, 0600);
#endif
        if (r < 0) {
            break;
        }
        unlink(path);
    }
    LIVE_CHECK(errno == ENOSPC && count > 50 && count < 300);
    return 0;
}

static int program_pairs(char **args)
{
    static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM};
    (void)args;
    for (size_t i = 0; i < SL_ARRAY_LEN(types); i++) {
        int ends[MANY][2];
        int count = 0;
        uint64_t sum = 0;
        while (count < MANY / 2 &&
               socketpair(AF_UNIX, types[i] | SOCK_CLOEXEC, 0, ends[count]) == 0) {
            int most = 1 << 30;
            LIVE_CHECK(setsockopt(ends[count][0], SOL_SOCKET, SO_SNDBUF, &most, sizeof(most)) == 0);
            sum += fill(ends[count][0]) + fill(ends[count][1]);
            count++;
        }
        LIVE_CHECK(count == MANY / 2 || errno == ENOBUFS);
        LIVE_CHECK(count > 20 && sum > QUARTER / 8 && sum <= QUARTER);
        for (int k = 0; k < count; k++) {
            close(ends[k][0]);
            close(ends[k][1]);
        }
    }
    LIVE_CHECK(socketpair(AF_INET, SOCK_STREAM, 0, (int[2]){0}) < 0 && errno == EOPNOTSUPP);
    return 0;
}

static int get(int fd, int level, int option)
{
    int value = -1;
    socklen_t len = sizeof(value);
    return getsockopt(fd, level, option, &value, &len) < 0 ? -errno : value;
}

static int program_sets_sizes(char **args)
{
    int most = 1 << 30;
    int little = 8192;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)args;
    LIVE_CHECK(fd >= 0 && (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    int had = get(fd, SOL_SOCKET, SO_RCVBUF);
    LIVE_CHECK(had > 0 && had < 131072);
    LIVE_CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &most, sizeof(most)) == 0);
    LIVE_CHECK(get(fd, SOL_SOCKET, SO_RCVBUF) == had);
    LIVE_CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof(little)) == 0);
    LIVE_CHECK(get(fd, SOL_SOCKET, SO_RCVBUF) == 2 * little);
    LIVE_CHECK(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &little, 1) < 0 && errno == EINVAL);
    LIVE_CHECK(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, NULL, 4) < 0 && errno == EFAULT);
    LIVE_CHECK(setsockopt(900, SOL_SOCKET, SO_SNDBUF, &little, 4) < 0 && errno == EBADF);
    int none = 0;
    LIVE_CHECK(setsockopt(fd, SOL_SOCKET, 72, &none, sizeof(none)) < 0); /* SO_BUF_LOCK */
    LIVE_CHECK(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &most, sizeof(most)) == 0);
    LIVE_CHECK(setsockopt(fd, SOL_SOCKET, 60, &most, sizeof(most)) < 0); /* SO_ZEROCOPY */
    LIVE_CHECK(get(fd, IPPROTO_TCP, 35) < 0);                            /* TCP_ZEROCOPY_RECEIVE */
    LIVE_CHECK(get(fd, IPPROTO_TCP, TCP_MAXSEG) > 0);
    LIVE_CHECK(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP) < 0);
    int gram = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int on = 1;
    LIVE_CHECK(setsockopt(gram, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == 0);
    return 0;
}

/* Connections that are accepted, and how many wait. */
static int program_serves(char **args)
{
    struct sockaddr_in sa = live_addr("127.0.0.1", "0");
    socklen_t len = sizeof(sa);
    uint64_t sum = 0;
    int count = 0;
    (void)args;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    LIVE_CHECK(bind(listener, (struct sockaddr *)&sa, len) == 0);
    LIVE_CHECK(listen(listener, 1 << 30) == 0 && listen(listener, 4096) == 0);
    LIVE_CHECK(getsockname(listener, (struct sockaddr *)&sa, &len) == 0);
    for (; count < MANY / 3; count++) {
        int client = socket(AF_INET, SOCK_STREAM, 0);
        if (client < 0) {
            LIVE_CHECK(errno == ENOBUFS);
            break;
        }
        LIVE_CHECK(connect(client, (struct sockaddr *)&sa, len) == 0);
        int server = count % 2 == 0 ? accept4(listener, NULL, NULL, SOCK_CLOEXEC)
                                    : accept(listener, NULL, NULL);
        if (server < 0) {
            LIVE_CHECK(errno == ENFILE);
            break;
        }
        sum += fill(client) + fill(server);
    }
    LIVE_CHECK(count > 20 && sum > (QUARTER >> 4) && sum <= QUARTER);
    return 0;
}

/* A datagram socket with a name hears everybody. */
static int program_hears(char **args)
{
    int count = 0;
    for (; count < MANY / 2; count++) {
        struct sockaddr_un sa = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0) {
            break;
        }
        snprintf(sa.sun_path, sizeof(sa.sun_path), "%s-%d", args[0], count);
        int r = bind(fd, (struct sockaddr *)&sa, sizeof(sa));
        unlink(sa.sun_path);
        if (r < 0) {
            break;
        }
    }
    LIVE_CHECK(errno == ENOBUFS && count >= 3 && count < 40);
    return 0;
}

/* Both ends lie in a message, and nobody has them. */
static int program_posts(char **args)
{
    int post[2];
    int sent = 0;
    uint64_t sum = 0;
    (void)args;
    LIVE_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, post) == 0);
    for (; sent < MANY; sent++) {
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0) {
            break;
        }
        sum += fill(pair[0]) + fill(pair[1]);
        struct iovec iov = {"x", 1};
        _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(pair))] = {0};
        struct msghdr msg = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(pair));
        memcpy(CMSG_DATA(c), pair, sizeof(pair));
        if (sendmsg(post[0], &msg, 0) < 0) {
            break;
        }
        close(pair[0]);
        close(pair[1]);
    }
    LIVE_CHECK(sent > 10 && sum > QUARTER / 8 && sum <= QUARTER);
    close(post[0]);
    close(post[1]); /* and with it all that lay there */
    return 0;
}

/* Pages are copied, and never lent: who has one is not told of what is written there later. */
static int program_lends(char **args)
{
    int pair[2];
    int ends[2];
    char got[8] = {0};
    struct iovec iov = {chunk, 1};
    bool contained = strcmp(args[0], "contained") == 0;
    int file = memfd_create("file", MFD_CLOEXEC);
    LIVE_CHECK(write(file, "abcdef", 6) == 6 && pipe(ends) == 0);
    LIVE_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    off_t at = 2;
    LIVE_CHECK(vmsplice(ends[1], &iov, 1, 0) < 0 && errno == EINVAL);
    LIVE_CHECK(splice(file, &at, ends[1], NULL, 1, 0) < 0 && errno == EINVAL);
    LIVE_CHECK(tee(ends[0], ends[1], 1, SPLICE_F_NONBLOCK) < 0 && errno == EINVAL);
    if (contained) {
        LIVE_CHECK(sendfile(pair[0], file, &at, 3) < 0 && errno == EINVAL);
        return 0;
    }
    LIVE_CHECK(sendfile(pair[0], file, &at, 3) == 3 && at == 5);
    LIVE_CHECK(pwrite(file, "zzzzzz", 6, 0) == 6);
    LIVE_CHECK(read(pair[1], got, sizeof(got)) == 3 && strcmp(got, "cde") == 0);
    LIVE_CHECK(lseek(file, 1, SEEK_SET) == 1 && sendfile(pair[0], file, NULL, 100) == 5);
    LIVE_CHECK(lseek(file, 0, SEEK_CUR) == 6 && sendfile(pair[0], file, NULL, 100) == 0);
    LIVE_CHECK(read(pair[1], got, sizeof(got)) == 5);
    LIVE_CHECK(sendfile(ends[1], file, NULL, 1) < 0 && errno == EINVAL);
    LIVE_CHECK(sendfile(900, file, NULL, 1) < 0 && errno == EBADF);
    LIVE_CHECK(sendfile(pair[0], file, (off_t *)8, 1) < 0 && errno == EFAULT);
    /* a socket that is full: what fits at once, or later */
    LIVE_CHECK(ftruncate(file, 32 << 20) == 0);
    pid_t reader = fork();
    if (reader == 0) {
        close(pair[0]);
        while (read(pair[1], chunk, sizeof(chunk)) > 0) {
        }
        _exit(0);
    }
    at = 0;
    while (at < 32 << 20) {
        LIVE_CHECK(sendfile(pair[0], file, &at, 32 << 20) > 0);
    }
    close(pair[1]);
    shutdown(pair[0], SHUT_WR);
    LIVE_CHECK(waitpid(reader, NULL, 0) == reader);
    LIVE_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
    at = 0;
    LIVE_CHECK(sendfile(pair[0], file, &at, 32 << 20) > 0 && at < 1 << 20);
    LIVE_CHECK(sendfile(pair[0], file, &at, 32 << 20) < 0 && errno == EAGAIN);
    return 0;
}

static int program_makes_ipc(char **args)
{
    int sets[1000];
    int count = 0;
    (void)args;
    while (count < 1000 && (sets[count] = semget(IPC_PRIVATE, 1000, 0600)) >= 0) {
        count++;
    }
    int error = errno;
    for (int i = 0; i < count; i++) {
        semctl(sets[i], 0, IPC_RMID);
    }
    LIVE_CHECK(error == ENOSPC && count > 10 && count < 100);
    for (count = 0; count < 1000 && (sets[count] = msgget(IPC_PRIVATE, 0600)) >= 0; count++) {
    }
    error = errno;
    for (int i = 0; i < count; i++) {
        msgctl(sets[i], IPC_RMID, NULL);
    }
    LIVE_CHECK(error == ENOSPC && count >= 2 && count < 10);
    LIVE_CHECK(msgget(0x5a5a5a5a, 0600) < 0 && errno == ENOENT);
    return 0;
}

/* ---- tests ---- */

static int run(const char *program, const char *arg)
{
    SL_AUTO(sl_policy)
    policy = live_policy("fs_readable", "/", "fs_writable", "/tmp", "max_memory", LIMIT, NULL);
    return live_run(&(struct live_run){.policy = policy, .program = program, .args = {arg, NULL}});
}

static char *path_of(const char *name)
{
    static char path[64];
    snprintf(path, sizeof(path), "/tmp/sandlock-kmem-%d-%s", (int)getpid(), name);
    return path;
}

static void pipes_are_bounded(void **state)
{
    (void)state;
    assert_int_equal(run("pipes", NULL), 0);
    assert_int_equal(run("resizes", path_of("fifo")), 0);
    assert_int_equal(run("names_pipes", path_of("names")), 0);
}

static void sockets_are_bounded(void **state)
{
    (void)state;
    assert_int_equal(run("pairs", NULL), 0);
    assert_int_equal(run("sets_sizes", NULL), 0);
    assert_int_equal(run("serves", NULL), 0);
    assert_int_equal(run("hears", path_of("name")), 0);
    assert_int_equal(run("posts", NULL), 0);
}

static void pages_are_not_lent(void **state)
{
    assert_int_equal(run("lends", *state == NULL ? "here" : "contained"), 0);
}

static void sets_and_queues_are_bounded(void **state)
{
    (void)state;
    assert_int_equal(run("makes_ipc", NULL), 0);
}

/* From now on, and for all that is started: as under a container's profile. */
static int refuse_fetching(void **state)
{
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
    *state = (void *)"contained";
    return sl_place_fetches() ? -1 : 0;
}

int main(int argc, char **argv)
{
    static const struct live_program programs[] = {
        {"pipes", program_pipes},
        {"resizes", program_resizes},
        {"names_pipes", program_names_pipes},
        {"pairs", program_pairs},
        {"sets_sizes", program_sets_sizes},
        {"serves", program_serves},
        {"hears", program_hears},
        {"posts", program_posts},
        {"lends", program_lends},
        {"makes_ipc", program_makes_ipc},
        {NULL, NULL},
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(pipes_are_bounded),
        cmocka_unit_test(sockets_are_bounded),
        cmocka_unit_test(pages_are_not_lent),
        cmocka_unit_test(sets_and_queues_are_bounded),
    };
    live_start(argc, argv, programs);
    int failed = cmocka_run_group_tests_name("here", tests, NULL, NULL);
    return failed + cmocka_run_group_tests_name("contained", tests, refuse_fetching, NULL);
}
