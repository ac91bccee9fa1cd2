/* Owns the holding of a process's other threads for the time of one call, by ptrace(2): it tells
 * nobody, and whatever happens to us the kernel lets go of them when the thread that holds ends.
 *
 * A thread that was told to stop runs no more code of its own. It is held when it is seen to be
 * stopped, or waits in the kernel in a way that cannot be interrupted; what it does there when the
 * wait is over puts no descriptor under a number that is taken. Where memory has to stay as it is
 * only two such waits will do: for us, since nobody is answered meanwhile (sl_hold_quiet), and for
 * a child of vfork(2), which is held itself. Never answers before all are. */
#include "supervisor/hold.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/num.h"
#include "core/util.h"
#include "kernel/place.h"
#include "kernel/proc.h"
#include "kernel/thread.h"
#include "kernel/tree.h"
#include "supervisor/supervisor.h"
#include "supervisor/worker.h"

#define STACK       (64u * 1024u)
#define THREADS_MAX 4096  /* of one process; more are not held: refused */
#define SETTLE_MS   10000 /* for the others to stop, on a machine that has much else to do */
#define CALL_MS     10000 /* for the call to end; then the process does */
#define LOOK_NS     20000
/* flags by which clone(2) itself writes */
#define CLONE_WRITES (CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_PIDFD)
#define OPTIONS      (PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK)

struct hold {
    sl_job job; /* first */
    sl_hold_check check;
    pid_t tgid;
    enum sl_hold_whom whom;
    sl_answer answer;
    uint64_t deadline_ms; /* for the others to stop */
    size_t count;
    pid_t held[THREADS_MAX];
};

void sl_hold_quiet(sl_supervisor *sv)
{
    if (!sl_place_fetches()) {
        pthread_rwlock_rdlock(&sv->quiet);
    }
}

void sl_hold_quiet_over(sl_supervisor *sv)
{
    if (!sl_place_fetches()) {
        pthread_rwlock_unlock(&sv->quiet);
    }
}

/* The letter of proc_pid_stat(5); 0 when the thread is gone. */
static char state_of(pid_t tid)
{
    char text[512];
    (void)sl_proc_read(tid, "stat", text, sizeof(text));
    const char *fields = sl_proc_stat_fields(text);
    return fields == NULL ? '\0' : fields[0];
}

static bool is_gone(char state)
{
    return state == '\0' || state == 'Z' || state == 'X';
}

static bool is_held(const struct hold *h, pid_t tid)
{
    size_t i = 0;
    while (i < h->count && h->held[i] != tid) {
        i++;
    }
    return i < h->count;
}

/* 1: it is ours from now on; 0: it is gone, or was born into our hands; -EAGAIN while another
 * thread of ours has it (freeze.c), or nobody has any more; -EPERM. */
static int seize(pid_t tid)
{
    if (ptrace(PTRACE_SEIZE, tid, NULL, OPTIONS) == 0) {
        return 1;
    }
    if (errno == ESRCH || is_gone(state_of(tid))) {
        return 0;
    }
    long tracer = sl_proc_status(tid, "TracerPid");
    return tracer == gettid() ? 0 : tracer == 0 || sl_thread_is_ours(tracer) ? -EAGAIN : -EPERM;
}

/* 0, also when there is nobody to stop; -EAGAIN: later; -errno. */
static int stop(pid_t tid)
{
    int r = seize(tid);
    if (r == -EAGAIN && sl_proc_status(tid, "TracerPid") == 0) {
        r = seize(tid); /* let go of meanwhile, or not ours to hold */
        r = r == -EAGAIN && sl_proc_status(tid, "TracerPid") == 0 ? -EPERM : r;
    }
    if (r <= 0) {
        return r;
    }
    return ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) < 0 && errno != ESRCH ? -errno : 0;
}

/* Stops those of a process that are not yet. How many there were or will be, or -errno. */
static int stop_new_of(struct hold *h, pid_t pid)
{
    char path[64];
    int found = 0;
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return errno == ENOENT && pid != h->tgid ? 0 : -errno;
    }
    for (struct dirent *e; found >= 0 && (e = readdir(dir)) != NULL;) {
        pid_t tid = sl_num_pid(e->d_name);
        if (tid <= 0 || tid == h->job.call.tid || is_held(h, tid)) {
            continue;
        }
        int r = h->count == THREADS_MAX ? -EPERM : stop(tid);
        if (r == 0) {
            h->held[h->count++] = tid;
        }
        found = r < 0 && r != -EAGAIN ? r : found + 1;
    }
    closedir(dir);
    return found;
}

static int stop_new(struct hold *h)
{
    if (h->whom == SL_HOLD_THREADS) {
        return stop_new_of(h, h->tgid);
    }
    sl_autofree pid_t *list = malloc(SL_TREE_MAX * sizeof(*list));
    size_t count = list == NULL ? 0 : sl_tree_list(h->job.call.sv->helper_pid, list, SL_TREE_MAX);
    int found = count == 0 ? -ENOMEM : 0;
    for (size_t i = 0; found >= 0 && i < count; i++) {
        int r = stop_new_of(h, list[i]);
        found = r < 0 ? r : found + r;
    }
    return found;
}

