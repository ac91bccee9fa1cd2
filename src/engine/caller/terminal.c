/* Owns the pair of an interactive run: its making, the bytes in both directions, the attributes of
 * the caller's terminal. It looks at no byte and holds no more than its two buffers. */
#include "engine/caller/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define DRAIN_MS 3000 /* how long the caller's terminal may take no byte at the end */

/* One direction. It is filled only when it is empty: a reader that is slow makes its writer wait.
 */
struct stream {
    size_t start;
    size_t end;
    char data[SL_TERMINAL_BUFFER];
};

struct sl_terminal {
    int outer; /* the caller's, a description of our own: non-blocking for nobody else */
    int master;
    int slave;
    unsigned replaces;
    bool begun;
    bool hung_up; /* the caller's terminal is gone */
    struct termios saved;
    struct termios raw;
    struct stream in;
    struct stream out;
};

/* The terminal of standard input, opened once more. Where that is refused (after su(1) it belongs
 * to somebody else) the description is shared, and a write may wait. */
static int open_outer(void)
{
    int fd = open("/proc/self/fd/0", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    return fd >= 0 ? fd : fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
}

static int open_pair(sl_terminal *t)
{
    int unlocked = 0;
    t->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (t->master < 0 || ioctl(t->master, TIOCSPTLCK, &unlocked) < 0) {
        return -errno;
    }
    t->slave = ioctl(t->master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    return t->slave < 0 ? -errno : 0;
}

static unsigned find_replaced(void)
{
    struct stat own;
    struct stat st;
    unsigned mask = 0;
    if (fstat(STDIN_FILENO, &own) < 0) {
        return 0;
    }
    for (int fd = 0; fd <= STDERR_FILENO; fd++) {
        if (isatty(fd) && fstat(fd, &st) == 0 && st.st_rdev == own.st_rdev) {
            mask |= 1u << fd;
        }
    }
    return mask;
}

int sl_terminal_new(sl_terminal **ret_terminal, sl_error *err)
{
    SL_AUTO(sl_terminal) t = calloc(1, sizeof(*t));
    if (t == NULL) {
        return sl_error_set(err, ENOMEM, "not enough memory");
    }
    t->outer = t->master = t->slave = -1;
    if (!isatty(STDIN_FILENO)) {
        return sl_error_set(err, ENOTTY,
                            "option '--interactive': standard input is not a terminal");
    }
    t->outer = open_outer();
    if (t->outer < 0 || tcgetattr(t->outer, &t->saved) < 0) {
        return sl_error_set(err, errno, "cannot use the terminal: %s", strerror(errno));
    }
    int r = open_pair(t);
    if (r < 0) {
        return sl_error_set(err, -r, "cannot make a terminal: %s", strerror(-r));
    }
    t->raw = t->saved;
    cfmakeraw(&t->raw);
    t->replaces = find_replaced();
    tcsetattr(t->slave, TCSANOW, &t->saved);
    sl_terminal_resize(t);
    *ret_terminal = sl_steal(&t);
    return 0;
}

void sl_terminal_free(sl_terminal *t)
{
    if (t != NULL) {
        sl_close(t->outer);
        sl_close(t->master);
        sl_close(t->slave);
        free(t);
    }
}

int sl_terminal_slave(const sl_terminal *t)
{
    return t->slave;
}

unsigned sl_terminal_replaces(const sl_terminal *t)
{
    return t->replaces;
}

void sl_terminal_close_slave(sl_terminal *t)
{
    sl_close(t->slave);
    t->slave = -1;
}

void sl_terminal_close_master(sl_terminal *t)
{
    sl_close(t->master);
    t->master = -1;
}

void sl_terminal_resize(sl_terminal *t)
{
    struct winsize size;
    if (ioctl(t->outer, TIOCGWINSZ, &size) == 0) {
        ioctl(t->master, TIOCSWINSZ, &size);
    }
}

/* From the background this stops us, as it stops an editor: the shell's "fg" lets it go on. */
static void set_attributes(sl_terminal *t, const struct termios *attributes)
{
    int r;
    do {
        r = tcsetattr(t->outer, TCSANOW, attributes);
    } while (r < 0 && errno == EINTR);
}

void sl_terminal_begin(sl_terminal *t)
{
    if (!t->hung_up) {
        sl_terminal_resize(t);
        set_attributes(t, &t->raw);
        t->begun = true;
    }
}

void sl_terminal_restore(sl_terminal *t)
{
    if (t->begun) {
        t->begun = false;
        set_attributes(t, &t->saved);
    }
}

void sl_terminal_restore_left(sl_terminal *t)
{
    struct termios now;
    if (tcgetattr(t->outer, &now) == 0 && now.c_iflag == t->raw.c_iflag &&
        now.c_oflag == t->raw.c_oflag && now.c_lflag == t->raw.c_lflag &&
        now.c_cflag == t->raw.c_cflag && memcmp(now.c_cc, t->raw.c_cc, sizeof(now.c_cc)) == 0) {
        tcsetattr(t->outer, TCSANOW, &t->saved);
    }
}

void sl_terminal_poll(const sl_terminal *t, struct pollfd polled[SL_TERMINAL_POLLED])
{
    bool in_waits = t->in.start < t->in.end;
    bool out_waits = t->out.start < t->out.end;
    polled[0] = (struct pollfd){.fd = -1};
    polled[1] = (struct pollfd){.fd = -1};
    if (t->begun) {
        polled[0].events = (short)((in_waits ? 0 : POLLIN) | (out_waits ? POLLOUT : 0));
        polled[1].events = (short)((out_waits ? 0 : POLLIN) | (in_waits ? POLLOUT : 0));
        /* Nothing to wait for: an error that is there would wake us again and again. */
        polled[0].fd = polled[0].events != 0 ? t->outer : -1;
        polled[1].fd = polled[1].events != 0 ? t->master : -1;
    }
}

/* The line is cut, and the command hears of it as it would of its own terminal's end: SIGHUP. */
static void hang_up(sl_terminal *t)
{
    t->hung_up = true;
    t->begun = false;
    sl_terminal_close_master(t);
}

/* Bytes read, 0 for none just now, or -errno: -EIO is also the end. */
static int fill(struct stream *s, int fd)
{
    ssize_t n = read(fd, s->data, sizeof(s->data));
    if (n < 0) {
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    }
    s->start = 0;
    s->end = (size_t)n;
    return n == 0 ? -EIO : (int)n;
}

static int empty(struct stream *s, int fd)
{
    ssize_t n = write(fd, s->data + s->start, s->end - s->start);
    if (n < 0) {
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    }
    s->start += (size_t)n;
    return 0;
}

void sl_terminal_pump(sl_terminal *t, const struct pollfd polled[SL_TERMINAL_POLLED])
{
    const short readable = POLLIN | POLLHUP | POLLERR;
    int r = 0;
    if (t->in.start < t->in.end) {
        (void)empty(&t->in, t->master);
    } else if ((polled[0].revents & readable) != 0) {
        r = fill(&t->in, t->outer);
        (void)(r > 0 ? empty(&t->in, t->master) : 0);
    }
    if (r >= 0 && t->out.start < t->out.end) {
        r = empty(&t->out, t->outer);
    } else if (r >= 0 && (polled[1].revents & readable) != 0 && fill(&t->out, t->master) > 0) {
        r = empty(&t->out, t->outer);
    }
    if (r < 0) {
        hang_up(t);
    }
}

void sl_terminal_drain(sl_terminal *t)
{
    while (t->begun) {
        if (t->out.start == t->out.end && fill(&t->out, t->master) <= 0) {
            return;
        }
        struct pollfd p = {.fd = t->outer, .events = POLLOUT};
        if (poll(&p, 1, DRAIN_MS) <= 0 || empty(&t->out, t->outer) < 0) {
            return;
        }
    }
}
