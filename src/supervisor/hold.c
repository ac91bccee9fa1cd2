/* Owns the holding of a process's other threads for the time of one call, by ptrace(2): it tells
 * nobody, and whatever happens to us the kernel lets go of them when the thread that holds ends.
 *
 * A thread that was told to stop runs no more code of its own. It is held when it is seen to be
 * stopped, or waits in the kernel in a way that cannot be interrupted; what it does there when the
 * wait is over puts no descriptor under a number that is taken, and makes nobody who is not held.
 * Never answers before all are. */
#include "supervisor/hold.h"

#include <dirent.h>
#include <elf.h>
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
#include <sys/uio.h>
#include <sys/user.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/num.h"
#include "core/util.h"
#include "kernel/arch/arch.h"
#include "kernel/proc.h"
#include "kernel/thread.h"
#include "kernel/tree.h"
#include "supervisor/supervisor.h"
#include "supervisor/worker.h"

#define STACK       (64u * 1024u)
#define THREADS_MAX 4096  /* of all; more are not held: refused */
#define SETTLE_MS   10000 /* for the others to stop, on a machine that has much else to do */
#define CALL_MS     10000 /* for the call to end; then the process does */
#define LOOK_NS     20000
#define LISTS_TREE  3 /* that find nobody new, one after the other (hold_others) */
#define OPTIONS     (PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK)

struct hold {
    sl_job job; /* first */
    const sl_hold_way *way;
    sl_hold_memo memo;
    pid_t tgid;
    sl_answer answer;
    uint64_t deadline_ms; /* for the others to stop */
    pid_t *list;          /* processes of the last round */
    size_t listed;
    size_t count;
    struct held {
        pid_t tid;
        pid_t tgid;
    } held[THREADS_MAX]; /* ours until we end, or dead as a first thread is before the others: each
                            is one of its process's `Threads` */
};

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
    while (i < h->count && h->held[i].tid != tid) {
        i++;
    }
    return i < h->count;
}

/* 1: it is ours from now on; 0: it is dead, and stays as long as its process; -ESRCH: nobody is
 * there any more; -EAGAIN while another thread of ours has it (freeze.c), it is about to be gone,
 * or nobody has it any more; -EPERM. */
static int seize(pid_t tid, pid_t tgid)
{
    if (ptrace(PTRACE_SEIZE, tid, NULL, OPTIONS) == 0) {
        return 1;
    }
    char state = state_of(tid);
    if (is_gone(state)) {
        return state == '\0' ? -ESRCH : tid == tgid ? 0 : -EAGAIN;
    }
    long tracer = sl_proc_status(tid, "TracerPid");
    return tracer == gettid() ? 1 : tracer <= 0 || sl_thread_is_ours(tracer) ? -EAGAIN : -EPERM;
}

/* 0: it is held, or dead for good; -ESRCH, -EAGAIN: later; -errno. */
static int stop(pid_t tid, pid_t tgid)
{
    int r = seize(tid, tgid);
    if (r == -EAGAIN && sl_proc_status(tid, "TracerPid") == 0 && !is_gone(state_of(tid))) {
        r = seize(tid, tgid); /* let go of meanwhile, or not ours to hold */
        bool refused = r == -EAGAIN && sl_proc_status(tid, "TracerPid") == 0;
        r = refused && !is_gone(state_of(tid)) ? -EPERM : r;
    }
    if (r <= 0) {
        return r;
    }
    return ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) < 0 && errno != ESRCH ? -errno : 0;
}

/* Stops those of a process that are not yet. How many there were or will be, or -errno. One that
 * was there and is gone counts: it may have left a child behind. */
static int stop_new_of(struct hold *h, pid_t pid)
{
    char path[64];
    int found = 0;
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return errno == ENOENT && pid != h->tgid ? 1 : -errno;
    }
    for (struct dirent *e; found >= 0 && (e = readdir(dir)) != NULL;) {
        pid_t tid = sl_num_pid(e->d_name);
        if (tid <= 0 || tid == h->job.call.tid || is_held(h, tid)) {
            continue;
        }
        int r = h->count == THREADS_MAX ? -EPERM : stop(tid, pid);
        if (r == 0) {
            h->held[h->count++] = (struct held){.tid = tid, .tgid = pid};
        }
        found = r < 0 && r != -EAGAIN && r != -ESRCH ? r : found + 1;
    }
    closedir(dir);
    return found;
}

