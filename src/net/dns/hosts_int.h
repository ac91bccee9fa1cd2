/* /etc/hosts (hosts(5)), read anew for each question: it may change, and is small. */
#ifndef SANDLOCK_NET_DNS_HOSTS_INT_H
#define SANDLOCK_NET_DNS_HOSTS_INT_H

#include <stddef.h>

#include "core/addr.h"

#define SL_HOSTS_MAX (16u << 20) /* a larger file is as if it were not there */

/* The addresses that the file at `path` gives `name`, at most `max`; how many. */
size_t sl_hosts_lookup(const char *path, const char *name, sl_addr *ret_addrs, size_t max);

#endif
