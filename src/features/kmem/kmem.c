/* Owns the feature: what is trapped, what the kernel refuses alone, and the admission of sockets.
 *
 * Nothing is measured: each object is charged with all that it can hold, when it is made, and small
 * buffers are given where the budget gets short. docs/internals/limits.md. */
#include "features/kmem/kmem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/util.h"
#include "features/features.h"
#include "features/kmem/kmem_int.h"

#define LIMIT_SHARE   4 /* kernel memory is a quarter of the limit, beside it */
#define RESERVE_SHARE 8 /* of that: for what is not charged one by one */

#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72
#endif
#define SO_ZEROCOPY_OPTION 60
#ifndef TCP_ZEROCOPY_RECEIVE
#define TCP_ZEROCOPY_RECEIVE 35
#endif

static bool wanted(const sl_policy *policy)
{
    return policy->max_memory > 0;
}

struct sl_kmem_state *sl_kmem_of(const sl_supervisor *sv)
{
    return sl_cgroup_holds_memory(sv->cgroup) ? NULL : sl_supervisor_state(sv, &sl_feature_kmem);
}

bool sl_kmem_holds(const sl_supervisor *sv)
{
    return sl_kmem_of(sv) != NULL;
}

static int setup(sl_supervisor *sv, void *state, sl_error *err)
{
    struct sl_kmem_state *s = state;
    uint64_t budget = sv->policy->max_memory / LIMIT_SHARE;
    budget -= budget / RESERVE_SHARE;
    s->ledger = sl_ledger_new(budget);
    sl_bounds_init(&s->bounds, budget);
    sl_kmem_ipc_init(s);
    return s->ledger == NULL ? sl_error_set(err, ENOMEM, "not enough memory") : 0;
}

static void teardown(void *state)
{
    const struct sl_kmem_state *s = state;
    sl_ledger_free(s->ledger);
}

void sl_kmem_prepare(sl_supervisor *sv, struct sl_kmem_state *s)
{
    if (sl_ledger_wants_look(s->ledger)) {
        sl_kmem_look(sv, s);
    }
}

bool sl_kmem_expect(sl_supervisor *sv, struct sl_kmem_state *s, uint64_t charge)
{
    sl_kmem_prepare(sv, s);
    if (sl_ledger_expect(s->ledger, charge)) {
        return true;
    }
    sl_kmem_look(sv, s);
    return sl_ledger_expect(s->ledger, charge);
}

/* ---- sockets of the tree's that we make ---- */

/* 0, which is nobody's, when it is none. */
static uint64_t number_of(int fd)
{
    struct stat st;
    return fstat(fd, &st) < 0 ? 0 : st.st_ino;
}

static bool put(struct sl_kmem_state *s, int fd, bool is_pair)
{
    sl_ledger_item item;
    if (sl_bounds_socket(&s->bounds, s->ledger, fd, is_pair, &item) < 0) {
        return false;
    }
    item.ino = number_of(fd);
    s->has_tcp = s->has_tcp || item.kind == SL_LEDGER_TCP;
    return sl_ledger_put(s->ledger, &item);
}

int sl_kmem_admit(sl_supervisor *sv, int fd)
{
    struct sl_kmem_state *s = sl_kmem_of(sv);
    if (s == NULL) {
        return 0;
    }
    sl_kmem_prepare(sv, s);
    if (put(s, fd, false)) {
        return 0;
    }
    sl_kmem_look(sv, s);
    return put(s, fd, false) ? 0 : -ENOBUFS;
}

int sl_kmem_admit_pair(sl_supervisor *sv, const int fds[2])
{
    struct sl_kmem_state *s = sl_kmem_of(sv);
    if (s != NULL) {
        sl_kmem_prepare(sv, s);
    }
    for (int i = 0; s != NULL && i < 2; i++) {
        if (!put(s, fds[i], true)) {
            sl_kmem_look(sv, s); /* the first is in nobody's table yet, and goes */
            return put(s, fds[0], true) && put(s, fds[1], true) ? 0 : -ENOBUFS;
        }
    }
    return 0;
}

static int put_listener(struct sl_kmem_state *s, int fd, int asked)
{
    sl_ledger_item item;
    int backlog = sl_bounds_listener(&s->bounds, s->ledger, fd, asked, &item);
    if (backlog < 0) {
        return backlog;
    }
    item.ino = number_of(fd);
    const sl_ledger_item *known = sl_ledger_find(s->ledger, item.ino);
    if (known != NULL && known->child != 0) { /* who waits already goes on waiting */
        item.charge = SL_MAX(item.charge, known->charge);
        item.child = SL_MAX(item.child, known->child);
    }
    if (item.kind == SL_LEDGER_TCP) {
        s->has_tcp = true;
        s->accepted_tcp = SL_MAX(s->accepted_tcp, item.child);
    }
    return sl_ledger_put(s->ledger, &item) ? backlog : -ENOBUFS;
}

int sl_kmem_backlog(sl_supervisor *sv, int fd, int asked)
{
    struct sl_kmem_state *s = sl_kmem_of(sv);
    if (s == NULL) {
        return asked;
    }
    sl_kmem_prepare(sv, s);
    int r = put_listener(s, fd, asked);
    if (r == -ENOBUFS) {
        sl_kmem_look(sv, s);
        r = put_listener(s, fd, asked);
    }
    return r;
}

int sl_kmem_listen(sl_supervisor *sv, int fd, int asked)
{
    int backlog = sl_kmem_backlog(sv, fd, asked);
    if (backlog < 0 && sl_kmem_holds(sv)) {
        return backlog;
    }
    return listen(fd, backlog) < 0 ? -errno : 0;
}

