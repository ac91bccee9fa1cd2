/* Owns what Landlock has no right for: mode, owner, times, extended attributes and flags of files
 * outside the write grants. Each call is copied whole here and done by a worker on a pinned object
 * (metadata_act.c); nothing is ever continued. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>
#include <utime.h>

#include "core/num.h"
#include "core/util.h"
#include "features/features.h"
#include "features/files/metadata_int.h"
#include "kernel/numbers.h"
#include "kernel/place.h"
#include "policy/verdict.h"
#include "supervisor/identity.h"
#include "supervisor/path.h"
#include "supervisor/pin.h"
#include "supervisor/supervisor.h"

#define FD_MAX 999999 /* a larger number is no descriptor of anybody's */

#define ACL "system.posix_acl_"

#define AT_KNOWN (AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)

static bool wanted(const sl_policy *policy)
{
    return !sl_strv_has(&policy->fs_writable, "/"); /* then nothing is outside */
}

/* The number in "/proc/self/fd/N" and its kin, by which programs name their own descriptors (glibc
 * does so for fchmodat(2) without following). -1 for other paths. */
static int own_descriptor(const sl_call *call, const char *path)
{
    static const char *const names[] = {"/dev/stdin", "/dev/stdout", "/dev/stderr"};
    char prefix[64];
    const char *number = NULL;
    for (int i = 0; i < (int)SL_ARRAY_LEN(names); i++) {
        if (strcmp(path, names[i]) == 0) {
            return i;
        }
    }
    snprintf(prefix, sizeof(prefix), "/proc/%d/fd/", (int)sl_call_tgid(call));
    const char *const heads[] = {"/proc/self/fd/", "/proc/thread-self/fd/", "/dev/fd/", prefix};
    for (size_t i = 0; i < SL_ARRAY_LEN(heads) && number == NULL; i++) {
        size_t n = strlen(heads[i]);
        number = strncmp(path, heads[i], n) == 0 ? path + n : NULL;
    }
    uint64_t fd;
    bool is = number != NULL && sl_num_parse_plain(number, strlen(number), FD_MAX, &fd) == 0;
    return is ? (int)fd : -1;
}

/* The caller's own flags, where ours are those of a second look at the object. They decide about an
 * error alone: what may be changed is asked of the object. */
static int flags_of(const sl_call *call, int fd, int pinned)
{
    sl_call_fd info;
    if (sl_place_fetches()) {
        return fcntl(pinned, F_GETFL);
    }
    return sl_call_fd_read(call, fd, &info) == 0 ? (int)info.flags : O_PATH;
}

/* fchmod(2) and its kin take no O_PATH descriptor by number; setxattrat(2) takes none at all. */
static int pin_plain(const sl_call *call, int fd)
{
    int pinned = sl_call_reach(call, fd);
    if (pinned >= 0 && (flags_of(call, fd, pinned) & O_PATH) != 0) {
        close(pinned);
        return -EBADF;
    }
    return pinned;
}

static bool is_xattr(const sl_meta_change *c)
{
    return c->kind == SL_META_XATTR_SET || c->kind == SL_META_XATTR_REMOVE;
}

static int find(const sl_call *call, const sl_path_arg *where, sl_meta_job *job)
{
    int fd = where->dirfd;
    if (where->whole) {
        job->at = pin_plain(call, fd);
        return SL_MIN(job->at, 0);
    }
    if ((where->at & ~(unsigned)AT_KNOWN) != 0) {
        return -EINVAL;
    }
    int r = sl_call_read_str(call, where->address, job->path, sizeof(job->path));
    if (r < 0) {
        return r;
    }
    if (job->path[0] == '\0' && (where->at & AT_EMPTY_PATH) == 0) {
        return -ENOENT;
    }
    job->follow = (where->at & AT_SYMLINK_NOFOLLOW) == 0;
    int own = job->follow ? own_descriptor(call, job->path) : -1;
    if (own >= 0) {
        job->path[0] = '\0';
        fd = own;
    } else if (job->path[0] == '/') {
        return 0;
    }
    bool plain = own < 0 && job->path[0] == '\0' && is_xattr(&job->change);
    job->at = plain ? pin_plain(call, fd) : sl_pin_start(call, fd);
    return SL_MIN(job->at, 0);
}

