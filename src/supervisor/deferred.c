/* Owns the calls that wait. Whatever happens to a caller (dead, signalled, too late) its entry
 * goes: a sweep asks the kernel. */
#include "supervisor/deferred.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "core/clock.h"
#include "core/num.h"
#include "core/util.h"
#include "kernel/proc.h"
#include "supervisor/supervisor.h"

#define SPURIOUS_MAX 8

struct sl_deferred_queue {
    pthread_mutex_t lock;
    sl_deferred *incoming; /* under lock; newest first */
    size_t count;          /* under lock; waiting and incoming */
    size_t held;           /* under lock; their descriptors */
    bool attached;         /* under lock */

    /* loop thread */
    sl_deferred *active;
    int epoll; /* the children's sockets: uv_poll would make them non-blocking, for the child too */
    uv_poll_t ready;
    uv_async_t async;
    uv_timer_t sweep;
    bool closing;
};

int sl_deferred_new(sl_supervisor *sv)
{
    struct sl_deferred_queue *q = calloc(1, sizeof(*q));
    if (q == NULL) {
        return -ENOMEM;
    }
    q->epoll = -1;
    pthread_mutex_init(&q->lock, NULL);
    sv->deferred = q;
    return 0;
}

static void release(sl_deferred *d)
{
    sl_close(d->fd);
    if (d->drop != NULL) {
        d->drop(d->data);
    }
    free(d->data);
    free(d);
}

void sl_deferred_free(sl_supervisor *sv)
{
    struct sl_deferred_queue *q = sv->deferred;
    if (q == NULL) {
        return;
    }
    for (sl_deferred *d = q->incoming; d != NULL;) {
        sl_deferred *next = d->next;
        release(d);
        d = next;
    }
    pthread_mutex_destroy(&q->lock);
    sl_close(q->epoll);
    free(q);
    sv->deferred = NULL;
}

/* With none left nothing can be looked up any more, and every call be refused. */
static size_t held_max(void)
{
    struct rlimit files;
    return getrlimit(RLIMIT_NOFILE, &files) < 0 ? 0 : (size_t)files.rlim_cur / SL_DEFERRED_SHARE;
}

static int put(struct sl_deferred_queue *q, sl_deferred *d)
{
    size_t max = held_max();
    pthread_mutex_lock(&q->lock);
    int r = q->count >= SL_DEFERRED_MAX                ? -EAGAIN
            : q->held > max || d->held > max - q->held ? -ETOOMANYREFS
                                                       : 0;
    if (r == 0) {
        q->count++;
        q->held += d->held;
        d->next = q->incoming;
        q->incoming = d;
        if (q->attached) {
            uv_async_send(&q->async);
        }
    }
    pthread_mutex_unlock(&q->lock);
    return r;
}

sl_answer sl_deferred_start(const sl_call *call, int fd, const sl_wait *wait)
{
    sl_deferred *d = wait->data == NULL ? NULL : calloc(1, sizeof(*d));
    if (d == NULL) {
        if (wait->data != NULL && wait->drop != NULL) {
            wait->drop(wait->data);
        }
        free(wait->data);
        sl_close(fd);
        return SL_ANSWER_VALUE(-ENOBUFS);
    }
    d->call = *call;
    d->fd = fd;
    d->resume = wait->resume;
    d->data = wait->data;
    d->drop = wait->drop;
    d->events = wait->events;
    d->deadline_ms = wait->deadline_ms;
    d->key = wait->key;
    d->held = wait->held + (fd >= 0);
    int r = put(call->sv->deferred, d);
    if (r < 0) {
        release(d);
        return SL_ANSWER_VALUE(r);
    }
    return SL_ANSWER_DEFER;
}

uint64_t sl_deferred_deadline(int fd, int option)
{
    struct timeval t = {0};
    socklen_t len = sizeof(t);
    if (getsockopt(fd, SOL_SOCKET, option, &t, &len) < 0 || (t.tv_sec == 0 && t.tv_usec == 0)) {
        return 0;
    }
    return sl_clock_now_ms() + (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_usec / 1000;
}

static void retire(struct sl_deferred_queue *q, sl_deferred *d)
{
    d->done = true;
    if (d->prev != NULL) {
        d->prev->next = d->next;
    } else {
        q->active = d->next;
    }
    if (d->next != NULL) {
        d->next->prev = d->prev;
    }
    pthread_mutex_lock(&q->lock);
    q->count--;
    q->held -= d->held;
    pthread_mutex_unlock(&q->lock);
    if (q->active == NULL) {
        uv_timer_stop(&q->sweep);
    }
    if (d->polling) {
        epoll_ctl(q->epoll, EPOLL_CTL_DEL, d->fd, NULL);
    }
    release(d);
}

/* True when it was answered, and is gone. */
static bool resume(struct sl_deferred_queue *q, sl_deferred *d, enum sl_wake why)
{
    sl_answer answer = SL_ANSWER_VALUE(-EPERM);
    if (!d->resume(d, why, &answer)) {
        return false;
    }
    sl_supervisor_answer(&d->call, &answer);
    retire(q, d);
    return true;
}

/* One at a time: a resume may end others that were ready with it. */
static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct sl_deferred_queue *q = poll->data;
    struct epoll_event event;
    (void)status;
    (void)events;
    if (epoll_wait(q->epoll, &event, 1, 0) == 1 && !resume(q, event.data.ptr, SL_WAKE_READY)) {
        sl_deferred *d = event.data.ptr;
        if (++d->spurious > SPURIOUS_MAX && d->polling) {
            /* Its readiness is not about what it waits for (an error queue, a full peer). */
            epoll_ctl(q->epoll, EPOLL_CTL_DEL, d->fd, NULL);
            d->polling = false;
            d->parked = true;
        }
    }
}

