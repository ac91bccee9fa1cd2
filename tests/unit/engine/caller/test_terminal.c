/* The pair of an interactive run, with a pseudo-terminal in the caller's place. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "engine/caller/terminal.h"

#define PATIENCE_MS 20000 /* nothing takes that long but a fault */

/* Standard input is the caller's terminal; `keys` is its other side. */
struct caller {
    int keys;
    int stdin_before;
};

static int caller_begin(void **state)
{
    struct caller *c = calloc(1, sizeof(*c));
    assert_non_null(c);
    c->keys = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(c->keys >= 0);
    assert_int_equal(grantpt(c->keys), 0);
    assert_int_equal(unlockpt(c->keys), 0);
    sl_autoclose int screen = open(ptsname(c->keys), O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(screen >= 0);
    c->stdin_before = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 10);
    assert_int_equal(dup2(screen, STDIN_FILENO), STDIN_FILENO);
    *state = c;
    return 0;
}

static int caller_end(void **state)
{
    struct caller *c = *state;
    if (c->stdin_before >= 0) {
        dup2(c->stdin_before, STDIN_FILENO);
    }
    sl_close(c->stdin_before);
    sl_close(c->keys);
    free(c);
    return 0;
}

static struct termios attributes(void)
{
    struct termios now;
    assert_int_equal(tcgetattr(STDIN_FILENO, &now), 0);
    return now;
}

static sl_terminal *made(void)
{
    sl_error err = {0};
    sl_terminal *t = NULL;
    assert_int_equal(sl_terminal_new(&t, &err), 0);
    return t;
}

static void needs_a_terminal(void **state)
{
    (void)state;
    sl_error err = {0};
    sl_terminal *t = NULL;
    sl_autoclose int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    sl_autoclose int before = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 10);
    assert_int_equal(dup2(null, STDIN_FILENO), STDIN_FILENO);
    int r = sl_terminal_new(&t, &err);
    dup2(before, STDIN_FILENO);
    assert_int_equal(r, -ENOTTY);
    assert_null(t);
    assert_non_null(strstr(err.message, "'--interactive'"));
}

static void attributes_come_back(void **state)
{
    (void)state;
    tcflag_t before = attributes().c_lflag;
    SL_AUTO(sl_terminal) t = made();
    assert_true((before & ICANON) != 0);
    sl_terminal_restore(t); /* nothing was begun */
    assert_int_equal(attributes().c_lflag, before);
    for (int i = 0; i < 2; i++) {
        sl_terminal_begin(t);
        assert_int_equal(attributes().c_lflag & (ICANON | ECHO | ISIG), 0);
        sl_terminal_restore(t);
        assert_int_equal(attributes().c_lflag, before);
    }
}

/* The one that comes late does not undo what somebody else has chosen since. */
static void late_restoring_asks_first(void **state)
{
    (void)state;
    tcflag_t before = attributes().c_lflag;
    SL_AUTO(sl_terminal) t = made();
    sl_terminal_begin(t);
    sl_terminal_restore_left(t);
    assert_int_equal(attributes().c_lflag, before);
    sl_terminal_begin(t);
    struct termios chosen = attributes();
    chosen.c_lflag |= ECHO;
    assert_int_equal(tcsetattr(STDIN_FILENO, TCSANOW, &chosen), 0);
    sl_terminal_restore_left(t);
    assert_int_equal(attributes().c_lflag, chosen.c_lflag);
}

static void size_is_handed_on(void **state)
{
    (void)state;
    struct winsize size = {.ws_row = 31, .ws_col = 97};
    struct winsize inside = {0};
    SL_AUTO(sl_terminal) t = made();
    assert_int_equal(ioctl(STDIN_FILENO, TIOCSWINSZ, &size), 0);
    sl_terminal_resize(t);
    assert_int_equal(ioctl(sl_terminal_slave(t), TIOCGWINSZ, &inside), 0);
    assert_int_equal(inside.ws_row, 31);
    assert_int_equal(inside.ws_col, 97);
}