/* Takes the change's value over. */
static sl_answer start(sl_call *call, const sl_path_arg *where, sl_meta_change *change)
{
    sl_meta_job *job = malloc(sizeof(*job));
    if (job == NULL) {
        free(change->value);
        return SL_ANSWER_VALUE(-ENOMEM);
    }
    job->job.call = *call;
    job->at = -1;
    job->follow = true;
    job->path[0] = '\0';
    job->change = *change;
    int r = find(call, where, job);
    if (r == 0 && !sl_call_valid(call)) {
        r = -EPERM;
    }
    if (r < 0) {
        sl_meta_job_free(job);
        return SL_ANSWER_VALUE(r);
    }
    return sl_meta_start(job);
}

/* The object that the call names. A call without a row in the table names none: that descriptor is
 * nobody's. */
static sl_path_arg object_of(const sl_call *call)
{
    sl_path_arg where = {.dirfd = -1, .whole = true, .next = -1};
    (void)sl_path_arg_of(call, 0, &where);
    return where;
}

/* ---- mode and owner ---- */

static sl_answer handle_mode(sl_call *call)
{
    sl_path_arg where = object_of(call);
    sl_meta_change c = {.kind = SL_META_MODE, .mode = (mode_t)sl_path_said(call, &where, 0)};
    return start(call, &where, &c);
}

static sl_answer handle_owner(sl_call *call)
{
    sl_meta_change c = {.kind = SL_META_OWNER};
    const sl_policy *policy = call->sv->policy;
    sl_path_arg where = object_of(call);
    uid_t uid = (uid_t)sl_path_said(call, &where, 0);
    gid_t gid = (gid_t)sl_path_said(call, &where, 1);
    if (!sl_identity_uid_outside(policy, uid, &c.uid) ||
        !sl_identity_gid_outside(policy, gid, &c.gid)) {
        return SL_ANSWER_VALUE(-EINVAL);
    }
    return start(call, &where, &c);
}

/* ---- times ---- */

/* futimens(3) and futimes(3): no path at all means the descriptor itself. */
static sl_answer start_times(sl_call *call, sl_path_arg *where, sl_meta_change *c)
{
    if (where->address == 0 && where->dirfd != AT_FDCWD) {
        if (where->at != 0) {
            return SL_ANSWER_VALUE(-EINVAL);
        }
        where->whole = true;
    }
    return start(call, where, c);
}

static sl_answer handle_utimensat(sl_call *call)
{
    sl_path_arg where = object_of(call);
    uint64_t address = sl_path_said(call, &where, 0);
    sl_meta_change c = {.kind = SL_META_TIMES, .now = address == 0};
    if (!c.now && sl_call_read(call, address, c.times, sizeof(c.times)) < 0) {
        return SL_ANSWER_VALUE(-EFAULT);
    }
    if (!c.now && c.times[0].tv_nsec == UTIME_OMIT && c.times[1].tv_nsec == UTIME_OMIT) {
        return SL_ANSWER_VALUE(0); /* as the kernel: before anything is looked at */
    }
    return start_times(call, &where, &c);
}

#ifdef SYS_utimes
static sl_answer handle_timevals(sl_call *call)
{
    struct timeval tv[2];
    sl_path_arg where = object_of(call);
    uint64_t address = sl_path_said(call, &where, 0);
    sl_meta_change c = {.kind = SL_META_TIMES, .now = address == 0};
    if (!c.now && sl_call_read(call, address, tv, sizeof(tv)) < 0) {
        return SL_ANSWER_VALUE(-EFAULT);
    }
    for (int i = 0; i < 2 && !c.now; i++) {
        if (tv[i].tv_usec < 0 || tv[i].tv_usec >= 1000000) {
            return SL_ANSWER_VALUE(-EINVAL);
        }
        c.times[i] = (struct timespec){tv[i].tv_sec, tv[i].tv_usec * 1000};
    }
    return start_times(call, &where, &c);
}