static uint64_t status_mask(const char *text, const char *name)
{
    uint64_t mask = 0;
    const char *line = strstr(text, name);
    if (line != NULL) {
        line += strlen(name);
        (void)sl_num_parse_hex(line, strcspn(line, "\n"), UINT64_MAX, &mask);
    }
    return mask;
}

/* A signal with a handler waits for this caller: the call must end with EINTR, as it would bare.
 * (WAIT_KILLABLE_RECV lets only fatal signals through by themselves.) */
static bool is_interrupted(const sl_deferred *d)
{
    char text[4096];
    if (sl_proc_read(d->call.tid, "status", text, sizeof(text)) <= 0) {
        return false;
    }
    uint64_t pending = status_mask(text, "\nSigPnd:\t") | status_mask(text, "\nShdPnd:\t");
    return (pending & status_mask(text, "\nSigCgt:\t") & ~status_mask(text, "\nSigBlk:\t")) != 0;
}

static void on_sweep(uv_timer_t *timer)
{
    struct sl_deferred_queue *q = timer->data;
    uint64_t now = sl_clock_now_ms();
    sl_deferred *next;
    for (sl_deferred *d = q->active; d != NULL; d = next) {
        next = d->next;
        if (!sl_call_valid(&d->call)) {
            retire(q, d);
        } else if (d->deadline_ms != 0 && now >= d->deadline_ms) {
            resume(q, d, SL_WAKE_TIMEOUT);
        } else if (is_interrupted(d)) {
            sl_supervisor_answer(&d->call, &SL_ANSWER_VALUE(-EINTR));
            retire(q, d);
        } else if (d->parked) {
            resume(q, d, SL_WAKE_READY);
        }
    }
}

void sl_deferred_watch(sl_deferred *d)
{
    struct sl_deferred_queue *q = d->call.sv->deferred;
    struct epoll_event event = {.data.ptr = d};
    event.events = (d->events & UV_READABLE) != 0 ? EPOLLIN : EPOLLOUT;
    int op = d->polling ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (epoll_ctl(q->epoll, op, d->fd, &event) < 0) {
        d->deadline_ms = 1; /* the next sweep ends it */
        return;
    }
    d->polling = true;
    d->parked = false;
    d->spurious = 0;
}

void sl_deferred_park(sl_deferred *d)
{
    d->parked = true;
}

static void activate(struct sl_deferred_queue *q, sl_deferred *d)
{
    d->prev = NULL;
    d->next = q->active;
    if (q->active != NULL) {
        q->active->prev = d;
    } else {
        uv_timer_start(&q->sweep, on_sweep, SL_DEFERRED_SWEEP_MS, SL_DEFERRED_SWEEP_MS);
    }
    q->active = d;
    if (d->fd >= 0 && d->events != 0) {
        sl_deferred_watch(d);
    } else if (d->events == 0) {
        resume(q, d, SL_WAKE_EVENT); /* what it waits for may have come meanwhile */
    }
}

static void on_incoming(uv_async_t *async)
{
    struct sl_deferred_queue *q = async->data;
    pthread_mutex_lock(&q->lock);
    sl_deferred *list = q->incoming;
    q->incoming = NULL;
    pthread_mutex_unlock(&q->lock);
    while (list != NULL) {
        sl_deferred *d = list;
        list = d->next;
        activate(q, d);
    }
}

sl_deferred *sl_deferred_find(sl_supervisor *sv, uint64_t key)
{
    on_incoming(&sv->deferred->async);
    for (sl_deferred *d = sv->deferred->active; d != NULL; d = d->next) {
        if (d->key == key && !d->done) {
            return d;
        }
    }
    return NULL;
}

void sl_deferred_wake(sl_supervisor *sv, uint64_t key)
{
    sl_deferred *next;
    for (sl_deferred *d = sv->deferred->active; d != NULL; d = next) {
        next = d->next;
        if (d->key == key && !d->done) {
            resume(sv->deferred, d, SL_WAKE_EVENT);
        }
    }
}

int sl_deferred_attach(sl_supervisor *sv, uv_loop_t *loop)
{
    struct sl_deferred_queue *q = sv->deferred;
    q->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (q->epoll < 0 || uv_poll_init(loop, &q->ready, q->epoll) != 0 ||
        uv_async_init(loop, &q->async, on_incoming) != 0 || uv_timer_init(loop, &q->sweep) != 0) {
        return -ENOMEM;
    }
    q->ready.data = q;
    uv_poll_start(&q->ready, UV_READABLE, on_ready);
    q->async.data = q;
    q->sweep.data = q;
    pthread_mutex_lock(&q->lock);
    q->attached = true;
    pthread_mutex_unlock(&q->lock);
    on_incoming(&q->async);
    return 0;
}

void sl_deferred_detach(sl_supervisor *sv)
{
    struct sl_deferred_queue *q = sv->deferred;
    pthread_mutex_lock(&q->lock);
    bool attached = q->attached;
    q->attached = false;
    pthread_mutex_unlock(&q->lock);
    if (!attached) {
        return;
    }
    while (q->active != NULL) {
        retire(q, q->active);
    }
    uv_close((uv_handle_t *)&q->ready, NULL);
    uv_close((uv_handle_t *)&q->async, NULL);
    uv_close((uv_handle_t *)&q->sweep, NULL);
}
