/* Another process' memory: read and written by both ways, and by the second where the first is
 * withheld. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "kernel/landlock.h"
#include "kernel/memory.h"

#define AT(p) ((uint64_t)(uintptr_t)(p))

static char word[8] = "hello";

struct child {
    pid_t pid;
    int end; /* closing it lets the child go */
};

/* A fork, which ends with 0 if the word is then the expected one there. */
static struct child start(const char *expected)
{
    int pair[2];
    assert_int_equal(pipe(pair), 0);
    struct child c = {.pid = fork(), .end = pair[1]};
    if (c.pid == 0) {
        char byte;
        close(pair[1]);
        _exit(read(pair[0], &byte, 1) == 0 && strcmp(word, expected) == 0 ? 0 : 1);
    }
    close(pair[0]);
    return c;
}

static int finish(struct child c)
{
    int status = -1;
    close(c.end);
    assert_int_equal(waitpid(c.pid, &status, 0), c.pid);
    return status;
}

static void both_ways_write(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        char copy[8] = "";
        struct child c = start(i == 0 ? "file!" : "call!");
        assert_int_equal(sl_memory_read(c.pid, AT(word), copy, 6), 6);
        assert_string_equal(copy, "hello");
        int way = i == 0 ? sl_memory_open(c.pid) : SL_MEMORY_BY_NUMBER;
        sl_autoclose int fd = way;
        assert_true(i == 1 || fd >= 0);
        assert_int_equal(sl_memory_write(way, c.pid, AT(word), i == 0 ? "file!" : "call!", 6), 6);
        assert_int_equal(finish(c), 0);
        assert_string_equal(word, "hello"); /* the child's, not ours */
    }
}

static void what_cannot_be_reached_is_told(void **state)
{
    char copy[8];
    (void)state;
    struct child c = start("hello");
    assert_true(sl_memory_read(c.pid, 0, copy, 1) < 0);
    assert_true(sl_memory_write(SL_MEMORY_BY_NUMBER, c.pid, 0, "x", 1) < 0);
    assert_int_equal(finish(c), 0);
    assert_int_equal(sl_memory_read(c.pid, AT(word), copy, 1), -ESRCH);
    assert_int_equal(sl_memory_open(c.pid), -ENOENT);
    assert_int_equal(sl_memory_open(0), -ESRCH);
}

/* Inside a Landlock sandbox that lets /proc be read alone. */
static int write_confined(void)
{
    int ruleset = sl_landlock_new(SL_LANDLOCK_FILES);
    int root = open("/", O_PATH | O_CLOEXEC);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        sl_landlock_allow(ruleset, root, SL_LANDLOCK_READ) < 0 || sl_landlock_enter(ruleset) < 0) {
        return 2;
    }
    struct child c = start("lower");
    int way = sl_memory_open(c.pid);
    ssize_t n = sl_memory_write(way, c.pid, AT(word), "lower", 6);
    return way == SL_MEMORY_BY_NUMBER && n == 6 && finish(c) == 0 ? 0 : 1;
}

static void the_other_way_where_proc_may_not_be_written(void **state)
{
    (void)state;
    if (sl_landlock_abi() == 0) {
        skip();
    }
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        _exit(write_confined());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways_write),
        cmocka_unit_test(what_cannot_be_reached_is_told),
        cmocka_unit_test(the_other_way_where_proc_may_not_be_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
