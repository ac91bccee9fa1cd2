/* What debuggers use, live: refused and told of, with the switch that allows it; within the tree
 * under that switch. PROC-05. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "live.h"

static struct told {
    int count;
    char calls[128];
    char allow_with[32];
} * told; /* shared with the engine's process */

static void on_refused(void *arg, pid_t pid, const char *call, const char *allow_with)
{
    (void)arg;
    (void)pid;
    size_t len = strlen(told->calls);
    told->count++;
    snprintf(told->calls + len, sizeof(told->calls) - len, "%s ", call);
    snprintf(told->allow_with, sizeof(told->allow_with), "%s", allow_with);
}

static int reads(pid_t pid)
{
    static char word[] = "word";
    char copy[sizeof(word)] = "";
    struct iovec here = {copy, sizeof(copy)};
    struct iovec there = {word, sizeof(word)};
    if (process_vm_readv(pid, &here, 1, &there, 1, 0) < 0) {
        return errno;
    }
    return strcmp(word, copy) == 0 ? 0 : EIO;
}

static int writes(pid_t pid)
{
    static char word[] = "word";
    struct iovec both = {word, sizeof(word)};
    return process_vm_writev(pid, &both, 1, &both, 1, 0) < 0 ? errno : 0;
}

static int traces(pid_t pid)
{
    if (ptrace(PTRACE_ATTACH, pid, NULL, NULL) < 0) {
        return errno;
    }
    int status;
    bool stopped = waitpid(pid, &status, 0) == pid && WIFSTOPPED(status);
    return ptrace(PTRACE_DETACH, pid, NULL, NULL) == 0 && stopped ? 0 : EIO;
}

static int program_is_refused(char **args)
{
    (void)args;
    LIVE_CHECK(reads(getpid()) == EPERM && writes(getpid()) == EPERM);
    LIVE_CHECK(ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0 && errno == EPERM);
    return 0;
}

/* args: somebody outside */
static int program_debugs(char **args)
{
    pid_t outside = (pid_t)strtol(args[0], NULL, 10);
    pid_t child = fork();
    LIVE_CHECK(child >= 0);
    if (child == 0) {
        for (;;) {
            pause();
        }
    }
    LIVE_CHECK(reads(child) == 0 && writes(child) == 0 && traces(child) == 0);
    LIVE_CHECK(reads(outside) == EPERM && writes(outside) == EPERM && traces(outside) == EPERM);
    LIVE_CHECK(traces(getppid()) == EPERM); /* the engine */
    LIVE_CHECK(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
    return 0;
}

static int run(const sl_policy *policy, const char *program, const char *arg)
{
    struct live_run run = {.policy = policy, .program = program, .args = {arg}};
    memset(told, 0, sizeof(*told));
    run.hooks.refused = on_refused;
    return live_run(&run);
}

static void a_refusal_names_the_switch(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) policy = live_policy("fs_readable", "/", NULL);
    assert_int_equal(run(policy, "is_refused", NULL), 0);
    assert_int_equal(told->count, 3);
    assert_string_equal(told->calls, "process_vm_readv process_vm_writev ptrace ");
    assert_string_equal(told->allow_with, "--allow-debug");
    /* what no switch would allow is not told */
    SL_AUTO(sl_policy)
    listed = live_policy("fs_readable", "/", "deny_syscalls",
                         "ptrace,process_vm_readv,process_vm_writev", "debug", "true", NULL);
    assert_int_equal(run(listed, "is_refused", NULL), 0);
    assert_int_equal(told->count, 0);
}

static void the_switch_is_for_the_tree(void **state)
{
    (void)state;
    char number[16];
    pid_t outside = fork();
    assert_true(outside >= 0);
    if (outside == 0) {
        for (;;) {
            pause();
        }
    }
    snprintf(number, sizeof(number), "%d", (int)outside);
    SL_AUTO(sl_policy) policy = live_policy("fs_readable", "/", "debug", "true", NULL);
    assert_int_equal(run(policy, "debugs", number), 0);
    /* under a list of one's own that list decides */
    SL_AUTO(sl_policy) other = live_policy("fs_readable", "/", "deny_syscalls", "sync", NULL);
    assert_int_equal(run(other, "debugs", number), 0);
    assert_int_equal(told->count, 0);
    assert_int_equal(traces(outside), 0); /* it works outside */
    assert_int_equal(kill(outside, SIGKILL), 0);
    assert_int_equal(waitpid(outside, NULL, 0), outside);
}

int main(int argc, char **argv)
{
    static const struct live_program programs[] = {
        {"is_refused", program_is_refused},
        {"debugs", program_debugs},
        {NULL, NULL},
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refusal_names_the_switch),
        cmocka_unit_test(the_switch_is_for_the_tree),
    };
    live_start(argc, argv, programs);
    told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return told == MAP_FAILED ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
