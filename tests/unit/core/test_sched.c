/* The wish for short slices: it is asked where the kernel knows it, and harms nowhere. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/sched.h"

struct attr { /* sched_setattr(2) */
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime_ns;
    uint64_t deadline_ns;
    uint64_t period_ns;
};

static void look(struct attr *ret)
{
    memset(ret, 0, sizeof(*ret));
    assert_int_equal(syscall(SYS_sched_getattr, 0, ret, sizeof(*ret), 0), 0);
}

static void test_only_the_slice_changes(void **state)
{
    struct attr before;
    struct attr after;
    (void)state;
    look(&before);
    sl_sched_ask_for_short_slices();
    look(&after);
    assert_int_equal(after.policy, before.policy);
    assert_int_equal(after.nice, before.nice);
    assert_int_equal(after.priority, before.priority);
    assert_int_equal(after.flags, before.flags);
    if (before.runtime_ns == 0 && after.runtime_ns == 0) {
        return; /* before 6.12: the wish is not known */
    }
    assert_true(after.runtime_ns > 0);
    assert_true(after.runtime_ns <= before.runtime_ns);
    sl_sched_ask_for_short_slices();
    look(&before);
    assert_true(before.runtime_ns == after.runtime_ns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_only_the_slice_changes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
