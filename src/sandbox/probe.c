/* Owns the live tries of kernel features. Never changes the calling process: what binds for good is
 * tried in a fork. */
#include "sandbox/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/fd.h"
#include "core/util.h"
#include "kernel/caps.h"
#include "kernel/cgroup.h"
#include "kernel/landlock.h"
#include "kernel/memory.h"
#include "kernel/pidfd.h"
#include "kernel/place.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

/* Why a try failed. */
static void say(char *detail, size_t cap, int error)
{
    char text[SL_PLACE_TEXT_MAX];
    snprintf(detail, cap, "%s", sl_place_cause(error, text));
}

int sl_probe_landlock_abi(void)
{
    return sl_landlock_abi();
}

/* A whole ruleset, entered: in a fork, for it binds for good. */
static bool try_landlock(char *detail, size_t cap)
{
    int abi = sl_landlock_abi();
    if (abi == 0) {
        int r = sl_place_ask(SL_PLACE_LANDLOCK);
        say(detail, cap, r == 0 ? EOPNOTSUPP : -r);
        return false;
    }
    sl_autoclose int ruleset = sl_landlock_new(SL_LANDLOCK_FILES);
    sl_autoclose int root = open("/", O_PATH | O_CLOEXEC);
    bool works = ruleset >= 0 && root >= 0 &&
                 sl_landlock_allow(ruleset, root, SL_LANDLOCK_READ) == 0 &&
                 prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && sl_landlock_enter(ruleset) == 0;
    snprintf(detail, cap, works ? "ABI %d" : "ABI %d, but a rule was refused", abi);
    return works && abi >= SL_LANDLOCK_ABI_MIN;
}

static bool try_seccomp_notify(char *detail, size_t cap)
{
    struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog prog = {.len = 1, .filter = &allow};
    char why[SL_PLACE_TEXT_MAX];
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    long fd =
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &prog);
    snprintf(detail, cap, "%s",
             fd >= 0          ? "a listener was made"
             : errno == EBUSY ? "a supervisor already listens: we are inside another sandbox"
                              : sl_place_cause(errno, why));
    return fd >= 0;
}

static bool try_pidfd_thread(char *detail, size_t cap)
{
    bool works = sl_pidfd_of_threads();
    snprintf(detail, cap, "%s",
             works ? "a thread was opened" : "the process' own serves for all of its threads");
    return works;
}

static bool try_pidfd_getfd(char *detail, size_t cap)
{
    int pair[2];
    if (pipe(pair) < 0) {
        return false;
    }
    pid_t pid = fork();
    if (pid == 0) {
        char c;
        close(pair[1]);
        _exit(read(pair[0], &c, 1) < 0);
    }
    sl_autoclose int pidfd = pid < 0 ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
    sl_autoclose int got = pidfd < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, 0, 0);
    bool works = got >= 0 || (pidfd >= 0 && errno == EBADF);
    if (works) {
        snprintf(detail, cap, "a descriptor of a child was fetched");
    } else {
        say(detail, cap, errno);
    }
    close(pair[1]);
    close(pair[0]);
    if (pid > 0) {
        waitpid(pid, NULL, 0);
    }
    return works;
}

static bool try_memfd(char *detail, size_t cap)
{
    sl_autoclose int fd = sl_fd_memfd("probe", "x", 1);
    if (fd < 0) {
        say(detail, cap, -fd);
        return false;
    }
    snprintf(detail, cap, "a sealed memory file was made");
    return true;
}

static bool try_children(char *detail, size_t cap)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)gettid());
    bool works = access(path, R_OK) == 0;
    snprintf(detail, cap, "%s", works ? "readable" : strerror(errno));
    return works;
}

static bool try_subreaper(char *detail, size_t cap)
{
    bool works = prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0;
    snprintf(detail, cap, "%s", works ? "set" : strerror(errno));
    return works;
}

/* sock_diag(7): a list that nothing can be in. Without the protocol's module the answer is an
 * error, after the kernel has tried to load it. */
static bool can_list(uint8_t family, uint8_t protocol)
{
    union {
        struct inet_diag_req_v2 inet;
        struct unix_diag_req local;
    } req = {0};
    struct {
        struct nlmsghdr header;
        char req[sizeof(req)];
    } message = {
        .header = {.nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP}};
    char answer[4096];
    size_t len = family == AF_UNIX ? sizeof(req.local) : sizeof(req.inet);
    if (family == AF_UNIX) {
        req.local.sdiag_family = family;
    } else {
        req.inet.sdiag_family = family;
        req.inet.sdiag_protocol = protocol;
    }
    memcpy(message.req, &req, len);
    message.header.nlmsg_len = (uint32_t)NLMSG_LENGTH(len);
    sl_autoclose int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    ssize_t n = fd < 0 || send(fd, &message, message.header.nlmsg_len, 0) < 0
                    ? -1
                    : recv(fd, answer, sizeof(answer), MSG_DONTWAIT);
    const struct nlmsghdr *h = (const struct nlmsghdr *)answer;
    return n >= (ssize_t)sizeof(*h) && h->nlmsg_type != NLMSG_ERROR;
}

