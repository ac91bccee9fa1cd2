/* Owns the questions about Unix sockets (sock_diag(7)): who is there by the kernel's word. Never
 * waits: the kernel answers at once or not at all. */
#include "kernel/diag/udiag.h"

#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>

#include "core/util.h"
#include "kernel/diag/netlink.h"

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
    return sl_netlink_ask(&message, sizeof(message));
}

struct telling {
    sl_udiag_each_cb each;
    void *arg;
};

static void tell(void *arg, struct nlmsghdr *h)
{
    const struct telling *t = arg;
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
    t->each(t->arg, &s);
}

bool sl_udiag_each(uint32_t states, sl_udiag_each_cb each, void *arg)
{
    struct telling telling = {.each = each, .arg = arg};
    sl_autoclose int fd = ask(states);
    return sl_netlink_dump(fd, DUMP_ROUNDS, sizeof(struct unix_diag_msg), tell, &telling);
}
