/* Owns the questions about sockets at a port (sock_diag(7)): who is there by the kernel's word.
 * Never waits: the kernel answers at once or not at all. */
#include "kernel/diag/diag.h"

#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "core/util.h"
#include "kernel/diag/netlink.h"

#define DUMP_ROUNDS 64 /* messages of one list of sockets */

/* A socket for the answer or -errno. */
static int ask(const struct sl_diag_question *q, const sl_addr *addr, unsigned flags)
{
    struct {
        struct nlmsghdr header;
        struct inet_diag_req_v2 req;
    } message = {
        .header = {.nlmsg_len = sizeof(message),
                   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                   .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags)},
        .req = {.sdiag_family = (uint8_t)q->family,
                .sdiag_protocol = (uint8_t)q->protocol,
                .idiag_states = q->states},
    };
    /* The look-up's "destination" is the caller's side: the listener's own address is the source.
     */
    message.req.id.idiag_sport = htons(q->port);
    message.req.id.idiag_cookie[0] = INET_DIAG_NOCOOKIE;
    message.req.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
    if (addr != NULL) {
        memcpy(message.req.id.idiag_src, addr->bytes, addr->family == 6 ? 16 : 4);
    }
    return sl_netlink_ask(&message, sizeof(message));
}

bool sl_diag_find(const struct sl_diag_question *q, const sl_addr *addr, struct inet_diag_msg *ret)
{
    union {
        struct nlmsghdr header;
        char space[4096];
    } answer;
    sl_autoclose int fd = ask(q, addr, 0);
    ssize_t n = fd < 0 ? -1 : recv(fd, &answer, sizeof(answer), MSG_DONTWAIT);
    if (n < (ssize_t)NLMSG_LENGTH(sizeof(struct inet_diag_msg)) ||
        answer.header.nlmsg_type != SOCK_DIAG_BY_FAMILY) {
        return false;
    }
    memcpy(ret, NLMSG_DATA(&answer.header), sizeof(*ret));
    return true;
}

struct telling {
    const struct sl_diag_question *question;
    sl_diag_each_cb each;
    void *arg;
};

static void tell(void *arg, struct nlmsghdr *h)
{
    const struct telling *t = arg;
    const struct inet_diag_msg *m = NLMSG_DATA(h);
    if (t->question->port == 0 || m->id.idiag_sport == htons(t->question->port)) {
        t->each(t->arg, m);
    }
}

bool sl_diag_each(const struct sl_diag_question *q, sl_diag_each_cb each, void *arg)
{
    struct telling telling = {.question = q, .each = each, .arg = arg};
    sl_autoclose int fd = ask(q, NULL, NLM_F_DUMP);
    return sl_netlink_dump(fd, DUMP_ROUNDS, sizeof(struct inet_diag_msg), tell, &telling);
}

uint64_t sl_diag_cookie(const struct inet_diag_msg *m)
{
    return m->id.idiag_cookie[0] | (uint64_t)m->id.idiag_cookie[1] << 32;
}

/* An IPv6 socket counts for both families here: whether it is for IPv6 alone is not in the message.
 */
bool sl_diag_is_reached(const struct inet_diag_msg *m, const sl_addr *addr)
{
    static const uint8_t zero[16];
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    sl_addr own = {.family = 4};
    uint16_t port;
    if (m->idiag_family == AF_INET && addr->family == 6) {
        return false;
    }
    memcpy(own.bytes, m->id.idiag_src, 4);
    if (m->idiag_family == AF_INET6) {
        memcpy(&in6.sin6_addr, m->id.idiag_src, sizeof(in6.sin6_addr));
        if (sl_addr_from_sockaddr(&in6, sizeof(in6), &own, &port) < 0) {
            return true;
        }
    }
    return memcmp(own.bytes, zero, sizeof(zero)) == 0 ||
           (own.family == addr->family && memcmp(own.bytes, addr->bytes, sizeof(own.bytes)) == 0);
}
