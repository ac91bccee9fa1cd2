/* Owns the exchange with sock_diag. Knows nothing of sockets: diag.c and udiag.c do. */
#include "kernel/diag/netlink.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/util.h"

int sl_netlink_ask(const void *question, size_t len)
{
    sl_autoclose int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (fd < 0 || send(fd, question, len, 0) < 0) {
        return -errno;
    }
    return sl_steal_fd(&fd);
}

bool sl_netlink_dump(int fd, unsigned rounds, size_t least, sl_netlink_each_cb each, void *arg)
{
    union {
        struct nlmsghdr header;
        char space[32768];
    } answer;
    for (unsigned round = 0; fd >= 0 && round < rounds; round++) {
        ssize_t n = recv(fd, &answer, sizeof(answer), MSG_DONTWAIT);
        struct nlmsghdr *h = &answer.header;
        size_t left = n < 0 ? 0 : (size_t)n;
        if (n <= 0) {
            return false;
        }
        for (; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
            if (h->nlmsg_type == NLMSG_DONE) {
                return true;
            }
            if (h->nlmsg_type != SOCK_DIAG_BY_FAMILY || h->nlmsg_len < NLMSG_LENGTH(least)) {
                return false;
            }
            each(arg, h);
        }
    }
    return false;
}
