/* Owns the steering of a connection: the child's socket is connected to a listener made for this
 * one connect, and the accepted end goes to the gateway. Nobody else ever reaches that listener:
 * the peer must be the child's socket, and it is gone before the child goes on. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/util.h"
#include "features/net/net.h"

#define ACCEPT_MS 50 /* loopback hands over within the connect itself */
#define STRANGERS 16 /* accepted ends of others before we give up */

static int tcp_state(int fd)
{
    struct tcp_info info;
    socklen_t len = sizeof(info);
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0 ? -errno : info.tcpi_state;
}

/* Accepts the end whose peer is the child's socket. -ECONNREFUSED when it does not come. */
static int accept_child(int listener, int child)
{
    sl_addr want;
    uint16_t want_port;
    int r = sl_sock_local(child, &want, &want_port);
    uint64_t deadline = sl_clock_now_ms() + ACCEPT_MS;
    for (int i = 0; r == 0 && i < STRANGERS; i++) {
        struct sockaddr_storage sa;
        socklen_t len = sizeof(sa);
        int fd = accept4(listener, (struct sockaddr *)&sa, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            uint64_t now = sl_clock_now_ms();
            struct pollfd p = {.fd = listener, .events = POLLIN};
            if (errno != EAGAIN || now >= deadline || poll(&p, 1, (int)(deadline - now)) <= 0) {
                return -ECONNREFUSED;
            }
            continue;
        }
        sl_addr peer;
        uint16_t peer_port;
        if (sl_addr_from_sockaddr(&sa, len, &peer, &peer_port) == 0 && peer_port == want_port &&
            sl_addr_equal(&peer, &want)) {
            return fd;
        }
        close(fd);
    }
    return -ECONNREFUSED;
}

/* An ended connection keeps its address and port for a minute (TIME-WAIT), and each connect takes a
 * fresh one. All on 127.0.0.1, some 28000 of them would leave no port, and long before that the
 * kernel's search for one takes milliseconds. So each listener has an address of its own in
 * 127.64.0.0/10; IPv6 has a single loopback address. */
#define LOOPBACK_COUNT (1u << 22)

static int make_v4_listener(struct sl_net_state *net, sl_addr *ret_addr, uint16_t *ret_port)
{
    uint32_t n = net->next_loopback++ % LOOPBACK_COUNT;
    sl_addr local = {.family = 4,
                     .bytes = {127, (uint8_t)(64 + (n >> 16)), (uint8_t)(n >> 8), (uint8_t)n}};
    int fd = sl_sock_bound(&local, SOCK_STREAM, ret_addr, ret_port);
    if (fd == -EADDRNOTAVAIL) { /* a loopback interface with one address only */
        sl_addr v4 = {.family = 4};
        fd = sl_sock_loopback(&v4, SOCK_STREAM, ret_addr, ret_port);
    }
    return fd;
}

/* Many containers have no ::1. An IPv6 socket reaches 127.0.0.1 as well, where it is not kept from
 * it, and that can be taken back until it has a peer (ipv6(7), IPV6_V6ONLY). */
