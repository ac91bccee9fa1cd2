/* Owns pipes and FIFOs. A pipe of the usual size is the kernel's to make, and only charged; where
 * the budget gets short we make one of a single page, and later none. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "core/util.h"
#include "features/kmem/kmem_int.h"
#include "kernel/place.h"
#include "kernel/proc.h"

#define USUAL_PARTS 64 /* a pipe of the usual size takes no larger part of what is left */

/* Two numbers in the caller's memory. */
static int give_pair(const sl_call *call, const int ours[2], int flags)
{
    int theirs[2];
    int r = 0;
    for (int i = 0; i < 2 && r >= 0; i++) {
        theirs[i] = r = sl_call_give(call, ours[i], (flags & O_CLOEXEC) != 0);
    }
    return r < 0 ? r : sl_call_write(call, call->args[0], theirs, sizeof(theirs));
}

static bool put_pipe(struct sl_kmem_state *s, int fd, uint64_t charge)
{
    struct stat st;
    return fstat(fd, &st) == 0 && sl_ledger_put(s->ledger, &(sl_ledger_item){.ino = st.st_ino,
                                                                             .kind = SL_LEDGER_PIPE,
                                                                             .charge = charge});
}

static int make_small(const sl_call *call, struct sl_kmem_state *s, int flags)
{
    int ours[2];
    if (pipe2(ours, flags | O_CLOEXEC) < 0) {
        return -errno;
    }
    int size = fcntl(ours[0], F_SETPIPE_SZ, (int)s->bounds.page);
    int r = -ENFILE;
    if (size > 0 && put_pipe(s, ours[0], sl_bounds_pipe(&s->bounds, (uint64_t)size))) {
        r = give_pair(call, ours, flags);
    }
    sl_close(ours[0]);
    sl_close(ours[1]);
    return r;
}

static bool expect_usual(struct sl_kmem_state *s)
{
    uint64_t charge = sl_bounds_usual_pipe(&s->bounds);
    return sl_ledger_left(s->ledger) / USUAL_PARTS >= charge && sl_ledger_expect(s->ledger, charge);
}

sl_answer sl_kmem_handle_pipe(sl_call *call)
{
    struct sl_kmem_state *s = sl_kmem_of(call->sv);
    if (s == NULL) {
        return SL_ANSWER_PASS;
    }
    int flags = call->nr == SYS_pipe2 ? (int)call->args[1] : 0;
    sl_kmem_prepare(call->sv, s);
    if (expect_usual(s)) {
        return SL_ANSWER_PASS;
    }
    int r = make_small(call, s, flags);
    if (r == -ENFILE) {
        sl_kmem_look(call->sv, s);
        if (expect_usual(s)) {
            return SL_ANSWER_PASS;
        }
        r = make_small(call, s, flags);
    }
    return SL_ANSWER_VALUE(r);
}

/* The pipe itself where it can be had; else opened once more by its number. */
static int have_pipe(const sl_call *call)
{
    struct stat st;
    sl_autoclose int object = sl_call_reach(call, (int)call->args[0]);
    if (object < 0) {
        return object;
    }
    if (fstat(object, &st) < 0 || !S_ISFIFO(st.st_mode)) {
        return -EBADF;
    }
    if (sl_place_fetches()) {
        return sl_steal_fd(&object);
    }
    return sl_proc_reopen(object, O_RDWR | O_NONBLOCK);
}

/* A look does not see FIFOs: they stay as they are made, or get smaller. */
static bool is_nameless(int fd)
{
    struct statfs fs;
    return fstatfs(fd, &fs) == 0 && fs.f_type == PIPEFS_MAGIC;
}

static int resize(struct sl_kmem_state *s, sl_supervisor *sv, int fd, int size)
{
    struct stat st;
    int has = fcntl(fd, F_GETPIPE_SZ);
    if (has < 0 || fstat(fd, &st) < 0) {
        return -EBADF;
    }
    if (!is_nameless(fd)) {
        return size > has ? -EPERM : fcntl(fd, F_SETPIPE_SZ, size);
    }
    uint64_t charge = sl_bounds_pipe(&s->bounds, (uint64_t)size);
    if (size > has && !put_pipe(s, fd, charge)) {
        sl_kmem_look(sv, s);
        if (!put_pipe(s, fd, charge)) {
            return -EPERM; /* as above the user's own limit: pipe(7) */
        }
    }
    int got = fcntl(fd, F_SETPIPE_SZ, size);
    int error = errno;
    has = fcntl(fd, F_GETPIPE_SZ);
    (void)put_pipe(s, fd, sl_bounds_pipe(&s->bounds, (uint64_t)SL_MAX(has, 0)));
    return got < 0 ? -error : got;
}

/* The kernel rounds up to a power of two pages. */
static int rounded(uint64_t page, uint64_t asked)
{
    uint64_t size = page;
    while (size < asked && size <= INT_MAX / 2) {
        size *= 2;
    }
    return (int)size;
}

sl_answer sl_kmem_handle_fcntl(sl_call *call)
{
    struct sl_kmem_state *s = sl_kmem_of(call->sv);
    if (s == NULL || (int)call->args[1] != F_SETPIPE_SZ) {
        return SL_ANSWER_PASS;
    }
    uint64_t asked = (uint32_t)call->args[2];
    if (asked > INT_MAX) {
        return SL_ANSWER_VALUE(-EINVAL);
    }
    sl_autoclose int fd = have_pipe(call);
    if (fd < 0) {
        return SL_ANSWER_VALUE(fd == -EBADF ? -EBADF : -EPERM);
    }
    return SL_ANSWER_VALUE(
        sl_call_valid(call) ? resize(s, call->sv, fd, rounded(s->bounds.page, asked)) : -EPERM);
}

/* A name in a directory, which may be opened at any time: charged for good. */
sl_answer sl_kmem_handle_mknod(sl_call *call)
{
    struct sl_kmem_state *s = sl_kmem_of(call->sv);
    uint64_t mode = call->args[call->nr == SYS_mknodat ? 2 : 1];
    if (s == NULL || (mode & S_IFMT) != S_IFIFO) {
        return SL_ANSWER_PASS;
    }
    uint64_t charge = sl_bounds_usual_pipe(&s->bounds);
    if (sl_ledger_keep(s->ledger, charge)) {
        return SL_ANSWER_PASS;
    }
    sl_kmem_look(call->sv, s);
    return sl_ledger_keep(s->ledger, charge) ? SL_ANSWER_PASS : SL_ANSWER_VALUE(-ENOSPC);
}
