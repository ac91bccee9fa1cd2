/* The process of the gateway: where its program is looked for, and what is left to it. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/fd.h"
#include "core/util.h"
#include "engine/helper.h"
#include "policy/link.h"
#include "tidy.h"

static char top[64];

static int begin(void **state)
{
    (void)state;
    snprintf(top, sizeof(top), "/tmp/sandlock-helper-XXXXXX");
    return mkdtemp(top) == NULL ? -1 : 0;
}

static int end(void **state)
{
    (void)state;
    tidy_tree(top);
    return 0;
}

static char *path_of(const char *name)
{
    static char path[256];
    snprintf(path, sizeof(path), "%s/%s", top, name);
    return path;
}

static void make_program(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
    assert_true(fd >= 0);
    assert_int_equal(sl_fd_write_all(fd, text, strlen(text)), 0);
    close(fd);
}

/* Started as a program of its own directory: says what it finds there. */
static int find_and_say(void)
{
    char *path = NULL;
    sl_error err;
    int r = sl_helper_find(&path, &err);
    printf("%s", r < 0 ? err.message : path);
    free(path);
    return r < 0 ? 1 : 0;
}

static int found_by_copy(char text[1024])
{
    char copy[256];
    char command[1024];
    snprintf(copy, sizeof(copy), "%s", path_of("bin/program"));
    snprintf(command, sizeof(command), "cp /proc/%d/exe %s && %s find", (int)getpid(), copy, copy);
    FILE *p = popen(command, "re");
    assert_non_null(p);
    size_t n = fread(text, 1, 1023, p);
    text[n] = '\0';
    return WEXITSTATUS(pclose(p));
}

static void it_is_beside_or_in_libexec(void **state)
{
    (void)state;
    char text[1024];
    assert_int_equal(mkdir(path_of("bin"), 0755), 0);
    assert_int_equal(found_by_copy(text), 1);
    assert_non_null(strstr(text, "cannot find 'sandlock-gateway'"));
    assert_int_equal(mkdir(path_of("libexec"), 0755), 0);
    assert_int_equal(mkdir(path_of("libexec/sandlock"), 0755), 0);
    make_program(path_of("libexec/sandlock/sandlock-gateway"), "#!/bin/sh\n");
    assert_int_equal(found_by_copy(text), 0);
    assert_string_equal(text, path_of("bin/../libexec/sandlock/sandlock-gateway"));
    make_program(path_of("bin/sandlock-gateway"), "#!/bin/sh\n");
    assert_int_equal(found_by_copy(text), 0);
    assert_string_equal(text, path_of("bin/sandlock-gateway"));
    chmod(path_of("bin/sandlock-gateway"), 0644); /* no program */
    assert_int_equal(found_by_copy(text), 0);
    assert_non_null(strstr(text, "libexec"));
}

static sl_sandbox *make_sandbox(sl_policy **ret_policy)
{
    sl_error err;
    sl_sandbox *sb = NULL;
    sl_policy *policy = sl_policy_new();
    assert_int_equal(sl_policy_set(policy, sl_field_by_name("fs_readable"), "/", &err), 0);
    assert_int_equal(sl_policy_freeze(policy, &err), 0);
    if (sl_sandbox_new(policy, &sb, &err) < 0) {
        print_message("%s\n", err.message);
        sl_policy_free(policy);
        skip();
    }
    *ret_policy = policy;
    return sb;
}

static pid_t start(const char *path, int peer, sl_error *err)
{
    sl_policy *policy = NULL;
    sl_sandbox *sb = make_sandbox(&policy);
    pid_t pid = 0;
    int r = sl_helper_start(path, peer, sb, &pid, err);
    sl_sandbox_free(sb);
    sl_policy_free(policy);
    return r < 0 ? r : pid;
}

/* The link under its number, null for input and output, no signal blocked, a group of its own, and
 * of the environment what is about certificates and names alone. */
static void it_gets_the_link_and_nothing_else(void **state)
{
    (void)state;
    static const char script[] = "#!/bin/sh\n"
                                 "exec 9>&1\n"
                                 "for fd in /proc/self/fd/*; do :; done\n"
                                 "ls -l /proc/$$/fd > '%s'\n"
                                 "grep SigBlk /proc/self/status >> '%s'\n"
                                 "env >> '%s'\n"
                                 "printf ready >&3\n";
    char text[4096];
    char out[256];
    char byte[16] = {0};
    int pair[2];
    int status;
    sl_error err;
    snprintf(out, sizeof(out), "%s", path_of("out"));
    snprintf(text, sizeof(text), script, out, out, out);
    make_program(path_of("gateway"), text);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    int kept = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    setenv("SSL_CERT_FILE", "/x/roots.pem", 1);
    setenv("SECRET_TOKEN", "1", 1);
    sigset_t block;
    sigset_t before;
    sigfillset(&block);
    sigprocmask(SIG_BLOCK, &block, &before);
    pid_t pid = start(path_of("gateway"), pair[1], &err);
    sigprocmask(SIG_SETMASK, &before, NULL);
    assert_true(pid > 0);
    close(pair[1]);
    assert_int_equal(recv(pair[0], byte, sizeof(byte) - 1, 0), 5);
    assert_string_equal(byte, "ready");
    assert_int_equal(getpgid(pid) == pid || kill(pid, 0) < 0 || getpgid(pid) < 0, 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    close(pair[0]);
    close(kept);
    sl_autofree char *seen = NULL;
    size_t len;
    assert_int_equal(sl_fd_read_file(out, 65536, &seen, &len), 0);
    assert_non_null(strstr(seen, " 0 -> /dev/null\n"));
    assert_non_null(strstr(seen, " 3 -> socket:"));
    assert_null(strstr(seen, "passwd"));
    assert_non_null(strstr(seen, "SigBlk:\t0000000000000000\n"));
    assert_non_null(strstr(seen, "SSL_CERT_FILE=/x/roots.pem\n"));
    assert_null(strstr(seen, "SECRET_TOKEN"));
}

static void what_cannot_start_ends(void **state)
{
    (void)state;
    sl_error err;
    int status;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    pid_t pid = start(path_of("none"), pair[1], &err); /* after vfork(2): its exit says it */
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 125);
    close(pair[0]);
    close(pair[1]);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_is_beside_or_in_libexec, begin, end),
        cmocka_unit_test_setup_teardown(it_gets_the_link_and_nothing_else, begin, end),
        cmocka_unit_test_setup_teardown(what_cannot_start_ends, begin, end),
    };
    if (argc == 2 && strcmp(argv[1], "find") == 0) {
        return find_and_say();
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