static void look_later(void)
{
    clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){.tv_nsec = LOOK_NS}, NULL);
}

/* True for a wait in the kernel that ends in writing to nobody's memory. */
static bool is_inert(pid_t tid)
{
    static const char ours[] = "seccomp_do_user_notification";
    char text[256];
    unsigned long nr = 0;
    unsigned long flags = 0;
    if (sl_proc_read(tid, "wchan", text, sizeof(text)) > 0 &&
        strncmp(text, ours, sizeof(ours) - 1) == 0) {
        return true;
    }
    if (sl_proc_read(tid, "syscall", text, sizeof(text)) <= 0 ||
        sscanf(text, "%lu 0x%lx", &nr, &flags) != 2) {
        return false;
    }
    return nr == SYS_vfork ||
           (nr == SYS_clone && (flags & (CLONE_VFORK | CLONE_WRITES)) == CLONE_VFORK);
}

/* 't': stopped by us; 'D': in the kernel, and stopped before it is back. */
static bool is_still(pid_t tid, enum sl_hold_whom whom)
{
    char state = state_of(tid);
    return state == 't' || is_gone(state) ||
           (state == 'D' && (whom != SL_HOLD_MEMORY || is_inert(tid)));
}

static bool wait_still(const struct hold *h, size_t from)
{
    while (from < h->count) {
        if (is_still(h->held[from], h->whom)) {
            from++;
        } else if (sl_clock_now_ms() >= h->deadline_ms) {
            return false;
        } else {
            look_later();
        }
    }
    return true;
}

/* Rounds, until one finds nobody new: threads that were being made when theirs was stopped. */
static bool hold_others(struct hold *h)
{
    h->deadline_ms = sl_clock_now_ms() + SETTLE_MS;
    size_t settled = 0;
    for (int found = 1; found > 0;) {
        found = stop_new(h);
        if (found < 0 || !wait_still(h, settled)) {
            return false;
        }
        if (found > 0 && settled == h->count) { /* another thread of ours has them */
            if (sl_clock_now_ms() >= h->deadline_ms) {
                return false;
            }
            look_later();
        }
        settled = h->count;
    }
    return true;
}

/* The caller waits for our answer, and stops when its call is over. Until then it is not known to
 * have looked its descriptor up. */
static void let_call_happen(struct hold *h)
{
    const sl_call *call = &h->job.call;
    uint64_t deadline_ms = sl_clock_now_ms() + CALL_MS;
    int r;
    while ((r = stop(call->tid)) == -EAGAIN && sl_clock_now_ms() < deadline_ms) {
        look_later();
    }
    if (r < 0 || !sl_call_valid(call)) {
        return;
    }
    h->answer = SL_ANSWER_PASS;
    sl_dispatch_answer(call, &h->answer);
    for (char state = 0; (state = state_of(call->tid)) != 't' && !is_gone(state);) {
        if (sl_clock_now_ms() >= deadline_ms) {
            kill(h->tgid, SIGKILL);
            return;
        }
        look_later();
    }
}

/* The lock is free soon: who has it answers or writes. Those that were answered before it was ours
 * are waited for once more. */
static void check_and_let_go_on(struct hold *h)
{
    bool quiet = h->whom == SL_HOLD_MEMORY;
    if (quiet) {
        pthread_rwlock_wrlock(&h->job.call.sv->quiet);
    }
    if ((!quiet || wait_still(h, 0)) && h->check(&h->job.call)) {
        let_call_happen(h);
    }
    if (quiet) {
        pthread_rwlock_unlock(&h->job.call.sv->quiet);
    }
}

static void *hold(void *arg)
{
    struct hold *h = arg;
    prctl(PR_SET_NAME, "sandlock-hold");
    if (hold_others(h)) {
        check_and_let_go_on(h);
    }
    return NULL; /* which lets go of all */
}

static sl_answer perform(sl_job *job)
{
    struct hold *h = (struct hold *)job;
    pthread_t thread;
    if (sl_thread_start(STACK, hold, h, &thread) == 0) {
        pthread_join(thread, NULL);
    }
    return h->answer; /* a call that was let go does not hear it any more */
}

static void free_job(sl_job *job)
{
    free(job);
}

sl_answer sl_hold_continue(const sl_call *call, enum sl_hold_whom whom, sl_hold_check check)
{
    struct hold *h = malloc(sizeof(*h));
    pid_t tgid = sl_call_tgid(call);
    if (h == NULL || tgid < 0) {
        free(h);
        return SL_ANSWER_VALUE(-ENOBUFS);
    }
    h->job = (sl_job){.call = *call, .perform = perform, .free = free_job};
    h->check = check;
    h->tgid = tgid;
    h->whom = whom;
    h->answer = SL_ANSWER_VALUE(-EACCES);
    h->count = 0;
    return sl_worker_start(&h->job);
}
