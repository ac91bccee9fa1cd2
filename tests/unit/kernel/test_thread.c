/* Starting a thread: with the stack that was asked for, or an error. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernel/thread.h"

static void *own_stack_size(void *arg)
{
    pthread_attr_t attr;
    void *from;
    if (pthread_getattr_np(pthread_self(), &attr) == 0) {
        pthread_attr_getstack(&attr, &from, arg);
        pthread_attr_destroy(&attr);
    }
    return arg;
}

static void test_stack(void **state)
{
    static const size_t sizes[] = {128 << 10, 1 << 20};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        pthread_t thread;
        size_t size = 0;
        void *result = NULL;
        assert_int_equal(sl_thread_start(sizes[i], own_stack_size, &size, &thread), 0);
        assert_int_equal(pthread_join(thread, &result), 0);
        assert_ptr_equal(result, &size);
        assert_in_range(size, sizes[i] / 2, sizes[i]);
    }
}

static void test_refused(void **state)
{
    pthread_t thread = pthread_self();
    (void)state;
    assert_int_equal(sl_thread_start(1, own_stack_size, NULL, &thread), -EINVAL);
    assert_int_equal(sl_thread_start(SIZE_MAX / 2, own_stack_size, NULL, &thread), -EAGAIN);
    assert_true(pthread_equal(thread, pthread_self()));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stack),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
