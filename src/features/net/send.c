/* Owns sending with an address, or with a message header that could carry one: copied once, judged,
 * sent from the copy on the pinned socket. A nameless message on a connected socket needs no
 * verdict, but its memory and number could change, so it is sent on behalf as well. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/util.h"
#include "features/mint/mint.h"
#include "features/net/net.h"
#include "features/net/port_names.h"
#include "features/net/send_int.h"
#include "features/net/unix.h"
#include "kernel/place.h"
#include "kernel/proc.h"
#include "supervisor/hold.h"

/* The flags that mean something to a send on behalf. MSG_ZEROCOPY does not: the kernel would go on
 * reading our copy after it was freed. */
#define FLAGS_KEPT                                                                                 \
    (MSG_OOB | MSG_DONTROUTE | MSG_DONTWAIT | MSG_EOR | MSG_CONFIRM | MSG_NOSIGNAL | MSG_MORE)

void sl_outgoing_init(struct sl_outgoing *out, int flags)
{
    *out = (struct sl_outgoing){.unix_pin = -1, .flags = flags & FLAGS_KEPT};
}

void sl_outgoing_done(struct sl_outgoing *out)
{
    for (size_t i = 0; i < out->fd_count; i++) {
        sl_close(out->fds[i]);
    }
    sl_close(out->unix_pin);
    free(out->data);
    *out = (struct sl_outgoing){.unix_pin = -1};
}

/* Writing to a closed stream also signals, unless it was asked not to. */
static void raise_sigpipe(const sl_call *call)
{
    pid_t tgid = sl_call_tgid(call);
    if (tgid > 0 && sl_call_valid(call)) {
        syscall(SYS_tgkill, tgid, call->tid, SIGPIPE);
    }
}

/* Sends now. -EAGAIN when the socket has no room. */
static int64_t send_now(const sl_call *call, int fd, struct sl_outgoing *out)
{
    struct iovec iov = {.iov_base = out->data, .iov_len = out->len};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_name = out->name_len > 0 ? &out->name : NULL,
                         .msg_namelen = out->name_len,
                         .msg_control = out->control_len > 0 ? out->control : NULL,
                         .msg_controllen = out->control_len};
    ssize_t n = sendmsg(fd, &msg, out->flags | MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n >= 0) {
        return n;
    }
    int error = errno;
    if (error == EPIPE && (out->flags & MSG_NOSIGNAL) == 0 && out->stream) {
        raise_sigpipe(call);
    }
    return -error;
}

struct waiting {
    struct sl_outgoing out;
    uint64_t msg_len_at; /* sendmmsg: where the first message's length goes */
};

static int64_t store_result(const sl_call *call, int64_t n, uint64_t msg_len_at)
{
    if (n < 0 || msg_len_at == 0) {
        return n;
    }
    uint32_t len = (uint32_t)n;
    int r = sl_call_write(call, msg_len_at, &len, sizeof(len));
    return r < 0 ? r : 1;
}

static bool resume_send(sl_deferred *d, enum sl_wake why, sl_answer *ret_answer)
{
    struct waiting *w = d->data;
    int64_t n = send_now(&d->call, d->fd, &w->out);
    if (n == -EAGAIN && why != SL_WAKE_TIMEOUT) {
        return false;
    }
    *ret_answer = SL_ANSWER_VALUE(store_result(&d->call, n, w->msg_len_at));
    return true;
}

static void drop_waiting(void *data)
{
    struct waiting *w = data;
    sl_outgoing_done(&w->out);
}

static sl_answer wait_and_send(sl_call *call, sl_sock *sock, struct sl_outgoing *out,
                               uint64_t msg_len_at)
{
    struct waiting *w = malloc(sizeof(*w));
    if (w == NULL) {
        sl_outgoing_done(out);
    } else {
        w->out = *out;
        w->msg_len_at = msg_len_at;
    }
    sl_wait wait = {.resume = resume_send,
                    .data = w,
                    .drop = drop_waiting,
                    .events = UV_WRITABLE,
                    .deadline_ms = sl_deferred_deadline(sock->fd, SO_SNDTIMEO),
                    .held = w == NULL ? 0 : w->out.fd_count + (w->out.unix_pin >= 0)};
    return sl_deferred_start(call, sl_steal_fd(&sock->fd), &wait);
}

