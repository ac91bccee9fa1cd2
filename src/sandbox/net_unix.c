/* Owns the judging of AF_UNIX addresses. A path is pinned as an object before it is judged, and
 * used through the pin; what the child's memory or the tree say later does not matter. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/util.h"
#include "sandbox/net_int.h"

/* Who would answer questions about names before our resolver is asked. */
static const char *const silenced[] = {
    "/run/nscd/socket",
    "/var/run/nscd/socket",
    "/run/systemd/resolve/io.systemd.Resolve",
};

/* From the caller's own directory, and never through a magic link: those name the engine's things.
 */
static int open_path(const sl_call *call, const char *path)
{
    char cwd[64];
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_MAGICLINKS};
    sl_autoclose int dir = -1;
    if (path[0] != '/') {
        snprintf(cwd, sizeof(cwd), "/proc/%d/cwd", (int)call->tid);
        dir = open(cwd, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (dir < 0 || !sl_call_valid(call)) {
            return -EACCES;
        }
    }
    long fd = syscall(SYS_openat2, dir < 0 ? AT_FDCWD : dir, path, &how, sizeof(how));
    return fd < 0 ? -errno : (int)fd;
}

int sl_unix_pin(const sl_call *call, const struct sockaddr_un *sa, socklen_t len,
                struct sockaddr_un *ret_sa, socklen_t *ret_len, int *ret_pin)
{
    char path[sizeof(sa->sun_path) + 1];
    char link[64];
    char real[PATH_MAX];
    struct stat st;
    size_t head = offsetof(struct sockaddr_un, sun_path);
    if (sa->sun_family != AF_UNIX || len <= head || len > sizeof(*sa)) {
        return -EINVAL;
    }
    if (sa->sun_path[0] == '\0') {
        return -EPERM; /* an abstract name of the host (NET-17) */
    }
    memcpy(path, sa->sun_path, len - head);
    path[len - head] = '\0';
    for (size_t i = 0; i < SL_ARRAY_LEN(silenced); i++) {
        if (strcmp(path, silenced[i]) == 0) {
            return -ENOENT;
        }
    }
    sl_autoclose int fd = open_path(call, path);
    if (fd < 0) {
        return fd == -ENOENT ? -ENOENT : -EACCES;
    }
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, real, sizeof(real) - 1);
    if (n <= 0 || fstat(fd, &st) < 0) {
        return -EACCES;
    }
    real[n] = '\0';
    if (!S_ISSOCK(st.st_mode) || !sl_fsview_writable(call->sb->view, real)) {
        return -EACCES;
    }
    *ret_sa = (struct sockaddr_un){.sun_family = AF_UNIX};
    int k = snprintf(ret_sa->sun_path, sizeof(ret_sa->sun_path), "%s", link);
    *ret_len = (socklen_t)(head + (size_t)k + 1);
    *ret_pin = sl_steal_fd(&fd);
    return 0;
}
