/* Owns our descriptors of the tree's sockets, and the letting go.
 *
 * A descriptor of ours keeps a socket open that the tree has closed: its peer hears of the end late
 * and its port is taken. So a thread looks whether the tree still has it: soon after it was made,
 * then after a share of its age. Never holds the lock while it looks. */
#include "features/mint/kept.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/util.h"
#include "features/mint/holders.h"
#include "kernel/thread.h"
#include "policy/verdict.h"

#define SOCKETS_MAX  16384 /* kept at once; a socket more is ENFILE */
#define HEADS        4096  /* a power of two */
#define SOON_MS      5     /* after it was made a socket is looked at */
#define LATE_MS      250   /* and never later than this after the look before */
#define AGE_SHARE    4     /* between: a quarter of its age */
#define UNSEEN_MS    1000  /* until a socket that nobody has used yet is believed to be closed */
#define COST_SHARE   20    /* looking takes no more than a part in so many of a processor */
#define THREAD_STACK (128u * 1024u)

/* One socket. `next` makes the chain of its head, or the list of free places. */
struct minted {
    uint64_t ino; /* in sockfs: never another's while ours is open */
    int fd;       /* owned */
    pid_t tid;    /* who used it last, under which number; 0: nobody yet */
    int number;
    uint64_t born_ms;
    uint64_t due_ms; /* to be looked at */
    unsigned uses;
    uint32_t next; /* index + 1 */
};

struct sl_kept {
    sl_supervisor *sv;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct minted *items;
    uint32_t heads[HEADS]; /* index + 1 */
    uint32_t free;
    size_t used; /* places that were ever taken */
    size_t count;
    size_t max;
    bool open;  /* no rule asks where streams lead */
    bool waits; /* the thread sleeps until somebody makes a socket */
    bool stopping;
    bool runs;
    pthread_t thread;
};

/* ---- the table; under its lock ---- */

static uint32_t *head_of(sl_kept *m, uint64_t ino)
{
    return &m->heads[ino & (HEADS - 1)];
}

static struct minted *find(sl_kept *m, uint64_t ino)
{
    for (uint32_t at = *head_of(m, ino); at != 0; at = m->items[at - 1].next) {
        if (m->items[at - 1].ino == ino) {
            return &m->items[at - 1];
        }
    }
    return NULL;
}

static bool put(sl_kept *m, uint64_t ino, int fd)
{
    if (m->count >= m->max || find(m, ino) != NULL) {
        return false;
    }
    uint32_t at = m->free;
    if (at != 0) {
        m->free = m->items[at - 1].next;
    } else {
        at = (uint32_t)++m->used;
    }
    uint64_t now = sl_clock_now_ms();
    m->items[at - 1] = (struct minted){
        .ino = ino, .fd = fd, .born_ms = now, .due_ms = now + SOON_MS, .next = *head_of(m, ino)};
    *head_of(m, ino) = at;
    m->count++;
    if (m->waits) {
        pthread_cond_signal(&m->wake);
    }
    return true;
}

/* Returns our descriptor, which is the caller's to close; -1 when there is none. */
static int take_out(sl_kept *m, uint64_t ino)
{
    for (uint32_t *link = head_of(m, ino); *link != 0; link = &m->items[*link - 1].next) {
        uint32_t at = *link;
        struct minted *s = &m->items[at - 1];
        if (s->ino == ino) {
            int fd = s->fd;
            *link = s->next;
            *s = (struct minted){.fd = -1, .next = m->free};
            m->free = at;
            m->count--;
            return fd;
        }
    }
    return -1;
}

/* The last close may be ours, and SO_LINGER would make it wait. */
static void close_now(int fd)
{
    struct linger linger = {0};
    socklen_t len = sizeof(linger);
    if (fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &len) == 0 &&
        linger.l_onoff != 0 && linger.l_linger != 0) {
        linger.l_onoff = 0;
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    }
    sl_close(fd);
}

/* Keeps a duplicate of it. -EMFILE and its kin when there is no room. */
int sl_kept_add(sl_kept *m, int fd)
{
    struct stat st;
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    sl_autoclose int kept = own < 0 ? own : sl_call_take(own);
    if (kept < 0 || fstat(kept, &st) < 0) {
        return -ENFILE;
    }
    pthread_mutex_lock(&m->lock);
    bool has_room = put(m, st.st_ino, kept);
    pthread_mutex_unlock(&m->lock);
    if (!has_room) {
        return -ENFILE;
    }
    sl_steal_fd(&kept);
    return 0;
}

int sl_kept_get(sl_kept *m, uint64_t ino, pid_t tid, int number)
{
    pthread_mutex_lock(&m->lock);
    struct minted *s = find(m, ino);
    int r = s == NULL ? -ENODEV : fcntl(s->fd, F_DUPFD_CLOEXEC, 0);
    if (s != NULL) {
        r = r < 0 ? r : sl_call_take(r);
        r = r < 0 ? -EACCES : r;
        s->tid = tid;
        s->number = number;
        s->uses++;
    }
    pthread_mutex_unlock(&m->lock);
    return r;
}

void sl_kept_drop(sl_kept *m, int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0) {
        return;
    }
    pthread_mutex_lock(&m->lock);
    int gone = take_out(m, st.st_ino);
    pthread_mutex_unlock(&m->lock);
    sl_close(gone);
}

/* What is due; or `all`, which whoever gives the sockets may ask for: by then each was given. */
static size_t collect(sl_kept *m, bool all, sl_look *looks, size_t max)
{
    uint64_t now = sl_clock_now_ms();
    size_t count = 0;
    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < m->used && count < max; i++) {
        const struct minted *s = &m->items[i];
        bool unseen = s->tid == 0 && now - s->born_ms < UNSEEN_MS;
        if (s->ino == 0 || (!all && (s->due_ms > now || unseen))) {
            continue;
        }
        looks[count++] =
            (sl_look){.ino = s->ino, .tid = s->tid, .number = s->number, .uses = s->uses};
    }
    pthread_mutex_unlock(&m->lock);
    return count;
}

