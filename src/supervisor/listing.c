/* Owns the answering of getdents64 with some names left out. */
#include "supervisor/listing.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "core/util.h"

#define LIST_MAX 32768u /* bytes of names that one call gives */

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
