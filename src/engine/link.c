/* Owns the gateway's process and the engine's end of the link. Believes nothing that comes from
 * there: type, length and termination are checked, and a wrong message ends the run. */
#include "engine/link.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/fd.h"
#include "core/util.h"

#define READY_TIMEOUT_MS 20000

struct message {
    struct message *next;
    int fd;
    size_t len;
    char data[];
};

struct sl_link {
    pid_t pid;
    int link;
    int peer; /* its end, until it has started */
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
    bool failed;
};

static const char *const passed_env[] = {"SSL_CERT_FILE", "SSL_CERT_DIR",  "ASAN_OPTIONS",
                                         "LSAN_OPTIONS",  "UBSAN_OPTIONS", "RES_OPTIONS",
                                         "LOCALDOMAIN"};

void sl_link_files_wipe(sl_link_files *files)
{
    if (files->key.data != NULL) {
        explicit_bzero(files->key.data, files->key.cap);
    }
    sl_buf *bufs[] = {&files->ca, &files->key, &files->upstream_ca, &files->bundle};
    for (size_t i = 0; i < SL_ARRAY_LEN(bufs); i++) {
        sl_buf_done(bufs[i]);
    }
}

int sl_link_find(char **ret_path, sl_error *err)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n < 0) {
        return sl_error_set(err, errno, "cannot find our own program: %s", strerror(errno));
    }
    self[n] = '\0';
    *strrchr(self, '/') = '\0';
    static const char *const places[] = {"sandlock-gateway",
                                         "../libexec/sandlock/sandlock-gateway"};
    for (size_t i = 0; i < SL_ARRAY_LEN(places); i++) {
        sl_autofree char *path = NULL;
        if (asprintf(&path, "%s/%s", self, places[i]) < 0) {
            path = NULL;
            return sl_error_set(err, ENOMEM, "not enough memory");
        }
        if (access(path, X_OK) == 0) {
            *ret_path = sl_steal(&path);
            return 0;
        }
    }
    return sl_error_set(err, ENOENT,
                        "cannot find 'sandlock-gateway' beside 'sandlock' or in "
                        "'../libexec/sandlock': rules that name hosts need it");
}

/* In the child of vfork: the link becomes SL_LINK_FD, input and output go nowhere. */
static void become_gateway(const char *path, int link, char *const *env)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || setpgid(0, 0) < 0 ||
        prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) {
        _exit(125);
    }
    if (link == SL_LINK_FD ? fcntl(link, F_SETFD, 0) < 0 : dup2(link, SL_LINK_FD) < 0) {
        _exit(125);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    char *argv[] = {"sandlock-gateway", NULL};
    execve(path, argv, env);
    _exit(125);
}

static pid_t spawn(const char *path, int link, sl_sandbox *sb)
{
    sl_strv env = {0};
    for (size_t i = 0; i < SL_ARRAY_LEN(passed_env); i++) {
        const char *value = getenv(passed_env[i]);
        if (value != NULL && sl_strv_env_set(&env, passed_env[i], value) < 0) {
            sl_strv_done(&env);
            return -1;
        }
    }
    static char *no_env[] = {NULL};
    pid_t pid = vfork();
    if (pid == 0) {
        sl_sandbox_set_helper(sb, getpid()); /* vfork(2): the memory is the engine's */
        become_gateway(path, link, env.items != NULL ? env.items : no_env);
    }
    int saved = errno;
    sl_strv_done(&env);
    errno = saved;
    return pid;
}

int sl_link_new(sl_link **ret_gateway, sl_error *err)
{
    int pair[2];
    sl_link *g = calloc(1, sizeof(*g));
    if (g == NULL) {
        return sl_error_set(err, ENOMEM, "not enough memory");
    }
    g->link = -1;
    g->peer = -1;
    g->last = &g->first;
    pthread_mutex_init(&g->lock, NULL);
    g->synth_fd = sl_synth_create();
    g->synth = g->synth_fd < 0 ? NULL : sl_synth_map_open(g->synth_fd, false);
    if (g->synth == NULL || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        int error = g->synth_fd < 0 ? -g->synth_fd : errno;
        sl_link_free(g);
        return sl_error_set(err, error, "cannot make the gateway's link: %s", strerror(error));
    }
    g->link = pair[0];
    g->peer = pair[1];
    *ret_gateway = g;
    return 0;
}

int sl_link_start(sl_link *g, const char *path, sl_sandbox *sb, sl_error *err)
{
    pid_t pid = spawn(path, g->peer, sb);
    int error = errno;
    sl_close(sl_steal_fd(&g->peer));
    if (pid < 0) {
        return sl_error_set(err, error, "cannot start '%s': %s", path, strerror(error));
    }
    g->pid = pid;
    return 0;
}