/* A listener; and where no rule restricts the network, so that sends go unasked, a connection. */
static bool needs_no_verdict(const sl_kept *m, int fd)
{
    int listens = 0;
    socklen_t len = sizeof(listens);
    struct sockaddr_storage peer;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) < 0 || listens != 0) {
        return listens != 0;
    }
    int type = 0;
    len = sizeof(type);
    socklen_t peer_len = sizeof(peer);
    return m->open && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
           type == SOCK_STREAM && getpeername(fd, (struct sockaddr *)&peer, &peer_len) == 0;
}

/* Applies what was found. Closes what nobody has. */
static void settle(sl_kept *m, const sl_look *looks, size_t count, bool certain)
{
    uint64_t now = sl_clock_now_ms();
    for (size_t i = 0; i < count; i++) {
        const sl_look *l = &looks[i];
        int gone = -1;
        pthread_mutex_lock(&m->lock);
        struct minted *item = find(m, l->ino);
        if (item != NULL && item->uses == l->uses) {
            if (l->seen ? needs_no_verdict(m, item->fd) : certain) {
                gone = take_out(m, l->ino);
            } else {
                uint64_t wait = (now - item->born_ms) / AGE_SHARE;
                item->due_ms = now + SL_MIN(SL_MAX(wait, (uint64_t)SOON_MS), (uint64_t)LATE_MS);
                item->tid = l->tid;
                item->number = l->number;
            }
        }
        pthread_mutex_unlock(&m->lock);
        close_now(gone);
    }
}

static void sweep(sl_kept *m, bool all)
{
    sl_autofree sl_look *looks = malloc(SOCKETS_MAX * sizeof(*looks));
    size_t count = looks == NULL ? 0 : collect(m, all, looks, SOCKETS_MAX);
    if (count > 0) {
        bool certain = sl_holders_find(atomic_load(&m->sv->helper_pid), looks, count);
        settle(m, looks, count, certain);
    }
}

void sl_kept_sweep(sl_kept *m)
{
    sweep(m, true);
}

/* When the next one is due; 0: there is none. Under the lock. */
static uint64_t next_due(const sl_kept *m)
{
    uint64_t due = 0;
    for (size_t i = 0; i < m->used; i++) {
        const struct minted *s = &m->items[i];
        if (s->ino != 0 && (due == 0 || s->due_ms < due)) {
            due = s->due_ms;
        }
    }
    return due;
}

static void sleep_until(sl_kept *m, uint64_t when_ms)
{
    struct timespec until = {.tv_sec = (time_t)(when_ms / 1000),
                             .tv_nsec = (long)(when_ms % 1000) * 1000000};
    pthread_cond_timedwait(&m->wake, &m->lock, &until);
}

static void *sweeper(void *arg)
{
    sl_kept *m = arg;
    uint64_t not_before = 0;
    pthread_mutex_lock(&m->lock);
    while (!m->stopping) {
        uint64_t due = SL_MAX(next_due(m), not_before);
        m->waits = m->count == 0;
        if (m->waits) {
            pthread_cond_wait(&m->wake, &m->lock);
            m->waits = false;
        } else if (due > sl_clock_now_ms()) {
            sleep_until(m, due);
        } else {
            pthread_mutex_unlock(&m->lock);
            uint64_t began = sl_clock_thread_ns();
            sweep(m, false);
            uint64_t cost_ms = (sl_clock_thread_ns() - began) / 1000000;
            not_before = sl_clock_now_ms() + SL_MAX(cost_ms * COST_SHARE, (uint64_t)SOON_MS);
            pthread_mutex_lock(&m->lock);
        }
    }
    pthread_mutex_unlock(&m->lock);
    return NULL;
}

sl_kept *sl_kept_new(sl_supervisor *sv)
{
    struct rlimit limit;
    pthread_condattr_t monotonic;
    sl_autofree sl_kept *m = calloc(1, sizeof(*m));
    if (m == NULL || (m->items = calloc(SOCKETS_MAX, sizeof(*m->items))) == NULL) {
        return NULL;
    }
    m->sv = sv;
    m->open = !sl_policy_restricts_net(sv->policy) && !sv->policy->port_remap;
    pthread_mutex_init(&m->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&m->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    rlim_t half = getrlimit(RLIMIT_NOFILE, &limit) < 0 ? 0 : limit.rlim_max / 2;
    m->max = (size_t)SL_MIN(half, (rlim_t)SOCKETS_MAX);
    return sl_steal(&m);
}

int sl_kept_start(sl_kept *m)
{
    int r = sl_thread_start(THREAD_STACK, sweeper, m, &m->thread);
    m->runs = r == 0;
    return r;
}

void sl_kept_stop(sl_kept *m)
{
    if (m == NULL || !m->runs) {
        return;
    }
    pthread_mutex_lock(&m->lock);
    m->stopping = true;
    pthread_cond_signal(&m->wake);
    pthread_mutex_unlock(&m->lock);
    pthread_join(m->thread, NULL);
    m->runs = false;
}

void sl_kept_free(sl_kept *m)
{
    if (m == NULL) {
        return;
    }
    sl_kept_stop(m);
    for (size_t i = 0; i < m->used; i++) {
        if (m->items[i].ino != 0) {
            close_now(m->items[i].fd);
        }
    }
    free(m->items);
    pthread_cond_destroy(&m->wake);
    pthread_mutex_destroy(&m->lock);
    free(m);
}
