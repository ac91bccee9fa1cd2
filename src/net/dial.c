/* Owns the race of connection attempts to one destination. Dials exactly the addresses it was
 * given, never resolves, never blocks, and closes every socket that it does not hand over. */
#include "net/dial.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/util.h"

#define ATTEMPT_DELAY_MS 250 /* RFC 8305 section 5 */

struct attempt {
    uv_poll_t poll; /* first: the handle is the attempt */
    sl_dial *dial;
    int fd; /* -1: not begun, failed, or handed over */
};

struct sl_dial {
    uv_timer_t timer; /* first. The next attempt, or the end */
    sl_dial_target targets[SL_DIAL_TARGETS_MAX];
    struct attempt attempts[SL_DIAL_TARGETS_MAX];
    size_t count;
    size_t next;    /* the target to try next */
    size_t running; /* attempts without an answer yet */
    size_t handles;
    uint64_t deadline_ms;
    int error; /* negative: the most telling so far */
    sl_dial_cb cb;
    void *arg;
};

static void on_closed(uv_handle_t *handle)
{
    sl_dial *dial = handle->data;
    dial->handles--;
    if (dial->handles == 0) {
        free(dial);
    }
}

static void attempt_close(struct attempt *attempt)
{
    if (attempt->fd >= 0) {
        uv_close((uv_handle_t *)&attempt->poll, on_closed);
        close(attempt->fd);
        attempt->fd = -1;
        attempt->dial->running--;
    }
}

static void dial_end(sl_dial *dial)
{
    for (size_t i = 0; i < dial->next; i++) {
        attempt_close(&dial->attempts[i]);
    }
    uv_close((uv_handle_t *)&dial->timer, on_closed);
}

/* How much an error says about the destination. */
static int error_rank(int error)
{
    switch (error) {
    case 0:
        return 0;
    case -ENETUNREACH: /* as a rule: no IPv6 here */
    case -EADDRNOTAVAIL:
    case -EAFNOSUPPORT:
        return 1;
    case -ETIMEDOUT:
        return 3;
    case -EHOSTUNREACH:
        return 4;
    case -ECONNREFUSED:
    case -ECONNRESET:
        return 5;
    default:
        return 2;
    }
}

static void dial_note(sl_dial *dial, int error)
{
    if (error_rank(error) > error_rank(dial->error)) {
        dial->error = error;
    }
}

static void on_timer(uv_timer_t *timer);

/* Sets the timer to what comes first: the next attempt, at once if none is running, or the end. */
static void dial_schedule(sl_dial *dial)
{
    uint64_t now = uv_now(dial->timer.loop);
    uint64_t left = dial->deadline_ms > now ? dial->deadline_ms - now : 0;
    if (dial->running == 0) {
        left = 0;
    } else if (dial->next < dial->count) {
        left = SL_MIN(left, (uint64_t)ATTEMPT_DELAY_MS);
    }
    uv_timer_start(&dial->timer, on_timer, left, 0);
}

/* A connect to a free port of this host from that very port meets itself (RFC 9293 section 3.5,
 * simultaneous open): nobody is there. */
static bool is_self(int fd)
{
    struct sockaddr_storage local = {0};
    struct sockaddr_storage peer = {0};
    socklen_t local_len = sizeof(local);
    socklen_t peer_len = sizeof(peer);
    return getsockname(fd, (struct sockaddr *)&local, &local_len) == 0 &&
           getpeername(fd, (struct sockaddr *)&peer, &peer_len) == 0 && local_len == peer_len &&
           memcmp(&local, &peer, local_len) == 0;
}

