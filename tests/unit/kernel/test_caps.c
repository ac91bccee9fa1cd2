/* Laying down capabilities: as root all of them go, or all but those kept; as anybody else nothing
 * is gained. Each in a process of its own, for it cannot be taken back. */
#include <linux/capability.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
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

#include "core/num.h"
#include "core/util.h"
#include "kernel/caps.h"
#include "kernel/proc.h"

struct sets {
    uint64_t permitted;
    uint64_t effective;
    uint64_t inheritable;
    uint64_t bounding;
    uint64_t ambient;
};

static uint64_t mask(const char *text, const char *name)
{
    uint64_t value = UINT64_MAX;
    const char *at = strstr(text, name);
    if (at != NULL) {
        at += strlen(name);
        (void)sl_num_parse_hex(at, strcspn(at, "\n"), UINT64_MAX, &value);
    }
    return value;
}

static struct sets look(void)
{
    char text[4096];
    if (sl_proc_read(SL_PROC_SELF, "status", text, sizeof(text)) <= 0) {
        abort();
    }
    return (struct sets){.permitted = mask(text, "\nCapPrm:\t"),
                         .effective = mask(text, "\nCapEff:\t"),
                         .inheritable = mask(text, "\nCapInh:\t"),
                         .bounding = mask(text, "\nCapBnd:\t"),
                         .ambient = mask(text, "\nCapAmb:\t")};
}

/* What the sets are in a process that dropped them; `r` is the answer. */
static struct sets after(uint32_t kept, unsigned times, int *ret_r)
{
    struct {
        struct sets sets;
        int r;
    } told;
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    pid_t pid = fork();
    if (pid == 0) {
        told.r = 0;
        for (unsigned i = 0; i < times && told.r == 0; i++) {
            told.r = sl_caps_drop(kept);
        }
        told.sets = look();
        (void)!write(pipes[1], &told, sizeof(told));
        _exit(0);
    }
    assert_int_equal(read(pipes[0], &told, sizeof(told)), sizeof(told));
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    sl_close(pipes[0]);
    sl_close(pipes[1]);
    *ret_r = told.r;
    return told.sets;
}

static void test_all_go(void **state)
{
    int r;
    (void)state;
    struct sets before = look();
    struct sets s = after(SL_CAPS_NONE, 1, &r);
    assert_int_equal(r, 0);
    assert_true((s.permitted | s.effective | s.inheritable | s.ambient) == 0);
    bool may_change = (before.effective >> CAP_SETPCAP & 1) != 0;
    assert_true(s.bounding == (may_change ? 0 : before.bounding));
    s = after(SL_CAPS_NONE, 2, &r); /* again: nothing */
    assert_int_equal(r, 0);
    assert_true(s.permitted == 0);
}

static void test_some_are_kept(void **state)
{
    int r;
    (void)state;
    uint32_t kept = 1u << CAP_KILL | 1u << CAP_SYS_PTRACE;
    struct sets before = look();
    struct sets s = after(kept, 1, &r);
    assert_int_equal(r, 0);
    assert_true(s.permitted == (before.permitted & kept)); /* none is gained */
    assert_true(s.effective == s.permitted);
    assert_true((s.inheritable | s.ambient) == 0);
}

/* Ambient ones come back with every execve(2): they go first of all. */
static void test_ambient(void **state)
{
    int r;
    (void)state;
    struct sets before = look();
    if ((before.permitted >> CAP_KILL & 1) == 0) {
        print_message("nothing to lose: not root here\n");
        skip();
    }
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {
        {.permitted = (uint32_t)before.permitted,
         .effective = (uint32_t)before.effective,
         .inheritable = 1u << CAP_KILL},
        {.permitted = (uint32_t)(before.permitted >> 32),
         .effective = (uint32_t)(before.effective >> 32)},
    };
    assert_int_equal(syscall(SYS_capset, &header, data), 0);
    assert_int_equal(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0), 0);
    assert_true(look().ambient == 1u << CAP_KILL);
    struct sets s = after(1u << CAP_KILL, 1, &r);
    assert_int_equal(r, 0);
    assert_true(s.ambient == 0 && s.inheritable == 0);
    assert_true(s.permitted == 1u << CAP_KILL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_go),
        cmocka_unit_test(test_some_are_kept),
        cmocka_unit_test(test_ambient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
