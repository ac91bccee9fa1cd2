/* Reading /proc: what is there, what is gone, what is no path, and names that lie. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "kernel/proc.h"

static pid_t somebody_gone(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        _exit(0);
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    return pid;
}

static void test_status(void **state)
{
    long tgid;
    long parent;
    (void)state;
    assert_int_equal(sl_proc_status(SL_PROC_SELF, "Tgid"), getpid());
    assert_int_equal(sl_proc_status(getpid(), "PPid"), getppid());
    assert_int_equal(sl_proc_status(SL_PROC_SELF, "Threads"), 1);
    assert_int_equal(sl_proc_status(SL_PROC_SELF, "Tgi"), -ENODATA);
    assert_int_equal(sl_proc_status(SL_PROC_SELF, "gid"), -ENODATA);   /* not the end of another */
    assert_int_equal(sl_proc_status(SL_PROC_SELF, "State"), -ENODATA); /* no number */
    assert_int_equal(sl_proc_status(0, "Tgid"), -ESRCH); /* nobody, and not this process */
    assert_int_equal(sl_proc_status(-1, "Tgid"),
                     -ESRCH); /* what failed is not this process either */
    assert_int_equal(sl_proc_open(-1, "status", O_RDONLY), -ESRCH);
    sl_proc_family(-1, &tgid, &parent);
    assert_int_equal(tgid, -ESRCH);
    sl_proc_family(SL_PROC_SELF, &tgid, &parent);
    assert_int_equal(tgid, getpid());
    assert_int_equal(parent, getppid());
    pid_t gone = somebody_gone();
    assert_int_equal(sl_proc_status(gone, "Tgid"), -ESRCH);
    sl_proc_family(gone, &tgid, &parent);
    assert_int_equal(tgid, -ESRCH);
    assert_int_equal(parent, -ESRCH);
}

/* A process chooses its name, and a status file begins with it. */
static void test_a_name_that_lies(void **state)
{
    char own[16];
    char text[512];
    (void)state;
    assert_int_equal(prctl(PR_GET_NAME, own), 0);
    assert_int_equal(prctl(PR_SET_NAME, "x) R 1\nPPid:\t1"), 0);
    assert_int_equal(sl_proc_status(SL_PROC_SELF, "PPid"), getppid());
    assert_true(sl_proc_read(SL_PROC_SELF, "stat", text, sizeof(text)) > 0);
    const char *fields = sl_proc_stat_fields(text);
    assert_int_equal(prctl(PR_SET_NAME, own), 0);
    assert_non_null(fields);
    assert_int_equal(fields[0], 'R');
    assert_int_equal(strtol(fields + 2, NULL, 10), getppid());
}

static void test_stat_fields(void **state)
{
    (void)state;
    assert_string_equal(sl_proc_stat_fields("1 (init) S 0 1"), "S 0 1");
    assert_string_equal(sl_proc_stat_fields("1 (a) S 9) R 0 1"), "R 0 1");
    assert_string_equal(sl_proc_stat_fields("1 () Z "), "Z ");
    assert_null(sl_proc_stat_fields(""));
    assert_null(sl_proc_stat_fields("1 (cut"));
    assert_null(sl_proc_stat_fields("1 (cut)"));
}

static void test_read(void **state)
{
    char text[32];
    (void)state;
    memset(text, 'z', sizeof(text));
    assert_int_equal(sl_proc_read(SL_PROC_SELF, "status", text, 8), 7);
    assert_string_equal(text, "Name:\tt"); /* cut, terminated, nothing behind */
    assert_int_equal(text[8], 'z');
    assert_int_equal(sl_proc_read(SL_PROC_SELF, "none", text, sizeof(text)), -ENOENT);
    assert_string_equal(text, "");
    assert_int_equal(sl_proc_read(somebody_gone(), "status", text, sizeof(text)), -ENOENT);
    sl_autoclose int dir = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(sl_proc_read_at(dir, "comm", text, sizeof(text)) > 0);
    assert_int_equal(sl_proc_read_at(dir, "none", text, sizeof(text)), -ENOENT);
    assert_true(sl_proc_number("/proc/self/status", "Tgid") == getpid());
    assert_int_equal(sl_proc_number("/nonexistent", "Tgid"), -ESRCH);
}

/* A file's name that would not fit is refused, never cut to another one. */
static void test_names(void **state)
{
    char name[200];
    char text[8];
    (void)state;
    memset(name, '/', sizeof(name));
    memcpy(name + sizeof(name) - 7, "status", 7);
    for (size_t len = 6; len < sizeof(name); len++) {
        const char *tail = name + sizeof(name) - 1 - len;
        int fd = sl_proc_open(SL_PROC_SELF, tail, O_RDONLY);
        assert_true(fd >= 0 || fd == -ENAMETOOLONG);
        assert_true(fd >= 0 || len > 40);
        sl_close(fd);
    }
    assert_int_equal(sl_proc_link(SL_PROC_SELF, name, text, sizeof(text)), -ENAMETOOLONG);
    memset(name, 'x', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(sl_proc_status(SL_PROC_SELF, name), -ENODATA);
}

static void test_links(void **state)
{
    char path[PATH_MAX];
    char text[8];
    (void)state;
    assert_true(sl_proc_link(SL_PROC_SELF, "exe", path, sizeof(path)) > 0);
    assert_non_null(strstr(path, "test_kernel_proc"));
    assert_int_equal(sl_proc_link(SL_PROC_SELF, "exe", text, sizeof(text)), 7);
    assert_int_equal(strlen(text), 7);
    assert_int_equal(sl_proc_link(SL_PROC_SELF, "status", path, sizeof(path)), -EINVAL);
    assert_string_equal(path, "");
}

static void test_descriptors(void **state)
{
    char path[PATH_MAX];
    char name[SL_PROC_FD_NAME_MAX];
    int pipes[2];
    (void)state;
    sl_autoclose int etc = open("/etc/../etc", O_PATH | O_CLOEXEC);
    assert_int_equal(sl_proc_fd_path(etc, path), 0);
    assert_string_equal(path, "/etc");
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    assert_int_equal(sl_proc_fd_path(pipes[0], path), -ENOENT);
    sl_close(pipes[0]);
    sl_close(pipes[1]);
    sl_autoclose int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(sl_proc_fd_path(sock, path), -ENOENT);
    assert_true(sl_proc_fd_path(-1, path) < 0);
    sl_proc_fd_name(INT32_MIN, name); /* there is room for any */
    assert_string_equal(name, "/proc/self/fd/-2147483648");
}

static void test_reopen(void **state)
{
    char text[4] = "";
    (void)state;
    sl_autoclose int fd = memfd_create("test", MFD_CLOEXEC);
    assert_int_equal(write(fd, "abc", 3), 3);
    sl_autoclose int again = sl_proc_reopen(fd, O_RDONLY);
    assert_true(again >= 0);
    assert_true(fcntl(again, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(read(again, text, sizeof(text)), 3); /* an offset of its own */
    assert_int_equal(write(again, "x", 1), -1);
    assert_int_equal(errno, EBADF); /* and rights of its own */
    assert_true(sl_proc_reopen(-1, O_RDONLY) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status),      cmocka_unit_test(test_a_name_that_lies),
        cmocka_unit_test(test_stat_fields), cmocka_unit_test(test_read),
        cmocka_unit_test(test_names),       cmocka_unit_test(test_links),
        cmocka_unit_test(test_descriptors), cmocka_unit_test(test_reopen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
