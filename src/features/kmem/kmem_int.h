/* What the files of this folder share. */
#ifndef SANDLOCK_FEATURES_KMEM_KMEM_INT_H
#define SANDLOCK_FEATURES_KMEM_KMEM_INT_H

#include "features/kmem/bounds.h"
#include "features/kmem/kmem.h"
#include "features/kmem/ledger.h"

struct sl_kmem_state {
    sl_ledger *ledger;
    sl_bounds bounds;
    uint64_t accepted_tcp; /* what an accepted TCP socket can hold, at most */
    uint64_t semaphores;   /* this user's, before the tree: bytes */
    uint64_t queues;       /* its message queues */
    bool has_tcp;          /* there have been such sockets */
};

/* Looks where that is worth it: before something is made and its size chosen. */
void sl_kmem_prepare(sl_supervisor *sv, struct sl_kmem_state *s);
/* Charges for an object that the kernel will make; looks once where there is no room. */
bool sl_kmem_expect(sl_supervisor *sv, struct sl_kmem_state *s, uint64_t charge);

/* NULL where nothing is held. */
struct sl_kmem_state *sl_kmem_of(const sl_supervisor *sv);

/* look.c: forgets what the tree does not have any more. */
void sl_kmem_look(sl_supervisor *sv, struct sl_kmem_state *s);

/* The object that a descriptor of this thread is of, "pipe:[N]" or "socket:[N]". False: neither. */
bool sl_kmem_number(pid_t tid, int fd, uint64_t *ret_ino);
bool sl_kmem_link(const char *text, bool *ret_is_pipe, uint64_t *ret_ino);

/* ipc.c: what there is before the tree. */
void sl_kmem_ipc_init(struct sl_kmem_state *s);

sl_answer sl_kmem_handle_pipe(sl_call *call);
sl_answer sl_kmem_handle_fcntl(sl_call *call);
sl_answer sl_kmem_handle_mknod(sl_call *call);
sl_answer sl_kmem_handle_accept(sl_call *call);
sl_answer sl_kmem_handle_socket(sl_call *call);
sl_answer sl_kmem_handle_socketpair(sl_call *call);
sl_answer sl_kmem_handle_sendfile(sl_call *call);

#endif
