/* cpu_cores and num_cpus, live: what sched_getaffinity(2) tells, what sched_setaffinity(2) takes.
 */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "live.h"

#define SEEN 70 /* more than one word */

static long ask(uint64_t *words, size_t len)
{
    memset(words, 0, len);
    return syscall(SYS_sched_getaffinity, 0, len, words);
}

static long set(uint64_t word, size_t len)
{
    return syscall(SYS_sched_setaffinity, 0, len, &word);
}

static int program_asks_for_cores(char **args)
{
    uint64_t words[16];
    (void)args;
    LIVE_CHECK(ask(words, sizeof(words)) >= 16);
    LIVE_CHECK(words[0] == UINT64_MAX && words[1] == (1u << (SEEN - 64)) - 1 && words[2] == 0);
    LIVE_CHECK(ask(words, 8) < 0 && errno == EINVAL);
    LIVE_CHECK(ask(words, 17) < 0 && errno == EINVAL);
    LIVE_CHECK(syscall(SYS_sched_getaffinity, 0, sizeof(words), NULL) < 0 && errno == EFAULT);
    LIVE_CHECK(syscall(SYS_sched_getaffinity, -1, sizeof(words), words) < 0);

    LIVE_CHECK(set(0, 8) < 0 && errno == EINVAL);
    LIVE_CHECK(syscall(SYS_sched_setaffinity, 0, 8, NULL) < 0 && errno == EFAULT);
    LIVE_CHECK(syscall(SYS_sched_setaffinity, -1, 8, words) < 0);
    words[0] = 0;
    words[1] = UINT64_C(1) << (SEEN - 64); /* one past the last */
    LIVE_CHECK(syscall(SYS_sched_setaffinity, 0, 16, words) < 0 && errno == EINVAL);
    LIVE_CHECK(set(1u << 5, 1) == 0); /* a short mask */
    LIVE_CHECK(ask(words, sizeof(words)) >= 16 && (words[0] & 1u << 5) != 0);
    LIVE_CHECK(set(UINT64_MAX, 8) == 0);
    return 0;
}

static void cores_are_told_and_kept(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) policy = live_policy("fs_readable", "/", "num_cpus", "70", NULL);
    assert_int_equal(live_run(&(struct live_run){.policy = policy, .program = "asks_for_cores"}),
                     0);
}

static void a_core_that_is_not_there_is_refused(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) policy = live_policy("fs_readable", "/", "cpu_cores", "1023", NULL);
    live_expect_refused(policy, "no core 1023");
}

int main(int argc, char **argv)
{
    static const struct live_program programs[] = {
        {"asks_for_cores", program_asks_for_cores},
        {NULL, NULL},
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(cores_are_told_and_kept),
        cmocka_unit_test(a_core_that_is_not_there_is_refused),
    };
    live_start(argc, argv, programs);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