static int stop_new(struct hold *h)
{
    h->list[0] = h->tgid;
    h->listed = 1;
    bool whole = true;
    if (h->way->whom == SL_HOLD_TREE) {
        h->listed = sl_tree_list_whole(h->job.call.sv->helper_pid, h->list, SL_TREE_MAX, &whole);
    }
    int found = h->listed == 0 || h->listed == SL_TREE_MAX ? -EPERM : !whole;
    for (size_t i = 0; found >= 0 && i < h->listed; i++) {
        int r = stop_new_of(h, h->list[i]);
        found = r < 0 ? r : found + r;
    }
    return found;
}

static void look_later(void)
{
    clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){.tv_nsec = LOOK_NS}, NULL);
}

static bool waits_in(pid_t tid, const char *function)
{
    char text[256];
    size_t len = strlen(function);
    return sl_proc_read(tid, "wchan", text, sizeof(text)) > 0 &&
           strncmp(text, function, len) == 0 && (text[len] == '\0' || text[len] == '.');
}

/* False while it may be making somebody who is not ours: it looked before we had it whether it has
 * a tracer, or says that the other is to have none. Who waits for the child of a vfork(2) has made
 * it, and who waits for our answer has not begun. */
static bool makes_nobody(pid_t tid)
{
    char text[256];
    long nr = -1;
    unsigned long flags = 0;
    if (sl_proc_read(tid, "syscall", text, sizeof(text)) <= 0 ||
        sscanf(text, "%ld 0x%lx", &nr, &flags) < 1) {
        return false;
    }
    bool makes = nr == SYS_clone;
#ifdef SYS_fork
    makes = makes || nr == SYS_fork || nr == SYS_vfork;
    flags = nr == SYS_clone ? flags : 0;
#endif
    return !makes || waits_in(tid, "kernel_clone") || waits_in(tid, "wait_for_vfork_done") ||
           ((flags & CLONE_UNTRACED) == 0 && waits_in(tid, "seccomp_do_user_notification"));
}

/* 't': stopped by us; 'D': in the kernel, and stopped before it is back. */
static bool is_still(pid_t tid)
{
    char state = state_of(tid);
    return state == 't' || is_gone(state) || (state == 'D' && makes_nobody(tid));
}

static bool wait_still(const struct hold *h, size_t from)
{
    while (from < h->count) {
        if (is_still(h->held[from].tid)) {
            from++;
        } else if (sl_clock_now_ms() >= h->deadline_ms) {
            return false;
        } else {
            look_later();
        }
    }
    return true;
}

/* The kernel ends a list of threads early where one ends meanwhile: what a process says of their
 * number has to be what we have. */
static bool has_all_of(const struct hold *h, pid_t pid)
{
    long count = pid == h->tgid;
    long threads = sl_proc_status(pid, "Threads");
    for (size_t i = 0; i < h->count; i++) {
        count += h->held[i].tgid == pid;
    }
    return threads == count;
}

/* A dead one that we hold stays, and is counted, until somebody waits for it: the engine does, for
 * all that its threads hold. Whoever has a number again that was ours is ours, too, or is not. */
static bool is_ours_yet(const struct held *held)
{
    char state = state_of(held->tid);
    return state != '\0' && ((held->tid == held->tgid && is_gone(state)) ||
                             sl_proc_status(held->tid, "TracerPid") == gettid());
}

/* Asked in this order: who is there behind the count was there at the count. */
static bool has_all(const struct hold *h)
{
    bool all = true;
    for (size_t i = 0; all && i < h->listed; i++) {
        all = has_all_of(h, h->list[i]);
    }
    for (size_t i = 0; all && i < h->count; i++) {
        all = is_ours_yet(&h->held[i]);
    }
    return all;
}

/* A thread that executes a program gets its process's number, and ends all others. */
static void forget_gone(struct hold *h)
{
    size_t kept = 0;
    for (size_t i = 0; i < h->count; i++) {
        if (is_ours_yet(&h->held[i])) {
            h->held[kept++] = h->held[i];
        }
    }
    h->count = kept;
}

