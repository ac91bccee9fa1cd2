/* Owns connect(2): judged on a copy of the address, made on the pinned socket. It is never
 * continued: the caller's memory may say something else by then. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/util.h"
#include "features/net/net.h"
#include "features/net/sink.h"
#include "features/net/unix.h"
#include "kernel/proc.h"
#include "supervisor/pin.h"

/* How long a blocking connect may keep this thread. Loopback answers within a few microseconds. */
#define BRIEF_NS   200000
#define COARSE_NS  100000000 /* where nothing should wait, and the socket's owner may see to it */
#define CAREFUL_MS 10000     /* after a connect on this host that did wait */

/* One timer a thread. Its signal is blocked but for connects, and what is blocked wakes nobody: the
 * kernel starts the next period when the signal is taken. So the coarse one is set once, for
 * setting one leaves a virtual machine and would cost as much as a connect on this host. */
static _Thread_local timer_t timer;
static _Thread_local bool timer_ready;
static _Thread_local long timer_ns; /* its period; 0: it stands */

static void on_timer(int sig)
{
    (void)sig; /* its only effect is EINTR */
}

static void set_timer(long period_ns)
{
    struct itimerspec to = {.it_value.tv_nsec = period_ns, .it_interval.tv_nsec = period_ns};
    timer_ns = period_ns;
    timer_settime(timer, 0, &to, NULL);
}

static void mask_timer(int how)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    pthread_sigmask(how, &set, NULL);
}

/* A blocking socket of the child cannot be made non-blocking (the flag is shared), so a timer of
 * this thread's interrupts the connect: it then goes on by itself, as connect(2) says of EINTR. */
static int prepare_timer(void)
{
    struct sigaction action = {.sa_handler = on_timer};
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM};
    event._sigev_un._tid = gettid();
    mask_timer(SIG_BLOCK);
    if (sigaction(SIGALRM, &action, NULL) < 0 ||
        timer_create(CLOCK_MONOTONIC, &event, &timer) < 0) {
        return -errno;
    }
    timer_ready = true;
    return 0;
}

/* Never waits for longer than this, whatever the tree does to the socket meanwhile. */
static int connect_within(int fd, const void *sa, socklen_t len, long ns)
{
    if (!timer_ready && prepare_timer() < 0) {
        return -ENOBUFS;
    }
    if (timer_ns != ns) {
        set_timer(ns);
    }
    mask_timer(SIG_UNBLOCK);
    int r = connect(fd, sa, len) < 0 ? -errno : 0;
    mask_timer(SIG_BLOCK);
    if (ns == BRIEF_NS) {
        set_timer(0);
    }
    return r == -EINTR ? -EINPROGRESS : r;
}

static bool is_on_this_host(const struct sockaddr *sa)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)sa;
    const struct in6_addr *v6 = &((const struct sockaddr_in6 *)sa)->sin6_addr;
    switch (sa->sa_family) {
    case AF_UNIX:
        return true;
    case AF_INET:
        return ntohl(v4->sin_addr.s_addr) >> IN_CLASSA_NSHIFT == IN_LOOPBACKNET;
    case AF_INET6:
        return IN6_IS_ADDR_LOOPBACK(v6) ||
               (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == IN_LOOPBACKNET);
    default:
        return false;
    }
}

/* The socket's own time limit, which the kernel looks at only when it would wait. It is counted in
 * jiffies: up to 4 ms instead of BRIEF_NS, too long to meet again and again. It is the tree's to
 * change while we wait, too, so the coarse timer goes beside it. -ETIME when the limit cannot be
 * had. */
static int connect_by_limit(int fd, const void *sa, socklen_t len)
{
    struct timeval before;
    struct timeval shortest = {.tv_usec = 1};
    socklen_t size = sizeof(before);
    if (getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &before, &size) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &shortest, sizeof(shortest)) < 0) {
        return -ETIME;
    }
    int r = connect_within(fd, sa, len, COARSE_NS);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &before, sizeof(before));
    return r;
}

/* On the same host a connect is over before it returns. What waited all the same (a backlog that
 * somebody keeps full) is guarded by the brief timer for a while. */
