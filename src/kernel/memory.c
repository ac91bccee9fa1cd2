/* Owns the ways into another process' memory. Judges nobody: who may is the kernel's to say
 * (ptrace(2), "access mode checking"). */
#include "kernel/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/util.h"
#include "kernel/proc.h"

_Static_assert(SL_MEMORY_BY_NUMBER == -EPERM, "one of the two refusals becomes the other way");

/* Where process_vm_readv(2) is refused, as another sandbox around us does, the same right opens the
 * memory as a file. */
static ssize_t read_file(pid_t tid, uint64_t addr, void *to, size_t len)
{
    sl_autoclose int fd = sl_proc_open(tid, "mem", O_RDONLY);
    ssize_t n = fd < 0 ? fd : pread(fd, to, len, (off_t)addr);
    return fd >= 0 && n < 0 ? -errno : n;
}

ssize_t sl_memory_read(pid_t tid, uint64_t addr, void *to, size_t len)
{
    struct iovec local = {.iov_base = to, .iov_len = len};
    struct iovec remote = {.iov_base = (void *)(uintptr_t)addr, .iov_len = len};
    ssize_t n = process_vm_readv(tid, &local, 1, &remote, 1, 0);
    if (n < 0 && (errno == EPERM || errno == ENOSYS)) {
        return read_file(tid, addr, to, len);
    }
    return n < 0 ? -errno : n;
}

/* A sandbox around us that grants no writing in /proc, or a /proc that is read-only. */
static bool is_withheld(int error)
{
    return error == -EACCES || error == -EPERM || error == -EROFS;
}

int sl_memory_open(pid_t tid)
{
    int fd = sl_proc_open(tid, "mem", O_RDWR);
    return is_withheld(fd) ? SL_MEMORY_BY_NUMBER : fd;
}

ssize_t sl_memory_write(int way, pid_t tid, uint64_t addr, const void *from, size_t len)
{
    struct iovec local = {.iov_base = (void *)(uintptr_t)from, .iov_len = len};
    struct iovec remote = {.iov_base = (void *)(uintptr_t)addr, .iov_len = len};
    ssize_t n = way == SL_MEMORY_BY_NUMBER ? process_vm_writev(tid, &local, 1, &remote, 1, 0)
                                           : pwrite(way, from, len, (off_t)addr);
    return n < 0 ? -errno : n;
}
