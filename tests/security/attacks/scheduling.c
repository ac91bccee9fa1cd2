/* PID TID PGID: changes the turn that a process, one of its threads and its group get, by every
 * call that names them; then the same of a child of its own, and of itself by 0. */
#include "attack.h"

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define IOPRIO_PROCESS 1
#define IOPRIO_GROUP   2
#define IOPRIO_USER    3
#define IOPRIO_IDLE    (3 << 13)
#define SCHED_CORE     62 /* PR_SCHED_CORE */
#define SHARE_TO       2

static char name[64];
#define TRY(who, what, call)                                                                       \
    snprintf(name, sizeof(name), "%s.%s", who, what);                                              \
    report(name, call)

static void change(const char *who, pid_t pid)
{
    struct sched_param param = {0};
    uint32_t attr[12] = {sizeof(attr), SCHED_BATCH, 0, 0, 17}; /* struct sched_attr: its nice */
    struct rlimit core = {4096, 4096};
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(0, &cpus);
    TRY(who, "priority", setpriority(PRIO_PROCESS, (id_t)pid, 17));
    TRY(who, "ioprio", syscall(SYS_ioprio_set, IOPRIO_PROCESS, pid, IOPRIO_IDLE));
    TRY(who, "affinity", sched_setaffinity(pid, sizeof(cpus), &cpus));
    TRY(who, "attr", syscall(SYS_sched_setattr, pid, attr, 0));
    TRY(who, "scheduler", sched_setscheduler(pid, SCHED_BATCH, &param));
    TRY(who, "param", sched_setparam(pid, &param));
    TRY(who, "prlimit", syscall(SYS_prlimit64, pid, RLIMIT_CORE, &core, NULL));
}

/* What asks for the right to look into the process. */
static void look(const char *who, pid_t pid)
{
    unsigned long all = 1;
    void *pages[1] = {name};
    int nodes[1] = {0};
    int status[1] = {0};
    void *head = NULL;
    size_t len = 0;
    TRY(who, "kcmp", syscall(SYS_kcmp, pid, getpid(), 0 /* KCMP_FILE */, 0, 0));
    TRY(who, "robust", syscall(SYS_get_robust_list, pid, &head, &len));
    TRY(who, "migrate_pages", syscall(SYS_migrate_pages, pid, 8, &all, &all));
    TRY(who, "move_pages", syscall(SYS_move_pages, pid, 1, pages, nodes, status, 0));
    TRY(who, "sched_core", prctl(SCHED_CORE, SHARE_TO, pid, 0, 0));
}

static void change_group(const char *who, pid_t pgid)
{
    TRY(who, "group_priority", setpriority(PRIO_PGRP, (id_t)pgid, 18));
    TRY(who, "group_ioprio", syscall(SYS_ioprio_set, IOPRIO_GROUP, pgid, IOPRIO_IDLE));
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        return 2;
    }
    pid_t pid = (pid_t)strtol(argv[1], NULL, 10);
    pid_t pgid = (pid_t)strtol(argv[3], NULL, 10);
    change("other", pid);
    change("thread", (pid_t)strtol(argv[2], NULL, 10));
    look("other", pid);
    change_group("other", pgid);
    TRY("other", "setpgid", setpgid(pid, 0));
    TRY("other", "join", setpgid(0, pgid));
    if (getenv("EVERYBODY") != NULL) {
        TRY("user", "priority", setpriority(PRIO_USER, getuid(), 0));
        TRY("user", "ioprio", syscall(SYS_ioprio_set, IOPRIO_USER, getuid(), 0));
    }
    pid_t own = fork();
    if (own == 0) {
        for (;;) {
            pause();
        }
    }
    TRY("own", "setpgid", setpgid(own, own));
    change("own", own);
    look("own", own);
    change_group("own", own);
    TRY("own", "join", setpgid(0, own));
    change("self", 0);
    kill(own, SIGKILL);
    return waitpid(own, NULL, 0) == own ? 0 : 1;
}
