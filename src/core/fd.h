/* Descriptors: messages that carry them, files read whole. */
#ifndef SANDLOCK_CORE_FD_H
#define SANDLOCK_CORE_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "core/err.h"

#define SL_FD_PASS_MAX 8

/* Sends one message with `nfds` descriptors (SCM_RIGHTS) on a SOCK_SEQPACKET socket, MSG_NOSIGNAL.
 * Ownership of the descriptors stays here. `flags`: 0 or MSG_DONTWAIT. 0 or -errno. */
int sl_fd_send(int sock, const void *data, size_t len, const int *fds, size_t nfds, int flags);

/* Receives one message into `data`. Descriptors arrive close-on-exec in `fds` (capacity
 * SL_FD_PASS_MAX), owned by the caller. Returns the length, 0 at end, or -errno; a truncated
 * message or control data is -EMSGSIZE, with every descriptor closed. */
ssize_t sl_fd_recv(int sock, void *data, size_t cap, int fds[SL_FD_PASS_MAX], size_t *ret_nfds,
                   int flags);

/* Reads a regular file of at most `max` bytes; the result has a NUL behind it that `len` does not
 * count. 0 or -errno (-EFBIG when larger). Caller frees `*ret_data`. */
int sl_fd_read_file(const char *path, size_t max, char **ret_data, size_t *ret_len);

int sl_fd_set_nonblock(int fd, bool on);
int sl_fd_set_cloexec(int fd, bool on);

/* A sealed, read-only memfd with this content (F_SEAL_WRITE|GROW|SHRINK|SEAL), or -errno. */
int sl_fd_memfd(const char *name, const void *data, size_t len);

/* write(2) until done. 0 or -errno. */
int sl_fd_write_all(int fd, const void *data, size_t len);

#endif
