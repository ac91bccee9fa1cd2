/* Owns the reading of a trapped caller: its memory and its descriptors. Never acts on anything that
 * was read without the caller being confirmed afterwards (sl_call_valid). */
#include "supervisor/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "core/util.h"
#include "kernel/memory.h"
#include "kernel/pidfd.h"
#include "kernel/place.h"
#include "kernel/proc.h"
#include "supervisor/supervisor.h"

#define BCACHEFS_MAGIC 0xca451a4e /* newer than linux/magic.h of the oldest system */

#define PAGE  4096u
#define SHORT 256u /* most strings end within so many bytes */

#define FETCHED_SMALL 64 /* numbers that every limit has room for; spares a call */

bool sl_call_valid(const sl_call *call)
{
    uint64_t id = call->id;
    return ioctl(atomic_load(&call->sv->listener), SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

ssize_t sl_call_read_some(const sl_call *call, uint64_t addr, void *to, size_t len)
{
    ssize_t n = len == 0 ? 0 : sl_memory_read(call->tid, addr, to, len);
    return n < 0 ? -EFAULT : n;
}

int sl_call_read(const sl_call *call, uint64_t addr, void *to, size_t len)
{
    if (len > 0 && (addr == 0 || addr + len < addr)) {
        return -EFAULT;
    }
    ssize_t n = sl_call_read_some(call, addr, to, len);
    return n == (ssize_t)len ? 0 : -EFAULT;
}

/* process_vm_readv(2) stops at whole iovecs: one piece a page keeps a string that ends before an
 * unmapped page readable. */
int sl_call_read_str(const sl_call *call, uint64_t addr, char *to, size_t cap)
{
    size_t got = 0;
    while (got < cap) {
        size_t piece = SL_MIN(cap - got, PAGE - (size_t)((addr + got) % PAGE));
        piece = got == 0 ? SL_MIN(piece, SHORT) : piece;
        ssize_t n = sl_call_read_some(call, addr + got, to + got, piece);
        if (n <= 0) {
            return -EFAULT;
        }
        if (memchr(to + got, '\0', (size_t)n) != NULL) {
            return 0;
        }
        got += (size_t)n;
    }
    return -ENAMETOOLONG;
}

/* The way is there before the caller is confirmed: as a descriptor it names one address space for
 * good, and a number that was reused between the check and the write cannot turn it to a newcomer.
 * Where only the number is to be had, it could in that moment (docs/internals/places.md). */
int sl_call_write(const sl_call *call, uint64_t addr, const void *from, size_t len)
{
    int way = sl_memory_open(call->tid);
    sl_autoclose int fd = way; /* closes nothing where the number alone is the way */
    if ((way < 0 && way != SL_MEMORY_BY_NUMBER) || !sl_call_valid(call)) {
        return -EFAULT;
    }
    ssize_t n = sl_memory_write(way, call->tid, addr, from, len);
    return n == (ssize_t)len ? 0 : -EFAULT;
}

static size_t slot_of(pid_t number)
{
    return (size_t)number & (SL_PIDFD_CACHE - 1);
}

/* The number by which the caller's descriptors are found. Where threads have no pidfd, one that is
 * kept is a first thread's; another thread has its process' table (features/tables). */
static pid_t number_of(const sl_call *call)
{
    bool own = sl_pidfd_of_threads() || call->sv->pidfds[slot_of(call->tid)].tid == call->tid;
    return own ? call->tid : sl_call_tgid(call);
}

static int pidfd_of(const sl_call *call, pid_t number)
{
    sl_supervisor *sv = call->sv;
    size_t slot = slot_of(number);
    if (number < 0 || sv->pidfds[slot].tid == number) {
        return number < 0 ? number : sv->pidfds[slot].fd;
    }
    int fd = sl_pidfd_open(number);
    if (fd < 0) {
        return fd;
    }
    if (!sl_call_valid(call)) {
        close(fd);
        return -ESRCH;
    }
    if (sv->pidfds[slot].tid != 0) {
        close(sv->pidfds[slot].fd);
    }
    sv->pidfds[slot].tid = number;
    sv->pidfds[slot].fd = fd;
    return fd;
}

int sl_call_pidfd(const sl_call *call)
{
    return pidfd_of(call, number_of(call));
}

/* What is fetched for callers leaves the last part of our descriptors free, or nothing could be
 * looked up any more. The number that was given is the lowest: all below it are in use. */
int sl_call_take(int fd)
{
    struct rlimit files;
    if (fd < FETCHED_SMALL || (getrlimit(RLIMIT_NOFILE, &files) == 0 &&
                               (rlim_t)fd < files.rlim_cur - files.rlim_cur / SL_CALL_FDS_LEFT)) {
        return fd;
    }
    close(fd);
    return -EMFILE;
}

int sl_call_pin(const sl_call *call, int fd)
{
    sl_supervisor *sv = call->sv;
    if (!sl_place_fetches()) {
        return -EPERM;
    }
    for (int attempt = 0; attempt < 2; attempt++) {
        pid_t number = number_of(call);
        int pidfd = pidfd_of(call, number);
        if (pidfd < 0) {
            return pidfd;
        }
        int pinned = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
        if (pinned >= 0) {
            return sl_call_take(pinned);
        }
        if (errno != ESRCH) {
            return -errno;
        }
        /* The number was a dead thread's before it was this caller's: look it up afresh. */
        close(sv->pidfds[slot_of(number)].fd);
        sv->pidfds[slot_of(number)].tid = 0;
    }
    return -ESRCH;
}

int sl_call_reach(const sl_call *call, int fd)
{
    char name[32];
    if (sl_place_fetches()) {
        return sl_call_pin(call, fd);
    }
    snprintf(name, sizeof(name), "fd/%d", fd);
    int reached = fd < 0 ? -ENOENT : sl_proc_open(call->tid, name, O_PATH);
    return reached == -ENOENT ? -EBADF : reached < 0 ? -EACCES : sl_call_take(reached);
}

/* A line of "field:\tNUMBER", octal for the flags. */
static bool take_field(const char *text, const char *field, bool octal, uint64_t *ret)
{
    const char *at = strstr(text, field);
    if (at == NULL || (at != text && at[-1] != '\n')) {
        return false;
    }
    at += strlen(field);
    uint64_t value = 0;
    unsigned base = octal ? 8 : 10;
    if (*at < '0' || *at > '9') {
        return false;
    }
    for (; *at >= '0' && (unsigned)(*at - '0') < base; at++) {
        value = value * base + (uint64_t)(*at - '0');
    }
    *ret = value;
    return *at == '\n';
}

static int read_fdinfo(pid_t pid, int fd, sl_call_fd *ret)
{
    char name[32];
    char text[1024];
    uint64_t flags;
    snprintf(name, sizeof(name), "fdinfo/%d", fd);
    ssize_t n = sl_proc_read(pid, name, text, sizeof(text));
    if (n <= 0) {
        return n == -ENOENT ? -EBADF : -EACCES;
    }
    sl_call_fd info;
    if (!take_field(text, "pos:\t", false, &info.pos) ||
        !take_field(text, "flags:\t", true, &flags) ||
        !take_field(text, "mnt_id:\t", false, &info.mount) ||
        !take_field(text, "ino:\t", false, &info.inode)) {
        return -EACCES;
    }
    info.flags = (unsigned)flags;
    *ret = info;
    return 0;
}

int sl_call_fd_read(const sl_call *call, int fd, sl_call_fd *ret)
{
    return fd < 0 ? -EBADF : read_fdinfo(call->tid, fd, ret);
}

/* A file system whose parts (subvolumes) each count their own inodes under one mount. */
static bool counts_twice(int fd)
{
    struct statfs fs;
    return fstatfs(fd, &fs) < 0 || fs.f_type == BTRFS_SUPER_MAGIC || fs.f_type == BCACHEFS_MAGIC;
}

bool sl_call_fd_is(const sl_call_fd *info, int own)
{
    sl_call_fd mine;
    return !counts_twice(own) && read_fdinfo(SL_PROC_SELF, own, &mine) == 0 &&
           mine.mount == info->mount && mine.inode == info->inode;
}

int sl_call_give(const sl_call *call, int fd, bool cloexec)
{
    struct seccomp_notif_addfd add = {
        .id = call->id, .srcfd = (uint32_t)fd, .newfd_flags = cloexec ? O_CLOEXEC : 0};
    int number = ioctl(atomic_load(&call->sv->listener), SECCOMP_IOCTL_NOTIF_ADDFD, &add);
    return number < 0 ? -errno : number;
}

pid_t sl_call_tgid(const sl_call *call)
{
    long tgid = sl_proc_status(call->tid, "Tgid");
    return tgid <= 0 || !sl_call_valid(call) ? -ESRCH : (pid_t)tgid;
}
