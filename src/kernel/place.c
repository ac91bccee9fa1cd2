/* Owns the finding out of what is withheld here, and the sentences for it. Changes nothing: every
 * call is asked with arguments that the kernel refuses by itself. */
#include "kernel/place.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/seccomp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "core/num.h"
#include "core/util.h"
#include "kernel/proc.h"

/* What the kernel itself answers to such a question. */
static const struct {
    const char *name;
    int expected;
} calls[SL_PLACE_CALLS] = {
    [SL_PLACE_PIDFD_OPEN] = {"pidfd_open(2)", EINVAL},
    [SL_PLACE_PIDFD_GETFD] = {"pidfd_getfd(2)", EBADF},
    [SL_PLACE_PROCESS_VM_READV] = {"process_vm_readv(2)", EINVAL},
    [SL_PLACE_MEMFD_CREATE] = {"memfd_create(2)", EINVAL},
    [SL_PLACE_SECCOMP] = {"seccomp(2)", EFAULT},
    [SL_PLACE_LANDLOCK] = {"landlock_create_ruleset(2)", EINVAL},
};

const char *sl_place_name(enum sl_place_call call)
{
    return calls[call].name;
}

static long ask(enum sl_place_call call)
{
    switch (call) {
    case SL_PLACE_PIDFD_OPEN:
        return syscall(SYS_pidfd_open, -1, 0);
    case SL_PLACE_PIDFD_GETFD:
        return syscall(SYS_pidfd_getfd, -1, 0, 0);
    case SL_PLACE_PROCESS_VM_READV:
        return syscall(SYS_process_vm_readv, getpid(), NULL, 0UL, NULL, 0UL, 1UL);
    case SL_PLACE_MEMFD_CREATE:
        return syscall(SYS_memfd_create, "", ~0U);
    case SL_PLACE_SECCOMP:
        return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, NULL);
    case SL_PLACE_LANDLOCK:
        return syscall(SYS_landlock_create_ruleset, NULL, 0UL, ~0U);
    default:
        errno = ENOSYS;
        return -1;
    }
}

int sl_place_ask(enum sl_place_call call)
{
    return ask(call) >= 0 || errno == calls[call].expected ? 0 : -errno;
}

bool sl_place_fetches(void)
{
    static atomic_int known; /* 0: not asked yet */
    int is = atomic_load(&known);
    if (is == 0) {
        is = sl_place_ask(SL_PLACE_PIDFD_GETFD) == 0 ? 1 : 2;
        atomic_store(&known, is);
    }
    return is == 1;
}

const char *sl_place_cause(int error, char text[SL_PLACE_TEXT_MAX])
{
    const char *name = strerrorname_np(error);
    const char *why = strerror(error);
    switch (error) {
    case ENOSYS:
        why = "not in this kernel";
        break;
    case EOPNOTSUPP:
        why = "built in, but switched off";
        break;
    case EPERM:
    case EACCES:
        why = "forbidden here: a container's profile, a security module or a sysctl";
        break;
    default:
        break;
    }
    snprintf(text, SL_PLACE_TEXT_MAX, "%s: %s", name != NULL ? name : "error", why);
    return text;
}

const char *sl_place_say(const char *call, int error, char text[SL_PLACE_TEXT_MAX])
{
    switch (error) {
    case ENOSYS:
        snprintf(
            text, SL_PLACE_TEXT_MAX,
            "%s is missing (ENOSYS): this kernel is too old for it or was built without it, or "
            "an old container engine hides it",
            call);
        break;
    case EOPNOTSUPP:
        snprintf(text, SL_PLACE_TEXT_MAX,
                 "%s is built in but switched off (EOPNOTSUPP): boot with lsm=landlock,...", call);
        break;
    case EPERM:
    case EACCES:
        snprintf(
            text, SL_PLACE_TEXT_MAX,
            "%s is refused here (%s), which the kernel itself does not do: a container's seccomp "
            "profile or a security module forbids it (Docker: --security-opt seccomp=PROFILE "
            "with a profile that allows it; Kubernetes: seccompProfile)",
            call, strerrorname_np(error));
        break;
    default:
        snprintf(text, SL_PLACE_TEXT_MAX, "%s fails: %s", call, strerror(error));
        break;
    }
    return text;
}

#define OWN_PROC "mount it with: unshare --mount-proc, or mount -t proc proc /proc"

/* "NSpid:" has this process's number in each pid namespace from that of /proc down to its own. */
static bool has_one_number(const char *status)
{
    const char *at = strstr(status, "\nNSpid:\t");
    return at == NULL || strcspn(at + 8, "\t") > strcspn(at + 8, "\n");
}

/* The numbers in /proc are those of the namespace that it was mounted for. */
int sl_place_check_proc(sl_error *err)
{
    struct statfs fs;
    char text[64];
    char status[4096];
    if (statfs("/proc", &fs) < 0 || fs.f_type != PROC_SUPER_MAGIC) {
        return sl_error_set(err, ENOENT,
                            "/proc is not mounted here, and nothing of the command could be "
                            "followed; " OWN_PROC);
    }
    ssize_t n = sl_proc_read(SL_PROC_SELF, "status", status, sizeof(status));
    if (n == -EACCES || n == -EPERM) {
        return sl_error_set(err, (int)-n,
                            "/proc cannot be read here (%s), and nothing of the command could be "
                            "followed: another sandbox around this one does not grant it (only "
                            "--no-supervisor works), or a security module refuses it",
                            strerror((int)-n));
    }
    n = readlink("/proc/self", text, sizeof(text) - 1);
    text[SL_MAX(n, 0)] = '\0';
    if (n <= 0 || sl_num_pid(text) != getpid() || !has_one_number(status)) {
        return sl_error_set(
            err, ESRCH,
            "/proc here belongs to another pid namespace (this process is %d, and "
            "%s%s there): the command's processes would not be found in it; " OWN_PROC,
            (int)getpid(), n > 0 ? "number " : "nobody", n > 0 ? text : "");
    }
    return 0;
}

#define PTRACE_SCOPE "/proc/sys/kernel/yama/ptrace_scope"

/* 0 and 1 let a parent look into its child; above, it takes CAP_SYS_PTRACE, which no run keeps. */
int sl_place_check_ptrace(sl_error *err)
{
    char text[16];
    if (sl_proc_read_at(AT_FDCWD, PTRACE_SCOPE, text, sizeof(text)) <= 0 || text[0] < '2') {
        return 0;
    }
    return sl_error_set(err, EPERM,
                        "kernel.yama.ptrace_scope is %c here: nobody may look into the memory of "
                        "the command; set it to 1 (sysctl kernel.yama.ptrace_scope=1), or use "
                        "--no-supervisor",
                        text[0]);
}
