/* A trapped caller's memory and descriptors: copied as far as they can be read, pinned as they are,
 * and nobody's when the caller is gone. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "supervisor/notify.h"
#include "trapped.h"

#define PAGE 4096u

static char text[64] = "hello";
static uint8_t *two_pages; /* the second cannot be read */

static int set_up(void **state)
{
    (void)state;
    two_pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(two_pages, MAP_FAILED);
    memset(two_pages, 'p', PAGE);
    assert_int_equal(mprotect(two_pages + PAGE, PAGE, PROT_NONE), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    munmap(two_pages, 2 * PAGE);
    return 0;
}

#define AT(p) ((uint64_t)(uintptr_t)(p))

static int text_is_changed(long result)
{
    return result == 7 && strcmp(text, "HELLO") == 0 ? 0 : 1;
}

static void test_memory(void **state)
{
    char copy[64];
    (void)state;
    struct trapped *t = trap((const uint64_t[6]){AT(text), 2, 3, 4, 5, 6}, text_is_changed);
    assert_true(t->call.args[0] == AT(text) && t->call.args[5] == 6);
    assert_true(sl_call_valid(&t->call));
    assert_int_equal(sl_call_read(&t->call, AT(text), copy, 6), 0);
    assert_string_equal(copy, "hello");
    assert_int_equal(sl_call_write(&t->call, AT(text), "HELLO", 6), 0);
    assert_string_equal(text, "hello"); /* the child's, not ours */
    assert_int_equal(trapped_answer(t, SL_ANSWER_VALUE(7)), 0);
}

static void test_bad_addresses(void **state)
{
    static const uint64_t bad[] = {
        0, 1, PAGE, UINT64_MAX, UINT64_MAX - 7, UINT64_C(1) << 63, 0xffffffff81000000};
    char copy[64];
    (void)state;
    struct trapped *t = trap((const uint64_t[6]){0}, NULL);
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        memset(copy, 'z', sizeof(copy));
        assert_int_equal(sl_call_read(&t->call, bad[i], copy, 8), -EFAULT);
        assert_true(sl_call_read_some(&t->call, bad[i], copy, 8) <= 0);
        assert_int_equal(sl_call_read_str(&t->call, bad[i], copy, sizeof(copy)), -EFAULT);
        assert_int_equal(sl_call_write(&t->call, bad[i], copy, 8), -EFAULT);
    }
    assert_int_equal(trapped_answer(t, SL_ANSWER_VALUE(0)), 0);
}

/* To the last byte of what can be read, and not one further. */
static void test_page_end(void **state)
{
    char copy[64];
    (void)state;
    memcpy(two_pages + PAGE - 4, "abc", 4);
    struct trapped *t = trap((const uint64_t[6]){0}, NULL);
    uint64_t end = AT(two_pages) + PAGE;
    assert_int_equal(sl_call_read(&t->call, end - 4, copy, 4), 0);
    assert_int_equal(sl_call_read(&t->call, end - 4, copy, 5), -EFAULT);
    assert_int_equal(sl_call_read_some(&t->call, end - 4, copy, 8), 4);
    assert_int_equal(sl_call_read_str(&t->call, end - 4, copy, sizeof(copy)), 0);
    assert_string_equal(copy, "abc");
    assert_int_equal(sl_call_read_str(&t->call, end - 4, copy, 4), 0);
    assert_int_equal(sl_call_read_str(&t->call, end - 4, copy, 3), -ENAMETOOLONG);
    assert_int_equal(sl_call_write(&t->call, end - 4, "1234", 4), 0);
    assert_int_equal(sl_call_read_str(&t->call, end - 4, copy, sizeof(copy)), -EFAULT); /* no NUL */
    assert_int_equal(trapped_answer(t, SL_ANSWER_VALUE(0)), 0);
}

static void test_descriptors(void **state)
{
    char byte = 0;
    int pipes[2];
    (void)state;
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    struct trapped *t = trap((const uint64_t[6]){0}, NULL);
    sl_autoclose int pin = sl_call_pin(&t->call, pipes[1]);
    assert_true(pin >= 0);
    assert_true(fcntl(pin, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(write(pin, "x", 1), 1); /* the same open file */
    assert_int_equal(read(pipes[0], &byte, 1), 1);
    assert_int_equal(byte, 'x');
    assert_int_equal(sl_call_pin(&t->call, 9999), -EBADF);
    assert_int_equal(sl_call_pin(&t->call, -1), -EBADF);
    assert_int_equal(sl_call_pin(&t->call, INT32_MIN), -EBADF);
    int pidfd = sl_call_pidfd(&t->call);
    assert_true(pidfd >= 0);
    assert_int_equal(sl_call_pidfd(&t->call), pidfd); /* kept */
    assert_int_equal(sl_call_tgid(&t->call), t->pid);
    assert_int_equal(trapped_answer(t, SL_ANSWER_VALUE(0)), 0);
    sl_close(pipes[0]);
    sl_close(pipes[1]);
}

/* Its number may be somebody else's by now: nothing is believed any more. */
static void test_gone(void **state)
{
    (void)state;
    struct trapped *t = trap((const uint64_t[6]){0}, NULL);
    kill(t->pid, SIGKILL);
    assert_int_equal(waitpid(t->pid, NULL, 0), t->pid);
    assert_false(sl_call_valid(&t->call));
    assert_int_equal(sl_call_tgid(&t->call), -ESRCH);
    assert_true(sl_call_pin(&t->call, 0) < 0);
    assert_true(sl_call_read(&t->call, AT(text), text, 1) < 0);
    close(atomic_load(&t->sv.listener));
}

/* An answer that was given is given: the call is not this one any more. */
static void test_answered(void **state)
{
    (void)state;
    struct trapped *t = trap((const uint64_t[6]){0}, NULL);
    struct trapped copy = *t;
    assert_int_equal(trapped_answer(t, SL_ANSWER_VALUE(-EPERM)), 0);
    assert_false(sl_call_valid(&copy.call));
}

static int result_is_eperm(long result)
{
    return result == -EPERM ? 0 : 1;
}

static int result_is_a_pipe(long result)
{
    return write((int)result, "y", 1) == 1 && (fcntl((int)result, F_GETFD) & FD_CLOEXEC) != 0 ? 0
                                                                                              : 1;
}

static int result_is_the_parent(long result)
{
    return result == getpid() ? 1 : result > 1 ? 0 : 2;
}

static void test_answers(void **state)
{
    char byte = 0;
    int pipes[2];
    (void)state;
    struct trapped *t = trap((const uint64_t[6]){0}, result_is_eperm);
    assert_int_equal(trapped_answer(t, SL_ANSWER_VALUE(-EPERM)), 0);
    t = trap((const uint64_t[6]){0}, result_is_the_parent);
    assert_int_equal(trapped_answer(t, SL_ANSWER_PASS), 0); /* the kernel's own */
    t = trap((const uint64_t[6]){0}, result_is_a_pipe);
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    assert_int_equal(
        trapped_answer(t, (sl_answer){.kind = SL_INJECT, .fd = pipes[1], .cloexec = true}), 0);
    assert_int_equal(fcntl(pipes[1], F_GETFD), -1); /* taken over */
    assert_int_equal(read(pipes[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    sl_close(pipes[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_bad_addresses),
        cmocka_unit_test_setup_teardown(test_page_end, set_up, tear_down),
        cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_gone),
        cmocka_unit_test(test_answered),
        cmocka_unit_test(test_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