static sl_answer handle_utime(sl_call *call)
{
    struct utimbuf buf;
    sl_path_arg where = object_of(call);
    uint64_t address = sl_path_said(call, &where, 0);
    sl_meta_change c = {.kind = SL_META_TIMES, .now = address == 0};
    if (!c.now && sl_call_read(call, address, &buf, sizeof(buf)) < 0) {
        return SL_ANSWER_VALUE(-EFAULT);
    }
    if (!c.now) {
        c.times[0].tv_sec = buf.actime;
        c.times[1].tv_sec = buf.modtime;
    }
    return start(call, &where, &c);
}
#endif

/* ---- extended attributes ---- */

static int read_name(const sl_call *call, uint64_t address, sl_meta_change *c)
{
    int r = sl_call_read_str(call, address, c->name, sizeof(c->name));
    return r == -ENAMETOOLONG || (r == 0 && c->name[0] == '\0') ? -ERANGE : r;
}

/* setxattrat(2), Linux 6.13: what the older calls have as arguments. */
struct xattr_args {
    uint64_t value;
    uint32_t size;
    uint32_t flags;
};

static sl_answer set_xattr(sl_call *call, const sl_path_arg *where, uint64_t size, uint64_t value,
                           int flags)
{
    sl_meta_change c = {.kind = SL_META_XATTR_SET, .size = size, .flags = flags};
    int r = read_name(call, sl_path_said(call, where, 0), &c);
    if (r == 0 && strncmp(c.name, ACL, sizeof(ACL) - 1) == 0 &&
        sl_policy_wants_identity(call->sv->policy)) {
        r = -EOPNOTSUPP; /* its ids are the namespace's */
    }
    if (r == 0 && c.size > SL_META_VALUE_MAX) {
        r = -E2BIG;
    }
    c.value = r < 0 ? NULL : malloc(c.size + 1);
    if (r == 0 && c.value == NULL) {
        r = -ENOMEM;
    }
    r = r < 0 ? r : sl_call_read(call, value, c.value, c.size);
    if (r < 0) {
        free(c.value);
        return SL_ANSWER_VALUE(r);
    }
    return start(call, where, &c);
}

/* Name, value, size and flags. */
static sl_answer handle_setxattr(sl_call *call)
{
    sl_path_arg where = object_of(call);
    return set_xattr(call, &where, sl_path_said(call, &where, 2), sl_path_said(call, &where, 1),
                     (int)sl_path_said(call, &where, 3));
}

/* Name, the others, and the size of those. */
static sl_answer handle_setxattrat(sl_call *call)
{
    struct xattr_args args;
    sl_path_arg where = object_of(call);
    uint64_t size = sl_path_said(call, &where, 2);
    if (size != sizeof(args)) {
        return SL_ANSWER_VALUE(size < sizeof(args) ? -EINVAL : -E2BIG);
    }
    if (sl_call_read(call, sl_path_said(call, &where, 1), &args, sizeof(args)) < 0) {
        return SL_ANSWER_VALUE(-EFAULT);
    }
    return set_xattr(call, &where, args.size, args.value, (int)args.flags);
}

static sl_answer handle_removexattr(sl_call *call)
{
    sl_path_arg where = object_of(call);
    sl_meta_change c = {.kind = SL_META_XATTR_REMOVE};
    int r = read_name(call, sl_path_said(call, &where, 0), &c);
    return r < 0 ? SL_ANSWER_VALUE(r) : start(call, &where, &c);
}

/* ---- flags ---- */

/* The kernel reads an int, whatever the number says of its size (ioctl_iflags(2)). */
static sl_answer handle_ioctl(sl_call *call)
{
    sl_path_arg where = object_of(call);
    sl_meta_change c = {.kind = SL_META_IOCTL, .command = (uint32_t)sl_path_said(call, &where, 0)};
    size_t size = c.command == FS_IOC_FSSETXATTR ? sizeof(struct fsxattr) : sizeof(int);
    if (sl_call_read(call, sl_path_said(call, &where, 1), c.argument, size) < 0) {
        return SL_ANSWER_VALUE(-EFAULT);
    }
    return start(call, &where, &c);
}

