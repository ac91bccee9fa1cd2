/* Where datagram sockets lead that no rule lets out. To connect one sends nothing, and many
 * programs do it only to ask something of the kernel: which of several addresses comes first, what
 * their own is. So it succeeds, and the first datagram is the denial. */
#ifndef SANDLOCK_FEATURES_NET_SINK_H
#define SANDLOCK_FEATURES_NET_SINK_H

#include "features/net/net.h"

#define SL_SINK_KEPT_MAX 64 /* sockets whose first datagram is told with its destination */

struct sl_sink;

/* 0 or -errno. `sv` outlives it. */
int sl_sink_new(sl_supervisor *sv, struct sl_sink **ret_sink);
void sl_sink_free(struct sl_sink *sink);
/* What came until now is told; nothing is from then on. Safe twice. */
void sl_sink_stop(struct sl_sink *sink);

/* Dispatcher thread. Connects the caller's socket to it. 0 or -errno. */
int sl_sink_connect(sl_call *call, const sl_sock *sock, const sl_dest *dest,
                    const sl_net_verdict *verdict);
/* Dispatcher thread. The socket is about to lead elsewhere. */
void sl_sink_forget(struct sl_sink *sink, uint64_t cookie);

#endif