int sl_connect_briefly(const sl_sock *sock, const void *sa, socklen_t len)
{
    static _Thread_local uint64_t careful_until_ms;
    if (sock->nonblock) {
        return connect(sock->fd, sa, len) < 0 ? -errno : 0;
    }
    bool careful = careful_until_ms != 0 && sl_clock_now_ms() < careful_until_ms;
    if (careful || !is_on_this_host(sa)) {
        return connect_within(sock->fd, sa, len, BRIEF_NS);
    }
    int r = connect_by_limit(sock->fd, sa, len);
    if (r == -EINPROGRESS || r == -EAGAIN) {
        careful_until_ms = sl_clock_now_ms() + CAREFUL_MS;
    }
    return r == -ETIME ? connect_within(sock->fd, sa, len, BRIEF_NS) : r;
}

struct pending {
    socklen_t len;
    struct sockaddr_storage sa;
};

/* The connect has ended one way or the other: asking again gives its result and settles the state.
 */
static bool resume_connect(sl_deferred *d, enum sl_wake why, sl_answer *ret_answer)
{
    struct pending *p = d->data;
    sl_sock sock = {.fd = d->fd};
    if (why == SL_WAKE_TIMEOUT) {
        *ret_answer = SL_ANSWER_VALUE(-EINPROGRESS); /* SO_SNDTIMEO, socket(7) */
        return true;
    }
    int r = sl_connect_briefly(&sock, &p->sa, p->len);
    if (r == -EINPROGRESS || r == -EALREADY) {
        return false;
    }
    *ret_answer = SL_ANSWER_VALUE(r == -EISCONN ? 0 : r);
    return true;
}

sl_answer sl_connect_direct(sl_call *call, sl_sock *sock, const void *sa, socklen_t len)
{
    int r = sl_connect_briefly(sock, sa, len);
    if (r != -EINPROGRESS || sock->nonblock) {
        sl_sock_done(sock);
        return SL_ANSWER_VALUE(r);
    }
    struct pending *p = malloc(sizeof(*p));
    if (p != NULL) {
        memcpy(&p->sa, sa, len);
        p->len = len;
    }
    sl_wait wait = {.resume = resume_connect,
                    .data = p,
                    .events = UV_WRITABLE,
                    .deadline_ms = sl_deferred_deadline(sock->fd, SO_SNDTIMEO)};
    return sl_deferred_start(call, sl_steal_fd(&sock->fd), &wait);
}

/* A gated socket would have nowhere to send to: a policy that names the one that is meant lifts the
 * gate (unix_gate.c). */
static int refuse_gated(const sl_call *call, const struct sockaddr_un *un, socklen_t len)
{
    char path[sizeof(un->sun_path) + 1] = {0};
    char real[PATH_MAX];
    size_t head = offsetof(struct sockaddr_un, sun_path);
    memcpy(path, un->sun_path, SL_MIN(len - head, sizeof(un->sun_path)));
    sl_autoclose int fd = sl_pin(call, AT_FDCWD, path, 0);
    if (fd == -ENOENT) {
        return fd;
    }
    if (fd >= 0 && sl_call_valid(call) && sl_proc_fd_path(fd, real) == 0) {
        sl_unix_decided(call, real, false);
    }
    return -EACCES;
}

static int reach_unix(const sl_call *call, const sl_sock *sock, const struct sockaddr_un *un,
                      socklen_t len)
{
    struct sockaddr_un pinned;
    socklen_t pinned_len;
    sl_autoclose int keep = -1;
    bool named = len > offsetof(struct sockaddr_un, sun_path);
    if (un->sun_family != AF_UNIX || !named || len > sizeof(*un)) {
        return connect(sock->fd, (const struct sockaddr *)un, len) < 0 ? -errno : 0; /* a mistake,
                                                                    or AF_UNSPEC: no peer at all */
    }
    if (un->sun_path[0] == '\0') {
        bool gated = sl_unix_is_gated(call->sv, sock);
        return gated ? -EPERM : sl_unix_connect_abstract(call, sock, un, len);
    }
    if (sl_unix_is_gated(call->sv, sock)) {
        return refuse_gated(call, un, len);
    }
    int r = sl_unix_pin(call, sock->type, un, len, &pinned, &pinned_len, &keep);
    return r < 0 ? r : sl_connect_briefly(sock, &pinned, pinned_len);
}

