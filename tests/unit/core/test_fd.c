/* Descriptors: messages that carry them, files read whole, sealed memory. Nothing leaks that was
 * received, nothing is more than was asked for. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "alloc.h"
#include "core/fd.h"
#include "core/util.h"
#include "tidy.h"

static int pair[2];
static char folder[64];

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    snprintf(folder, sizeof(folder), "/tmp/sandlock-fd-XXXXXX");
    assert_non_null(mkdtemp(folder));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sl_close(pair[0]);
    sl_close(pair[1]);
    tidy_tree(folder);
    return 0;
}

static unsigned open_count(void)
{
    unsigned count = 0;
    DIR *d = opendir("/proc/self/fd");
    assert_non_null(d);
    while (readdir(d) != NULL) {
        count++;
    }
    closedir(d);
    return count;
}

static bool is_cloexec(int fd)
{
    int flags = fcntl(fd, F_GETFD);
    assert_true(flags >= 0);
    return (flags & FD_CLOEXEC) != 0;
}

/* ---- messages ---- */

static void test_message(void **state)
{
    char data[16];
    int fds[SL_FD_PASS_MAX];
    size_t nfds = 99;
    (void)state;
    assert_int_equal(sl_fd_send(pair[0], "hello", 5, NULL, 0, 0), 0);
    assert_int_equal(sl_fd_recv(pair[1], data, sizeof(data), fds, &nfds, 0), 5);
    assert_int_equal(nfds, 0);
    assert_memory_equal(data, "hello", 5);
    nfds = 99;
    assert_int_equal(sl_fd_recv(pair[1], data, sizeof(data), fds, &nfds, MSG_DONTWAIT), -EAGAIN);
    assert_int_equal(nfds, 99);
    sl_close(pair[0]);
    pair[0] = -1;
    assert_int_equal(sl_fd_recv(pair[1], data, sizeof(data), fds, &nfds, 0), 0); /* the end */
    assert_int_equal(sl_fd_send(pair[1], "x", 1, NULL, 0, 0), -EPIPE);           /* no SIGPIPE */
}

static void test_descriptors(void **state)
{
    char data[16];
    int sent[SL_FD_PASS_MAX + 1];
    int fds[SL_FD_PASS_MAX];
    size_t nfds;
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(sent); i++) {
        sent[i] = sl_fd_memfd("test", &(char){(char)('a' + i)}, 1);
        assert_true(sent[i] >= 0);
    }
    unsigned before = open_count();
    assert_int_equal(sl_fd_send(pair[0], "x", 1, sent, SL_FD_PASS_MAX + 1, 0), -EINVAL);
    assert_int_equal(sl_fd_send(pair[0], "x", 1, sent, SL_FD_PASS_MAX, 0), 0);
    assert_int_equal(sl_fd_recv(pair[1], data, sizeof(data), fds, &nfds, 0), 1);
    assert_int_equal(nfds, SL_FD_PASS_MAX);
    for (size_t i = 0; i < nfds;
         i++) { /* in their order, of the same file, nobody else's after exec */
        char c;
        assert_true(is_cloexec(fds[i]));
        assert_int_equal(pread(fds[i], &c, 1, 0), 1);
        assert_int_equal(c, 'a' + i);
        sl_close(fds[i]);
    }
    assert_int_equal(open_count(), before);
    for (size_t i = 0; i < SL_ARRAY_LEN(sent); i++) {
        sl_close(sent[i]);
    }
}

/* Data that does not fit: the message is refused as a whole, and its descriptors are closed. */
static void test_message_too_long(void **state)
{
    char data[4];
    int fds[SL_FD_PASS_MAX];
    size_t nfds = 99;
    (void)state;
    unsigned before = open_count();
    assert_int_equal(sl_fd_send(pair[0], "1234", 4, pair, 2, 0), 0);
    assert_int_equal(sl_fd_send(pair[0], "12345", 5, pair, 2, 0), 0);
    assert_int_equal(sl_fd_recv(pair[1], data, sizeof(data), fds, &nfds, 0), 4);
    assert_int_equal(nfds, 2);
    sl_close(fds[0]);
    sl_close(fds[1]);
    nfds = 99;
    assert_int_equal(sl_fd_recv(pair[1], data, sizeof(data), fds, &nfds, 0), -EMSGSIZE);
    assert_int_equal(nfds, 99);
    assert_int_equal(open_count(), before);
}

/* A peer of ours never sends more than SL_FD_PASS_MAX; one that does has them closed. */
static void test_too_many_descriptors(void **state)
{
    char space[CMSG_SPACE(sizeof(int) * (SL_FD_PASS_MAX + 4))] = {0};
    int many[SL_FD_PASS_MAX + 4];
    struct iovec iov = {.iov_base = "x", .iov_len = 1};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof(space)};
    char data[4];
    int fds[SL_FD_PASS_MAX];
    size_t nfds = 99;
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(many); i++) {
        many[i] = pair[0];
    }
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(many));
    memcpy(CMSG_DATA(c), many, sizeof(many));
    unsigned before = open_count();
    assert_int_equal(sendmsg(pair[0], &msg, 0), 1);
    assert_int_equal(sl_fd_recv(pair[1], data, sizeof(data), fds, &nfds, 0), -EMSGSIZE);
    assert_int_equal(nfds, 99);
    assert_int_equal(open_count(), before);
}