/* Where a datagram to this address really goes, and whether it may. */
static int judge_inet(sl_call *call, const sl_sock *sock, struct sl_outgoing *out)
{
    char name[SL_HOST_NAME_MAX];
    sl_dest dest;
    sl_net_verdict verdict;
    if (out->name.ss_family == AF_UNSPEC) {
        return -EAFNOSUPPORT; /* udp(7) would read it as IPv4 */
    }
    if (sl_port_redirect(call, sock, &out->name, out->name_len)) {
        sl_port_note(call, sock);
        return 0;
    }
    if (sl_net_of(call->sv) == NULL) {
        return 0; /* nothing restricts it */
    }
    int r = sl_dest_make(call, sock, &out->name, out->name_len, &dest, name);
    if (r < 0) {
        return r == -ENOENT ? -ECONNREFUSED : r;
    }
    if (sl_dns_is_query(call, &dest)) {
        sl_addr to;
        uint16_t port;
        r = sl_dns_target(call, sock, &dest, &to, &port);
        if (r == 0) {
            out->name_len = sl_addr_to_sockaddr(&to, port, sl_sock_af(sock), &out->name);
        }
        return r;
    }
    sl_dest_judge(call, &dest, &verdict);
    if (verdict.action != SL_NET_DIRECT || dest.name != NULL) {
        /* Datagrams to a name need a connected socket, which has a place for the real address. */
        sl_dest_decided(call, &dest, &verdict, false);
        return -ECONNREFUSED;
    }
    sl_dest_decided(call, &dest, &verdict, true);
    return 0;
}

static int judge_unix(const sl_call *call, struct sl_outgoing *out)
{
    struct sockaddr_un sa;
    memcpy(&sa, &out->name, sizeof(sa));
    size_t head = offsetof(struct sockaddr_un, sun_path);
    bool abstract = sa.sun_family == AF_UNIX && out->name_len > head && sa.sun_path[0] == '\0';
    if (abstract && !sl_policy_isolates_abstract(call->sv->policy)) {
        return 0;
    }
    return sl_unix_pin(call, SOCK_DGRAM, &sa, out->name_len, (struct sockaddr_un *)&out->name,
                       &out->name_len, &out->unix_pin);
}

/* Replaces the address by the judged, pinned one. Streams ignore it, but for MSG_FASTOPEN, which
 * the filter refuses: it is dropped. */
static int judge(sl_call *call, const sl_sock *sock, struct sl_outgoing *out)
{
    if (out->name_len == 0) {
        return 0;
    }
    if (sock->domain == AF_UNIX) {
        if (sock->type == SOCK_STREAM) {
            return -EISCONN;
        }
        if (sock->type == SOCK_SEQPACKET) { /* which the kernel does not read either */
            out->name_len = 0;
            return 0;
        }
        return judge_unix(call, out);
    }
    if (sl_net_of(call->sv) == NULL && sock->domain != AF_INET && sock->domain != AF_INET6) {
        return 0;
    }
    if (sock->domain == AF_NETLINK) {
        return 0; /* routes only, and the kernel lets the unprivileged only read */
    }
    if (sock->type == SOCK_STREAM) {
        out->name_len = 0;
        return 0;
    }
    return judge_inet(call, sock, out);
}

sl_answer sl_outgoing_send(sl_call *call, sl_sock *sock, struct sl_outgoing *out,
                           uint64_t msg_len_at, bool may_wait)
{
    int64_t r = send_now(call, sock->fd, out);
    if (r == -EAGAIN && may_wait && !sock->nonblock && (out->flags & MSG_DONTWAIT) == 0) {
        return wait_and_send(call, sock, out, msg_len_at);
    }
    sl_outgoing_done(out);
    return SL_ANSWER_VALUE(store_result(call, r, msg_len_at));
}

/* One message, judged and sent. */
static sl_answer send_one(sl_call *call, sl_sock *sock, struct sl_outgoing *out,
                          uint64_t msg_len_at, bool may_wait)
{
    out->stream = sock->type != SOCK_DGRAM;
    int r = judge(call, sock, out);
    if (r < 0) {
        sl_outgoing_done(out);
        return SL_ANSWER_VALUE(r);
    }
    return sl_outgoing_send(call, sock, out, msg_len_at, may_wait);
}

/* One message, from where its copy comes. */
static sl_answer send_message(sl_call *call, int flags, bool header)
{
    struct sl_outgoing out;
    sl_sock sock;
    sl_outgoing_init(&out, flags);
    int r = sl_sock_pin(call, (int)call->args[0], &sock);
    if (r < 0) {
        return SL_ANSWER_VALUE(r);
    }
    r = header ? sl_outgoing_from_msghdr(call, &sock, call->args[1], &out)
               : sl_outgoing_from_args(call, &sock, &out);
    if (r == 0 && !sl_call_valid(call)) {
        r = -EPERM;
    }
    sl_answer answer = SL_ANSWER_VALUE(r);
    if (r == 0) {
        answer = send_one(call, &sock, &out, 0, true);
    } else {
        sl_outgoing_done(&out);
    }
    sl_sock_done(&sock);
    return answer;
}

sl_answer sl_net_send_msghdr(sl_call *call)
{
    return send_message(call, (int)call->args[2], true);
}

/* CLONE_FILES without CLONE_THREAD: the numbers of two processes mean the same from now on. */
sl_answer sl_net_handle_clone(sl_call *call)
{
    if ((call->args[0] & (CLONE_FILES | CLONE_THREAD)) == CLONE_FILES) {
        atomic_store(&sl_net_of(call->sv)->tables_shared, true);
    }
    return SL_ANSWER_PASS;
}

/* True if the caller's descriptors are its alone: it waits for us, so nobody can put another socket
 * under a number of its. */