static sl_answer connect_unix(sl_call *call, sl_sock *sock, const void *sa, socklen_t len)
{
    int r = reach_unix(call, sock, sa, len);
    r = r == -EINPROGRESS ? -EAGAIN : r; /* its backlog is full: as a non-blocking socket */
    sl_sock_done(sock);
    return SL_ANSWER_VALUE(r);
}

/* To the kernel only: netlink(7) port 0, no groups. */
static sl_answer connect_netlink(sl_sock *sock, const struct sockaddr_storage *sa, socklen_t len)
{
    struct sockaddr_nl nl = {0};
    memcpy(&nl, sa, SL_MIN((size_t)len, sizeof(nl)));
    int r = -EPERM;
    if (len >= sizeof(nl) && nl.nl_family == AF_NETLINK && nl.nl_pid == 0 && nl.nl_groups == 0) {
        r = connect(sock->fd, (struct sockaddr *)&nl, sizeof(nl)) < 0 ? -errno : 0;
    }
    sl_sock_done(sock);
    return SL_ANSWER_VALUE(r);
}

/* Nothing may be sent, but a UDP connect sends nothing: getaddrinfo sorts addresses with it
 * (RFC 6724). */
static sl_answer connect_sink(sl_call *call, sl_sock *sock, const sl_dest *dest,
                              const sl_net_verdict *verdict)
{
    int r = sl_sink_connect(call, sock, dest, verdict);
    if (r == 0) {
        sl_known_put(sl_net_of(call->sv), &(sl_known){.cookie = sock->cookie,
                                                      .kind = SL_KNOWN_STEERED,
                                                      .connected = true,
                                                      .asked = dest->addr,
                                                      .asked_port = dest->port});
    }
    sl_sock_done(sock);
    return SL_ANSWER_VALUE(r);
}

/* A datagram connect to where TCP may go: getaddrinfo(3) sorts addresses so, and no packet was
 * meant.
 */
static bool is_sorting(const sl_call *call, const sl_dest *dest)
{
    sl_dest tcp = *dest;
    sl_net_verdict verdict;
    tcp.proto = SL_PROTO_TCP;
    sl_dest_judge(call, &tcp, &verdict);
    return verdict.action != SL_NET_DENY;
}

static sl_answer connect_denied(sl_call *call, sl_sock *sock, const sl_dest *dest,
                                const sl_net_verdict *verdict, const void *sa, socklen_t len)
{
    if (dest->proto == SL_PROTO_TCP && sl_listen_is_ours(call, dest)) {
        return sl_connect_direct(call, sock, sa, len);
    }
    if (dest->proto == SL_PROTO_UDP && dest->name != NULL && dest->addr.family == 6) {
        /* The IPv4 address of the name goes first: it is the one that more programs can use. */
        sl_sock_done(sock);
        return SL_ANSWER_VALUE(-ENETUNREACH);
    }
    if (dest->proto == SL_PROTO_UDP && (!sl_listen_is_loopback(dest) || is_sorting(call, dest))) {
        return connect_sink(call, sock, dest, verdict);
    }
    sl_sock_done(sock);
    if (dest->proto != SL_PROTO_ICMP && sl_listen_is_nobody(call, dest, verdict)) {
        return SL_ANSWER_VALUE(-ECONNREFUSED);
    }
    sl_dest_decided(call, dest, verdict, false);
    return SL_ANSWER_VALUE(-ECONNREFUSED);
}