static bool try_sock_diag(char *detail, size_t cap)
{
    bool tcp = can_list(AF_INET, IPPROTO_TCP);
    bool udp = can_list(AF_INET, IPPROTO_UDP);
    bool local = can_list(AF_UNIX, 0);
    if (tcp && udp && local) {
        snprintf(detail, cap, "TCP, UDP and Unix sockets were listed");
        return true;
    }
    snprintf(detail, cap, "no module%s%s%s", tcp ? "" : " tcp_diag", udp ? "" : " udp_diag",
             local ? "" : " unix_diag");
    return false;
}

/* A child of ours that waits, for the same tries as the supervisor's on the command. A run has no
 * capability that would let it look into everybody. */
static bool with_child(bool (*attempt)(pid_t pid, char *detail, size_t cap), char *detail,
                       size_t cap)
{
    int pair[2];
    if (sl_caps_drop(SL_CAPS_NONE) < 0 || pipe(pair) < 0) {
        say(detail, cap, errno);
        return false;
    }
    pid_t pid = fork();
    if (pid == 0) {
        char c;
        close(pair[1]);
        _exit(read(pair[0], &c, 1) < 0);
    }
    bool works = pid > 0 && attempt(pid, detail, cap);
    close(pair[1]);
    close(pair[0]);
    if (pid > 0) {
        waitpid(pid, NULL, 0);
    }
    return works;
}

static char letter = 'q'; /* at the same place in a fork */

static bool look_into(pid_t pid, char *detail, size_t cap)
{
    char c = 0;
    ssize_t n = sl_memory_read(pid, (uint64_t)(uintptr_t)&letter, &c, 1);
    if (n == 1 && c == letter) {
        snprintf(detail, cap, "that of a child was read");
        return true;
    }
    say(detail, cap, n < 0 ? (int)-n : EIO);
    return false;
}

static bool write_into(pid_t pid, char *detail, size_t cap)
{
    int way = sl_memory_open(pid);
    sl_autoclose int fd = way;
    ssize_t n = sl_memory_write(way, pid, (uint64_t)(uintptr_t)&letter, "a", 1);
    if (n == 1) {
        snprintf(detail, cap, "that of a child was written, by %s",
                 fd >= 0 ? "/proc/PID/mem" : "process_vm_writev");
        return true;
    }
    say(detail, cap, n < 0 ? (int)-n : EIO);
    return false;
}

static bool try_memory(char *detail, size_t cap)
{
    return with_child(look_into, detail, cap);
}

static bool try_write_memory(char *detail, size_t cap)
{
    return with_child(write_into, detail, cap);
}

static bool try_read_memory(char *detail, size_t cap)
{
    int r = sl_place_ask(SL_PLACE_PROCESS_VM_READV);
    if (r < 0) {
        say(detail, cap, -r);
        return false;
    }
    snprintf(detail, cap, "process_vm_readv is there");
    return true;
}

static bool try_pidfd_open(char *detail, size_t cap)
{
    int r = sl_place_ask(SL_PLACE_PIDFD_OPEN);
    if (r < 0) {
        say(detail, cap, -r);
        return false;
    }
    snprintf(detail, cap, "it is there");
    return true;
}

static bool try_proc(char *detail, size_t cap)
{
    sl_error err;
    bool works = sl_place_check_proc(&err) == 0;
    snprintf(detail, cap, "%s", works ? "it shows this process" : err.message);
    return works;
}

static bool try_user_namespace(char *detail, size_t cap)
{
    if (unshare(CLONE_NEWUSER) < 0) {
        say(detail, cap, errno);
        return false;
    }
    snprintf(detail, cap, "one was made");
    return true;
}

static bool try_cgroup(char *detail, size_t cap)
{
    return sl_cgroup_describe(detail, cap);
}

