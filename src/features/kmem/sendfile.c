/* Owns sendfile(2), which would lend pages of a file to a socket: they stay, though the file is
 * made shorter, and one byte may hold a page of two megabytes. So they are copied. By the worker:
 * reading may block. Only from a file to a socket; the callers of all else copy by themselves. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/util.h"
#include "features/kmem/kmem_int.h"
#include "supervisor/deferred.h"
#include "supervisor/worker.h"

#define CHUNK    (64u << 10)
#define MOST     (UINT64_C(4) << 20) /* at once, for a caller who waits; it asks again */
#define FULL_MAX 0x7ffff000u         /* what the kernel sends at most */

/* First a job, then perhaps what a deferred call keeps. */
struct sending {
    sl_job job;
    int from;
    int to;
    off_t at;
    uint64_t left;
    uint64_t done;
    bool own_place; /* the file's own offset moves, and no number of the caller's */
};

static void release(struct sending *s)
{
    sl_close(s->from);
    sl_close(s->to);
}

static void free_job(sl_job *job)
{
    struct sending *s = (struct sending *)job;
    release(s);
    free(s);
}

/* Sends until the socket is full, the file ends, or enough is sent. 0, or -errno of the last. */
static int send_some(struct sending *s)
{
    char buf[CHUNK];
    while (s->left > 0) {
        ssize_t n = pread(s->from, buf, SL_MIN(s->left, (uint64_t)sizeof(buf)), s->at);
        if (n <= 0) {
            return n < 0 ? -errno : 0;
        }
        ssize_t sent = send(s->to, buf, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0) {
            return -errno;
        }
        s->at += sent;
        s->done += (uint64_t)sent;
        s->left -= (uint64_t)sent;
        if (sent < n) {
            return -EAGAIN;
        }
    }
    return 0;
}

static void raise_sigpipe(const sl_call *call)
{
    pid_t tgid = sl_call_tgid(call);
    if (tgid > 0 && sl_call_valid(call)) {
        syscall(SYS_tgkill, tgid, call->tid, SIGPIPE);
    }
}

static sl_answer finish(const struct sending *s, const sl_call *call, int error)
{
    if (s->done == 0 && error < 0) {
        if (error == -EPIPE) {
            raise_sigpipe(call);
        }
        return SL_ANSWER_VALUE(error);
    }
    int64_t at = s->at;
    if (s->own_place) {
        (void)lseek(s->from, s->at, SEEK_SET);
    } else if (sl_call_write(call, call->args[2], &at, sizeof(at)) < 0) {
        return SL_ANSWER_VALUE(-EFAULT);
    }
    return SL_ANSWER_VALUE((int64_t)s->done);
}

static bool resume(sl_deferred *d, enum sl_wake why, sl_answer *ret_answer)
{
    struct sending *s = d->data;
    s->left = SL_MIN(s->left, (uint64_t)CHUNK); /* on the loop: briefly */
    int r = send_some(s);
    if (r == -EAGAIN && s->done == 0 && why != SL_WAKE_TIMEOUT) {
        return false;
    }
    *ret_answer = finish(s, &d->call, r);
    return true;
}

static void drop(void *data)
{
    release(data);
}

static sl_answer wait_for_room(const struct sending *s, const sl_call *call)
{
    struct sending *later = malloc(sizeof(*later));
    if (later != NULL) {
        *later = *s;
        later->from = fcntl(s->from, F_DUPFD_CLOEXEC, 0);
        later->to = fcntl(s->to, F_DUPFD_CLOEXEC, 0);
    }
    sl_wait wait = {.resume = resume,
                    .data = later,
                    .drop = drop,
                    .events = UV_WRITABLE,
                    .deadline_ms = sl_deferred_deadline(s->to, SO_SNDTIMEO),
                    .held = 2};
    return sl_deferred_start(call, fcntl(s->to, F_DUPFD_CLOEXEC, 0), &wait);
}

static sl_answer perform(sl_job *job)
{
    struct sending *s = (struct sending *)job;
    int flags = fcntl(s->to, F_GETFL);
    bool waits = flags >= 0 && (flags & O_NONBLOCK) == 0;
    s->left = waits ? SL_MIN(s->left, MOST) : s->left;
    int r = send_some(s);
    return r == -EAGAIN && s->done == 0 && waits ? wait_for_room(s, &job->call)
                                                 : finish(s, &job->call, r);
}

static bool is_socket(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

static int open_ends(const sl_call *call, struct sending *s)
{
    struct stat st;
    s->to = sl_call_pin(call, (int)call->args[0]);
    s->from = s->to < 0 ? s->to : sl_call_pin(call, (int)call->args[1]);
    if (s->from < 0) {
        return s->from == -EBADF ? -EBADF : -EINVAL;
    }
    int flags = fcntl(s->from, F_GETFL);
    if (flags < 0 || (flags & O_ACCMODE) == O_WRONLY || (flags & O_PATH) != 0) {
        return -EBADF;
    }
    if (!is_socket(s->to) || fstat(s->from, &st) < 0 || !S_ISREG(st.st_mode)) {
        return -EINVAL;
    }
    int64_t at = 0;
    if (s->own_place) {
        at = lseek(s->from, 0, SEEK_CUR);
    } else if (sl_call_read(call, call->args[2], &at, sizeof(at)) < 0) {
        return -EFAULT;
    }
    s->at = at;
    return at < 0 ? -EINVAL : !sl_call_valid(call) ? -EPERM : 0;
}

sl_answer sl_kmem_handle_sendfile(sl_call *call)
{
    struct sending *s = calloc(1, sizeof(*s));
    if (s == NULL) {
        return SL_ANSWER_VALUE(-ENOMEM);
    }
    s->from = s->to = -1;
    s->own_place = call->args[2] == 0;
    s->left = SL_MIN(call->args[3], (uint64_t)FULL_MAX);
    s->job = (sl_job){.call = *call, .perform = perform, .free = free_job};
    int r = open_ends(call, s);
    if (r < 0) {
        free_job(&s->job);
        return SL_ANSWER_VALUE(r);
    }
    return sl_worker_start(&s->job);
}
