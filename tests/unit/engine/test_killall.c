/* The end of a tree: nobody is left, whatever it did, and nobody else is hurt. PROC-11. */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/killall.h"

#define ROUNDS 100
#define WIDTH  3
#define DEPTH  4

/* A tree whose every process holds the pipe's end and waits for ever. Each tells once it is born.
 */
static void grow(int depth, int born)
{
    signal(SIGTERM, SIG_IGN);
    for (int i = 0; depth > 0 && i < (depth > 2 ? 1 : WIDTH); i++) {
        if (fork() == 0) {
            depth--;
            i = -1;
            if (depth % 2 == 0) {
                setsid();
            }
        }
    }
    if (write(born, "x", 1) != 1) {
        _exit(1);
    }
    for (;;) {
        pause();
    }
}

static void wait_born(int fd, int count)
{
    char byte;
    for (int i = 0; i < count; i++) {
        assert_int_equal(read(fd, &byte, 1), 1);
    }
}

/* The write end is held by the tree alone: the end of the file is the end of them all. */
static bool all_gone(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1 && (p.revents & POLLHUP) != 0;
}

static void kill_tree(int depth, int count)
{
    int life[2];
    int born[2];
    assert_int_equal(pipe2(life, O_CLOEXEC), 0);
    assert_int_equal(pipe2(born, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(life[0]);
        grow(depth, born[1]);
    }
    close(life[1]);
    wait_born(born[0], count);
    assert_false(all_gone(life[0]));
    sl_killall(0);
    assert_true(all_gone(life[0]));
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    close(life[0]);
    close(born[0]);
    close(born[1]);
}

static void whole_tree_is_gone(void **state)
{
    (void)state;
    kill_tree(DEPTH, 1 + 1 + 1 + WIDTH + WIDTH * WIDTH);
}

/* A parent that dies before it was waited for leaves its child to us only then: it must be seen
 * too. */
static void orphans_of_the_last_moment_are_gone(void **state)
{
    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        kill_tree(1, 1 + WIDTH);
    }
}

static void spared_process_lives(void **state)
{
    (void)state;
    pid_t spare = fork();
    assert_true(spare >= 0);
    if (spare == 0) {
        for (;;) {
            pause();
        }
    }
    pid_t other = fork();
    assert_true(other >= 0);
    if (other == 0) {
        for (;;) {
            pause();
        }
    }
    sl_killall(spare);
    assert_int_equal(waitpid(other, NULL, WNOHANG), -1);
    assert_int_equal(waitpid(spare, NULL, WNOHANG), 0);
    kill(spare, SIGKILL);
    assert_int_equal(waitpid(spare, NULL, 0), spare);
}

static void nobody_is_nobody(void **state)
{
    (void)state;
    sl_killall(0);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_tree_is_gone),
        cmocka_unit_test(orphans_of_the_last_moment_are_gone),
        cmocka_unit_test(spared_process_lives),
        cmocka_unit_test(nobody_is_nobody),
    };
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
