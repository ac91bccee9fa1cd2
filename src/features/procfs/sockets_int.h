/* The lists of sockets in /proc/net: sockets.c, which knows their lines, and sockets_list.c, which
 * makes them. */
#ifndef SANDLOCK_FEATURES_PROCFS_SOCKETS_INT_H
#define SANDLOCK_FEATURES_PROCFS_SOCKETS_INT_H

#include <stdbool.h>
#include <stdint.h>

#include "supervisor/supervisor.h"

struct sl_sockets_state {
    uint64_t next_ns; /* loop thread only: when the next list may be made */
};

/* A line of /proc/net/tcp, tcp6, udp or udp6: its ports become those that the tree knows. */
void sl_sockets_rename_line(sl_supervisor *sv, const char *list, char *line);

/* The list of sockets that this path means, of the tree's own alone, which nobody needs a grant
 * for. PASS when it means no list. */
sl_answer sl_sockets_give(sl_call *call, const char *path, bool cloexec);

/* True for what is below /proc/PID/net. */
bool sl_sockets_is_net(const char *path);
/* isolate_pids: `opened` is the real file; the answer is it, a part of it, or that it is shut. */
sl_answer sl_sockets_open_net(sl_call *call, const char *path, sl_answer opened);

#endif
