/* Owns the copying of descriptors that the caller passes on (SCM_RIGHTS) in a message of ours.
 * Where they cannot be fetched, only what can be had again as it is: never with an access that the
 * caller has not shown to have. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/util.h"
#include "features/mint/mint.h"
#include "features/net/send_int.h"
#include "kernel/place.h"
#include "kernel/proc.h"

#define FLAGS_AGAIN (O_ACCMODE | O_APPEND | O_DIRECTORY | O_DIRECT | O_NOATIME | O_SYNC)

/* What a second opening is as good for: its offset alone is another's. Devices are not: opening one
 * may mean something. */
static bool opens_again(const struct stat *st)
{
    return S_ISREG(st->st_mode) || S_ISDIR(st->st_mode) || S_ISFIFO(st->st_mode);
}

static int open_again(int object, const sl_call_fd *info)
{
    int flags = (int)info->flags & FLAGS_AGAIN;
    sl_autoclose int fd = sl_proc_reopen(object, flags | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fcntl(fd, F_SETFL, (int)info->flags & (O_APPEND | O_NONBLOCK | O_DIRECT)) < 0) {
        return -EACCES;
    }
    (void)lseek(fd, (off_t)info->pos, SEEK_SET); /* a pipe has none */
    return sl_steal_fd(&fd);
}

/* The object is held before its descriptor's access is read: a number that became another's tells
 * another object's, and that is refused. */
static int have_again(const sl_call *call, int number)
{
    struct stat st;
    sl_call_fd info;
    sl_autoclose int object = sl_call_reach(call, number);
    int r = object < 0 ? object : sl_call_fd_read(call, number, &info);
    if (r < 0) {
        return r;
    }
    if (fstat(object, &st) < 0 || !sl_call_fd_is(&info, object)) {
        return -EACCES;
    }
    if ((info.flags & O_PATH) != 0) {
        return sl_steal_fd(&object);
    }
    return opens_again(&st) ? open_again(object, &info) : -EACCES;
}

int sl_rights_copy(const sl_call *call, int number)
{
    int fd = sl_place_fetches() ? sl_call_pin(call, number) : sl_mint_find(call, number);
    if (fd == -ENOTSOCK) {
        fd = have_again(call, number);
    }
    return fd >= 0 || fd == -EBADF ? fd : -EACCES;
}