bool sl_kmem_made(const sl_call *call, int fd)
{
    const struct sl_kmem_state *s = sl_kmem_of(call->sv);
    uint64_t ino;
    return s != NULL && sl_kmem_number(call->tid, fd, &ino) &&
           sl_ledger_find(s->ledger, ino) != NULL;
}

int sl_kmem_name(sl_supervisor *sv, int fd)
{
    struct sl_kmem_state *s = sl_kmem_of(sv);
    uint64_t ino = number_of(fd);
    for (int i = 0; s != NULL && i < 2; i++) {
        const sl_ledger_item *known = sl_ledger_find(s->ledger, ino);
        sl_ledger_item item =
            known == NULL ? (sl_ledger_item){.ino = ino, .kind = SL_LEDGER_SOCKET} : *known;
        if (item.hears_all) {
            return 0;
        }
        item.hears_all = true;
        item.charge += sl_bounds_named(&s->bounds);
        if (sl_ledger_put(s->ledger, &item)) {
            return 0;
        }
        sl_kmem_look(sv, s);
    }
    return s == NULL ? 0 : -ENOBUFS;
}

void sl_kmem_sends(const sl_supervisor *sv, int fd)
{
    const struct sl_kmem_state *s = sl_kmem_of(sv);
    if (s != NULL) {
        (void)sl_bounds_set(fd, SO_SNDBUF, s->bounds.datagram);
    }
}

/* ---- the feature ---- */

/* A page that is lent to a pipe or a socket is not the caller's any more, and not counted: one byte
 * may hold a huge page. Programs copy where these calls are refused. */
static const sl_bpf_rule settled[] = {
    {.nr = SYS_splice, .action = SL_BPF_ERRNO(EINVAL)},
    {.nr = SYS_tee, .action = SL_BPF_ERRNO(EINVAL)},
    {.nr = SYS_vmsplice, .action = SL_BPF_ERRNO(EINVAL)},
#define NO_OPTION(call, level, option, error)                                                      \
    {                                                                                              \
        .nr = SYS_##call, .action = SL_BPF_ERRNO(error), .conds = {                                \
            SL_ARG_EQ(1, level),                                                                   \
            SL_ARG_EQ(2, option)                                                                   \
        }                                                                                          \
    }
    NO_OPTION(setsockopt, SOL_SOCKET, SO_ZEROCOPY_OPTION, EOPNOTSUPP),
    NO_OPTION(getsockopt, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, ENOPROTOOPT),
    /* a size that was set stays set */
    NO_OPTION(setsockopt, SOL_SOCKET, SO_BUF_LOCK, ENOPROTOOPT),
    /* its memory is the socket's own, and no buffer's */
    NO_OPTION(setsockopt, SOL_SOCKET, SO_ATTACH_FILTER, ENOMEM),
};

#define MAKES_FIFO(arg) SL_ARG_MASK_EQ(arg, S_IFMT, S_IFIFO)

/* SL_ROW_MAY_CONTINUE: what is charged is so whatever the numbers mean by then. */
static const sl_syscall_row rows[] = {
    {.nr = SYS_pipe2, .flags = SL_ROW_MAY_CONTINUE, .handler = sl_kmem_handle_pipe},
#ifdef SYS_pipe /* newer architectures do without */
    {.nr = SYS_pipe, .flags = SL_ROW_MAY_CONTINUE, .handler = sl_kmem_handle_pipe},
    {.nr = SYS_mknod,
     .flags = SL_ROW_MAY_CONTINUE,
     .handler = sl_kmem_handle_mknod,
     .conds = {MAKES_FIFO(1)}},
#endif
    {.nr = SYS_accept, .flags = SL_ROW_MAY_CONTINUE, .handler = sl_kmem_handle_accept},
    {.nr = SYS_mknodat,
     .flags = SL_ROW_MAY_CONTINUE,
     .handler = sl_kmem_handle_mknod,
     .conds = {MAKES_FIFO(2)}},
    {.nr = SYS_accept4, .flags = SL_ROW_MAY_CONTINUE, .handler = sl_kmem_handle_accept},
    {.nr = SYS_fcntl,
     .flags = SL_ROW_MAY_CONTINUE,
     .handler = sl_kmem_handle_fcntl,
     .conds = {SL_ARG_EQ(1, F_SETPIPE_SZ)}},
    {.nr = SYS_semget, .flags = SL_ROW_MAY_CONTINUE, .handler = sl_kmem_handle_ipc},
    {.nr = SYS_msgget, .flags = SL_ROW_MAY_CONTINUE, .handler = sl_kmem_handle_ipc},
    {.nr = SYS_sendfile, .handler = sl_kmem_handle_sendfile},
    {.nr = SYS_socket, .flags = SL_ROW_ALLOWED_TOO, .handler = sl_kmem_handle_socket},
    {.nr = SYS_socketpair, .handler = sl_kmem_handle_socketpair},
};

const sl_feature sl_feature_kmem = {
    .name = "kmem",
    .wanted = wanted,
    .promised = sl_feature_promises_nothing, /* "memory" says it */
    .without_cgroup = true,
    .rows = rows,
    .row_count = SL_ARRAY_LEN(rows),
    .settled = settled,
    .settled_count = SL_ARRAY_LEN(settled),
    .state_size = sizeof(struct sl_kmem_state),
    .setup = setup,
    .teardown = teardown,
};