/* Rounds, until they find nobody new: threads that were being made when theirs was stopped. The
 * tree is listed again then. A parent that ends between two looks hides its child from one, and
 * leaves it to another parent, up the tree: no child of a held one is hidden from the second, and
 * what that one leaves behind, below one that adopts (prctl(2)), not from the third. */
static bool hold_others(struct hold *h)
{
    h->deadline_ms = sl_clock_now_ms() + SETTLE_MS;
    size_t settled = 0;
    int wanted = h->way->whom == SL_HOLD_TREE ? LISTS_TREE : 1;
    for (int complete = 0; complete < wanted;) {
        size_t before = h->count;
        int found = stop_new(h);
        if (found < 0 || !wait_still(h, settled)) {
            return false;
        }
        settled = h->count;
        bool all = has_all(h);
        complete = found == 0 && all ? complete + 1 : 0;
        if (complete == 0 &&
            (sl_clock_now_ms() >= h->deadline_ms || !sl_call_valid(&h->job.call))) {
            return false;
        }
        if (complete == 0 && before == h->count) { /* another thread of ours has them */
            look_later();
        }
        if (!all) {
            forget_gone(h);
            settled = 0;
        }
    }
    return true;
}

/* Everybody, as all are held: a file that two have is not taken from them otherwise. */
static void end_tree(const struct hold *h)
{
    kill(h->tgid, SIGKILL);
    for (size_t i = 0; i < h->count; i++) {
        if (h->held[i].tid == h->held[i].tgid) {
            kill(h->held[i].tgid, SIGKILL);
        }
    }
}

/* What the call that it stands behind returned. */
static bool result_of(pid_t tid, long *ret_result)
{
    struct user_regs_struct regs;
    struct iovec iov = {.iov_base = &regs, .iov_len = sizeof(regs)};
    if (ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &iov) < 0) {
        return false;
    }
    *ret_result = sl_arch_result(&regs);
    return true;
}

/* The caller stands behind its call, or is gone, and nobody else has gone on. */
static void judge(struct hold *h)
{
    long result = 0;
    bool known = result_of(h->job.call.tid, &result);
    if (h->way->judge != NULL &&
        (!known || (result >= 0 && !h->way->judge(&h->job.call, result, &h->memo)))) {
        end_tree(h);
    }
}

/* The caller waits for our answer, and stops when its call is over. Until then it is not known to
 * have looked its descriptor up. */
static void let_call_happen(struct hold *h)
{
    const sl_call *call = &h->job.call;
    uint64_t deadline_ms = sl_clock_now_ms() + CALL_MS;
    int r;
    while ((r = stop(call->tid, h->tgid)) == -EAGAIN && sl_clock_now_ms() < deadline_ms) {
        look_later();
    }
    if (r < 0 || !sl_call_valid(call)) {
        return;
    }
    h->answer = SL_ANSWER_PASS;
    sl_supervisor_answer(call, &h->answer);
    for (char state = 0; (state = state_of(call->tid)) != 't' && !is_gone(state);) {
        if (sl_clock_now_ms() >= deadline_ms) {
            end_tree(h);
            return;
        }
        look_later();
    }
    judge(h);
}

static void *hold(void *arg)
{
    struct hold *h = arg;
    prctl(PR_SET_NAME, "sandlock-hold");
    if (hold_others(h) && h->way->check(&h->job.call, &h->memo)) {
        let_call_happen(h);
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
    free(((struct hold *)job)->list);
    free(job);
}

sl_answer sl_hold_continue(const sl_call *call, const sl_hold_way *way)
{
    struct hold *h = malloc(sizeof(*h));
    pid_t *list = malloc((way->whom == SL_HOLD_TREE ? SL_TREE_MAX : 1) * sizeof(*list));
    pid_t tgid = sl_call_tgid(call);
    if (h == NULL || list == NULL || tgid < 0) {
        free(list);
        free(h);
        return SL_ANSWER_VALUE(-ENOBUFS);
    }
    h->job = (sl_job){.call = *call, .perform = perform, .free = free_job};
    h->way = way;
    h->memo = (sl_hold_memo){0};
    h->tgid = tgid;
    h->answer = SL_ANSWER_VALUE(-EACCES);
    h->list = list;
    h->count = 0;
    return sl_worker_start(&h->job);
}
