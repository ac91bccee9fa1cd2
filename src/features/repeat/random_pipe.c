/* Owns what is read from /dev/random and /dev/urandom under random_seed: a pipe for each open,
 * filled by one thread as fast as it is read. Never waits for one reader alone. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/util.h"
#include "features/repeat/random.h"
#include "kernel/thread.h"

#define PIECE     4096
#define PIPE_SIZE (4 * PIECE)
#define STACK     (128u * 1024u)

struct source {
    int fd;
    uint64_t pos;
    uint8_t key[SL_STREAM_KEY];
    struct source *next;
    struct source *prev;
};

struct sl_random_pipes {
    pthread_t thread;
    pthread_mutex_t lock;
    int epoll;
    int stop;               /* eventfd */
    struct source *sources; /* under lock */
    size_t count;           /* under lock */
};

static void drop(struct sl_random_pipes *p, struct source *s)
{
    pthread_mutex_lock(&p->lock);
    if (s->prev != NULL) {
        s->prev->next = s->next;
    } else {
        p->sources = s->next;
    }
    if (s->next != NULL) {
        s->next->prev = s->prev;
    }
    p->count--;
    pthread_mutex_unlock(&p->lock);
    close(s->fd); /* leaves the epoll with it */
    free(s);
}

static void feed(struct sl_random_pipes *p, struct source *s)
{
    uint8_t piece[PIECE];
    sl_stream_read(s->key, s->pos, piece, sizeof(piece));
    ssize_t n = write(s->fd, piece, sizeof(piece));
    if (n > 0) {
        s->pos += (uint64_t)n;
    } else if (errno != EAGAIN && errno != EINTR) {
        drop(p, s);
    }
}

static void *run(void *pipes)
{
    struct sl_random_pipes *p = pipes;
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL); /* a reader that goes is EPIPE, nothing more */
    for (;;) {
        struct epoll_event event;
        int n = epoll_wait(p->epoll, &event, 1, -1);
        if (n < 0 && errno != EINTR) {
            return NULL;
        }
        if (n == 1 && event.data.ptr == NULL) {
            return NULL;
        }
        if (n == 1 && (event.events & EPOLLERR) != 0) {
            drop(p, event.data.ptr); /* nobody reads any more */
        } else if (n == 1) {
            feed(p, event.data.ptr);
        }
    }
}

void sl_random_pipes_free(struct sl_random_pipes *pipes)
{
    if (pipes == NULL) {
        return;
    }
    if (eventfd_write(pipes->stop, 1) == 0) {
        pthread_join(pipes->thread, NULL);
    }
    while (pipes->sources != NULL) {
        drop(pipes, pipes->sources);
    }
    sl_close(pipes->epoll);
    sl_close(pipes->stop);
    pthread_mutex_destroy(&pipes->lock);
    free(pipes);
}

static int begin(struct sl_random_pipes **ret_pipes)
{
    struct sl_random_pipes *p = calloc(1, sizeof(*p));
    struct epoll_event stop = {.events = EPOLLIN};
    if (p == NULL) {
        return -ENOMEM;
    }
    pthread_mutex_init(&p->lock, NULL);
    p->epoll = epoll_create1(EPOLL_CLOEXEC);
    p->stop = eventfd(0, EFD_CLOEXEC);
    int r = p->epoll < 0 || p->stop < 0 || epoll_ctl(p->epoll, EPOLL_CTL_ADD, p->stop, &stop) < 0
                ? -errno
                : sl_thread_start(STACK, run, p, &p->thread);
    if (r < 0) {
        sl_close(p->epoll);
        sl_close(p->stop);
        pthread_mutex_destroy(&p->lock);
        free(p);
        return r;
    }
    *ret_pipes = p;
    return 0;
}

static int add(struct sl_random_pipes *p, struct source *s)
{
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = s};
    pthread_mutex_lock(&p->lock);
    bool room = p->count < SL_RANDOM_OPENS_MAX;
    if (room) {
        s->next = p->sources;
        if (p->sources != NULL) {
            p->sources->prev = s;
        }
        p->sources = s;
        p->count++;
    }
    pthread_mutex_unlock(&p->lock);
    if (!room) {
        sl_close(s->fd);
        free(s);
        return -ENFILE;
    }
    if (epoll_ctl(p->epoll, EPOLL_CTL_ADD, s->fd, &event) < 0) {
        int r = -errno;
        drop(p, s);
        return r;
    }
    return 0;
}

int sl_random_pipe(struct sl_random_pipes **pipes, const uint8_t key[SL_STREAM_KEY])
{
    int ends[2];
    int r = *pipes == NULL ? begin(pipes) : 0;
    struct source *s = r < 0 ? NULL : calloc(1, sizeof(*s));
    if (s == NULL) {
        return r < 0 ? r : -ENOMEM;
    }
    if (pipe2(ends, O_CLOEXEC) < 0) {
        r = -errno;
        free(s);
        return r;
    }
    (void)fcntl(ends[1], F_SETFL, O_NONBLOCK);
    (void)fcntl(ends[1], F_SETPIPE_SZ, PIPE_SIZE); /* a user has few pages for all pipes: pipe(7) */
    s->fd = ends[1];
    memcpy(s->key, key, SL_STREAM_KEY);
    r = add(*pipes, s);
    if (r < 0) {
        close(ends[0]);
        return r;
    }
    return ends[0];
}
