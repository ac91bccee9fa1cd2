/* Owns the judging of AF_UNIX addresses. A path is pinned as an object before it is judged, and
 * used through the pin; what the child's memory or the tree say later does not matter. An object is
 * in reach if the policy names it, or if the socket that it is belongs to the tree: no grant of a
 * directory says anything of those who listen below it. docs/internals/unix.md tells it in full. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/trace.h"
#include "core/util.h"
#include "features/net/net.h"
#include "features/net/unix.h"
#include "kernel/diag/udiag.h"
#include "kernel/proc.h"
#include "policy/verdict.h"
#include "supervisor/pin.h"

/* Who would answer questions about names before our resolver is asked. */
static const char *const silenced[] = {
    "/run/nscd/socket",
    "/var/run/nscd/socket",
    "/run/systemd/resolve/io.systemd.Resolve",
};

static bool is_silenced(const char *path)
{
    for (size_t i = 0; i < SL_ARRAY_LEN(silenced); i++) {
        if (strcmp(path, silenced[i]) == 0) {
            return true;
        }
    }
    return false;
}

struct owners {
    const sl_supervisor *sv;
    int type;
    dev_t dev;
    uint32_t ino;
    size_t ours;
    size_t others;
};

static void look_for_owner(void *arg, const sl_udiag_socket *s)
{
    struct owners *o = arg;
    if (s->type == o->type && s->has_file && s->dev == o->dev && s->ino == o->ino) {
        bool ours = sl_unix_is_server(o->sv, s->cookie);
        o->ours += ours;
        o->others += !ours;
    }
}

/* The device of the file system that a file lies in. stat(2) of some (btrfs, overlayfs) tells of
 * another one than their sockets do. False when it cannot be found. */
static bool device_of_mount(int fd, dev_t *ret_dev)
{
    char line[PATH_MAX];
    struct statx stx;
    unsigned major = 0;
    unsigned minor = 0;
    bool found = false;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &stx) < 0 ||
        (stx.stx_mask & STATX_MNT_ID) == 0) {
        return false;
    }
    FILE *mounts = fopen("/proc/self/mountinfo", "re");
    while (mounts != NULL && !found && fgets(line, sizeof(line), mounts) != NULL) {
        unsigned long long id;
        found = sscanf(line, "%llu %*u %u:%u ", &id, &major, &minor) == 3 && id == stx.stx_mnt_id;
    }
    if (mounts != NULL) {
        fclose(mounts);
    }
    *ret_dev = makedev(major, minor);
    return found;
}

/* Who answers at this file. -EACCES: somebody else, or there is doubt; -ECONNREFUSED: nobody that
 * this network namespace knows of. */
static int judge_owner(const sl_supervisor *sv, int fd, const struct stat *st, int type)
{
    struct owners o = {.sv = sv, .type = type, .dev = st->st_dev, .ino = (uint32_t)st->st_ino};
    uint32_t states = type == SOCK_DGRAM ? SL_UDIAG_ANY : SL_UDIAG_LISTEN;
    bool complete = sl_udiag_each(states, look_for_owner, &o);
    if (complete && o.ours + o.others == 0 && device_of_mount(fd, &o.dev) && o.dev != st->st_dev) {
        complete = sl_udiag_each(states, look_for_owner, &o);
    }
    if (!complete || o.others > 0) {
        return -EACCES;
    }
    return o.ours > 0 ? 0 : -ECONNREFUSED;
}

void sl_unix_decided(const sl_call *call, const char *path, bool allowed)
{
    sl_dest dest = {.proto = SL_PROTO_UNIX, .name = path};
    bool denied = !allowed && sl_fsview_denied(call->sv->view, path);
    sl_net_verdict verdict = {.action = allowed ? SL_NET_DIRECT : SL_NET_DENY,
                              .rule = denied ? "fs_denied" : NULL,
                              .reason = denied ? "denied_by_rule" : "no_rule"};
    sl_dest_decided(call, &dest, &verdict, allowed);
}

/* Whose socket is this? `path` is the kernel's name of it. */
static int judge(const sl_call *call, int fd, const char *path, int type)
{
    struct stat st;
    if (fstat(fd, &st) < 0) {
        return -EACCES;
    }
    if (!S_ISSOCK(st.st_mode)) {
        return -ECONNREFUSED;
    }
    if (sl_fsview_names_socket(call->sv->view, &st, path)) {
        sl_unix_decided(call, path, true);
        return 0;
    }
    if (sl_fsview_denied(call->sv->view, path)) {
        return -EACCES;
    }
    return judge_owner(call->sv, fd, &st, type);
}

