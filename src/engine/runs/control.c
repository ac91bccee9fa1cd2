/* Owns the control socket: who may ask, for how long, and one struct of fixed size. It never waits
 * for a peer, and serves no process that is confined: nothing inside a sandbox commands one. */
#include "engine/runs/control.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/util.h"
#include "kernel/proc.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* newer than the headers of the oldest system we build on */
#endif

#define BACKLOG 16

struct peer {
    sl_control *control;
    uv_poll_t poll;
    uv_timer_t deadline;
    int fd;       /* -1: this place is free, once `closing` is 0 too */
    int closing;  /* handles that the loop has not let go yet */
    size_t asked; /* bytes of the request that are there */
    struct sl_control_request request;
    sl_buf answer;
};

struct sl_control {
    uv_loop_t *loop;
    uv_poll_t poll;
    int fd;
    sl_control_answer answer;
    void *arg;
    struct peer peers[SL_CONTROL_PEERS_MAX];
};

/* A confined process has the filters of those who started it and at least one more, for ever. The
 * run's own engine stands for an unconfined one. Anything that cannot be read: no. */
static bool is_unconfined(pid_t pid)
{
    long filters = sl_proc_status(pid, "Seccomp_filters");
    long ours = sl_proc_status(SL_PROC_SELF, "Seccomp_filters");
    return filters >= 0 && filters <= ours;
}

/* A pidfd of the process that called connect(2), or -1. Before Linux 6.5 by its number, which by
 * then may be another process of this user: whoever gets there held the socket when it connected.
 */
static int open_peer(int fd, pid_t pid)
{
    int pidfd = -1;
    socklen_t len = sizeof(pidfd);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &len) < 0) {
        return errno == ENOPROTOOPT ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
    }
    return pidfd;
}

/* The process that called connect(2), pinned: its number cannot mean another one meanwhile. */
static bool may_ask(int fd)
{
    struct ucred cred;
    socklen_t len = sizeof(cred);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 || cred.uid != geteuid() ||
        cred.pid <= 0) {
        return false;
    }
    int pidfd = open_peer(fd, cred.pid);
    if (pidfd < 0) {
        return false;
    }
    struct pollfd alive = {.fd = pidfd, .events = POLLIN};
    bool good = is_unconfined(cred.pid) && poll(&alive, 1, 0) == 0;
    sl_close(pidfd);
    return good;
}

static void on_closed(uv_handle_t *handle)
{
    struct peer *p = handle->data;
    p->closing--;
}

static void drop(struct peer *p)
{
    uv_poll_stop(&p->poll);
    p->closing = 2;
    uv_close((uv_handle_t *)&p->poll, on_closed);
    uv_close((uv_handle_t *)&p->deadline, on_closed);
    close(sl_steal_fd(&p->fd));
    sl_buf_done(&p->answer);
}

static void on_deadline(uv_timer_t *timer)
{
    drop(timer->data);
}

static void on_peer(uv_poll_t *poll, int status, int events);

/* The rest follows when there is room for it. */
static void send_answer(struct peer *p)
{
    while (p->answer.len > 0) {
        ssize_t n = send(p->fd, sl_buf_head(&p->answer), p->answer.len, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            uv_poll_start(&p->poll, UV_WRITABLE, on_peer);
            return;
        }
        if (n < 0 && errno != EINTR) {
            break;
        }
        sl_buf_consume(&p->answer, n < 0 ? 0 : (size_t)n);
    }
    drop(p);
}

static void on_peer(uv_poll_t *poll, int status, int events)
{
    struct peer *p = poll->data;
    if (status < 0 || (events & UV_WRITABLE) != 0) {
        send_answer(p);
        return;
    }
    ssize_t n = recv(p->fd, (char *)&p->request + p->asked, sizeof(p->request) - p->asked, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    p->asked += n > 0 ? (size_t)n : 0;
    if (n > 0 && p->asked < sizeof(p->request)) {
        return;
    }
    const struct sl_control_request *request = &p->request;
    if (n <= 0 || request->magic != SL_CONTROL_MAGIC || request->zero != 0 ||
        p->control->answer(p->control->arg, request, &p->answer) < 0) {
        drop(p);
        return;
    }
    send_answer(p);
}

static struct peer *free_place(sl_control *c)
{
    for (size_t i = 0; i < SL_CONTROL_PEERS_MAX; i++) {
        if (c->peers[i].fd < 0 && c->peers[i].closing == 0) {
            return &c->peers[i];
        }
    }
    return NULL;
}

static void on_knock(uv_poll_t *poll, int status, int events)
{
    sl_control *c = poll->data;
    (void)status;
    (void)events;
    sl_autoclose int fd = accept4(c->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct peer *p = free_place(c);
    if (fd < 0 || p == NULL || !may_ask(fd) || uv_poll_init(c->loop, &p->poll, fd) != 0) {
        return;
    }
    uv_timer_init(c->loop, &p->deadline);
    p->poll.data = p->deadline.data = p;
    p->control = c;
    p->asked = 0;
    p->fd = sl_steal_fd(&fd);
    sl_buf_init(&p->answer, SL_CONTROL_ANSWER_MAX);
    uv_timer_start(&p->deadline, on_deadline, SL_CONTROL_DEADLINE_MS, 0);
    uv_poll_start(&p->poll, UV_READABLE, on_peer);
}

/* Through the descriptor of the directory: the way to it may be longer than a socket's name. */
static int bind_in(int dir, const char *name)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    sl_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int n = snprintf(sa.sun_path, sizeof(sa.sun_path), "/proc/self/fd/%d/%s", dir, name);
    if (n < 0 || (size_t)n >= sizeof(sa.sun_path)) {
        return -ENAMETOOLONG;
    }
    /* The file gets the socket's mode (unix(7)): it is never open to others. */
    if (fd < 0 || fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
        listen(fd, BACKLOG) < 0) {
        return -errno;
    }
    return sl_steal_fd(&fd);
}

int sl_control_open(uv_loop_t *loop, const sl_rundir *dir, sl_control_answer answer, void *arg,
                    sl_control **ret_control)
{
    if (dir == NULL || dir->control_name[0] == '\0') {
        return -ENOENT;
    }
    sl_autoclose int at = sl_rundir_open_control(dir);
    sl_autoclose int fd = at < 0 ? -1 : bind_in(at, dir->control_name);
    sl_control *c = fd < 0 ? NULL : calloc(1, sizeof(*c));
    if (c == NULL) {
        return at < 0 ? at : fd < 0 ? fd : -ENOMEM;
    }
    *c = (sl_control){.loop = loop, .fd = sl_steal_fd(&fd), .answer = answer, .arg = arg};
    for (size_t i = 0; i < SL_CONTROL_PEERS_MAX; i++) {
        c->peers[i].fd = -1;
    }
    uv_poll_init(loop, &c->poll, c->fd);
    c->poll.data = c;
    uv_poll_start(&c->poll, UV_READABLE, on_knock);
    *ret_control = c;
    return 0;
}
