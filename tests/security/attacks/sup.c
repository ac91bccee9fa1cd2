/* Attempts on the supervisor. VERB and arguments:
 *   dying COUNT HOST PORT   processes that die in the middle of connect
 *   attach PID...           trace, read, limit, move or signal these processes
 *   nodump HOST PORT        connect after PR_SET_DUMPABLE 0
 *   fds                     which descriptors are open */
#include "attack.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

static int dying(long count, place *to)
{
    for (long i = 0; i < count; i++) {
        pid_t child = fork();
        if (child == 0) {
            for (;;) {
                int fd = socket(family_of(to), SOCK_STREAM, 0);
                connect(fd, place_sa(to), to->len);
                close(fd);
            }
        }
        for (long turn = 0; turn < (i * 7919) % 200; turn++) {
            sched_yield();
        }
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
    }
    printf("died %ld\n", count);
    return 0;
}

static void attach(pid_t pid)
{
    char byte[8], path[64];
    struct iovec here = {byte, sizeof(byte)}, there = {(void *)0x400000, sizeof(byte)};
    struct rlimit one = {1, 1};
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(0, &cpus);
    report("seize", ptrace(PTRACE_SEIZE, pid, NULL, NULL));
    report("readv", process_vm_readv(pid, &here, 1, &there, 1, 0));
    report("writev", process_vm_writev(pid, &here, 1, &there, 1, 0));
    snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
    report("mem", open(path, O_RDWR));
    snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
    int fd = open(path, O_RDONLY);
    report("environ", fd < 0 ? -1 : read(fd, byte, 1) == 1 ? 0 : (errno = EACCES, -1));
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    report("getfd", pidfd < 0 ? -1 : syscall(SYS_pidfd_getfd, pidfd, 0, 0));
    report("prlimit", syscall(SYS_prlimit64, pid, RLIMIT_CPU, &one, NULL));
    report("affinity", sched_setaffinity(pid, sizeof(cpus), &cpus));
    report("priority", setpriority(PRIO_PROCESS, (id_t)pid, 19));
    report("pidfd_kill", pidfd < 0 ? -1 : syscall(SYS_pidfd_send_signal, pidfd, SIGTERM, NULL, 0));
    report("kill", kill(pid, SIGTERM));
    report("tgkill", syscall(SYS_tgkill, pid, pid, SIGKILL));
}

static int open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        if (e->d_name[0] != '.' && strtol(e->d_name, NULL, 10) != dirfd(dir)) {
            printf("fd %s\n", e->d_name);
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    if (strcmp(verb, "dying") == 0 && argc == 5) {
        place to = place_of(argv[3], argv[4]);
        return dying(strtol(argv[2], NULL, 10), &to);
    } else if (strcmp(verb, "attach") == 0) {
        for (int i = 2; i < argc; i++) {
            attach((pid_t)strtol(argv[i], NULL, 10));
        }
        return 0;
    } else if (strcmp(verb, "nodump") == 0 && argc == 4) {
        place to = place_of(argv[2], argv[3]);
        report("dumpable", prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
        int fd = socket(family_of(&to), SOCK_STREAM, 0);
        return report("connect", connect(fd, place_sa(&to), to.len));
    } else if (strcmp(verb, "fds") == 0) {
        return open_fds();
    }
    return 2;
}
