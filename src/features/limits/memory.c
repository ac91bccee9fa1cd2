/* Owns max_memory: a thread that kills the tree when it is over the limit. No system call is
 * trapped for it, and nothing the tree does is answered here.
 *
 * Where the run has a cgroup that holds its memory, the thread waits for the kernel's word.
 * Elsewhere it counts, and sleeps for no longer than the tree could take to fill what is left. It
 * must get by without any other thread of ours: the last thing between the limit and the machine.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/sched.h"
#include "features/features.h"
#include "features/limits/limits.h"
#include "features/limits/memcount.h"
#include "kernel/thread.h"
#include "kernel/tree.h"
#include "supervisor/supervisor.h"

#define STACK         (256u * 1024u)
#define BYTES_PER_US  8192u /* one processor fills: fallocate(2) of a memfd is the fastest */
#define PROCESSORS    4     /* that may do so at once; more share the memory's own speed */
#define PERIOD_MIN_NS 200000u
#define PERIOD_MAX_NS 50000000u
#define COST_SHARE    8 /* counting takes at most one part of so many of a processor */

struct sl_memory_state {
    sl_supervisor *sv;
    sl_memcount *count;
    pthread_t thread;
    bool runs;
    int stop; /* eventfd */
    int main_pidfd;
    _Atomic uint64_t peak;
    atomic_bool over;
};

static bool wanted(const sl_policy *policy)
{
    return policy->max_memory > 0;
}

static int setup(sl_supervisor *sv, void *state, sl_error *err)
{
    struct sl_memory_state *s = state;
    s->sv = sv;
    s->stop = -1;
    s->main_pidfd = -1;
    s->count = sl_memcount_new(sv);
    if (s->count == NULL) {
        return sl_error_set(err, ENOMEM, "not enough memory to watch the memory limit");
    }
    return 0;
}

static void teardown(void *state)
{
    struct sl_memory_state *s = state;
    sl_close(s->stop);
    sl_close(s->main_pidfd);
    sl_memcount_free(s->count);
}

/* A number may be another's by the time it is killed. A pidfd that was opened before the process
 * was found in the tree (again), and still lives, is of the tree. */
static void kill_tree(const struct sl_memory_state *s)
{
    const sl_supervisor *sv = s->sv;
    sl_autofree pid_t *seen = malloc(SL_TREE_MAX * sizeof(*seen));
    sl_autofree pid_t *again = malloc(SL_TREE_MAX * sizeof(*again));
    sl_autofree int *fds = malloc(SL_TREE_MAX * sizeof(*fds));
    if (seen != NULL && again != NULL && fds != NULL) {
        size_t count = sl_tree_list(sv->helper_pid, seen, SL_TREE_MAX);
        for (size_t i = 0; i < count; i++) {
            fds[i] = (int)syscall(SYS_pidfd_open, seen[i], 0);
        }
        size_t still = sl_tree_list(sv->helper_pid, again, SL_TREE_MAX);
        for (size_t i = 0; i < count; i++) {
            for (size_t k = 0; fds[i] >= 0 && k < still; k++) {
                if (again[k] == seen[i]) {
                    syscall(SYS_pidfd_send_signal, fds[i], SIGKILL, NULL, 0);
                    break;
                }
            }
            sl_close(fds[i]);
        }
    }
    if (sl_cgroup_holds_memory(sv->cgroup)) {
        sl_cgroup_kill(sv->cgroup);
    }
    /* Its end is what the loop waits for. */
    syscall(SYS_pidfd_send_signal, s->main_pidfd, SIGKILL, NULL, 0);
}

/* Over the limit, and not because one process ended while another was looked at. What all looks
 * with the tree held took is said once. */
static bool is_over(struct sl_memory_state *s, sl_memcount_result *ret_result)
{
    uint64_t limit = s->sv->policy->max_memory;
    uint64_t look_ns = 0;
    for (int i = 0; i < 2 && !ret_result->held; i++) {
        *ret_result = sl_memcount_take(s->count, limit);
        ret_result->look_ns = look_ns += ret_result->look_ns;
        if (ret_result->least <= limit) {
            if (ret_result->least > atomic_load(&s->peak)) {
                atomic_store(&s->peak, ret_result->least);
            }
            return false;
        }
    }
    atomic_store(&s->peak, ret_result->least);
    return true;
}

