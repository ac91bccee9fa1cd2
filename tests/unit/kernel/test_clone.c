/* clone(2) with a stack that is given. Being born in a cgroup: unit.kernel.cgroup and vm.cgroup,
 * where there is one to be born in. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "kernel/clone.h"

#define STACK_SIZE (64 << 10)

static uint8_t stack[STACK_SIZE] __attribute__((aligned(64)));

static int give(void *arg)
{
    char here;
    bool own = (uint8_t *)&here >= stack && (uint8_t *)&here < stack + STACK_SIZE;
    return own ? *(int *)arg : 99;
}

__attribute__((no_sanitize("address"))) static void test_plain(void **state)
{
    int number = 42;
    int status;
    (void)state;
    pid_t pid = sl_clone(SIGCHLD, -1, stack, sizeof(stack), give, &number);
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 42);
}

/* What is no cgroup: nobody is born. */
static void test_no_cgroup(void **state)
{
    int number = 42;
    (void)state;
    if (!sl_clone_knows_cgroups()) {
        print_message("clone3(2) is not known here\n");
        skip();
    }
    sl_autoclose int dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    errno = 0;
    assert_int_equal(sl_clone(SIGCHLD, dir, stack, sizeof(stack), give, &number), -1);
    assert_int_equal(errno, EBADF);
    assert_int_equal(sl_clone(SIGCHLD, 9999, stack, sizeof(stack), give, &number), -1);
    assert_int_equal(errno, EBADF);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_no_cgroup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