static int attempt_result(const struct attempt *attempt)
{
    int error = 0;
    socklen_t len = sizeof(error);
    if (getsockopt(attempt->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0) {
        return -errno;
    }
    return error == 0 && is_self(attempt->fd) ? -ECONNREFUSED : -error;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct attempt *attempt = (struct attempt *)poll;
    sl_dial *dial = attempt->dial;
    (void)status; /* an error on the descriptor: SO_ERROR says which */
    (void)events;
    int r = attempt_result(attempt);
    if (r < 0 || status < 0) {
        dial_note(dial, r < 0 ? r : -ECONNRESET);
        attempt_close(attempt);
        /* Do not wait for the delay when one has failed. */
        if (dial->next < dial->count) {
            uv_timer_start(&dial->timer, on_timer, 0, 0);
        } else {
            dial_schedule(dial);
        }
        return;
    }
    int fd = sl_steal_fd(&attempt->fd);
    dial->running--;
    uv_close((uv_handle_t *)&attempt->poll, on_closed);
    dial_end(dial);
    dial->cb(dial->arg, fd, &dial->targets[attempt - dial->attempts]);
}

static int attempt_connect(struct attempt *attempt, const sl_dial_target *target)
{
    struct sockaddr_storage sa;
    int one = 1;
    int af = target->addr.family == 4 ? AF_INET : AF_INET6;
    socklen_t len = sl_addr_to_sockaddr(&target->addr, target->port, af, &sa);
    sl_autoclose int fd = -1;
    if (len == 0) {
        return -EINVAL;
    }
    fd = socket(af, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -errno;
    }
    /* Without it small writes wait for the peer's delayed acknowledgement, 40 ms each. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(fd, (struct sockaddr *)&sa, len) < 0 && errno != EINPROGRESS) {
        return -errno;
    }
    int r = uv_poll_init(attempt->dial->timer.loop, &attempt->poll, fd);
    if (r < 0) {
        return r;
    }
    attempt->fd = sl_steal_fd(&fd);
    attempt->poll.data = attempt->dial;
    attempt->dial->handles++;
    attempt->dial->running++;
    r = uv_poll_start(&attempt->poll, UV_WRITABLE, on_poll);
    if (r < 0) {
        attempt_close(attempt);
    }
    return r;
}

/* Begins attempts until one is under way or none is left. */
static void dial_next(sl_dial *dial)
{
    bool begun = false;
    while (!begun && dial->next < dial->count) {
        struct attempt *attempt = &dial->attempts[dial->next];
        int r = attempt_connect(attempt, &dial->targets[dial->next]);
        dial->next++;
        dial_note(dial, r);
        begun = r == 0;
    }
}

static void on_timer(uv_timer_t *timer)
{
    sl_dial *dial = (sl_dial *)timer;
    if (uv_now(timer->loop) < dial->deadline_ms) {
        dial_next(dial);
        if (dial->running > 0) {
            dial_schedule(dial);
            return;
        }
    }
    if (dial->running > 0) {
        dial_note(dial, -ETIMEDOUT);
    }
    int error = dial->error != 0 ? dial->error : -ETIMEDOUT;
    dial_end(dial);
    dial->cb(dial->arg, error, NULL);
}

/* RFC 8305 section 4: the families in turn, so that one broken family costs one delay. */
static void interleave(const sl_dial_target *targets, size_t count, sl_dial_target *out)
{
    size_t at[2] = {0, 0};
    uint8_t family = targets[0].addr.family;
    for (size_t n = 0; n < count; n++) {
        for (int turn = 0; turn < 2; turn++) {
            size_t *i = &at[family == 4 ? 0 : 1];
            while (*i < count && targets[*i].addr.family != family) {
                (*i)++;
            }
            family = family == 4 ? 6 : 4;
            if (*i < count) {
                out[n] = targets[(*i)++];
                break;
            }
        }
    }
}

int sl_dial_start(uv_loop_t *loop, const sl_dial_target *targets, size_t count, uint64_t timeout_ms,
                  sl_dial_cb cb, void *arg, sl_dial **ret_dial)
{
    if (count == 0 || count > SL_DIAL_TARGETS_MAX) {
        return -EINVAL;
    }
    for (size_t i = 0; i < count; i++) {
        if (targets[i].addr.family != 4 && targets[i].addr.family != 6) {
            return -EINVAL;
        }
    }
    sl_dial *dial = calloc(1, sizeof(*dial));
    if (dial == NULL) {
        return -ENOMEM;
    }
    interleave(targets, count, dial->targets);
    for (size_t i = 0; i < count; i++) {
        dial->attempts[i].dial = dial;
        dial->attempts[i].fd = -1;
    }
    dial->count = count;
    dial->cb = cb;
    dial->arg = arg;
    dial->deadline_ms = uv_now(loop) + timeout_ms;
    uv_timer_init(loop, &dial->timer);
    dial->timer.data = dial;
    dial->handles = 1;
    dial_next(dial);
    dial_schedule(dial);
    *ret_dial = dial;
    return 0;
}

void sl_dial_cancel(sl_dial *dial)
{
    if (dial != NULL) {
        dial_end(dial);
    }
}