/* How long the tree needs at least to get over the limit. */
static uint64_t period_ns(uint64_t limit, const sl_memcount_result *result, uint64_t cost_ns)
{
    static unsigned processors;
    if (processors == 0) {
        long n = sysconf(_SC_NPROCESSORS_ONLN);
        processors = n < 1 ? 1 : (unsigned)SL_MIN(n, PROCESSORS);
    }
    uint64_t has = result->most < limit ? result->most : result->least;
    uint64_t left = has < limit ? limit - has : 0;
    uint64_t ns = left / (BYTES_PER_US * processors) * 1000;
    ns = SL_MAX(SL_MIN(ns, PERIOD_MAX_NS), PERIOD_MIN_NS);
    return SL_MAX(ns, cost_ns * COST_SHARE);
}

static void *watch(void *state)
{
    struct sl_memory_state *s = state;
    struct pollfd stop = {.fd = s->stop, .events = POLLIN};
    prctl(PR_SET_NAME, "sandlock-memory");
    sl_sched_ask_for_short_slices();
    prctl(PR_SET_TIMERSLACK, 1);
    for (;;) {
        sl_memcount_result result = {0};
        uint64_t began = sl_clock_thread_ns();
        if (is_over(s, &result)) {
            atomic_store(&s->over, true);
            kill_tree(s);
            sl_memcount_let_go(s->count);
            return NULL;
        }
        uint64_t cost = sl_clock_thread_ns() - began - result.look_ns;
        uint64_t ns = period_ns(s->sv->policy->max_memory, &result, cost);
        struct timespec wait = {.tv_sec = (time_t)(ns / 1000000000u),
                                .tv_nsec = (long)(ns % 1000000000u)};
        if (ppoll(&stop, 1, &wait, NULL) > 0) {
            return NULL;
        }
    }
}

/* The kernel kills the whole cgroup by itself, but for who had himself excepted (oom_score_adj). */
static void *watch_cgroup(void *state)
{
    struct sl_memory_state *s = state;
    const sl_cgroup *cgroup = s->sv->cgroup;
    struct pollfd fds[] = {
        {.fd = s->stop, .events = POLLIN},
        {.fd = sl_cgroup_events_fd(cgroup), .events = POLLPRI},
    };
    prctl(PR_SET_NAME, "sandlock-memory");
    while (!sl_cgroup_is_over_memory(cgroup)) {
        if (poll(fds, SL_ARRAY_LEN(fds), -1) > 0 && fds[0].revents != 0) {
            return NULL;
        }
    }
    atomic_store(&s->over, true);
    kill_tree(s);
    return NULL;
}

static int start(sl_supervisor *sv, void *state, sl_error *err)
{
    struct sl_memory_state *s = state;
    s->stop = eventfd(0, EFD_CLOEXEC);
    s->main_pidfd = (int)syscall(SYS_pidfd_open, sv->main_pid, 0);
    if (s->stop < 0 || s->main_pidfd < 0) {
        return sl_error_set(err, errno, "cannot watch the memory limit: %s", strerror(errno));
    }
    int r = sl_thread_start(STACK, sl_cgroup_holds_memory(sv->cgroup) ? watch_cgroup : watch, s,
                            &s->thread);
    if (r < 0) {
        return sl_error_set(err, -r, "cannot watch the memory limit: %s", strerror(-r));
    }
    s->runs = true;
    return 0;
}

static void stop(void *state)
{
    struct sl_memory_state *s = state;
    if (s->runs) {
        eventfd_write(s->stop, 1);
        pthread_join(s->thread, NULL);
        s->runs = false;
    }
}

bool sl_memory_is_over(const sl_supervisor *sv)
{
    const struct sl_memory_state *s = sl_supervisor_state(sv, &sl_feature_memory);
    return s != NULL && (atomic_load(&s->over) || (sl_cgroup_holds_memory(sv->cgroup) &&
                                                   sl_cgroup_is_over_memory(sv->cgroup)));
}

uint64_t sl_memory_peak(const sl_supervisor *sv)
{
    if (sl_cgroup_holds_memory(sv->cgroup)) {
        return sl_cgroup_peak_memory(sv->cgroup);
    }
    const struct sl_memory_state *s = sl_supervisor_state(sv, &sl_feature_memory);
    return s == NULL ? 0 : atomic_load(&s->peak);
}

const sl_feature sl_feature_memory = {
    .name = "memory",
    .wanted = wanted,
    .option = "--max-memory",
    .state_size = sizeof(struct sl_memory_state),
    .setup = setup,
    .start = start,
    .stop = stop,
    .teardown = teardown,
};
