/* Owns max_cpu. Where the run has a cgroup that holds its processor time there is nothing to do.
 * Else a thread measures the tree's processor time and holds the tree still (freeze.c) while it has
 * had more than its part. Our own processes run on; no system call is trapped for it.
 *
 * What a process used is asked while it lives, and of its parent once that has waited for it. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "features/features.h"
#include "kernel/proc.h"
#include "kernel/thread.h"
#include "kernel/tree.h"
#include "supervisor/freeze.h"
#include "supervisor/supervisor.h"

#define STACK      (128u * 1024u)
#define TICK_MS    5     /* between two looks */
#define TICK_SHARE 50    /* looking takes at most one part of so many of a processor */
#define CREDIT_MS  200   /* of its part that a tree saves up while it gets less */
#define THAW_MS    20    /* of its part that it must have again before it goes on */
#define KNOWN_MAX  8192u /* processes that are remembered; a power of two */

/* What a process had used when it was last seen. */
struct known {
    pid_t pid;
    uint64_t used;
    uint64_t look;
};

struct sl_cpu_state {
    sl_supervisor *sv;
    pthread_t thread;
    bool runs;
    int stop; /* eventfd */
    pid_t *pids;
    pid_t *last_pids;
    size_t last_count;
    struct known *known;
    uint64_t look;
    uint64_t gone; /* used by processes, up to when they were last seen */
    uint64_t used; /* by the tree so far */
};

static bool wanted(const sl_policy *policy)
{
    return policy->max_cpu > 0;
}

static int setup(sl_supervisor *sv, void *state, sl_error *err)
{
    struct sl_cpu_state *s = state;
    s->sv = sv;
    s->stop = -1;
    s->pids = malloc(SL_TREE_MAX * sizeof(*s->pids));
    s->last_pids = malloc(SL_TREE_MAX * sizeof(*s->last_pids));
    s->known = calloc(KNOWN_MAX, sizeof(*s->known));
    if (s->pids == NULL || s->last_pids == NULL || s->known == NULL) {
        return sl_error_set(err, ENOMEM, "not enough memory");
    }
    return 0;
}

static void teardown(void *state)
{
    struct sl_cpu_state *s = state;
    sl_close(s->stop);
    free(s->pids);
    free(s->last_pids);
    free(s->known);
}

/* clock_getcpuclockid(3), as the kernel numbers the clocks: finer than the ticks of /proc. */
static uint64_t used_by(pid_t pid)
{
    struct timespec t;
    clockid_t clock = (clockid_t)(~(unsigned)pid << 3 | 2);
    return clock_gettime(clock, &t) < 0 ? 0
                                        : (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* By children that it has waited for, and theirs: proc_pid_stat(5), cutime and cstime. */
static uint64_t used_by_children_of(pid_t pid)
{
    char text[1024];
    unsigned long user = 0;
    unsigned long system = 0;
    (void)sl_proc_read(pid, "stat", text, sizeof(text));
    const char *fields = sl_proc_stat_fields(text);
    if (fields == NULL ||
        sscanf(fields, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %lu %lu", &user,
               &system) != 2) {
        return 0;
    }
    return (user + system) * (1000000000u / (uint64_t)sysconf(_SC_CLK_TCK));
}

static uint64_t used_by_ours(void)
{
    struct rusage u;
    getrusage(RUSAGE_CHILDREN, &u);
    return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000u +
           (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000u;
}

/* A parent that ignores SIGCHLD is never told what its children used: what was seen of those that
 * are gone is kept as well, and the greater of both sums counts. */
static void measure(struct sl_cpu_state *s)
{
    uint64_t living = 0;
    uint64_t waited = used_by_ours();
    size_t count = sl_tree_list(s->sv->helper_pid, s->pids, SL_TREE_MAX);
    s->look++;
    for (size_t i = 0; i < count; i++) {
        struct known *known = &s->known[(size_t)s->pids[i] & (KNOWN_MAX - 1)];
        uint64_t used = used_by(s->pids[i]);
        *known = (struct known){.pid = s->pids[i], .used = used, .look = s->look};
        living += used;
        waited += used_by_children_of(s->pids[i]);
    }
    for (size_t i = 0; i < s->last_count; i++) {
        const struct known *known = &s->known[(size_t)s->last_pids[i] & (KNOWN_MAX - 1)];
        s->gone += known->pid == s->last_pids[i] && known->look != s->look ? known->used : 0;
    }
    pid_t *pids = s->last_pids;
    s->last_pids = s->pids;
    s->pids = pids;
    s->last_count = count;
    s->used = SL_MAX(s->used, living + SL_MAX(waited, s->gone));
}

static void *throttle(void *state)
{
    struct sl_cpu_state *s = state;
    struct pollfd stop = {.fd = s->stop, .events = POLLIN};
    int64_t percent = s->sv->policy->max_cpu;
    int64_t most = CREDIT_MS * 10000 * percent; /* ns of processor time */
    int64_t enough = THAW_MS * 10000 * percent;
    int64_t credit = enough;
    uint64_t then = sl_clock_now_ns();
    int wait_ms = TICK_MS;
    bool frozen = false;
    sl_freeze *freeze = NULL;
    prctl(PR_SET_NAME, "sandlock-cpu");
    while (poll(&stop, 1, wait_ms) == 0) {
        uint64_t began = sl_clock_thread_ns();
        uint64_t before = s->used;
        measure(s);
        uint64_t now = sl_clock_now_ns();
        credit += (int64_t)(now - then) / 100 * percent - (int64_t)(s->used - before);
        credit = SL_MIN(credit, most);
        then = now;
        if (frozen && credit >= enough) {
            sl_freeze_end(sl_steal(&freeze));
            frozen = false;
        }
        if (freeze == NULL) {
            freeze = sl_freeze_prepare(s->sv);
        }
        if (!frozen && credit < 0 && freeze != NULL) {
            sl_freeze_begin(freeze);
            frozen = true;
        }
        wait_ms = SL_MAX(TICK_MS, (int)((sl_clock_thread_ns() - began) * TICK_SHARE / 1000000u));
    }
    sl_freeze_end(freeze);
    return NULL;
}

static int start(sl_supervisor *sv, void *state, sl_error *err)
{
    struct sl_cpu_state *s = state;
    if (sl_cgroup_holds_cpu(sv->cgroup)) {
        return 0;
    }
    s->stop = eventfd(0, EFD_CLOEXEC);
    int r = s->stop < 0 ? -errno : sl_thread_start(STACK, throttle, s, &s->thread);
    if (r < 0) {
        return sl_error_set(err, -r, "cannot watch the processor time: %s", strerror(-r));
    }
    s->runs = true;
    return 0;
}

static void stop(void *state)
{
    struct sl_cpu_state *s = state;
    if (s->runs) {
        eventfd_write(s->stop, 1);
        pthread_join(s->thread, NULL);
        s->runs = false;
    }
}

const sl_feature sl_feature_cpu = {
    .name = "cpu",
    .wanted = wanted,
    .option = "--max-cpu",
    .state_size = sizeof(struct sl_cpu_state),
    .setup = setup,
    .start = start,
    .stop = stop,
    .teardown = teardown,
};
