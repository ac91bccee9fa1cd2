/* Owns the pipes of splice(2) transfers. Never looks at a byte. */
#include "net/splice.h"

#include <errno.h>
#include <fcntl.h>

#include "core/util.h"

static unsigned open_pipes;

int sl_splice_open(sl_splice *s)
{
    int fds[2];
    if (open_pipes >= SL_SPLICE_PIPES_MAX) {
        return -ENOBUFS;
    }
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0) {
        return -errno;
    }
    /* Refused beyond /proc/sys/fs/pipe-user-pages-soft: then the pipe stays small. */
    (void)fcntl(fds[1], F_SETPIPE_SZ, SL_SPLICE_PIPE_SIZE);
    *s = (sl_splice){.in = fds[0], .out = fds[1]};
    open_pipes++;
    return 0;
}

void sl_splice_close(sl_splice *s)
{
    if (sl_splice_is_open(s)) {
        sl_close(s->in);
        sl_close(s->out);
        open_pipes--;
    }
    *s = SL_SPLICE_NONE;
}

static ssize_t splice_some(int from, int to, size_t len)
{
    ssize_t n;
    do {
        n = splice(from, NULL, to, NULL, len, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

void sl_splice_move(sl_splice *s, int from, int to, uint64_t max, uint64_t budget,
                    sl_splice_moved *ret)
{
    *ret = (sl_splice_moved){0};
    while (ret->delivered < budget) {
        if (s->held == 0) {
            size_t want = (size_t)SL_MIN(max - ret->taken, (uint64_t)SL_SPLICE_PIPE_SIZE);
            if (want == 0) {
                return;
            }
            ssize_t n = splice_some(from, s->out, want);
            if (n <= 0) {
                ret->end = n == 0;
                ret->want_read = n == -EAGAIN;
                ret->error_in = n < 0 && n != -EAGAIN ? (int)n : 0;
                return;
            }
            s->held = (size_t)n;
            ret->taken += (uint64_t)n;
        }
        ssize_t n = splice_some(s->in, to, s->held);
        if (n <= 0) {
            ret->want_write = n == -EAGAIN;
            ret->error_out = n == -EAGAIN ? 0 : n == 0 ? -EPIPE : (int)n;
            return;
        }
        s->held -= (size_t)n;
        ret->delivered += (uint64_t)n;
    }
}
