/* What the questions about sockets share: sending one, and reading a list of answers (netlink(7),
 * sock_diag(7)). Never waits: the kernel answers at once or not at all. */
#ifndef SANDLOCK_KERNEL_DIAG_NETLINK_H
#define SANDLOCK_KERNEL_DIAG_NETLINK_H

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>

/* Asks sock_diag. A socket for the answer, the caller's; or -errno. */
int sl_netlink_ask(const void *question, size_t len);

/* One answer of the list, `least` bytes of it at least. */
typedef void (*sl_netlink_each_cb)(void *arg, struct nlmsghdr *h);

/* Reads the list to its end, of at most `rounds` messages. False when it did not come whole, or is
 * no such list. */
bool sl_netlink_dump(int fd, unsigned rounds, size_t least, sl_netlink_each_cb each, void *arg);

#endif