static sl_answer connect_inet(sl_call *call, sl_sock *sock, const struct sockaddr_storage *sa,
                              socklen_t len)
{
    char name[SL_HOST_NAME_MAX];
    sl_dest dest;
    sl_net_verdict verdict;
    sl_sink_forget(sl_net_of(call->sv)->sink, sock->cookie);
    int r = sl_dest_make(call, sock, sa, len, &dest, name);
    if (r < 0) {
        sl_sock_done(sock);
        return SL_ANSWER_VALUE(r == -ENOENT ? -ECONNREFUSED : r);
    }
    if (sl_dns_is_query(call, &dest)) {
        return dest.proto == SL_PROTO_UDP ? sl_dns_connect_udp(call, sock, &dest)
                                          : sl_flow_steer(call, sock, &dest);
    }
    sl_dest_judge(call, &dest, &verdict);
    switch (verdict.action) {
    case SL_NET_DENY:
        return connect_denied(call, sock, &dest, &verdict, sa, len);
    case SL_NET_STEER:
        return sl_flow_steer(call, sock, &dest);
    case SL_NET_DIRECT:
        break;
    }
    sl_dest_decided(call, &dest, &verdict, true);
    sl_known_drop(sl_net_of(call->sv), sock->cookie);
    return dest.name != NULL ? sl_resolve_connect(call, sock, &dest)
                             : sl_connect_direct(call, sock, sa, len);
}

/* No rule restricts the network, but for net_connect, which Landlock judges by the port: it does
 * not see what is done on behalf. */
static sl_answer connect_open(sl_call *call, sl_sock *sock, const void *sa, socklen_t len)
{
    const sl_ports *ports = &call->sv->policy->net_connect;
    if (ports->count > 0 && sl_sock_has_port(sock) && sock->type == SOCK_STREAM &&
        len >= sizeof(struct sockaddr_in) && !sl_ports_has(ports, sl_sock_port(sa))) {
        sl_sock_done(sock);
        return SL_ANSWER_VALUE(-EACCES);
    }
    return sl_connect_direct(call, sock, sa, len);
}

/* connect(2) with AF_UNSPEC: the socket forgets its peer; the next connect is judged afresh. */
static sl_answer disconnect(sl_call *call, sl_sock *sock)
{
    struct sockaddr sa = {.sa_family = AF_UNSPEC};
    if (sl_net_of(call->sv) != NULL) {
        sl_sink_forget(sl_net_of(call->sv)->sink, sock->cookie);
    }
    sl_known_drop(sl_net_of(call->sv), sock->cookie);
    int r = connect(sock->fd, &sa, sizeof(sa)) < 0 ? -errno : 0;
    sl_sock_done(sock);
    return SL_ANSWER_VALUE(r);
}

sl_answer sl_net_handle_connect(sl_call *call)
{
    struct sockaddr_storage sa = {0};
    sl_sock sock;
    int len = (int)call->args[2];
    int r = sl_sock_pin(call, (int)call->args[0], &sock);
    if (r < 0) {
        return SL_ANSWER_VALUE(r);
    }
    if (len < 0 || (size_t)len > sizeof(sa) || (size_t)len < sizeof(sa_family_t)) {
        r = -EINVAL;
    } else {
        r = sl_call_read(call, call->args[1], &sa, (size_t)len);
    }
    if (r == 0 && !sl_call_valid(call)) {
        r = -EPERM;
    }
    if (r < 0) {
        sl_sock_done(&sock);
        return SL_ANSWER_VALUE(r);
    }
    bool inet = sock.domain == AF_INET || sock.domain == AF_INET6;
    if (inet && sa.ss_family == AF_UNSPEC) {
        return disconnect(call, &sock);
    }
    if (inet && sl_net_of(call->sv) == NULL) {
        return connect_open(call, &sock, &sa, (socklen_t)len);
    }
    if (inet) {
        return connect_inet(call, &sock, &sa, (socklen_t)len);
    }
    if (sock.domain == AF_UNIX) {
        return connect_unix(call, &sock, &sa, (socklen_t)len);
    }
    if (sl_net_of(call->sv) == NULL) {
        return sl_connect_direct(call, &sock, &sa, (socklen_t)len);
    }
    if (sock.domain == AF_NETLINK) {
        return connect_netlink(&sock, &sa, (socklen_t)len);
    }
    sl_sock_done(&sock);
    return SL_ANSWER_VALUE(-EAFNOSUPPORT);
}