static int make_listener(struct sl_net_state *net, const sl_sock *sock, const sl_addr *asked,
                         sl_addr *ret_addr, uint16_t *ret_port)
{
    static const int no = 0;
    int fd = asked->family == 6 ? sl_sock_loopback(asked, SOCK_STREAM, ret_addr, ret_port) : -1;
    if (fd >= 0) {
        return fd;
    }
    if (asked->family == 6) {
        (void)setsockopt(sock->fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
    }
    return make_v4_listener(net, ret_addr, ret_port);
}

/* Connects the child's socket to ours and returns our accepted end, with connect's own result (0 or
 * -EINPROGRESS) in *ret_result; -errno when there is no connection. */
static int join(struct sl_net_state *net, const sl_sock *sock, const sl_addr *asked,
                int *ret_result)
{
    sl_addr addr;
    uint16_t port;
    struct sockaddr_storage sa;
    sl_autoclose int listener = make_listener(net, sock, asked, &addr, &port);
    if (listener < 0 || listen(listener, 1) < 0) {
        return listener < 0 ? listener : -errno;
    }
    socklen_t len = sl_addr_to_sockaddr(&addr, port, sl_sock_af(sock), &sa);
    int r = sl_connect_briefly(sock, &sa, len);
    if (r < 0 && r != -EINPROGRESS) {
        return r;
    }
    int state = tcp_state(sock->fd);
    int accepted = state == TCP_ESTABLISHED || state == TCP_SYN_SENT
                       ? accept_child(listener, sock->fd)
                       : -ECONNREFUSED;
    if (accepted < 0) {
        shutdown(sock->fd, SHUT_RDWR);
        return accepted;
    }
    if (r == -EINPROGRESS && !sock->nonblock) {
        r = sl_connect_briefly(sock, &sa, len); /* it is connected by now: settle its state */
    }
    *ret_result = r;
    return accepted;
}

/* A second connect(2) on a socket that is connecting or connected: the kernel ignores the address,
 * unless the connection has just died; then ours refuses. */
static sl_answer connect_again(sl_call *call, const sl_sock *sock)
{
    struct sockaddr_storage sa;
    sl_addr addr = {.family = 4, .bytes = {127, 0, 0, 1}};
    socklen_t len =
        sl_addr_to_sockaddr(&addr, sl_net_of(call->sv)->refuse_port, sl_sock_af(sock), &sa);
    return SL_ANSWER_VALUE(sl_connect_briefly(sock, &sa, len));
}

static int hand_over(sl_call *call, const sl_dest *dest, int fd)
{
    const sl_supervisor_hooks *hooks = &call->sv->hooks;
    if (dest->port == 53 && sl_dns_is_query(call, dest)) {
        struct sl_link_dns dns = {.header = {SL_LINK_DNS, sizeof(dns)},
                                  .id = ++sl_net_of(call->sv)->next_id,
                                  .stream = 1};
        sl_link_process_fill(call, &dns.process);
        return hooks->dns == NULL ? -EACCES : hooks->dns(hooks->flow_arg, &dns, fd);
    }
    struct sl_link_flow flow = {.header = {SL_LINK_FLOW, sizeof(flow)},
                                .id = ++sl_net_of(call->sv)->next_id,
                                .port = dest->port};
    sl_link_process_fill(call, &flow.process);
    if (dest->name != NULL) {
        memcpy(flow.name, dest->name, strlen(dest->name) + 1);
    } else {
        flow.addr = dest->addr;
    }
    return hooks->flow == NULL ? -EACCES : hooks->flow(hooks->flow_arg, &flow, fd);
}

sl_answer sl_flow_steer(sl_call *call, sl_sock *sock, const sl_dest *dest)
{
    if (tcp_state(sock->fd) != TCP_CLOSE) {
        sl_answer answer = connect_again(call, sock);
        sl_sock_done(sock);
        return answer;
    }
    int result = 0;
    sl_autoclose int accepted = join(sl_net_of(call->sv), sock, &dest->addr, &result);
    if (accepted < 0) {
        sl_sock_done(sock);
        return SL_ANSWER_VALUE(accepted == -EINPROGRESS ? -ECONNREFUSED : accepted);
    }
    sl_known_put(sl_net_of(call->sv), &(sl_known){.cookie = sock->cookie,
                                                  .kind = SL_KNOWN_STEERED,
                                                  .connected = true,
                                                  .asked = dest->addr,
                                                  .asked_port = dest->port});
    if (hand_over(call, dest, accepted) < 0) {
        shutdown(sock->fd, SHUT_RDWR);
        result = -ECONNREFUSED;
    }
    sl_sock_done(sock);
    return SL_ANSWER_VALUE(result);
}