/* unix(7): whoever connects needs the right to write. What the socket's mode keeps from this user
 * is no denial of ours. */
static bool may_reach_outside(int fd)
{
    char link[SL_PROC_FD_NAME_MAX];
    sl_proc_fd_name(fd, link);
    return faccessat(AT_FDCWD, link, W_OK, 0) == 0;
}

int sl_unix_pin(const sl_call *call, int type, const struct sockaddr_un *sa, socklen_t len,
                struct sockaddr_un *ret_sa, socklen_t *ret_len, int *ret_pin)
{
    char path[sizeof(sa->sun_path) + 1];
    char link[SL_PROC_FD_NAME_MAX];
    char real[PATH_MAX];
    size_t head = offsetof(struct sockaddr_un, sun_path);
    if (sa->sun_family != AF_UNIX || len <= head || len > sizeof(*sa)) {
        return -EINVAL;
    }
    if (sa->sun_path[0] == '\0') {
        return -EPERM; /* an abstract name of the host (NET-17) */
    }
    memcpy(path, sa->sun_path, len - head);
    path[len - head] = '\0';
    if (is_silenced(path)) {
        return -ENOENT;
    }
    sl_autoclose int fd = sl_pin(call, AT_FDCWD, path, 0);
    if (fd < 0) {
        return fd == -ENOENT ? -ENOENT : -EACCES;
    }
    if (!sl_call_valid(call) || sl_proc_fd_path(fd, real) < 0) {
        return -EACCES;
    }
    int r = judge(call, fd, real, type);
    if (sl_trace_is_on(SL_TRACE_FLOW)) {
        sl_trace_write(SL_TRACE_FLOW, "thread %d to unix '%s': %s", (int)call->tid, real,
                       r == 0 ? "in reach" : strerrorname_np(-r));
    }
    if (r == -EACCES && may_reach_outside(fd)) {
        sl_unix_decided(call, real, false);
    }
    if (r < 0) {
        return r;
    }
    sl_proc_fd_name(fd, link);
    *ret_sa = (struct sockaddr_un){.sun_family = AF_UNIX};
    int k = snprintf(ret_sa->sun_path, sizeof(ret_sa->sun_path), "%s", link);
    *ret_len = (socklen_t)(head + (size_t)k + 1);
    *ret_pin = sl_steal_fd(&fd);
    return 0;
}

struct named {
    const sl_supervisor *sv;
    const char *name;
    size_t len;
    bool ours;
    bool theirs;
};

static void look_for_name(void *arg, const sl_udiag_socket *s)
{
    struct named *n = arg;
    if (s->name_len == n->len && memcmp(s->name, n->name, n->len) == 0) {
        n->ours = sl_unix_is_server(n->sv, s->cookie);
        n->theirs = !n->ours;
    }
}

/* As ss(8) and /proc/net/unix write it. Where it is the default view that isolates, a switch takes
 * that back (sl_policy_suggest_net). */
static void tell_abstract(const sl_call *call, const struct named *n)
{
    char name[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 1] = {0};
    const sl_policy *policy = call->sv->policy;
    for (size_t i = 0; i < n->len && i < sizeof(name) - 1; i++) {
        name[i] = n->name[i] == '\0' ? '@' : n->name[i];
    }
    sl_dest dest = {.proto = SL_PROTO_UNIX, .name = name};
    sl_net_verdict verdict = {.action = SL_NET_DENY,
                              .rule = policy->isolate_ipc               ? "isolate_ipc"
                                      : sl_policy_restricts_net(policy) ? "net_allow"
                                                                        : NULL};
    verdict.reason = verdict.rule == NULL ? "no_rule" : "isolated";
    sl_dest_decided(call, &dest, &verdict, false);
}

/* Between the look-up and the connect the name may change hands. listen(2) was ours for each of the
 * tree's listeners, and SO_PEERCRED tells who called it (unix(7)). */
int sl_unix_connect_abstract(const sl_call *call, const sl_sock *sock, const struct sockaddr_un *sa,
                             socklen_t len)
{
    struct ucred peer;
    socklen_t peer_len = sizeof(peer);
    size_t head = offsetof(struct sockaddr_un, sun_path);
    struct named n = {.sv = call->sv, .name = sa->sun_path, .len = len - head};
    if (!sl_policy_isolates_abstract(call->sv->policy)) {
        return sl_connect_briefly(sock, sa, len);
    }
    if (len <= head + 1 || len > sizeof(*sa) ||
        !sl_udiag_each(SL_UDIAG_LISTEN, look_for_name, &n) || !n.ours) {
        if (n.theirs) {
            tell_abstract(call, &n);
        }
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
