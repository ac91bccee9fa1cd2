/* One table of descriptors a process, live, as where no thread has a pidfd. NET-03. */
#include <errno.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "live.h"

#define FAR 1000 /* no descriptor is there */

static void *leaves(void *arg)
{
    int *failed = arg;
    *failed += !(unshare(CLONE_FILES) < 0 && errno == EPERM);
    *failed += !(close_range(FAR, FAR, CLOSE_RANGE_UNSHARE) < 0 && errno == EPERM);
    *failed += close_range(FAR, FAR, 0) != 0;
    return NULL;
}

/* args: a port that is granted, another one. Whichever thread asks, its socket is found. */
static void *connects(void *arg)
{
    char **args = arg;
    struct sockaddr_in good = live_addr("127.0.0.1", args[0]);
    struct sockaddr_in bad = live_addr("127.0.0.1", args[1]);
    sl_autoclose int fd = live_connect(&good, SOCK_STREAM);
    int refused = live_connect(&bad, SOCK_STREAM);
    return fd >= 0 && refused == -ECONNREFUSED ? NULL : arg;
}

static int program_leaves(char **args)
{
    pthread_t thread;
    int failed = 0;
    void *result = args;
    unsigned long flags = CLONE_VM | CLONE_SIGHAND | CLONE_THREAD | CLONE_FS;
    LIVE_CHECK(unshare(CLONE_FILES) == 0); /* alone, it leaves nobody */
    LIVE_CHECK(close_range(FAR, FAR, CLOSE_RANGE_UNSHARE) == 0);
    LIVE_CHECK(syscall(SYS_clone, flags, 0, 0, 0, 0) < 0 && errno == EPERM);
    LIVE_CHECK(pthread_create(&thread, NULL, leaves, &failed) == 0);
    LIVE_CHECK(pthread_join(thread, NULL) == 0 && failed == 0);
    LIVE_CHECK(connects(args) == NULL);
    LIVE_CHECK(pthread_create(&thread, NULL, connects, args) == 0);
    LIVE_CHECK(pthread_join(thread, &result) == 0 && result == NULL);
    pid_t child = fork();
    if (child == 0) {
        _exit(connects(args) == NULL && unshare(CLONE_FILES) == 0 ? 0 : 1);
    }
    int status;
    LIVE_CHECK(waitpid(child, &status, 0) == child && status == 0);
    return 0;
}

static void no_thread_leaves_its_table(void **state)
{
    (void)state;
    uint16_t ports[2];
    char good[8];
    char bad[8];
    char rule[32];
    sl_autoclose int a = live_listen(SOCK_STREAM, "127.0.0.1", &ports[0]);
    sl_autoclose int b = live_listen(SOCK_STREAM, "127.0.0.1", &ports[1]);
    snprintf(good, sizeof(good), "%u", ports[0]);
    snprintf(bad, sizeof(bad), "%u", ports[1]);
    snprintf(rule, sizeof(rule), "127.0.0.1:%u", ports[0]);
    SL_AUTO(sl_policy) policy = live_policy("fs_readable", "/", "net_allow", rule, NULL);
    struct live_run run = {.policy = policy, .program = "leaves", .args = {good, bad}};
    assert_int_equal(live_run(&run), 0);
    assert_true(live_was_reached(a, SOCK_STREAM));
    assert_false(live_was_reached(b, SOCK_STREAM));
}

int main(int argc, char **argv)
{
    static const struct live_program programs[] = {{"leaves", program_leaves}, {NULL, NULL}};
    static const struct CMUnitTest tests[] = {cmocka_unit_test(no_thread_leaves_its_table)};
    live_start(argc, argv, programs);
    live_pretend_older();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
