/* Owns the engine's end of the link to the gateway. Believes nothing that comes from there: type,
 * length, range and termination are checked, and a wrong message ends the run. */
#include "engine/link.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/fd.h"
#include "core/trace.h"
#include "core/util.h"

#define READY_TIMEOUT_MS 20000

struct message {
    struct message *next;
    int fd;
    size_t len;
    char data[];
};

struct sl_link {
    int fd;
    int peer; /* its end, until it is taken */
    int synth_fd;
    sl_synth_map *synth;

    pthread_mutex_t lock;
    struct message *first; /* under lock */
    struct message **last; /* under lock */
    size_t queued;         /* under lock */
    bool greeted;          /* under lock: HELLO is sent */
    atomic_bool used;

    sl_link_events events;
    uv_poll_t poll;
    uv_async_t wake; /* there is something to write */
    bool attached;
    bool waiting; /* for the first answer */
    bool ready;
    bool failed;
};

int sl_link_new(sl_link **ret_link, sl_error *err)
{
    int pair[2];
    sl_link *l = calloc(1, sizeof(*l));
    if (l == NULL) {
        return sl_error_set(err, ENOMEM, "not enough memory");
    }
    l->fd = -1;
    l->peer = -1;
    l->last = &l->first;
    pthread_mutex_init(&l->lock, NULL);
    l->synth_fd = sl_synth_create();
    l->synth = l->synth_fd < 0 ? NULL : sl_synth_map_open(l->synth_fd, false);
    if (l->synth == NULL || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        int error = l->synth_fd < 0 ? -l->synth_fd : errno;
        sl_link_free(l);
        return sl_error_set(err, error, "cannot make the gateway's link: %s", strerror(error));
    }
    l->fd = pair[0];
    l->peer = pair[1];
    *ret_link = l;
    return 0;
}

int sl_link_take_peer(sl_link *l)
{
    return sl_steal_fd(&l->peer);
}