/* ---- files ---- */

static void put(const char *name, const void *data, size_t len, char path[128])
{
    snprintf(path, 128, "%s/%s", folder, name);
    sl_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(sl_fd_write_all(fd, data, len), 0);
}

static void test_read_file(void **state)
{
    static char block[10000];
    char path[128];
    (void)state;
    memset(block, 'x', sizeof(block));
    for (size_t len = 0; len <= sizeof(block); len += 2500) {
        sl_autofree char *data = NULL;
        size_t got = 99;
        put("file", block, len, path);
        if (len > 0) {
            assert_int_equal(sl_fd_read_file(path, len - 1, &data, &got), -EFBIG);
            assert_null(data);
            assert_int_equal(got, 99);
        }
        assert_int_equal(sl_fd_read_file(path, len, &data, &got), 0);
        assert_int_equal(got, len);
        assert_int_equal(data[len], '\0');
        assert_memory_equal(data, block, len);
    }
}

/* Files of /proc say that they are empty; a pipe and a directory are no files. */
static void test_read_odd_files(void **state)
{
    sl_autofree char *data = NULL;
    char path[128];
    size_t len;
    (void)state;
    assert_int_equal(sl_fd_read_file("/proc/self/status", 1 << 16, &data, &len), 0);
    assert_true(len > 0);
    assert_int_equal(strlen(data), len);
    sl_autofree char *cut = NULL;
    assert_int_equal(sl_fd_read_file("/proc/self/status", 10, &cut, &len), -EFBIG);
    assert_int_equal(sl_fd_read_file("/dev/zero", 100000, &cut, &len), -EFBIG); /* has no end */
    assert_int_equal(sl_fd_read_file(folder, 100, &cut, &len), -EISDIR);
    assert_int_equal(sl_fd_read_file("/nonexistent", 100, &cut, &len), -ENOENT);
    snprintf(path, sizeof(path), "%s/fifo", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(sl_fd_read_file(path, 100, &cut, &len), 0); /* nobody writes: no waiting */
    assert_int_equal(len, 0);
}

static void test_read_no_memory(void **state)
{
    char path[128];
    size_t len = 99;
    (void)state;
    put("file", "text", 4, path);
    for (unsigned n = 0;; n++) {
        sl_autofree char *data = NULL;
        alloc_fail(n);
        int r = sl_fd_read_file(path, 100, &data, &len);
        if (!alloc_failed()) {
            assert_int_equal(r, 0);
            assert_int_equal(len, 4);
            assert_true(n > 0);
            return;
        }
        assert_int_equal(r, -ENOMEM);
        assert_null(data);
        assert_int_equal(len, 99);
    }
}

/* ---- the rest ---- */

static void test_flags(void **state)
{
    (void)state;
    assert_int_equal(sl_fd_set_nonblock(pair[0], true), 0);
    assert_true(fcntl(pair[0], F_GETFL) & O_NONBLOCK);
    assert_false(fcntl(pair[0], F_GETFL) & O_APPEND);
    assert_int_equal(sl_fd_set_nonblock(pair[0], false), 0);
    assert_false(fcntl(pair[0], F_GETFL) & O_NONBLOCK);
    assert_int_equal(sl_fd_set_cloexec(pair[0], false), 0);
    assert_false(is_cloexec(pair[0]));
    assert_int_equal(sl_fd_set_cloexec(pair[0], true), 0);
    assert_true(is_cloexec(pair[0]));
    assert_int_equal(sl_fd_set_nonblock(-1, true), -EBADF);
    assert_int_equal(sl_fd_set_cloexec(-1, true), -EBADF);
}

static void test_memfd(void **state)
{
    char text[8] = "";
    (void)state;
    sl_autoclose int fd = sl_fd_memfd("test", "hello", 5);
    assert_true(fd >= 0);
    assert_true(is_cloexec(fd));
    assert_int_equal(read(fd, text, sizeof(text)), 5); /* from the beginning */
    assert_string_equal(text, "hello");
    assert_int_equal(pwrite(fd, "x", 1, 0), -1);
    assert_int_equal(errno, EPERM);
    assert_int_equal(ftruncate(fd, 1), -1);
    assert_int_equal(ftruncate(fd, 100), -1);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), -1); /* as it is, for ever */
    assert_ptr_equal(mmap(NULL, 5, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    sl_autoclose int empty = sl_fd_memfd("test", NULL, 0);
    assert_true(empty >= 0);
    assert_int_equal(read(empty, text, sizeof(text)), 0);
}

static void test_write_all(void **state)
{
    char path[128];
    (void)state;
    put("file", "abc", 3, path);
    sl_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(sl_fd_write_all(fd, "x", 1), -EBADF);
    assert_int_equal(sl_fd_write_all(fd, NULL, 0), 0);
    sl_autoclose int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_int_equal(sl_fd_write_all(full, "x", 1), -ENOSPC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_message, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_descriptors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_message_too_long, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_too_many_descriptors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_read_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_read_odd_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_read_no_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_flags, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_memfd, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_write_all, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