/* As the guardian does, until `fd` has something to read. */
static void pump_until_readable(sl_terminal *t, int fd)
{
    for (;;) {
        struct pollfd polled[SL_TERMINAL_POLLED + 1];
        sl_terminal_poll(t, polled);
        polled[SL_TERMINAL_POLLED] = (struct pollfd){.fd = fd, .events = POLLIN};
        assert_true(poll(polled, SL_TERMINAL_POLLED + 1, PATIENCE_MS) > 0);
        if (polled[SL_TERMINAL_POLLED].revents != 0) {
            return;
        }
        sl_terminal_pump(t, polled);
    }
}

static void bytes_go_both_ways(void **state)
{
    struct caller *c = *state;
    char got[16] = {0};
    SL_AUTO(sl_terminal) t = made();
    struct termios raw;
    assert_int_equal(tcgetattr(sl_terminal_slave(t), &raw), 0);
    cfmakeraw(&raw);
    assert_int_equal(tcsetattr(sl_terminal_slave(t), TCSANOW, &raw), 0);
    sl_terminal_begin(t);
    assert_int_equal(write(c->keys, "a\003", 2), 2); /* Ctrl-C is a byte like any other */
    pump_until_readable(t, sl_terminal_slave(t));
    assert_int_equal(read(sl_terminal_slave(t), got, sizeof(got)), 2);
    assert_memory_equal(got, "a\003", 2);
    assert_int_equal(write(sl_terminal_slave(t), "shown", 5), 5);
    pump_until_readable(t, c->keys);
    assert_int_equal(read(c->keys, got, sizeof(got)), 5);
    assert_memory_equal(got, "shown", 5);
    sl_terminal_restore(t);
}

/* What the command wrote last is shown although it is gone. */
static void the_last_words_are_shown(void **state)
{
    struct caller *c = *state;
    char got[16] = {0};
    SL_AUTO(sl_terminal) t = made();
    sl_terminal_begin(t);
    assert_int_equal(write(sl_terminal_slave(t), "last", 4), 4);
    sl_terminal_close_slave(t);
    sl_terminal_drain(t);
    struct pollfd shown = {.fd = c->keys, .events = POLLIN};
    assert_int_equal(poll(&shown, 1, PATIENCE_MS), 1);
    assert_int_equal(read(c->keys, got, sizeof(got)), 4);
    assert_memory_equal(got, "last", 4);
    sl_terminal_restore(t);
}

/* The caller's line is cut: the command's is too, and nothing is waited for any more. */
static void a_hangup_goes_through(void **state)
{
    struct caller *c = *state;
    SL_AUTO(sl_terminal) t = made();
    struct pollfd polled[SL_TERMINAL_POLLED];
    sl_terminal_begin(t);
    sl_close(c->keys);
    c->keys = -1;
    sl_terminal_poll(t, polled);
    assert_true(poll(polled, SL_TERMINAL_POLLED, PATIENCE_MS) > 0);
    sl_terminal_pump(t, polled);
    struct pollfd inside = {.fd = sl_terminal_slave(t), .events = POLLIN};
    assert_int_equal(poll(&inside, 1, PATIENCE_MS), 1);
    assert_true((inside.revents & POLLHUP) != 0);
    sl_terminal_poll(t, polled);
    assert_int_equal(polled[0].fd, -1);
    assert_int_equal(polled[1].fd, -1);
    sl_terminal_drain(t);
    sl_terminal_begin(t);
    sl_terminal_restore(t);
}

#define WITH_CALLER(test) cmocka_unit_test_setup_teardown(test, caller_begin, caller_end)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(needs_a_terminal),     WITH_CALLER(attributes_come_back),
        WITH_CALLER(late_restoring_asks_first), WITH_CALLER(size_is_handed_on),
        WITH_CALLER(bytes_go_both_ways),        WITH_CALLER(the_last_words_are_shown),
        WITH_CALLER(a_hangup_goes_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