static bool has_own_table(const sl_call *call)
{
    const struct sl_net_state *net = sl_net_of(call->sv);
    return net != NULL && !atomic_load(&net->tables_shared) &&
           sl_proc_status(call->tid, "Threads") == 1;
}

/* A local socket with a connection takes no other address, whatever the message says by then
 * (unix(7)). */
static bool ignores_addresses(const sl_call *call)
{
    sl_sock sock;
    if (sl_sock_pin(call, (int)call->args[0], &sock) < 0) {
        return !sl_place_fetches() && sl_mint_foreign(call, (int)call->args[0]) == SL_MINT_STREAM;
    }
    bool ignores =
        sock.domain == AF_UNIX && (sock.type == SOCK_STREAM || sock.type == SOCK_SEQPACKET);
    sl_sock_done(&sock);
    return ignores;
}

/* Where sockets cannot be fetched those that we did not make (accepted ones, pairs) are the
 * caller's alone to send by, and so is what comes along that cannot be had again. It may, on what
 * ignores addresses, while nobody can put another socket in its place. */
static bool is_callers_own(const sl_call *call, uint64_t header)
{
    struct msghdr msg;
    sl_sock sock;
    if (sl_place_fetches()) {
        return false;
    }
    if (sl_sock_pin(call, (int)call->args[0], &sock) < 0) {
        return sl_mint_foreign(call, (int)call->args[0]) == SL_MINT_STREAM;
    }
    bool local = sock.domain == AF_UNIX && sock.type != SOCK_DGRAM;
    sl_sock_done(&sock);
    return local && header != 0 && sl_call_read(call, header, &msg, sizeof(msg)) == 0 &&
           msg.msg_controllen > 0;
}

static bool may_share_table(const sl_call *call)
{
    const struct sl_net_state *net = sl_net_of(call->sv);
    return net == NULL || atomic_load(&net->tables_shared);
}

/* The table may be another process's, too, since the call waits to be looked at. */
static bool may_send_alone(const sl_call *call, sl_hold_memo *memo)
{
    (void)memo;
    return !may_share_table(call) && ignores_addresses(call);
}

static bool may_send(const sl_call *call, sl_hold_memo *memo)
{
    (void)memo;
    return ignores_addresses(call);
}

static const sl_hold_way with_threads_held = {.whom = SL_HOLD_THREADS, .check = may_send_alone};
static const sl_hold_way with_the_tree_held = {.whom = SL_HOLD_TREE, .check = may_send};

static sl_answer let_caller_send(sl_call *call)
{
    return sl_hold_continue(call, may_share_table(call) ? &with_the_tree_held : &with_threads_held);
}

/* A message may carry who sent it (SO_PASSCRED), which is asked of the thread that sends: where it
 * can go nowhere else the caller sends it itself. */
sl_answer sl_net_handle_sendmsg(sl_call *call)
{
    if (has_own_table(call) && ignores_addresses(call) && sl_call_valid(call)) {
        return SL_ANSWER_PASS;
    }
    return is_callers_own(call, call->args[1]) ? let_caller_send(call) : sl_net_send_msghdr(call);
}

sl_answer sl_net_handle_sendto(sl_call *call)
{
    return is_callers_own(call, 0) ? let_caller_send(call)
                                   : send_message(call, (int)call->args[3], false);
}

/* sendmmsg(2): the messages before a failing one are sent and counted. */
sl_answer sl_net_handle_sendmmsg(sl_call *call)
{
    size_t count = SL_MIN((size_t)(uint32_t)call->args[2], (size_t)SL_SEND_BATCH_MAX);
    sl_sock sock;
    if (is_callers_own(call, 0)) {
        return let_caller_send(call);
    }
    int r = sl_sock_pin(call, (int)call->args[0], &sock);
    if (r < 0) {
        return SL_ANSWER_VALUE(r);
    }
    if (atomic_load(&call->sv->reads_alone)) { /* nobody could be told what was sent */
        sl_sock_done(&sock);
        return SL_ANSWER_VALUE(-ENOSYS);
    }
    size_t sent = 0;
    sl_answer answer = SL_ANSWER_VALUE(0);
    while (sent < count) {
        struct sl_outgoing out;
        sl_outgoing_init(&out, (int)call->args[3]);
        uint64_t at = call->args[1] + sent * sizeof(struct mmsghdr);
        r = sl_outgoing_from_msghdr(call, &sock, at, &out);
        if (r == 0 && !sl_call_valid(call)) {
            r = -EPERM;
        }
        if (r < 0) {
            sl_outgoing_done(&out);
            answer = SL_ANSWER_VALUE(r);
            break;
        }
        answer = send_one(call, &sock, &out, at + offsetof(struct mmsghdr, msg_len), sent == 0);
        if (answer.kind == SL_DEFER || answer.value < 0) {
            break;
        }
        sent++;
    }
    sl_sock_done(&sock);
    if (answer.kind == SL_DEFER) {
        return answer;
    }
    return sent > 0 ? SL_ANSWER_VALUE((int64_t)sent) : answer;
}
