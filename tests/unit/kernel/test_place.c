/* What is withheld, and by whom: each refusal is told by its own errno. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernel/landlock.h"
#include "kernel/place.h"

static void nothing_is_withheld_here(void **state)
{
    (void)state;
    for (int call = 0; call < SL_PLACE_CALLS; call++) {
        if (sl_place_ask((enum sl_place_call)call) != 0) {
            fail_msg("%s", sl_place_name((enum sl_place_call)call));
        }
    }
    assert_true(sl_place_fetches());
    sl_error err;
    assert_int_equal(sl_place_check_proc(&err), 0);
}

/* As a container's profile does. */
static int refuse(int number, unsigned error)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {4, code};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static void refusals_are_told_apart(void **state)
{
    (void)state;
    static const int numbers[SL_PLACE_CALLS] = {
        [SL_PLACE_PIDFD_OPEN] = SYS_pidfd_open,
        [SL_PLACE_PIDFD_GETFD] = SYS_pidfd_getfd,
        [SL_PLACE_PROCESS_VM_READV] = SYS_process_vm_readv,
        [SL_PLACE_MEMFD_CREATE] = SYS_memfd_create,
        [SL_PLACE_SECCOMP] = SYS_seccomp,
        [SL_PLACE_LANDLOCK] = SYS_landlock_create_ruleset,
    };
    static const unsigned errors[] = {EPERM, ENOSYS, EACCES, EOPNOTSUPP};
    for (int call = 0; call < SL_PLACE_CALLS; call++) {
        for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
            int status = -1;
            pid_t pid = fork();
            if (pid == 0) {
                _exit(refuse(numbers[call], errors[i]) < 0
                          ? 1
                          : -sl_place_ask((enum sl_place_call)call) != (int)errors[i]);
            }
            assert_int_equal(waitpid(pid, &status, 0), pid);
            assert_int_equal(status, 0);
        }
    }
}

static void sentences_name_what_happened(void **state)
{
    (void)state;
    char text[SL_PLACE_TEXT_MAX];
    assert_non_null(strstr(sl_place_say("x(2)", ENOSYS, text), "x(2) is missing (ENOSYS)"));
    assert_null(strstr(text, "profile"));
    assert_non_null(strstr(sl_place_say("x(2)", EPERM, text), "x(2) is refused here (EPERM)"));
    assert_non_null(strstr(text, "profile"));
    assert_null(strstr(text, "too old"));
    assert_non_null(strstr(sl_place_say("x(2)", EOPNOTSUPP, text), "switched off"));
    assert_non_null(strstr(sl_place_say("x(2)", ENOMEM, text), strerror(ENOMEM)));
    assert_non_null(strstr(sl_place_cause(ENOSYS, text), "ENOSYS: not in this kernel"));
    assert_non_null(strstr(sl_place_cause(EACCES, text), "EACCES: forbidden here"));
    assert_non_null(strstr(sl_place_cause(EBUSY, text), strerror(EBUSY)));
}

/* Landlock around us that does not grant /proc: nothing could be followed. */
static void a_proc_that_may_not_be_read_is_told(void **state)
{
    (void)state;
    int status = -1;
    pid_t pid = sl_landlock_abi() == 0 ? -1 : fork();
    if (pid < 0) {
        skip();
    }
    if (pid == 0) {
        sl_error err;
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        int r = sl_landlock_enter(sl_landlock_new(SL_LANDLOCK_FILES));
        r = r < 0 ? 0 : sl_place_check_proc(&err);
        _exit(r == -EACCES && strstr(err.message, "another sandbox around") != NULL ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void yama_is_asked(void **state)
{
    (void)state;
    sl_error err;
    char text[8] = "0";
    FILE *f = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
    if (f != NULL) {
        assert_non_null(fgets(text, sizeof(text), f));
        fclose(f);
    }
    assert_int_equal(sl_place_check_ptrace(&err), text[0] < '2' ? 0 : -EPERM);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_withheld_here),
        cmocka_unit_test(refusals_are_told_apart),
        cmocka_unit_test(sentences_name_what_happened),
        cmocka_unit_test(a_proc_that_may_not_be_read_is_told),
        cmocka_unit_test(yama_is_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
