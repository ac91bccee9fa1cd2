/* Owns the making of the tree's sockets where none can be fetched from it. What is judged and acted
 * on is always our descriptor (kept.c); what a number of the caller's stands for is only ever used
 * to find it. */
#include "features/mint/mint.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/util.h"
#include "features/features.h"
#include "features/kmem/kmem.h"
#include "features/mint/holders.h"
#include "features/mint/kept.h"
#include "kernel/place.h"

#define SOCK_TYPE      0xfu /* of the second argument; the rest are flags */
#define DATAGRAM_TYPES 0xeu /* SOCK_DGRAM, and SOCK_RAW, which unix(7) makes the same of */

struct state {
    sl_kept *kept;
};

static sl_kept *kept_of(const sl_supervisor *sv)
{
    struct state *s = sl_supervisor_state(sv, &sl_feature_mint);
    return s == NULL ? NULL : s->kept;
}

/* Every policy judges sockets: net/unix_gate.c. */
static bool wanted(const sl_policy *policy)
{
    (void)policy;
    return !sl_place_fetches();
}

/* True if Unix datagrams are behind the gate (net/unix_gate.c), which makes them itself and keeps
 * them here; nobody judges what goes over other pairs then. */
static bool has_gate(const sl_supervisor *sv)
{
    return sl_supervisor_state(sv, &sl_feature_datagrams) != NULL;
}

int sl_mint_find(const sl_call *call, int fd)
{
    sl_kept *kept = kept_of(call->sv);
    uint64_t ino;
    int r = kept == NULL ? -EACCES : sl_holders_socket(call->tid, fd, &ino);
    return r < 0 ? r : sl_kept_get(kept, ino, call->tid, fd);
}

int sl_mint_keep(sl_supervisor *sv, int fd)
{
    sl_kept *kept = kept_of(sv);
    return kept == NULL ? 0 : sl_kept_add(kept, fd);
}

void sl_mint_let_go(sl_supervisor *sv, int fd)
{
    sl_kept *kept = kept_of(sv);
    if (kept != NULL) {
        sl_kept_drop(kept, fd);
    }
}

static int make(sl_kept *kept, sl_call *call, int *ret_fd)
{
    int type = (int)call->args[1] | SOCK_CLOEXEC;
    sl_autoclose int fd = socket((int)call->args[0], type, (int)call->args[2]);
    if (fd < 0) {
        return -errno;
    }
    int r = sl_kmem_admit(call->sv, fd);
    r = r < 0 ? r : sl_kept_add(kept, fd);
    if (r == 0) {
        *ret_fd = sl_steal_fd(&fd);
    }
    return r;
}

static sl_answer handle_socket(sl_call *call)
{
    sl_kept *kept = kept_of(call->sv);
    int fd = -1;
    bool datagram = ((unsigned)call->args[1] & DATAGRAM_TYPES) == SOCK_DGRAM;
    if ((int)call->args[0] == AF_UNIX && datagram && has_gate(call->sv)) {
        return SL_ANSWER_PASS;
    }
    int r = make(kept, call, &fd);
    if (r == -ENFILE || r == -EMFILE) {
        sl_kept_sweep(kept);
        r = make(kept, call, &fd);
    }
    if (r < 0) {
        return SL_ANSWER_VALUE(r);
    }
    return (sl_answer){
        .kind = SL_INJECT, .fd = fd, .cloexec = ((int)call->args[1] & SOCK_CLOEXEC) != 0};
}

/* Pairs of streams ignore every address, and need nobody's verdict: they are the tree's own. The
 * others may send to an address all the same. */
static sl_answer handle_socketpair(sl_call *call)
{
    sl_kept *kept = kept_of(call->sv);
    int pair[2];
    int numbers[2] = {-1, -1};
    int type = (int)call->args[1];
    bool stream = ((unsigned)type & SOCK_TYPE) == SOCK_STREAM;
    if (stream || (has_gate(call->sv) && ((unsigned)type & DATAGRAM_TYPES) == SOCK_DGRAM)) {
        return SL_ANSWER_PASS; /* features/kmem asks about these as well */
    }
    if (atomic_load(&call->sv->reads_alone)) { /* nobody could be told the numbers */
        return SL_ANSWER_VALUE(-EACCES);
    }
    if (socketpair((int)call->args[0], type | SOCK_CLOEXEC, (int)call->args[2], pair) < 0) {
        return SL_ANSWER_VALUE(-errno);
    }
    int r = sl_kmem_admit_pair(call->sv, pair);
    for (int i = 0; i < 2 && r >= 0; i++) {
        r = sl_kept_add(kept, pair[i]);
        r = r < 0 ? r : sl_call_give(call, pair[i], (type & SOCK_CLOEXEC) != 0);
        numbers[i] = r;
    }
    r = r < 0 ? r : sl_call_write(call, call->args[3], numbers, sizeof(numbers));
    close(pair[0]);
    close(pair[1]);
    return SL_ANSWER_VALUE(r);
}

/* A port or name that a closed socket still has, in our descriptor alone, is free. The bind itself
 * is the kernel's and Landlock's to judge, or of who comes next. */
static sl_answer handle_bind(sl_call *call)
{
    sl_autoclose int own = sl_mint_find(call, (int)call->args[0]); /* remembers where it is */
    (void)own;
    sl_kept_sweep(kept_of(call->sv));
    return SL_ANSWER_PASS;
}

static void let_go(sl_supervisor *sv)
{
    sl_kept_sweep(kept_of(sv));
}

static int setup(sl_supervisor *sv, void *state, sl_error *err)
{
    struct state *s = state;
    sv->let_go = let_go;
    s->kept = sl_kept_new(sv);
    return s->kept == NULL ? sl_error_set(err, ENOMEM, "not enough memory") : 0;
}

static int start(sl_supervisor *sv, void *state, sl_error *err)
{
    const struct state *s = state;
    (void)sv;
    int r = sl_kept_start(s->kept);
    return r < 0 ? sl_error_set(err, -r, "cannot start a thread for the sockets: %s", strerror(-r))
                 : 0;
}

static void stop(void *state)
{
    const struct state *s = state;
    sl_kept_stop(s->kept);
}

static void teardown(void *state)
{
    const struct state *s = state;
    sl_kept_free(s->kept);
}

static const sl_syscall_row rows[] = {
    {.nr = SYS_socket, .flags = SL_ROW_ALLOWED_TOO, .handler = handle_socket},
    {.nr = SYS_socketpair,
     .flags = SL_ROW_MAY_CONTINUE,
     .handler = handle_socketpair,
     .conds = {SL_ARG_MASK_NE(1, SOCK_TYPE, SOCK_STREAM)}},
    {.nr = SYS_bind, .flags = SL_ROW_MAY_CONTINUE, .handler = handle_bind},
};

const sl_feature sl_feature_mint = {
    .name = "mint",
    .wanted = wanted,
    .promised = sl_feature_promises_nothing, /* the means of "net", "ports" and "bind" */
    .rows = rows,
    .row_count = SL_ARRAY_LEN(rows),
    .state_size = sizeof(struct state),
    .setup = setup,
    .teardown = teardown,
    .start = start,
    .stop = stop,
};
