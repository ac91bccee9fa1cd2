/* The sockets at a port (0: at all), by the kernel's word: sock_diag(7). */
#ifndef SANDLOCK_KERNEL_DIAG_DIAG_H
#define SANDLOCK_KERNEL_DIAG_DIAG_H

#include <linux/inet_diag.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/addr.h"

#define SL_DIAG_LISTEN 10 /* TCP_LISTEN */
#define SL_DIAG_BOUND  13 /* TCP_BOUND_INACTIVE, Linux 6.8 */
struct sl_diag_question {
    int family;
    int protocol; /* IPPROTO_TCP, IPPROTO_UDP */
    uint16_t port;
    uint32_t states; /* 1 << state */
};
typedef void (*sl_diag_each_cb)(void *arg, const struct inet_diag_msg *m);
/* Which socket a packet to this address finds. */
bool sl_diag_find(const struct sl_diag_question *q, const sl_addr *addr, struct inet_diag_msg *ret);
/* All of them. False when the list is not complete. */
bool sl_diag_each(const struct sl_diag_question *q, sl_diag_each_cb each, void *arg);
uint64_t sl_diag_cookie(const struct inet_diag_msg *m);
/* True if a packet to `addr` could find this socket: its own address is that one, or any. */
bool sl_diag_is_reached(const struct inet_diag_msg *m, const sl_addr *addr);

#endif