#define IOCTL(answer, ...)                                                                         \
    {                                                                                              \
        .nr = SYS_ioctl, .action = (answer), .conds = { __VA_ARGS__ }                              \
    }

/* ioctl(2) numbers that change a file through a descriptor that may only read, and that no program
 * needs: they are refused everywhere. */
static const sl_bpf_rule settled[] = {
    {.nr = SL_NR_FILE_SETATTR, .action = SL_BPF_ERRNO(ENOSYS)}, /* callers fall back to ioctl */
    IOCTL(SL_BPF_ERRNO(EPERM),
          SL_ARG_EQ(1, 0x40806685u)), /* FS_IOC_ENABLE_VERITY: read-only for good */
    IOCTL(SL_BPF_ERRNO(EPERM), SL_ARG_EQ(1, 0x800c6613u)), /* FS_IOC_SET_ENCRYPTION_POLICY */
    IOCTL(SL_BPF_ERRNO(EPERM), SL_ARG_EQ(1, 0xc0506617u)), /* FS_IOC_ADD_ENCRYPTION_KEY */
    IOCTL(SL_BPF_ERRNO(EPERM), SL_ARG_EQ(1, 0x40047211u)), /* FAT_IOCTL_SET_ATTRIBUTES */
    /* btrfs makes and deletes subvolumes by the descriptor of a directory. What cp(1) uses for
     * copies that share blocks needs a file that may be written. */
    IOCTL(SECCOMP_RET_ALLOW, SL_ARG_EQ(1, FICLONE)),
    IOCTL(SECCOMP_RET_ALLOW, SL_ARG_EQ(1, FICLONERANGE)),
    IOCTL(SECCOMP_RET_ALLOW, SL_ARG_EQ(1, FIDEDUPERANGE)),
    IOCTL(SL_BPF_ERRNO(EPERM), SL_ARG_MASK_EQ(1, 0xff00u, 0x9400u)),
};

#define ROW(call, handle)                                                                          \
    {                                                                                              \
        .nr = (call), .handler = (handle)                                                          \
    }
#define ROW_IOCTL(command)                                                                         \
    {                                                                                              \
        .nr = SYS_ioctl, .handler = handle_ioctl, .conds = { SL_ARG_EQ(1, command) }               \
    }

static const sl_syscall_row rows[] = {
    ROW(SYS_fchmod, handle_mode),
    ROW(SYS_fchmodat, handle_mode),
    ROW(SL_NR_FCHMODAT2, handle_mode),
    ROW(SYS_fchown, handle_owner),
    ROW(SYS_fchownat, handle_owner),
    ROW(SYS_utimensat, handle_utimensat),
    ROW(SYS_setxattr, handle_setxattr),
    ROW(SYS_lsetxattr, handle_setxattr),
    ROW(SYS_fsetxattr, handle_setxattr),
    ROW(SL_NR_SETXATTRAT, handle_setxattrat),
    ROW(SYS_removexattr, handle_removexattr),
    ROW(SYS_lremovexattr, handle_removexattr),
    ROW(SYS_fremovexattr, handle_removexattr),
    ROW(SL_NR_REMOVEXATTRAT, handle_removexattr),
#ifdef SYS_chmod
    ROW(SYS_chmod, handle_mode),
    ROW(SYS_chown, handle_owner),
    ROW(SYS_lchown, handle_owner),
    ROW(SYS_utime, handle_utime),
    ROW(SYS_utimes, handle_timevals),
    ROW(SYS_futimesat, handle_timevals),
#endif
    ROW_IOCTL(FS_IOC_SETFLAGS),
    ROW_IOCTL(FS_IOC_SETVERSION),
    ROW_IOCTL(FS_IOC_FSSETXATTR),
};

const sl_feature sl_feature_metadata = {
    .name = "metadata",
    .wanted = wanted,
    .promised = sl_feature_promises_nothing, /* docs/THREAT-MODEL.md says so */
    .rows = rows,
    .row_count = SL_ARRAY_LEN(rows),
    .settled = settled,
    .settled_count = SL_ARRAY_LEN(settled),
};
