/* Owns the steering of DNS questions: each socket of the child that asks gets a responder socket of
 * its own, connected back to it, which the gateway answers on. Whatever resolver the child named,
 * it sees answers from there. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "core/util.h"
#include "features/net/net.h"

#define DNS_PORT 53

bool sl_dns_is_query(const sl_call *call, const sl_dest *dest)
{
    return call->sv->synth != NULL && dest->port == DNS_PORT && dest->name == NULL &&
           dest->proto != SL_PROTO_ICMP;
}

/* Connects our end back to the child's, so that nobody else can ask or answer, and hands it over.
 */
static int hand_over(sl_call *call, int responder, const sl_addr *child, uint16_t child_port,
                     int family)
{
    const sl_supervisor_hooks *hooks = &call->sv->hooks;
    struct sockaddr_storage sa;
    sl_addr to = *child;
    if (family == 4 && to.family == 6) {
        to = (sl_addr){.family = 4, .bytes = {127, 0, 0, 1}}; /* "::" reaches us as 127.0.0.1 */
    }
    socklen_t len = sl_addr_to_sockaddr(&to, child_port, family == 6 ? AF_INET6 : AF_INET, &sa);
    if (len == 0 || connect(responder, (struct sockaddr *)&sa, len) < 0) {
        return len == 0 ? -EAFNOSUPPORT : -errno;
    }
    struct sl_link_dns dns = {.header = {SL_LINK_DNS, sizeof(dns)},
                              .id = ++sl_net_of(call->sv)->next_id};
    sl_link_process_fill(call, &dns.process);
    return hooks->dns == NULL ? -EACCES : hooks->dns(hooks->flow_arg, &dns, responder);
}

sl_answer sl_dns_connect_udp(sl_call *call, sl_sock *sock, const sl_dest *dest)
{
    sl_known known = {.cookie = sock->cookie,
                      .kind = SL_KNOWN_RESOLVER,
                      .connected = true,
                      .asked = dest->addr,
                      .asked_port = dest->port};
    struct sockaddr_storage sa;
    sl_addr child;
    uint16_t child_port = 0;
    sl_autoclose int responder =
        sl_sock_loopback(&dest->addr, SOCK_DGRAM, &known.local, &known.local_port);
    int r = responder < 0 ? responder : 0;
    if (r == 0) {
        socklen_t len = sl_addr_to_sockaddr(&known.local, known.local_port, sl_sock_af(sock), &sa);
        r = len == 0 ? -EAFNOSUPPORT : connect(sock->fd, (struct sockaddr *)&sa, len);
        r = r < 0 && len != 0 ? -errno : r;
    }
    r = r < 0 ? r : sl_sock_local(sock->fd, &child, &child_port);
    r = r < 0 ? r : hand_over(call, responder, &child, child_port, known.local.family);
    if (r == 0) {
        sl_known_put(sl_net_of(call->sv), &known);
    }
    sl_sock_done(sock);
    return SL_ANSWER_VALUE(r < 0 ? -ECONNREFUSED : 0);
}

int sl_dns_target(sl_call *call, const sl_sock *sock, const sl_dest *dest, sl_addr *ret_addr,
                  uint16_t *ret_port)
{
    sl_known known;
    if (sl_known_get(sl_net_of(call->sv), sock->cookie, &known) &&
        known.kind == SL_KNOWN_RESOLVER && known.local.family == (dest->addr.family == 6 ? 6 : 4)) {
        if (!sl_addr_equal(&known.asked, &dest->addr)) {
            known.asked = dest->addr; /* the next server of its list: it answers as that one */
            known.asked_port = dest->port;
            sl_known_put(sl_net_of(call->sv), &known);
        }
        *ret_addr = known.local;
        *ret_port = known.local_port;
        return 0;
    }
    known = (sl_known){.cookie = sock->cookie,
                       .kind = SL_KNOWN_RESOLVER,
                       .asked = dest->addr,
                       .asked_port = dest->port};
    sl_addr child;
    uint16_t child_port = 0;
    sl_autoclose int responder =
        sl_sock_loopback(&dest->addr, SOCK_DGRAM, &known.local, &known.local_port);
    int r = responder < 0 ? responder : sl_sock_bind_if_unbound(sock, &child, &child_port);
    r = r < 0 ? r : hand_over(call, responder, &child, child_port, known.local.family);
    if (r < 0) {
        return r;
    }
    sl_known_put(sl_net_of(call->sv), &known);
    *ret_addr = known.local;
    *ret_port = known.local_port;
    return 0;
}
