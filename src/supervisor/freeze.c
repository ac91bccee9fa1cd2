/* Owns the stopping of the tree's threads. It uses ptrace(2), for what it stops tells nobody: no
 * SIGCHLD, nothing for waitpid(2) of a parent, no SIGCONT at the end, and job control inside the
 * tree keeps its own stops. Only threads that run are stopped, so that those which wait are not
 * woken; but for one that debugs a thread which runs.
 *
 * Each freeze is a thread that ends with it: the kernel lets go of all a thread traces when the
 * thread ends, also when the whole engine does. Nobody is ever waited for here. */
#include "supervisor/freeze.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/num.h"
#include "kernel/proc.h"
#include "kernel/thread.h"
#include "kernel/tree.h"
#include "supervisor/supervisor.h"

#define STACK         (128u * 1024u)
#define ROUNDS_MAX    16 /* one after the other, while there is somebody new */
#define SWEEP_MS      3
#define STOPPED_MAX   1024 /* processes that ptrace may not touch */
#define TASK_PATH_MAX 300

struct sl_freeze {
    sl_supervisor *sv;
    pthread_t thread;
    sem_t begin;
    sem_t begun;
    bool runs; /* it was begun */
    int end;   /* eventfd */
    pid_t *pids;
    size_t count;
    struct stopped {
        pid_t pid;
        int fd; /* pidfd */
    } stopped[STOPPED_MAX];
    size_t stopped_count;
};

/* The letter of proc_pid_stat(5); 0 when the thread is gone. */
static char state_of(int tasks, const char *tid)
{
    char path[TASK_PATH_MAX];
    char text[512];
    snprintf(path, sizeof(path), "%s/stat", tid);
    (void)sl_proc_read_at(tasks, path, text, sizeof(text));
    const char *fields = sl_proc_stat_fields(text);
    return fields == NULL ? '\0' : fields[0];
}

static bool is_of_the_tree(const sl_freeze *z, pid_t pid)
{
    size_t i = 0;
    while (i < z->count && z->pids[i] != pid) {
        i++;
    }
    return i < z->count;
}

/* Its parent and its debugger see this stop. */
static void stop_by_signal(sl_freeze *z, pid_t pid)
{
    size_t i = 0;
    while (i < z->stopped_count && z->stopped[i].pid != pid) {
        i++;
    }
    if (i < z->stopped_count &&
        syscall(SYS_pidfd_send_signal, z->stopped[i].fd, SIGSTOP, NULL, 0) == 0) {
        return; /* again: a debugger let it go on */
    }
    if (i == STOPPED_MAX) {
        return;
    }
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0 || syscall(SYS_pidfd_send_signal, fd, SIGSTOP, NULL, 0) < 0) {
        sl_close(fd);
        return;
    }
    if (i < z->stopped_count) {
        close(z->stopped[i].fd); /* of one that had this number before */
    } else {
        z->stopped_count++;
    }
    z->stopped[i] = (struct stopped){.pid = pid, .fd = fd};
}

/* A debugger inside the tree has this thread, or its program cannot be read. Who debugs it is held
 * as well, though it sleeps: it would be woken by the stop, and let the other go on. A debugger
 * that is not of the tree is left alone. Says how many threads were stopped. */
static unsigned stop_untouchable(sl_freeze *z, pid_t pid, pid_t tid)
{
    for (size_t i = 0; i <= z->count; i++) { /* debuggers may debug each other in a ring */
        long tracer = sl_proc_status(tid, "TracerPid");
        if (tracer > 0 && sl_thread_is_ours(tracer)) {
            return 0; /* stopped already */
        }
        stop_by_signal(z, pid);
        pid = tracer > 0 ? (pid_t)sl_proc_status((pid_t)tracer, "Tgid") : -1;
        if (pid <= 0 || !is_of_the_tree(z, pid)) {
            return 0;
        }
        tid = (pid_t)tracer;
        if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) == 0) {
            ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
            return 1;
        }
        if (errno != EPERM) {
            return 0;
        }
    }
    return 0;
}

/* How many threads of this process were stopped now. */
static unsigned stop_threads(sl_freeze *z, pid_t pid)
{
    char path[64];
    unsigned count = 0;
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    for (struct dirent *e; tasks != NULL && (e = readdir(tasks)) != NULL;) {
        if (e->d_name[0] == '.' || state_of(dirfd(tasks), e->d_name) != 'R') {
            continue;
        }
        pid_t tid = sl_num_pid(e->d_name);
        if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) == 0) {
            ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
            count++;
        } else if (errno == EPERM) {
            count += stop_untouchable(z, pid, tid);
        }
    }
    if (tasks != NULL) {
        closedir(tasks);
    }
    return count;
}

/* Rounds, until one finds nobody: who was born meanwhile is found by the next. */
static void sweep(sl_freeze *z)
{
    unsigned found = 1;
    for (unsigned round = 0; round < ROUNDS_MAX && found > 0; round++) {
        z->count = sl_tree_list(z->sv->helper_pid, z->pids, SL_TREE_MAX);
        found = 0;
        for (size_t i = 0; i < z->count; i++) {
            found += stop_threads(z, z->pids[i]);
        }
    }
}

static void wait_for(sem_t *sem)
{
    while (sem_wait(sem) < 0) {
    }
}

static void *hold(void *freeze)
{
    sl_freeze *z = freeze;
    struct pollfd end = {.fd = z->end, .events = POLLIN};
    prctl(PR_SET_NAME, "sandlock-freeze");
    wait_for(&z->begin);
    if (!z->runs) {
        return NULL;
    }
    sweep(z);
    sem_post(&z->begun);
    while (poll(&end, 1, SWEEP_MS) == 0) {
        sweep(z);
    }
    for (size_t i = 0; i < z->stopped_count; i++) {
        syscall(SYS_pidfd_send_signal, z->stopped[i].fd, SIGCONT, NULL, 0);
        close(z->stopped[i].fd);
    }
    return NULL;
}

sl_freeze *sl_freeze_prepare(sl_supervisor *sv)
{
    sl_freeze *z = calloc(1, sizeof(*z));
    if (z == NULL) {
        return NULL;
    }
    z->sv = sv;
    z->end = eventfd(0, EFD_CLOEXEC);
    z->pids = malloc(SL_TREE_MAX * sizeof(*z->pids));
    sem_init(&z->begin, 0, 0);
    sem_init(&z->begun, 0, 0);
    bool waits = z->end >= 0 && z->pids != NULL && sl_thread_start(STACK, hold, z, &z->thread) == 0;
    if (!waits) {
        sl_close(z->end);
        free(z->pids);
        free(z);
        return NULL;
    }
    return z;
}

void sl_freeze_begin(sl_freeze *z)
{
    z->runs = true;
    sem_post(&z->begin);
    wait_for(&z->begun);
}

void sl_freeze_let_go(sl_freeze *z)
{
    eventfd_write(z->end, 1);
    sem_post(&z->begin);
}

void sl_freeze_end(sl_freeze *z)
{
    if (z == NULL) {
        return;
    }
    sl_freeze_let_go(z);
    pthread_join(z->thread, NULL);
    sem_destroy(&z->begin);
    sem_destroy(&z->begun);
    close(z->end);
    free(z->pids);
    free(z);
}
