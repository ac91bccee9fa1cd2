/* The names of system calls: against the numbers of the headers, and against libseccomp. */
#include <seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "policy/policy.h"

static void names_are_what_libseccomp_says(void **state)
{
    (void)state;
    unsigned known = 0;
    for (int nr = 0; nr < SL_SYSNAMES_KNOWN; nr++) {
        char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, nr);
        const char *ours = sl_sysname_of(nr);
        if (name != NULL) {
            assert_non_null(ours);
            assert_string_equal(ours, name);
        }
        if (ours != NULL) {
            assert_int_equal(sl_sysname_number(ours), nr);
            known++;
        }
        free(name);
    }
    assert_true(known > 300);
    assert_int_equal(sl_sysname_number("execve"), SYS_execve);
    assert_int_equal(sl_sysname_number("file_setattr"), 469);
    assert_null(sl_sysname_of(SL_SYSNAMES_KNOWN));
    assert_null(sl_sysname_of(-1));
}

static void mistyped_names_have_a_nearest(void **state)
{
    (void)state;
    assert_int_equal(sl_sysname_number("opne"), -1);
    assert_int_equal(sl_sysname_number(""), -1);
    assert_int_equal(sl_sysname_number("OPENAT"), -1);
    assert_string_equal(sl_sysname_nearest("ptarce"), "ptrace");
    assert_null(sl_sysname_nearest("nothing_like_it_at_all"));
}

static int set(sl_policy *policy, const char *field, const char *value, sl_error *err)
{
    return sl_policy_set(policy, sl_field_by_name(field), value, err);
}

static void lists_are_sets(void **state)
{
    (void)state;
    sl_error err = {0};
    SL_AUTO(sl_policy) policy = sl_policy_new();
    assert_non_null(policy);
    assert_int_equal(set(policy, "extra_deny_syscalls", "ptrace,kcmp", &err), 0);
    assert_int_equal(set(policy, "extra_deny_syscalls", "mkdirat", &err), 0);
    assert_true(sl_sysset_has(&policy->syscalls_extra, SYS_ptrace));
    assert_true(sl_sysset_has(&policy->syscalls_extra, SYS_kcmp));
    assert_true(sl_sysset_has(&policy->syscalls_extra, SYS_mkdirat));
    assert_false(sl_sysset_has(&policy->syscalls_extra, SYS_execve));
    assert_false(policy->allow_syscalls_given);
    assert_false(policy->deny_syscalls_given);
    static const char *const bad[] = {"ptrace,", ",ptrace", "ptrace, kcmp", "ptarce", "101", ","};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(set(policy, "deny_syscalls", bad[i], &err), -EINVAL);
        assert_int_equal(err.kind, SL_ERROR_USAGE);
        assert_non_null(strstr(err.message, "--deny-syscalls"));
    }
    assert_int_equal(set(policy, "deny_syscalls", "ptarce", &err), -EINVAL);
    assert_non_null(strstr(err.message, "'ptarce' is no system call; did you mean 'ptrace'?"));
}

static void strict_list_stands_alone(void **state)
{
    (void)state;
    static const char *const other[][2] = {
        {"deny_syscalls", "ptrace"}, {"deny_syscalls", ""}, {"extra_deny_syscalls", "ptrace"}};
    for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
        sl_error err = {0};
        SL_AUTO(sl_policy) policy = sl_policy_new();
        assert_int_equal(set(policy, "allow_syscalls", "", &err), 0);
        assert_true(policy->allow_syscalls_given);
        assert_int_equal(set(policy, other[i][0], other[i][1], &err), 0);
        assert_int_equal(sl_policy_freeze(policy, &err), -EINVAL);
        assert_int_equal(err.kind, SL_ERROR_USAGE);
    }
}

static void strict_list_passes_the_link(void **state)
{
    (void)state;
    static const char *const values[] = {"", "write,socket"};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        sl_error err = {0};
        sl_buf buf;
        sl_buf_init(&buf, 65536);
        SL_AUTO(sl_policy) policy = sl_policy_new();
        SL_AUTO(sl_policy) back = NULL;
        assert_int_equal(set(policy, "allow_syscalls", values[i], &err), 0);
        assert_int_equal(sl_policy_freeze(policy, &err), 0);
        assert_int_equal(sl_policy_encode(policy, &buf), 0);
        assert_int_equal(sl_policy_decode(sl_buf_head(&buf), buf.len, &back, &err), 0);
        assert_true(back->allow_syscalls_given);
        assert_memory_equal(&back->syscalls_allowed, &policy->syscalls_allowed,
                            sizeof(back->syscalls_allowed));
        sl_buf_done(&buf);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_what_libseccomp_says),
        cmocka_unit_test(mistyped_names_have_a_nearest),
        cmocka_unit_test(lists_are_sets),
        cmocka_unit_test(strict_list_stands_alone),
        cmocka_unit_test(strict_list_passes_the_link),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