void sl_link_free(sl_link *g)
{
    if (g == NULL) {
        return;
    }
    while (g->first != NULL) {
        struct message *m = g->first;
        g->first = m->next;
        sl_close(m->fd);
        free(m);
    }
    sl_synth_map_close(g->synth);
    sl_close(g->synth_fd);
    sl_close(g->link);
    sl_close(g->peer);
    pthread_mutex_destroy(&g->lock);
    free(g);
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

int sl_link_hello(sl_link *g, const sl_policy *policy, const sl_link_files *files, sl_error *err)
{
    struct sl_link_hello hello = {.header = {SL_LINK_HELLO, sizeof(hello)},
                                  .version = SL_LINK_VERSION};
    int fds[SL_FD_PASS_MAX];
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
    fds[count++] = dup(g->synth_fd);
    if (files->audit_fd >= 0) {
        fds[count++] = dup(files->audit_fd);
        hello.flags |= SL_LINK_HAS_AUDIT;
    }
    r = add_memfd(&files->ca, SL_LINK_HAS_CA, &hello.flags, fds, &count);
    r = r < 0 ? r : add_memfd(&files->key, SL_LINK_HAS_CA, &hello.flags, fds, &count);
    r = r < 0 ? r
              : add_memfd(&files->upstream_ca, SL_LINK_HAS_UPSTREAM_CA, &hello.flags, fds, &count);
    r = r < 0 ? r : add_memfd(&files->bundle, SL_LINK_HAS_BUNDLE, &hello.flags, fds, &count);
    if (r == 0) {
        r = sl_fd_send(g->link, &hello, sizeof(hello), fds, count, 0);
    }
    for (size_t i = 0; i < count; i++) {
        sl_close(fds[i]);
    }
    pthread_mutex_lock(&g->lock);
    g->greeted = r == 0;
    pthread_mutex_unlock(&g->lock);
    return r < 0 ? sl_error_set(err, -r, "cannot talk to the gateway: %s", strerror(-r)) : 0;
}

static void fail(sl_link *g, const char *message)
{
    if (!g->failed) {
        g->failed = true;
        g->events.on_failed(g->events.arg, message);
    }
}

static bool is_terminated(const char *text, size_t cap)
{
    return memchr(text, '\0', cap) != NULL;
}

/* Descriptors that a message of this kind may not carry are closed by the caller. */
static bool handle(sl_link *g, const void *data, size_t len, int *fds, size_t nfds)
{
    const struct sl_link_header *header = data;
    if (len < sizeof(*header) || header->length != len) {
        return false;
    }
    switch (header->type) {
    case SL_LINK_READY: {
        int ca = nfds == 2 ? sl_steal_fd(&fds[0]) : -1;
        int bundle = nfds == 2 ? sl_steal_fd(&fds[1]) : -1;
        g->events.on_ready(g->events.arg, ca, bundle);
        return true;
    }
    case SL_LINK_RESOLVED: {
        const struct sl_link_resolved *m = data;
        if (len != sizeof(*m) || m->count > SL_LINK_ADDRS_MAX ||
            !is_terminated(m->reason, sizeof(m->reason))) {
            return false;
        }
        g->events.on_resolved(g->events.arg, m);
        return true;
    }
    case SL_LINK_DENIED: {
        const struct sl_link_denied *m = data;
        if (len != sizeof(*m) || !is_terminated(m->what, sizeof(m->what)) ||
            !is_terminated(m->allow_with, sizeof(m->allow_with))) {
            return false;
        }
        g->events.on_denied(g->events.arg, m);
        return true;
    }
    case SL_LINK_BYE:
        if (len != sizeof(struct sl_link_bye)) {
            return false;
        }
        g->events.on_bye(g->events.arg, data);
        return true;
    case SL_LINK_FAILED: {
        const struct sl_link_failed *m = data;
        if (len != sizeof(*m) || !is_terminated(m->message, sizeof(m->message))) {
            return false;
        }
        fail(g, m->message);
        return true;
    }
    default:
        return false;
    }
}

/* One message; false when there is none (yet, or ever again). */
static bool receive(sl_link *g, int flags)
{
    _Alignas(8) char data[SL_LINK_MESSAGE_MAX];
    int fds[SL_FD_PASS_MAX];
    size_t nfds = 0;
    ssize_t n = sl_fd_recv(g->link, data, sizeof(data), fds, &nfds, flags);
    if (n == -EAGAIN) {
        return false;
    }
    if (n <= 0) {
        fail(g, "the gateway ended unexpectedly");
        return false;
    }
    bool good = handle(g, data, (size_t)n, fds, nfds);
    for (size_t i = 0; i < nfds; i++) {
        sl_close(fds[i]);
    }
    if (!good) {
        fail(g, "the gateway sent a message that makes no sense");
    }
    return good && !g->failed;
}

struct first_answer {
    const sl_link_events *events;
    bool ready;
    char message[1024];
};

static void first_ready(void *arg, int ca_fd, int bundle_fd)
{
    struct first_answer *first = arg;
    first->ready = true;
    first->events->on_ready(first->events->arg, ca_fd, bundle_fd);
}

static void first_failed(void *arg, const char *message)
{
    struct first_answer *first = arg;
    snprintf(first->message, sizeof(first->message), "%s", message);
}

int sl_link_wait_ready(sl_link *g, const sl_link_events *events, sl_error *err)
{
    struct first_answer first = {.events = events};
    struct pollfd p = {.fd = g->link, .events = POLLIN};
    g->events = *events;
    g->events.arg = &first;
    g->events.on_ready = first_ready;
    g->events.on_failed = first_failed;
    if (poll(&p, 1, READY_TIMEOUT_MS) <= 0) {
        return sl_error_set(err, ETIMEDOUT, "the gateway does not answer");
    }
    receive(g, 0);
    if (!first.ready) {
        return sl_error_set(err, EINVAL, "%s", first.message);
    }
    return 0;
}

static void watch(sl_link *g);

/* Sends what waits. Called with the lock held. */
static int flush(sl_link *g)
{
    while (g->first != NULL && g->greeted) {
        struct message *m = g->first;
        int r = sl_fd_send(g->link, m->data, m->len, &m->fd, m->fd >= 0 ? 1 : 0, MSG_DONTWAIT);
        if (r < 0) {
            return r;
        }
        g->first = m->next;
        if (g->first == NULL) {
            g->last = &g->first;
        }
        g->queued--;
        sl_close(m->fd);
        free(m);
    }
    return 0;
}

static void on_link(uv_poll_t *poll, int status, int events)
{
    sl_link *g = poll->data;
    if (status == 0 && (events & UV_WRITABLE) != 0) {
        pthread_mutex_lock(&g->lock);
        flush(g);
        pthread_mutex_unlock(&g->lock);
    }
    if (status < 0 || (events & UV_READABLE) != 0) {
        while (receive(g, MSG_DONTWAIT)) {
        }
    }
    if (g->failed) {
        uv_poll_stop(&g->poll);
        return;
    }
    watch(g);
}

static void watch(sl_link *g)
{
    pthread_mutex_lock(&g->lock);
    bool waiting = g->first != NULL;
    pthread_mutex_unlock(&g->lock);
    uv_poll_start(&g->poll, waiting ? UV_READABLE | UV_WRITABLE : UV_READABLE, on_link);
}

static void on_wake(uv_async_t *async)
{
    sl_link *g = async->data;
    if (!g->failed) {
        watch(g);
    }
}

int sl_link_attach(sl_link *g, uv_loop_t *loop, const sl_link_events *events)
{
    g->events = *events;
    if (uv_poll_init(loop, &g->poll, g->link) != 0 || uv_async_init(loop, &g->wake, on_wake) != 0) {
        return -ENOMEM;
    }
    g->poll.data = g;
    g->wake.data = g;
    pthread_mutex_lock(&g->lock);
    g->attached = true;
    pthread_mutex_unlock(&g->lock);
    watch(g);
    return 0;
}

static int enqueue(sl_link *g, const void *message, size_t len, int fd)
{
    if (g->queued == SL_LINK_QUEUE_MAX) {
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
    *g->last = m;
    g->last = &m->next;
    g->queued++;
    if (g->attached) {
        uv_async_send(&g->wake);
    }
    return 0;
}

int sl_link_send(sl_link *g, const void *message, size_t len, int fd)
{
    atomic_store_explicit(&g->used, true, memory_order_relaxed);
    pthread_mutex_lock(&g->lock);
    int r = -EAGAIN;
    if (g->first == NULL && g->greeted) {
        r = sl_fd_send(g->link, message, len, &fd, fd >= 0 ? 1 : 0, MSG_DONTWAIT);
    }
    if (r == -EAGAIN) {
        r = enqueue(g, message, len, fd);
    }
    pthread_mutex_unlock(&g->lock);
    return r;
}

pid_t sl_link_pid(const sl_link *g)
{
    return g->pid;
}

const sl_synth_map *sl_link_synth(const sl_link *g)
{
    return g->synth;
}

bool sl_link_was_used(const sl_link *g)
{
    return atomic_load(&g->used);
}

void sl_link_quit(sl_link *g)
{
    struct sl_link_header quit = {SL_LINK_QUIT, sizeof(quit)};
    sl_link_send(g, &quit, sizeof(quit), -1);
}

void sl_link_kill(sl_link *g)
{
    if (g->pid > 0) {
        kill(g->pid, SIGKILL);
    }
}