void sl_link_free(sl_link *l)
{
    if (l == NULL) {
        return;
    }
    while (l->first != NULL) {
        struct message *m = l->first;
        l->first = m->next;
        sl_close(m->fd);
        free(m);
    }
    sl_synth_map_close(l->synth);
    sl_close(l->synth_fd);
    sl_close(l->fd);
    sl_close(l->peer);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

/* One optional PEM text as a memfd behind the descriptors that are there. */
static int add_memfd(const sl_buf *text, uint32_t flag, uint32_t *flags, int *fds, size_t *count)
{
    if (text->len == 0) {
        return 0;
    }
    int fd = sl_fd_memfd("sandlock-pem", sl_buf_head(text), text->len);
    if (fd < 0) {
        return fd;
    }
    fds[(*count)++] = fd;
    *flags |= flag;
    return 0;
}

int sl_link_hello(sl_link *l, const sl_policy *policy, const sl_files *files, sl_error *err)
{
    struct sl_link_hello hello = {.header = {SL_LINK_HELLO, sizeof(hello)},
                                  .version = SL_LINK_VERSION};
    int fds[SL_LINK_HELLO_FDS];
    size_t count = 0;
    sl_buf text;
    sl_buf_init(&text, 16u << 20);
    int r = sl_policy_encode(policy, &text);
    int policy_fd = r < 0 ? r : sl_fd_memfd("sandlock-policy", sl_buf_head(&text), text.len);
    hello.policy_length = (uint32_t)text.len;
    sl_buf_done(&text);
    if (policy_fd < 0) {
        return sl_error_set(err, -policy_fd, "cannot pass the policy to the gateway: %s",
                            strerror(-policy_fd));
    }
    fds[count++] = policy_fd;
    fds[count++] = dup(l->synth_fd);
    if (files->audit_fd >= 0) {
        fds[count++] = dup(files->audit_fd);
        hello.flags |= SL_LINK_HAS_AUDIT;
    }
    r = add_memfd(&files->ca, SL_LINK_HAS_CA, &hello.flags, fds, &count);
    r = r < 0 ? r : add_memfd(&files->key, SL_LINK_HAS_CA, &hello.flags, fds, &count);
    r = r < 0 ? r
              : add_memfd(&files->upstream_ca, SL_LINK_HAS_UPSTREAM_CA, &hello.flags, fds, &count);
    r = r < 0 ? r : add_memfd(&files->bundle, SL_LINK_HAS_BUNDLE, &hello.flags, fds, &count);
    if (sl_trace_topics() != 0) {
        fds[count++] = dup(sl_trace_fd());
        hello.flags |= SL_LINK_HAS_TRACE;
        hello.trace = sl_trace_topics();
    }
    if (r == 0) {
        r = sl_fd_send(l->fd, &hello, sizeof(hello), fds, count, 0);
    }
    for (size_t i = 0; i < count; i++) {
        sl_close(fds[i]);
    }
    pthread_mutex_lock(&l->lock);
    l->greeted = r == 0;
    pthread_mutex_unlock(&l->lock);
    return r < 0 ? sl_error_set(err, -r, "cannot talk to the gateway: %s", strerror(-r)) : 0;
}

static void fail(sl_link *l, const char *message)
{
    if (!l->failed) {
        l->failed = true;
        l->events.on_failed(l->events.arg, message);
    }
}

/* ---- what is believed ---- */

static bool is_terminated(const char *text, size_t cap)
{
    return memchr(text, '\0', cap) != NULL;
}

/* Every artefact once, or none at all: false when it is anything else. `ret_fds` is borrowed. */
static bool sort_artefacts(const struct sl_link_ready *m, const int *fds, size_t nfds,
                           int ret_fds[SL_ARTEFACTS])
{
    if (m->count != nfds || (nfds != 0 && nfds != SL_ARTEFACTS)) {
        return false;
    }
    for (size_t i = 0; i < SL_ARTEFACTS; i++) {
        ret_fds[i] = -1;
    }
    for (size_t i = 0; i < nfds; i++) {
        if (m->artefacts[i] >= SL_ARTEFACTS || ret_fds[m->artefacts[i]] >= 0) {
            return false;
        }
        ret_fds[m->artefacts[i]] = fds[i];
    }
    return true;
}

static bool take_ready(sl_link *l, const void *data, int *fds, size_t nfds)
{
    int sorted[SL_ARTEFACTS];
    if (l->ready || !sort_artefacts(data, fds, nfds, sorted)) {
        return false;
    }
    l->ready = true;
    for (size_t i = 0; i < nfds; i++) {
        fds[i] = -1; /* whoever is told owns them */
    }
    l->events.on_ready(l->events.arg, sorted);
    return true;
}

static bool take_resolved(sl_link *l, const void *data, int *fds, size_t nfds)
{
    const struct sl_link_resolved *m = data;
    (void)fds;
    if (nfds != 0 || m->count > SL_LINK_ADDRS_MAX || !is_terminated(m->reason, sizeof(m->reason))) {
        return false;
    }
    l->events.on_resolved(l->events.arg, m);
    return true;
}

static bool take_denied(sl_link *l, const void *data, int *fds, size_t nfds)
{
    const struct sl_link_denied *m = data;
    (void)fds;
    const sl_denial *d = &m->denial;
    if (nfds != 0 || !is_terminated(d->what, sizeof(d->what)) ||
        !is_terminated(d->allow_with, sizeof(d->allow_with)) ||
        !is_terminated(d->why, sizeof(d->why)) ||
        !is_terminated(d->programs, sizeof(d->programs)) ||
        !is_terminated(d->host, sizeof(d->host))) {
        return false;
    }
    l->events.on_denied(l->events.arg, m);
    return true;
}

static bool take_bye(sl_link *l, const void *data, int *fds, size_t nfds)
{
    (void)fds;
    if (nfds != 0) {
        return false;
    }
    l->events.on_bye(l->events.arg, data);
    return true;
}

static bool take_failed(sl_link *l, const void *data, int *fds, size_t nfds)
{
    const struct sl_link_failed *m = data;
    (void)fds;
    if (nfds != 0 || !is_terminated(m->message, sizeof(m->message))) {
        return false;
    }
    fail(l, m->message);
    return true;
}

/* Descriptors that are not taken are closed by the caller. */
static const struct {
    uint32_t type;
    size_t length;
    bool is_first; /* may come while the engine waits for READY */
    bool (*take)(sl_link *l, const void *data, int *fds, size_t nfds);
} kinds[] = {
    {SL_LINK_READY, sizeof(struct sl_link_ready), true, take_ready},
    {SL_LINK_RESOLVED, sizeof(struct sl_link_resolved), false, take_resolved},
    {SL_LINK_DENIED, sizeof(struct sl_link_denied), false, take_denied},
    {SL_LINK_BYE, sizeof(struct sl_link_bye), false, take_bye},
    {SL_LINK_FAILED, sizeof(struct sl_link_failed), true, take_failed},
};

static bool handle(sl_link *l, const void *data, size_t len, int *fds, size_t nfds)
{
    const struct sl_link_header *header = data;
    if (len < sizeof(*header) || header->length != len) {
        return false;
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(kinds); i++) {
        if (kinds[i].type == header->type) {
            return kinds[i].length == len && (kinds[i].is_first || !l->waiting) &&
                   kinds[i].take(l, data, fds, nfds);
        }
    }
    return false;
}

/* One message; false when there is none (yet, or ever again). */
static bool receive(sl_link *l, int flags)
{
    _Alignas(8) char data[SL_LINK_MESSAGE_MAX];
    int fds[SL_FD_PASS_MAX];
    size_t nfds = 0;
    ssize_t n = sl_fd_recv(l->fd, data, sizeof(data), fds, &nfds, flags);
    if (n == -EAGAIN) {
        return false;
    }
    if (n <= 0) {
        fail(l, "the gateway ended unexpectedly");
        return false;
    }
    bool good = handle(l, data, (size_t)n, fds, nfds);
    for (size_t i = 0; i < nfds; i++) {
        sl_close(fds[i]);
    }
    if (!good) {
        fail(l, "the gateway sent a message that makes no sense");
    }
    return good && !l->failed;
}

struct first_answer {
    const sl_link_events *events;
    bool ready;
    char message[1024];
};

static void first_ready(void *arg, const int fds[SL_ARTEFACTS])
{
    struct first_answer *first = arg;
    first->ready = true;
    first->events->on_ready(first->events->arg, fds);
}

static void first_failed(void *arg, const char *message)
{
    struct first_answer *first = arg;
    snprintf(first->message, sizeof(first->message), "%s", message);
}

int sl_link_wait_ready(sl_link *l, const sl_link_events *events, sl_error *err)
{
    struct first_answer first = {.events = events};
    struct pollfd p = {.fd = l->fd, .events = POLLIN};
    l->events = *events;
    l->events.arg = &first;
    l->events.on_ready = first_ready;
    l->events.on_failed = first_failed;
    if (poll(&p, 1, READY_TIMEOUT_MS) <= 0) {
        return sl_error_set(err, ETIMEDOUT, "the gateway does not answer");
    }
    l->waiting = true;
    receive(l, 0);
    l->waiting = false;
    if (!first.ready) {
        return sl_error_set(err, EINVAL, "%s", first.message);
    }
    return 0;
}

static void watch(sl_link *l);

/* Sends what waits. Called with the lock held. */
static int flush(sl_link *l)
{
    while (l->first != NULL && l->greeted) {
        struct message *m = l->first;
        int r = sl_fd_send(l->fd, m->data, m->len, &m->fd, m->fd >= 0 ? 1 : 0, MSG_DONTWAIT);
        if (r < 0) {
            return r;
        }
        l->first = m->next;
        if (l->first == NULL) {
            l->last = &l->first;
        }
        l->queued--;
        sl_close(m->fd);
        free(m);
    }
    return 0;
}

static void on_link(uv_poll_t *poll, int status, int events)
{
    sl_link *l = poll->data;
    if (status == 0 && (events & UV_WRITABLE) != 0) {
        pthread_mutex_lock(&l->lock);
        flush(l);
        pthread_mutex_unlock(&l->lock);
    }
    if (status < 0 || (events & UV_READABLE) != 0) {
        while (receive(l, MSG_DONTWAIT)) {
        }
    }
    if (l->failed) {
        uv_poll_stop(&l->poll);
        return;
    }
    watch(l);
}

static void watch(sl_link *l)
{
    pthread_mutex_lock(&l->lock);
    bool waiting = l->first != NULL;
    pthread_mutex_unlock(&l->lock);
    uv_poll_start(&l->poll, waiting ? UV_READABLE | UV_WRITABLE : UV_READABLE, on_link);
}

static void on_wake(uv_async_t *async)
{
    sl_link *l = async->data;
    if (!l->failed) {
        watch(l);
    }
}

int sl_link_attach(sl_link *l, uv_loop_t *loop, const sl_link_events *events)
{
    l->events = *events;
    if (uv_poll_init(loop, &l->poll, l->fd) != 0 || uv_async_init(loop, &l->wake, on_wake) != 0) {
        return -ENOMEM;
    }
    l->poll.data = l;
    l->wake.data = l;
    pthread_mutex_lock(&l->lock);
    l->attached = true;
    pthread_mutex_unlock(&l->lock);
    watch(l);
    return 0;
}

static int enqueue(sl_link *l, const void *message, size_t len, int fd)
{
    if (l->queued == SL_LINK_QUEUE_MAX) {
        return -ENOBUFS;
    }
    struct message *m = malloc(sizeof(*m) + len);
    if (m == NULL) {
        return -ENOMEM;
    }
    m->next = NULL;
    m->len = len;
    m->fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
    memcpy(m->data, message, len);
    if (fd >= 0 && m->fd < 0) {
        free(m);
        return -errno;
    }
    *l->last = m;
    l->last = &m->next;
    l->queued++;
    if (l->attached) {
        uv_async_send(&l->wake);
    }
    return 0;
}

int sl_link_send(sl_link *l, const void *message, size_t len, int fd)
{
    atomic_store_explicit(&l->used, true, memory_order_relaxed);
    pthread_mutex_lock(&l->lock);
    int r = -EAGAIN;
    if (l->first == NULL && l->greeted) {
        r = sl_fd_send(l->fd, message, len, &fd, fd >= 0 ? 1 : 0, MSG_DONTWAIT);
    }
    if (r == -EAGAIN) {
        r = enqueue(l, message, len, fd);
    }
    pthread_mutex_unlock(&l->lock);
    return r;
}

const sl_synth_map *sl_link_synth(const sl_link *l)
{
    return l->synth;
}

bool sl_link_was_used(const sl_link *l)
{
    return atomic_load(&l->used);
}

void sl_link_quit(sl_link *l)
{
    struct sl_link_header quit = {SL_LINK_QUIT, sizeof(quit)};
    sl_link_send(l, &quit, sizeof(quit), -1);
}
