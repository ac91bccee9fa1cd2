/* The tree below this process: all of it, parents first, none of the others; and lists that are
 * longer than one read. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "kernel/tree.h"

#define LIST_MAX 2048
#define MANY     900 /* numbers of them are more than the 4 KiB that are read at a time */

static pid_t list[LIST_MAX];
static int hold[2]; /* children live until it is closed */

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(pipe(hold), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sl_close(hold[1]);
    while (wait(NULL) > 0) {
    }
    sl_close(hold[0]);
    return 0;
}

static void wait_for_the_end(void)
{
    char byte;
    close(hold[1]);
    while (read(hold[0], &byte, 1) > 0) {
    }
    _exit(0);
}

static pid_t child(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        wait_for_the_end();
    }
    assert_true(pid > 0);
    return pid;
}

/* A child with one of its own, whose number is told. */
static pid_t child_with_child(pid_t *ret_grandchild)
{
    int told[2];
    assert_int_equal(pipe(told), 0);
    pid_t pid = fork();
    if (pid == 0) {
        pid_t own = fork();
        if (own == 0) {
            wait_for_the_end();
        }
        (void)!write(told[1], &own, sizeof(own));
        wait_for_the_end();
    }
    assert_int_equal(read(told[0], ret_grandchild, sizeof(*ret_grandchild)),
                     sizeof(*ret_grandchild));
    sl_close(told[0]);
    sl_close(told[1]);
    return pid;
}

static size_t place(pid_t pid, size_t count)
{
    size_t found = SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
        if (list[i] == pid) {
            assert_true(found == SIZE_MAX); /* once */
            found = i;
        }
    }
    return found;
}

static void test_nobody(void **state)
{
    (void)state;
    assert_int_equal(sl_tree_list(0, list, LIST_MAX), 0);
    assert_false(sl_tree_has(0, getpid()));
    assert_false(sl_tree_has(0, getppid()));
    assert_false(sl_tree_has(0, 1));
    assert_false(sl_tree_has(0, 0));
    assert_false(sl_tree_has(0, -1));
}

static void test_family(void **state)
{
    pid_t grandchild;
    (void)state;
    pid_t one = child();
    pid_t two = child_with_child(&grandchild);
    size_t count = sl_tree_list(0, list, LIST_MAX);
    assert_int_equal(count, 3);
    assert_true(place(one, count) < count);
    assert_true(place(two, count) < place(grandchild, count)); /* parents first */
    assert_true(sl_tree_has(0, one));
    assert_true(sl_tree_has(0, grandchild));
    assert_int_equal(sl_tree_list(0, list, 2), 2); /* no more than there is room for */
    assert_int_equal(sl_tree_list(0, list, 0), 0);
}

/* The spare one and all below it are not of the tree. */
static void test_spare(void **state)
{
    pid_t grandchild;
    (void)state;
    pid_t one = child();
    pid_t spare = child_with_child(&grandchild);
    assert_int_equal(sl_tree_list(spare, list, LIST_MAX), 1);
    assert_int_equal(list[0], one);
    assert_true(sl_tree_has(spare, one));
    assert_false(sl_tree_has(spare, spare));
    assert_false(sl_tree_has(spare, grandchild));
}

static void test_gone(void **state)
{
    (void)state;
    pid_t pid = child();
    assert_true(sl_tree_has(0, pid));
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_false(sl_tree_has(0, pid));
    assert_int_equal(sl_tree_list(0, list, LIST_MAX), 0);
}

static void test_many(void **state)
{
    static pid_t made[MANY];
    (void)state;
    for (size_t i = 0; i < MANY; i++) {
        made[i] = child();
    }
    size_t count = sl_tree_list(0, list, LIST_MAX);
    assert_int_equal(count, MANY);
    for (size_t i = 0; i < MANY; i++) {
        assert_true(place(made[i], count) < count); /* no number was cut where a read ended */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody),
        cmocka_unit_test_setup_teardown(test_family, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_spare, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_gone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
