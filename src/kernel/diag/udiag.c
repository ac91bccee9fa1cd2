/* Owns the questions about Unix sockets (sock_diag(7)): who is there by the kernel's word. Never
 * waits: the kernel answers at once or not at all. */
#include "kernel/diag/udiag.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/util.h"

#define DUMP_ROUNDS 1024 /* messages of one list of sockets, some hundred in each */

/* How the kernel writes a device in a message: MKDEV of linux/kdev_t. */
#define DEV_MINOR_BITS 20

/* A socket for the answer or -errno. */
static int ask(uint32_t states)
{
    struct {
        struct nlmsghdr header;
        struct unix_diag_req req;
    } message = {
        .header = {.nlmsg_len = sizeof(message),
                   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        .req = {.sdiag_family = AF_UNIX,
                .udiag_states = states,
                .udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_VFS},
    };
    sl_autoclose int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (fd < 0 || send(fd, &message, sizeof(message), 0) < 0) {
        return -errno;
    }
    return sl_steal_fd(&fd);
}

static void tell(struct nlmsghdr *h, sl_udiag_each_cb each, void *arg)
{
    struct unix_diag_msg *m = NLMSG_DATA(h);
    struct rtattr *attr = (struct rtattr *)(m + 1);
    size_t left = h->nlmsg_len - NLMSG_LENGTH(sizeof(*m));
    sl_udiag_socket s = {
        .type = m->udiag_type,
        .cookie = m->udiag_cookie[0] | (uint64_t)m->udiag_cookie[1] << 32,
    };
    for (; RTA_OK(attr, left); attr = RTA_NEXT(attr, left)) {
        struct unix_diag_vfs file;
        if (attr->rta_type == UNIX_DIAG_NAME) {
            s.name = RTA_DATA(attr);
            s.name_len = RTA_PAYLOAD(attr);
        } else if (attr->rta_type == UNIX_DIAG_VFS && RTA_PAYLOAD(attr) >= sizeof(file)) {
            memcpy(&file, RTA_DATA(attr), sizeof(file));
            s.has_file = true;
            s.dev = makedev(file.udiag_vfs_dev >> DEV_MINOR_BITS,
                            file.udiag_vfs_dev & ((1u << DEV_MINOR_BITS) - 1));
            s.ino = file.udiag_vfs_ino;
        }
    }
    each(arg, &s);
}

bool sl_udiag_each(uint32_t states, sl_udiag_each_cb each, void *arg)
{
    union {
        struct nlmsghdr header;
        char space[32768];
    } answer;
    sl_autoclose int fd = ask(states);
    for (int round = 0; fd >= 0 && round < DUMP_ROUNDS; round++) {
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
            if (h->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
                h->nlmsg_len < NLMSG_LENGTH(sizeof(struct unix_diag_msg))) {
                return false;
            }
            tell(h, each, arg);
        }
    }
    return false;
}
