/* Owns the making of sockets that no other feature makes, and what accept(2) costs. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/util.h"
#include "features/kmem/kmem_int.h"

#define FOREIGN (512u << 10) /* accepted of a listener that came from outside */

sl_answer sl_kmem_handle_socket(sl_call *call)
{
    int type = (int)call->args[1];
    sl_autoclose int fd = socket((int)call->args[0], type | SOCK_CLOEXEC, (int)call->args[2]);
    if (fd < 0) {
        return SL_ANSWER_VALUE(-errno);
    }
    int r = sl_kmem_admit(call->sv, fd);
    if (r < 0) {
        return SL_ANSWER_VALUE(r);
    }
    return (sl_answer){
        .kind = SL_INJECT, .fd = sl_steal_fd(&fd), .cloexec = (type & SOCK_CLOEXEC) != 0};
}

sl_answer sl_kmem_handle_socketpair(sl_call *call)
{
    int type = (int)call->args[1];
    int ours[2];
    int theirs[2] = {-1, -1};
    if (socketpair((int)call->args[0], type | SOCK_CLOEXEC, (int)call->args[2], ours) < 0) {
        return SL_ANSWER_VALUE(-errno);
    }
    int r = sl_kmem_admit_pair(call->sv, ours);
    for (int i = 0; i < 2 && r >= 0; i++) {
        theirs[i] = r = sl_call_give(call, ours[i], (type & SOCK_CLOEXEC) != 0);
    }
    r = r < 0 ? r : sl_call_write(call, call->args[3], theirs, sizeof(theirs));
    sl_close(ours[0]);
    sl_close(ours[1]);
    return SL_ANSWER_VALUE(r);
}

/* What is accepted is made by the kernel, and met at the next look. Of a listener that nobody saw
 * it counts as its buffers would be by themselves. */
sl_answer sl_kmem_handle_accept(sl_call *call)
{
    struct sl_kmem_state *s = sl_kmem_of(call->sv);
    uint64_t ino;
    if (s == NULL || !sl_kmem_number(call->tid, (int)call->args[0], &ino)) {
        return SL_ANSWER_PASS; /* the kernel has the error */
    }
    const sl_ledger_item *listener = sl_ledger_find(s->ledger, ino);
    uint64_t child = listener == NULL ? 0 : listener->child;
    if (child == 0) {
        s->accepted_tcp = SL_MAX(s->accepted_tcp, (uint64_t)FOREIGN);
        child = FOREIGN;
    }
    return sl_kmem_expect(call->sv, s, child) ? SL_ANSWER_PASS : SL_ANSWER_VALUE(-ENFILE);
}
