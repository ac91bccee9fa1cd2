/* Owns the answering of getdents64 with some names left out. */
#include "supervisor/listing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/util.h"
#include "kernel/place.h"
#include "kernel/proc.h"
#include "supervisor/supervisor.h"

#define KEPT_MAX 64
#define LIST_MAX 32768u /* bytes of names that one call gives */

/* ---- directories that cannot be fetched ---- */

/* An open directory of a caller, opened again. Its reader moves our position, and its own stays
 * what lseek(2) makes of it. */
struct kept {
    pid_t tgid; /* 0: a free place */
    int number;
    dev_t dev;
    ino_t ino;
    uint64_t pos; /* the caller's own, when we looked last */
    int fd;       /* owned */
    uint64_t used;
};

struct sl_listing_state {
    struct kept items[KEPT_MAX];
    uint64_t clock;
};

static void forget(struct kept *k)
{
    if (k->tgid != 0) {
        close(k->fd);
    }
    *k = (struct kept){0};
}

static struct sl_listing_state *state_of(sl_supervisor *sv)
{
    if (sv->listing == NULL) {
        sv->listing = calloc(1, sizeof(*sv->listing));
    }
    return sv->listing;
}

void sl_listing_done(sl_supervisor *sv)
{
    for (size_t i = 0; sv->listing != NULL && i < KEPT_MAX; i++) {
        forget(&sv->listing->items[i]);
    }
    free(sv->listing);
    sv->listing = NULL;
}

/* What is kept under this number of the caller's; or a free place, if need be of the one that was
 * asked for longest ago. */
static struct kept *place_of(struct sl_listing_state *s, pid_t tgid, int number)
{
    struct kept *best = &s->items[0];
    for (size_t i = 0; i < KEPT_MAX; i++) {
        struct kept *k = &s->items[i];
        if (k->tgid == tgid && k->number == number) {
            return k;
        }
        best = k->used < best->used ? k : best;
    }
    return best;
}

/* The object is read with the rights of who opened it: getdents needs a descriptor that may read.
 */
static int open_again(const sl_call *call, int object, int number, sl_call_fd *ret_info)
{
    int r = sl_call_fd_read(call, number, ret_info);
    if (r < 0) {
        return r;
    }
    if (!sl_call_fd_is(ret_info, object) || (ret_info->flags & (O_PATH | O_WRONLY)) != 0) {
        return -EBADF;
    }
    return sl_proc_reopen(object, O_RDONLY | O_DIRECTORY);
}

static int keep_open(const sl_call *call, int object, int number, struct kept *ret)
{
    struct stat st;
    sl_call_fd info;
    struct sl_listing_state *s = state_of(call->sv);
    pid_t tgid = sl_call_tgid(call);
    if (s == NULL || tgid < 0 || fstat(object, &st) < 0) {
        return -EACCES;
    }
    struct kept *k = place_of(s, tgid, number);
    bool known =
        k->tgid == tgid && k->number == number && k->dev == st.st_dev && k->ino == st.st_ino;
    if (!known) {
        int fd = open_again(call, object, number, &info);
        if (fd < 0) {
            return fd;
        }
        forget(k);
        *k = (struct kept){tgid, number, st.st_dev, st.st_ino, 0, fd, 0};
    } else if (sl_call_fd_read(call, number, &info) < 0) {
        return -EACCES;
    }
    if (info.pos != k->pos) { /* it was moved, by lseek(2) */
        (void)lseek(k->fd, (off_t)info.pos, SEEK_SET);
        k->pos = info.pos;
    }
    k->used = ++s->clock;
    *ret = *k;
    return 0;
}

int sl_listing_pin(const sl_call *call, int fd)
{
    if (sl_place_fetches()) {
        return sl_call_pin(call, fd);
    }
    struct stat st;
    struct kept k;
    sl_autoclose int object = sl_call_reach(call, fd);
    if (object < 0 || fstat(object, &st) < 0) {
        return object < 0 ? object : -EACCES;
    }
    if (!S_ISDIR(st.st_mode)) {
        return -ENOTDIR;
    }
    int r = keep_open(call, object, fd, &k);
    if (r < 0) {
        return r;
    }
    int own = fcntl(k.fd, F_DUPFD_CLOEXEC, 0);
    return own < 0 ? -EACCES : own;
}

void sl_listing_ended(const sl_call *call, int fd)
{
    if (call->sv->listing != NULL) {
        pid_t tgid = sl_call_tgid(call);
        struct kept *k = place_of(call->sv->listing, tgid, fd);
        if (k->tgid == tgid && k->number == fd) {
            forget(k);
        }
    }
}

static bool is_there(const struct kept *k)
{
    char path[64];
    struct stat st;
    snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)k->tgid, k->number);
    return stat(path, &st) == 0 && st.st_dev == k->dev && st.st_ino == k->ino;
}

void sl_listing_at_open(const sl_call *call)
{
    struct sl_listing_state *s = call->sv->listing;
    for (size_t i = 0; s != NULL && i < KEPT_MAX; i++) {
        struct kept *k = &s->items[i];
        if (k->tgid != 0 && !is_there(k)) {
            forget(k);
        }
    }
}

/* ---- leaving names out ---- */

/* Leaves the entries that stay. Returns their length. */
static size_t filter(char *entries, size_t len, sl_listing_keep keep, const void *arg)
{
    size_t kept = 0;
    for (size_t at = 0; at < len;) {
        struct dirent64 *e = (struct dirent64 *)(entries + at);
        size_t size = e->d_reclen;
        if (keep(e->d_name, arg)) {
            memmove(entries + kept, e, size);
            kept += size;
        }
        at += size;
    }
    return kept;
}

sl_answer sl_listing_answer(const sl_call *call, int fd, sl_listing_keep keep, const void *arg)
{
    size_t room = SL_MIN((size_t)(uint32_t)call->args[2], (size_t)LIST_MAX);
    sl_autofree char *entries = malloc(LIST_MAX);
    if (call->nr != SYS_getdents64) {
        return SL_ANSWER_VALUE(-ENOSYS);
    }
    if (entries == NULL || !sl_call_valid(call)) {
        return SL_ANSWER_VALUE(-ENOMEM);
    }
    for (;;) {
        ssize_t n = getdents64(fd, entries, room);
        if (n == 0) {
            sl_listing_ended(call, (int)call->args[0]);
        }
        if (n <= 0) {
            return SL_ANSWER_VALUE(n < 0 ? -errno : 0);
        }
        size_t kept = filter(entries, (size_t)n, keep, arg);
        if (kept > 0) {
            int r = sl_call_write(call, call->args[1], entries, kept);
            return SL_ANSWER_VALUE(r < 0 ? r : (int64_t)kept);
        }
    }
}