static const struct {
    const char *name;
    const char *since;
    const char *lost;
    bool required;
    bool made_up; /* without it the supervisor does the same another way */
    bool in_fork;
    bool (*attempt)(char *detail, size_t cap);
} rows[] = {
    {"landlock", "5.19", "file rules, and what is listed below", true, false, true, try_landlock},
    {"seccomp_notify", "5.19", "every rule that depends on an address, a name or a request", true,
     false, true, try_seccomp_notify},
    {"read_memory", "3.2", "reading what a trapped call names; /proc/PID/mem is slower", false,
     true, false, try_read_memory},
    {"memory", "3.2", "reading what a trapped call names, by whatever way", true, false, true,
     try_memory},
    {"write_memory", "3.2",
     "what is answered in memory: --hostname, --isolate-pids, rules that name hosts...", false,
     false, true, try_write_memory},
    {"pidfd_open", "5.3", "ending what was started, and nothing else", true, false, false,
     try_pidfd_open},
    {"pidfd_thread", "6.9", "threads with descriptors of their own, which are refused", false,
     false, false, try_pidfd_thread},
    {"pidfd_getfd", "5.6", "acting on sockets at no cost; they are made for the command instead",
     false, true, true, try_pidfd_getfd},
    {"memfd_seal", "3.17", "trust and hosts files for the child", true, false, false, try_memfd},
    {"proc", "2.6", "finding the command's processes", true, false, false, try_proc},
    {"proc_children", "3.5", "counting processes, ending the whole tree", true, false, false,
     try_children},
    {"subreaper", "3.4", "ending the whole tree", true, false, true, try_subreaper},
    {"sock_diag", "3.3", "under network rules: connections to servers of the command's own", false,
     false, false, try_sock_diag},
    {"user_namespace", "3.8", "--privileged, --uid and --gid", false, false, true,
     try_user_namespace},
    {"cgroup", "5.14",
     "the kernel's own hold on memory and processor time, which are counted instead", false, true,
     false, try_cgroup},
};

/* Runs one try in a child, which answers through a pipe. */
static bool attempt_in_fork(bool (*attempt)(char *, size_t), char *detail, size_t cap)
{
    int pair[2];
    if (pipe(pair) < 0) {
        snprintf(detail, cap, "%s", strerror(errno));
        return false;
    }
    pid_t pid = fork();
    if (pid == 0) {
        char text[128] = "";
        bool works = attempt(text, sizeof(text));
        bool told = write(pair[1], text, sizeof(text)) == (ssize_t)sizeof(text);
        _exit(works && told ? 0 : 1);
    }
    close(pair[1]);
    int status = -1;
    if (read(pair[0], detail, cap) <= 0) {
        snprintf(detail, cap, "the try was killed");
    }
    close(pair[0]);
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

size_t sl_probe_all(sl_probe_result ret_rows[SL_PROBE_MAX])
{
    for (size_t i = 0; i < SL_ARRAY_LEN(rows); i++) {
        sl_probe_result *r = &ret_rows[i];
        *r = (sl_probe_result){.name = rows[i].name,
                               .since = rows[i].since,
                               .lost = rows[i].lost,
                               .required = rows[i].required,
                               .made_up = rows[i].made_up};
        r->works = rows[i].in_fork ? attempt_in_fork(rows[i].attempt, r->detail, sizeof(r->detail))
                                   : rows[i].attempt(r->detail, sizeof(r->detail));
    }
    return SL_ARRAY_LEN(rows);
}

void sl_probe_protections(sl_probe_protection ret_rows[SL_HOLDS_COUNT])
{
    int abi = sl_landlock_abi();
    for (size_t i = 0; i < SL_HOLDS_COUNT; i++) {
        const sl_landlock_protection *p = &sl_landlock_protections[i];
        sl_probe_protection *r = &ret_rows[i];
        bool kernel = sl_landlock_holds((enum sl_landlock_hold)i);
        bool held = abi >= SL_LANDLOCK_ABI_MIN;
        *r = (sl_probe_protection){.name = p->name,
                                   .since = p->since,
                                   .keeps = p->keeps,
                                   .held = kernel ? "kernel"
                                           : held ? p->holder
                                                  : "not"};
        snprintf(r->detail, sizeof(r->detail), "%s",
                 kernel ? "Landlock"
                 : held ? p->before
                        : "no Landlock");
    }
}

int sl_probe_quick(sl_error *err)
{
    static const enum sl_place_call needed[] = {SL_PLACE_PIDFD_OPEN, SL_PLACE_MEMFD_CREATE,
                                                SL_PLACE_SECCOMP};
    char why[SL_PLACE_TEXT_MAX];
    for (size_t i = 0; i < SL_ARRAY_LEN(needed); i++) {
        int r = sl_place_ask(needed[i]);
        if (r < 0) {
            return sl_error_set(err, -r, "%s", sl_place_say(sl_place_name(needed[i]), -r, why));
        }
    }
    int r = sl_place_check_proc(err);
    return r < 0 ? r : sl_place_check_ptrace(err);
}
