/* Owns the gateway's own confinement: what it may still do once it looks at hostile bytes. Never
 * relied on alone: the gateway keeps no right that its work does not need. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "core/util.h"
#include "http/gateway_int.h"
#include "kernel/caps.h"
#include "kernel/landlock.h"

/* What resolving and verifying read, while running. */
static const char *const readable[] = {
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
    "/usr/share/pki",
    "/usr/lib/ssl",
    "/var/lib/ca-certificates",
    "/run/systemd/resolve",
    "/run/resolvconf",
};

static void allow_read(int ruleset, const char *path)
{
    sl_autoclose int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd >= 0) { /* what is not there needs no rule */
        (void)sl_landlock_allow(ruleset, fd, SL_LANDLOCK_LOOK);
    }
}

static int restrict_files(sl_error *err)
{
    /* It connects, and never listens. */
    sl_autoclose int ruleset = sl_landlock_new(SL_LANDLOCK_FILES | SL_LANDLOCK_BIND_TCP |
                                               SL_LANDLOCK_ABSTRACT | SL_LANDLOCK_SIGNALS);
    if (ruleset < 0) {
        return sl_error_set(err, -ruleset, "the gateway cannot confine itself: Landlock: %s",
                            strerror(-ruleset));
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(readable); i++) {
        allow_read(ruleset, readable[i]);
    }
    const char *file = getenv("SSL_CERT_FILE");
    const char *dir = getenv("SSL_CERT_DIR");
    if (file != NULL) {
        allow_read(ruleset, file);
    }
    for (const char *p = dir; p != NULL && *p != '\0';) { /* a list, openssl-env(7) */
        char path[PATH_MAX];
        size_t len = strcspn(p, ":");
        snprintf(path, sizeof(path), "%.*s", (int)SL_MIN(len, sizeof(path) - 1), p);
        allow_read(ruleset, path);
        p += len + (p[len] == ':' ? 1 : 0);
    }
    int r = sl_landlock_enter(ruleset);
    return r < 0 ? sl_error_set(err, -r, "the gateway cannot confine itself: Landlock: %s",
                                strerror(-r))
                 : 0;
}

/* Everything that moving bytes, timers, memory, DNS and reading a certificate take. */
static const int allowed[] = {
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(readv),
    SCMP_SYS(writev),
    SCMP_SYS(pread64),
    SCMP_SYS(close),
    SCMP_SYS(openat),
    SCMP_SYS(open),
    SCMP_SYS(stat),
    SCMP_SYS(fstat),
    SCMP_SYS(lstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(statx),
    SCMP_SYS(lseek),
    SCMP_SYS(getdents64),
    SCMP_SYS(access),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(fcntl),
    SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_pwait2),
    SCMP_SYS(eventfd2),
    SCMP_SYS(pipe2),
    SCMP_SYS(splice),
    SCMP_SYS(connect),
    SCMP_SYS(bind),
    SCMP_SYS(getsockopt),
    SCMP_SYS(setsockopt),
    SCMP_SYS(getsockname),
    SCMP_SYS(getpeername),
    SCMP_SYS(sendto),
    SCMP_SYS(sendmsg),
    SCMP_SYS(sendmmsg),
    SCMP_SYS(recvfrom),
    SCMP_SYS(recvmsg),
    SCMP_SYS(recvmmsg),
    SCMP_SYS(shutdown),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(select),
    SCMP_SYS(pselect6),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(getrandom),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(getuid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getegid),
    SCMP_SYS(brk),
    SCMP_SYS(mmap),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(mprotect),
    SCMP_SYS(memfd_create),
    SCMP_SYS(ftruncate),
    SCMP_SYS(futex),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sysinfo),
    SCMP_SYS(uname),
    SCMP_SYS(getrusage),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(getcpu),
};

/* What only an intruder asks for. */
static const int fatal[] = {
    SCMP_SYS(execve),           SCMP_SYS(execveat),          SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(pidfd_getfd),
};

/* SCMP_A0 and its like leave a field out, which clang warns of. */
static struct scmp_arg_cmp equals(unsigned arg, uint64_t value)
{
    return (struct scmp_arg_cmp){.arg = arg, .op = SCMP_CMP_EQ, .datum_a = value};
}

static int add_rules(scmp_filter_ctx ctx)
{
    int r = 0;
    for (size_t i = 0; i < SL_ARRAY_LEN(allowed) && r == 0; i++) {
        r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(fatal) && r == 0; i++) {
        r = seccomp_rule_add(ctx, SCMP_ACT_KILL_PROCESS, fatal[i], 0);
    }
    static const uint64_t families[] = {AF_INET, AF_INET6};
    for (size_t i = 0; i < SL_ARRAY_LEN(families) && r == 0; i++) {
        r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, equals(0, families[i]));
    }
    static const uint64_t requests[] = {FIONBIO, FIONREAD, FIOCLEX};
    for (size_t i = 0; i < SL_ARRAY_LEN(requests) && r == 0; i++) {
        r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, equals(1, requests[i]));
    }
    if (r == 0) { /* abort(3) */
        r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
                             equals(0, (uint64_t)getpid()));
    }
    if (r == 0) { /* reading limits; 0 is ourselves */
        r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1, equals(2, 0));
    }
    return r;
}

static int restrict_calls(sl_error *err)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (ctx == NULL) {
        return sl_error_set(err, ENOMEM, "the gateway cannot confine itself: no memory");
    }
    int r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    r = r == 0 ? seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) : r;
    r = r == 0 ? add_rules(ctx) : r;
    r = r == 0 ? seccomp_load(ctx) : r;
    seccomp_release(ctx);
    return r == 0 ? 0 : sl_error_set(err, -r, "the gateway cannot confine itself: seccomp");
}

int sl_confine_self(sl_error *err)
{
    struct rlimit files;
    struct rlimit none = {0, 0};
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGTTOU, SIG_IGN);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    if (setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
        return sl_error_set(err, errno, "the gateway cannot confine itself");
    }
    int r =
        sl_caps_drop(SL_CAPS_NONE); /* run as root too, acting for the child must grant nothing */
    if (r < 0) {
        return sl_error_set(err, -r, "the gateway cannot drop its capabilities: %s", strerror(-r));
    }
    r = restrict_files(err);
    return r == 0 ? restrict_calls(err) : r;
}
