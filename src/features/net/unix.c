/* Owns the judging of AF_UNIX addresses. A path is pinned as an object before it is judged, and
 * used through the pin; what the child's memory or the tree say later does not matter. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/netlink.h>
#include <linux/openat2.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/util.h"
#include "features/net/net.h"
#include "kernel/proc.h"
#include "supervisor/pin.h"

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
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_MAGICLINKS};
    sl_autoclose int dir = -1;
    if (path[0] != '/') {
        dir = sl_pin_start(call, AT_FDCWD);
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
    char link[SL_PROC_FD_NAME_MAX];
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
    sl_proc_fd_name(fd, link);
    if (sl_proc_fd_path(fd, real) < 0 || fstat(fd, &st) < 0) {
        return -EACCES;
    }
    if (!S_ISSOCK(st.st_mode) || !sl_fsview_writable(call->sv->view, real)) {
        return -EACCES;
    }
    *ret_sa = (struct sockaddr_un){.sun_family = AF_UNIX};
    int k = snprintf(ret_sa->sun_path, sizeof(ret_sa->sun_path), "%s", link);
    *ret_len = (socklen_t)(head + (size_t)k + 1);
    *ret_pin = sl_steal_fd(&fd);
    return 0;
}

#define LISTENING   10 /* TCP_LISTEN, which is what AF_UNIX says too */
#define DUMP_ROUNDS 64

static int ask_listeners(void)
{
    struct {
        struct nlmsghdr header;
        struct unix_diag_req req;
    } ask = {
        .header = {.nlmsg_len = sizeof(ask),
                   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        .req = {.sdiag_family = AF_UNIX,
                .udiag_states = 1u << LISTENING,
                .udiag_show = UDIAG_SHOW_NAME},
    };
    sl_autoclose int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (fd < 0 || send(fd, &ask, sizeof(ask), 0) < 0) {
        return -errno;
    }
    return sl_steal_fd(&fd);
}

/* Does this listener have that name, and is it the tree's? */
static bool is_meant(struct sl_net_state *net, struct nlmsghdr *h, const char *name, size_t len)
{
    struct unix_diag_msg *m = NLMSG_DATA(h);
    sl_known known;
    uint64_t cookie = m->udiag_cookie[0] | (uint64_t)m->udiag_cookie[1] << 32;
    struct rtattr *attr = (struct rtattr *)(m + 1);
    size_t left = h->nlmsg_len - NLMSG_LENGTH(sizeof(*m));
    for (; RTA_OK(attr, left); attr = RTA_NEXT(attr, left)) {
        if (attr->rta_type == UNIX_DIAG_NAME && RTA_PAYLOAD(attr) == len &&
            memcmp(RTA_DATA(attr), name, len) == 0) {
            return sl_known_get(net, cookie, &known) && known.kind == SL_KNOWN_LISTENER;
        }
    }
    return false;
}

static bool finds_ours(struct sl_net_state *net, const char *name, size_t len)
{
    union {
        struct nlmsghdr header;
        char space[32768];
    } answer;
    sl_autoclose int fd = ask_listeners();
    for (int round = 0; fd >= 0 && round < DUMP_ROUNDS; round++) {
        ssize_t n = recv(fd, &answer, sizeof(answer), MSG_DONTWAIT);
        struct nlmsghdr *h = &answer.header;
        size_t left = n < 0 ? 0 : (size_t)n;
        for (; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
            if (h->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
                h->nlmsg_len < NLMSG_LENGTH(sizeof(struct unix_diag_msg))) {
                return false;
            }
            if (is_meant(net, h, name, len)) {
                return true;
            }
        }
        if (n <= 0) {
            return false;
        }
    }
    return false;
}

/* Between the look-up and the connect the name may change hands. listen(2) was ours for each of the
 * tree's listeners, and SO_PEERCRED tells who called it (unix(7)). */
int sl_unix_connect_abstract(const sl_call *call, const sl_sock *sock, const struct sockaddr_un *sa,
                             socklen_t len)
{
    struct ucred peer;
    socklen_t peer_len = sizeof(peer);
    size_t head = offsetof(struct sockaddr_un, sun_path);
    if (len <= head + 1 || len > sizeof(*sa) ||
        !finds_ours(sl_net_of(call->sv), sa->sun_path, len - head)) {
        return -EPERM; /* of the host (NET-17) */
    }
    int r = sl_connect_briefly(sock, sa, len);
    if (r == 0 && (getsockopt(sock->fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_len) < 0 ||
                   peer.pid != getpid())) {
        shutdown(sock->fd, SHUT_RDWR);
        return -EPERM;
    }
    return r;
}
