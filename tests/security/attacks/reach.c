/* Reads lines "NAME PID" and tries on each what reads, stops, changes or moves another process of
 * the same user; the last one is a child of our own. */
#include "attack.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define NR_PROCESS_MADVISE  440
#define NR_PROCESS_MRELEASE 448
#define SCHED_CORE          62 /* PR_SCHED_CORE */

static char word[16] = "their own";

static int open_of(pid_t pid, const char *file, int flags)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
    return open(path, flags);
}

static long stop_and_go(pid_t pid, int how)
{
    long r = ptrace((enum __ptrace_request)how, pid, NULL, NULL);
    if (r == 0) {
        if (how == PTRACE_SEIZE) {
            ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
        }
        waitpid(pid, NULL, __WALL);
        ptrace(PTRACE_DETACH, pid, NULL, NULL);
    }
    return r;
}

static void reach(const char *who, pid_t pid)
{
    char buffer[16] = "changed";
    struct iovec local = {buffer, sizeof(buffer)};
    struct iovec remote = {word, sizeof(word)};
    unsigned long all = 1;
    void *pages[1] = {word};
    int nodes[1] = {0};
    int status[1] = {0};
    void *head = NULL;
    size_t len = 0;
    char name[64];
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
#define TRY(what, call)                                                                            \
    snprintf(name, sizeof(name), "%s.%s", who, what);                                              \
    report(name, call)
    TRY("attach", stop_and_go(pid, PTRACE_ATTACH));
    TRY("seize", stop_and_go(pid, PTRACE_SEIZE));
    TRY("readv", process_vm_readv(pid, &local, 1, &remote, 1, 0));
    TRY("writev", process_vm_writev(pid, &local, 1, &remote, 1, 0));
    TRY("getfd", syscall(SYS_pidfd_getfd, pidfd, 0, 0));
    TRY("madvise", syscall(NR_PROCESS_MADVISE, pidfd, &remote, 1, MADV_COLD, 0));
    TRY("mrelease", syscall(NR_PROCESS_MRELEASE, pidfd, 0));
    TRY("kcmp", syscall(SYS_kcmp, pid, getpid(), 0 /* KCMP_FILE */, 0, 0));
    TRY("migrate_pages", syscall(SYS_migrate_pages, pid, 8, &all, &all));
    TRY("move_pages", syscall(SYS_move_pages, pid, 1, pages, nodes, status, 0));
    TRY("robust", syscall(SYS_get_robust_list, pid, &head, &len));
    TRY("sched_core", prctl(SCHED_CORE, 1 /* CREATE */, pid, 0, 0));
    TRY("mem", open_of(pid, "mem", O_RDWR));
    TRY("mem_read", open_of(pid, "mem", O_RDONLY));
    TRY("environ", open_of(pid, "environ", O_RDONLY));
    TRY("maps", open_of(pid, "maps", O_RDONLY));
    TRY("fd", open_of(pid, "fd/0", O_RDONLY));
    TRY("oom", open_of(pid, "oom_score_adj", O_WRONLY));
    TRY("setpgid", setpgid(pid, getpid()));
    close(pidfd);
}

int main(void)
{
    char line[128];
    char who[32];
    int pid;
    report("ready", 0);
    while (fgets(line, sizeof(line), stdin) != NULL && sscanf(line, "%31s %d", who, &pid) == 2) {
        reach(who, pid);
    }
    pid_t own = fork();
    if (own == 0) {
        for (;;) {
            pause();
        }
    }
    reach("own", own);
    kill(own, SIGKILL);
    return waitpid(own, NULL, 0) == own ? 0 : 1;
}
