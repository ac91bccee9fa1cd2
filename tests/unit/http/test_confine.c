/* What the gateway may still do once it looks at hostile bytes: each thing works before, and is
 * refused or deadly after. Every act has a process of its own. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "http/gateway_int.h"
#include "kernel/landlock.h"

typedef int (*act)(void); /* 0 or an errno */

#define KILLED 1000 /* behind the signal */

/* What `what` answers, in a process that was confined or not. */
static int answer(act what, bool confined)
{
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        sl_error err;
        if (confined && sl_confine_self(&err) < 0) {
            fprintf(stderr, "%s\n", err.message);
            _exit(255);
        }
        _exit(what());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? KILLED + WTERMSIG(status) : WEXITSTATUS(status);
}

static void expect(act what, int after)
{
    assert_int_equal(answer(what, false), 0);
    assert_int_equal(answer(what, true), after);
}

static int opened(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, 0600);
    return fd < 0 ? errno : 0;
}

static int write_a_file(void)
{
    char path[64];
    snprintf(path, sizeof(path), "/tmp/sandlock-confine-%d", (int)getpid());
    int r = opened(path, O_WRONLY | O_CREAT);
    (void)unlink(path);
    return r;
}

static int read_a_process(void)
{
    return opened("/proc/self/status", O_RDONLY);
}

static int read_a_program(void)
{
    return opened("/bin/sh", O_RDONLY);
}

static int read_what_resolving_needs(void)
{
    return opened("/etc/hosts", O_RDONLY);
}

static int local_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0 ? errno : 0;
}

static int internet_socket(void)
{
    return socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0 ? errno : 0;
}

static int listening_socket(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd < 0 || listen(fd, 1) < 0 ? errno : 0;
}

static int bound_port(void)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0 ? errno : 0;
}

static int another_process(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        _exit(0);
    }
    return pid < 0 ? errno : 0;
}

static int signal_a_process(void)
{
    return kill(getppid(), 0) < 0 ? errno : 0;
}

static int change_a_limit(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0) {
        return 200;
    }
    return setrlimit(RLIMIT_NOFILE, &files) < 0 ? errno : 0;
}

static int run_a_program(void)
{
    char *const words[] = {"true", NULL};
    execv("/bin/true", words);
    return errno;
}

static int trace(void)
{
    return ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0 ? errno : 0;
}

static int read_memory(void)
{
    char from = 'x';
    char to = 0;
    struct iovec local = {&to, 1};
    struct iovec remote = {&from, 1};
    return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) != 1 ? errno : 0;
}

static void it_writes_no_file_and_reads_few(void **state)
{
    (void)state;
    expect(write_a_file, EACCES);
    expect(read_a_process, EACCES);
    expect(read_a_program, EACCES);
    expect(read_what_resolving_needs, 0);
}

static void it_connects_and_nothing_else(void **state)
{
    (void)state;
    expect(internet_socket, 0);
    expect(local_socket, EPERM);
    expect(listening_socket, EPERM);
    expect(bound_port, sl_landlock_abi() >= 4 ? EACCES : 0);
}

static void it_reaches_no_process(void **state)
{
    (void)state;
    expect(another_process, EPERM);
    expect(signal_a_process, EPERM);
    expect(change_a_limit, EPERM);
}

static void what_only_an_intruder_asks_for_is_deadly(void **state)
{
    (void)state;
    expect(run_a_program, KILLED + SIGSYS);
    expect(trace, KILLED + SIGSYS);
    expect(read_memory, KILLED + SIGSYS);
}

/* The line of /proc/PID/status that begins so, without that. */
static void status_of(pid_t pid, const char *name, char *ret, size_t size)
{
    char path[64];
    char line[256];
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    ret[0] = '\0';
    while (fgets(line, sizeof(line), f) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0) {
            snprintf(ret, size, "%s", line + strlen(name) + strspn(line + strlen(name), "\t "));
            ret[strcspn(ret, "\n")] = '\0';
        }
    }
    (void)fclose(f);
}

static void it_keeps_no_privilege(void **state)
{
    (void)state;
    static const char *const want[][2] = {
        {"CapEff:", "0000000000000000"},
        {"CapPrm:", "0000000000000000"},
        {"CapInh:", "0000000000000000"},
        {"CapAmb:", "0000000000000000"},
        {"NoNewPrivs:", "1"},
        {"Seccomp:", "2"},
    };
    int ready[2];
    char text[128];
    char c;
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        sl_error err;
        close(ready[0]);
        if (sl_confine_self(&err) == 0 && write(ready[1], "x", 1) == 1) {
            for (;;) {
                (void)poll(NULL, 0, -1);
            }
        }
        _exit(1);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &c, 1), 1);
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        status_of(pid, want[i][0], text, sizeof(text));
        assert_string_equal(text, want[i][1]);
    }
    if (geteuid() == 0) {
        status_of(pid, "CapBnd:", text, sizeof(text));
        assert_string_equal(text, "0000000000000000");
    }
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    close(ready[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_writes_no_file_and_reads_few),
        cmocka_unit_test(it_connects_and_nothing_else),
        cmocka_unit_test(it_reaches_no_process),
        cmocka_unit_test(what_only_an_intruder_asks_for_is_deadly),
        cmocka_unit_test(it_keeps_no_privilege),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
