/* HOW TARGET: every call that changes the metadata of a file, on TARGET named in one way. Prints
 * "CALL ok" or "CALL ERRNO". */
#include "attack.h"

#include <fcntl.h>
#include <libgen.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <utime.h>

#define NR_FCHMODAT2     452
#define NR_SETXATTRAT    463
#define NR_REMOVEXATTRAT 466
#define NR_FILE_SETATTR  469

#define XATTR "user.sandlock"

static const struct timespec then[2] = {{1000000000, 1}, {1000000000, 2}};
static const struct timeval thus[2] = {{1000000000, 1}, {1000000000, 2}};

struct xattr_args {
    unsigned long long value;
    unsigned size;
    unsigned flags;
};

/* By a path, from a directory (AT_FDCWD: the path alone). */
static void by_path(int dir, const char *path, int at)
{
    struct utimbuf times = {1000000000, 1000000000};
    struct xattr_args args = {(unsigned long long)(uintptr_t) "x", 1, 0};
    char attr[24] = {0};
    if (dir == AT_FDCWD && at == 0) {
        report("chmod", syscall(SYS_chmod, path, 0640));
        report("chown", syscall(SYS_chown, path, getuid(), getgid()));
        report("utime", syscall(SYS_utime, path, &times));
        report("utimes", syscall(SYS_utimes, path, thus));
        report("setxattr", setxattr(path, XATTR, "x", 1, 0));
        report("removexattr", removexattr(path, XATTR));
    }
    if (dir == AT_FDCWD) {
        report("lchown", syscall(SYS_lchown, path, getuid(), getgid()));
        report("lsetxattr", lsetxattr(path, XATTR, "x", 1, 0));
        report("lremovexattr", lremovexattr(path, XATTR));
    }
    if (at == 0) {
        report("fchmodat", syscall(SYS_fchmodat, dir, path, 0640));
        report("futimesat", syscall(SYS_futimesat, dir, path, thus));
    }
    report("fchmodat2", syscall(NR_FCHMODAT2, dir, path, 0640, at));
    report("fchownat", fchownat(dir, path, getuid(), getgid(), at));
    report("utimensat", syscall(SYS_utimensat, dir, path, then, at));
    report("utimensat_now", syscall(SYS_utimensat, dir, path, NULL, at));
    report("setxattrat", syscall(NR_SETXATTRAT, dir, path, at, XATTR, &args, sizeof(args)));
    report("removexattrat", syscall(NR_REMOVEXATTRAT, dir, path, at, XATTR));
    report("file_setattr", syscall(NR_FILE_SETATTR, dir, path, attr, sizeof(attr), at));
}

static void by_descriptor(int fd)
{
    int flags = 0;
    struct fsxattr x;
    report("fchmod", fchmod(fd, 0640));
    report("fchown", fchown(fd, getuid(), getgid()));
    report("futimens", syscall(SYS_utimensat, fd, NULL, then, 0));
    report("futimens_now", syscall(SYS_utimensat, fd, NULL, NULL, 0));
    report("futimes", syscall(SYS_futimesat, fd, NULL, thus));
    report("fsetxattr", fsetxattr(fd, XATTR, "x", 1, 0));
    report("fremovexattr", fremovexattr(fd, XATTR));
    if (ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0) {
        flags ^= FS_NODUMP_FL;
        report("setflags", ioctl(fd, FS_IOC_SETFLAGS, &flags));
        report("setflags_high", syscall(SYS_ioctl, fd, FS_IOC_SETFLAGS | 1ull << 32, &flags));
    }
    if (ioctl(fd, FS_IOC_FSGETXATTR, &x) == 0) {
        x.fsx_xflags ^= FS_XFLAG_NOATIME;
        report("fssetxattr", ioctl(fd, FS_IOC_FSSETXATTR, &x));
    }
    by_path(fd, "", AT_EMPTY_PATH);
}

static int opened(const char *path, int flags)
{
    int fd = open(path, flags);
    if (fd < 0) {
        report("open", -1);
        exit(1);
    }
    return fd;
}

int main(int argc, char **argv)
{
    char name[4096];
    char number[64];
    if (argc != 3) {
        return 2;
    }
    const char *how = argv[1];
    const char *target = argv[2];
    snprintf(name, sizeof(name), "%s", target);
    char *slash = strrchr(name, '/');
    *slash = '\0';
    if (strcmp(how, "path") == 0) {
        by_path(AT_FDCWD, target, 0);
    } else if (strcmp(how, "nofollow") == 0) {
        by_path(AT_FDCWD, target, AT_SYMLINK_NOFOLLOW);
    } else if (strcmp(how, "relative") == 0) {
        if (chdir(name) == 0) {
            by_path(AT_FDCWD, slash + 1, 0);
        }
    } else if (strcmp(how, "directory") == 0) {
        by_path(opened(name, O_RDONLY | O_DIRECTORY), slash + 1, 0);
    } else if (strcmp(how, "opath_directory") == 0) {
        by_path(opened(name, O_PATH), slash + 1, 0);
    } else if (strcmp(how, "descriptor") == 0) {
        by_descriptor(opened(target, O_RDONLY));
    } else if (strcmp(how, "opath") == 0) {
        by_path(opened(target, O_PATH), "", AT_EMPTY_PATH);
    } else if (strcmp(how, "proc") == 0 || strcmp(how, "proc_opath") == 0 ||
               strcmp(how, "dev") == 0 || strcmp(how, "pid") == 0) {
        int fd = opened(target, strcmp(how, "proc_opath") == 0 ? O_PATH : O_RDONLY);
        const char *head = strcmp(how, "dev") == 0 ? "/dev" : "/proc/self";
        snprintf(number, sizeof(number), "%s/fd/%d", head, fd);
        if (strcmp(how, "pid") == 0) {
            snprintf(number, sizeof(number), "/proc/%d/fd/%d", (int)getpid(), fd);
        }
        by_path(AT_FDCWD, number, 0);
    } else {
        return 2;
    }
    return 0;
}
