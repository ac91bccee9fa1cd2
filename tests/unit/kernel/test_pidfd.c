/* Pidfds of threads where the kernel has them, of processes where it has not. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "kernel/older_int.h"
#include "kernel/pidfd.h"

static void *opens(void *arg)
{
    *(int *)arg = sl_pidfd_open(gettid());
    return NULL;
}

static int open_of_another_thread(void)
{
    pthread_t thread;
    int fd = -1;
    assert_int_equal(pthread_create(&thread, NULL, opens, &fd), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    return fd;
}

static void a_thread_where_it_can_be(void **state)
{
    (void)state;
    sl_autoclose int leader = sl_pidfd_open(getpid());
    sl_autoclose int fd = open_of_another_thread();
    assert_true(leader >= 0);
    assert_int_equal(fd >= 0, sl_pidfd_of_threads());
}

static void a_process_elsewhere(void **state)
{
    (void)state;
    sl_pidfd_pretend_leaders();
    assert_false(sl_pidfd_of_threads());
    sl_autoclose int leader = sl_pidfd_open(getpid());
    assert_true(leader >= 0);
    int r = open_of_another_thread();
    assert_true(r == -EINVAL || r == -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_where_it_can_be),
        cmocka_unit_test(a_process_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
