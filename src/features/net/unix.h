/* Unix sockets: which the tree serves, which the policy names. docs/internals/unix.md. */
#ifndef SANDLOCK_FEATURES_NET_UNIX_H
#define SANDLOCK_FEATURES_NET_UNIX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/un.h>

#include "features/net/net.h"

#define SL_UNIX_SERVERS_MAX                                                                        \
    16384 /* remembered sockets of the tree; the oldest of a set makes room */
#define SL_UNIX_SET 4

/* True if the tree made a server of this socket (SO_COOKIE). Dispatcher thread only. */
bool sl_unix_is_server(const sl_supervisor *sv, uint64_t cookie);

/* True if the policy names Unix sockets: what is sent to them is judged then, too. */
bool sl_unix_are_named(const sl_policy *policy);

/* True if this datagram socket sends only by us (unix_gate.c). */
bool sl_unix_is_gated(const sl_supervisor *sv, const sl_sock *sock);

/* Tells the engine of a socket, for the audit log and the summary. */
void sl_unix_decided(const sl_call *call, const char *path, bool allowed);

/* The path of an AF_UNIX address as a pinned object: "/proc/self/fd/N" in `ret_sa`, with the
 * descriptor that keeps it in *ret_pin (owned by the caller). `type` is the socket's that wants to
 * go there. -EACCES where somebody else listens whom the policy does not name, and then it is told;
 * -ECONNREFUSED where nobody does. */
int sl_unix_pin(const sl_call *call, int type, const struct sockaddr_un *sa, socklen_t len,
                struct sockaddr_un *ret_sa, socklen_t *ret_len, int *ret_pin);
/* Connects to an abstract name; -EPERM where these are isolated and no listener of the tree has it.
 */
int sl_unix_connect_abstract(const sl_call *call, const sl_sock *sock, const struct sockaddr_un *sa,
                             socklen_t len);

#endif
