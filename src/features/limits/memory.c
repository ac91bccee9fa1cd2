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
#include "features/limits/memcount.h"
#include "kernel/tree.h"
#include "supervisor/supervisor.h"

#define STACK         (256u * 1024u)
#define BYTES_PER_US  8192u /* one processor fills: fallocate(2) of a memfd is the fastest */
#define PROCESSORS    4     /* that may do so at once; more share the memory's own speed */
#define PERIOD_MIN_NS 200000u
#define PERIOD_MAX_NS 50000000u
#define COST_SHARE    8 /* counting takes at most one part of so many of a processor */

struct sl_memory_state {
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

static int setup(sl_sandbox *sb, sl_error *err)
{
    struct sl_memory_state *s = calloc(1, sizeof(*s));
    sb->memory = s;
    if (s == NULL) {
        return sl_error_set(err, ENOMEM, "not enough memory");
    }
    s->stop = -1;
    s->main_pidfd = -1;
    s->count = sl_memcount_new(sb);
    if (s->count == NULL) {
        return sl_error_set(err, ENOMEM, "not enough memory to watch the memory limit");
    }
    return 0;
}

static void teardown(sl_sandbox *sb)
{
    struct sl_memory_state *s = sb->memory;
    if (s != NULL) {
        sl_close(s->stop);
        sl_close(s->main_pidfd);
        sl_memcount_free(s->count);
        free(s);
        sb->memory = NULL;
    }
}

/* A number may be another's by the time it is killed. A pidfd that was opened before the process
 * was found in the tree (again), and still lives, is of the tree. */
static void kill_tree(const sl_sandbox *sb)
{
    sl_autofree pid_t *seen = malloc(SL_TREE_MAX * sizeof(*seen));
    sl_autofree pid_t *again = malloc(SL_TREE_MAX * sizeof(*again));
    sl_autofree int *fds = malloc(SL_TREE_MAX * sizeof(*fds));
    if (seen != NULL && again != NULL && fds != NULL) {
        size_t count = sl_tree_list(sb->helper_pid, seen, SL_TREE_MAX);
        for (size_t i = 0; i < count; i++) {
            fds[i] = (int)syscall(SYS_pidfd_open, seen[i], 0);
        }
        size_t still = sl_tree_list(sb->helper_pid, again, SL_TREE_MAX);
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
    if (sl_cgroup_holds_memory(sb->cgroup)) {
        sl_cgroup_kill(sb->cgroup);
    }
    /* Its end is what the loop waits for. */
    syscall(SYS_pidfd_send_signal, sb->memory->main_pidfd, SIGKILL, NULL, 0);
}

/* Over the limit, and not because one process ended while another was looked at. What all looks
 * with the tree held took is said once. */
static bool is_over(const sl_sandbox *sb, sl_memcount_result *ret_result)
{
    struct sl_memory_state *s = sb->memory;
    uint64_t limit = sb->policy->max_memory;
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

static void *watch(void *sandbox)
{
    sl_sandbox *sb = sandbox;
    struct sl_memory_state *s = sb->memory;
    struct pollfd stop = {.fd = s->stop, .events = POLLIN};
    prctl(PR_SET_NAME, "sandlock-memory");
    sl_sched_ask_for_short_slices();
    prctl(PR_SET_TIMERSLACK, 1);
    for (;;) {
        sl_memcount_result result = {0};
        uint64_t began = sl_clock_thread_ns();
        if (is_over(sb, &result)) {
            atomic_store(&s->over, true);
            kill_tree(sb);
            sl_memcount_let_go(s->count);
            return NULL;
        }
        uint64_t cost = sl_clock_thread_ns() - began - result.look_ns;
        uint64_t ns = period_ns(sb->policy->max_memory, &result, cost);
        struct timespec wait = {.tv_sec = (time_t)(ns / 1000000000u),
                                .tv_nsec = (long)(ns % 1000000000u)};
        if (ppoll(&stop, 1, &wait, NULL) > 0) {
            return NULL;
        }
    }
}

/* The kernel kills the whole cgroup by itself, but for who had himself excepted (oom_score_adj). */
static void *watch_cgroup(void *sandbox)
{
    sl_sandbox *sb = sandbox;
    struct pollfd fds[] = {
        {.fd = sb->memory->stop, .events = POLLIN},
        {.fd = sl_cgroup_events_fd(sb->cgroup), .events = POLLPRI},
    };
    prctl(PR_SET_NAME, "sandlock-memory");
    while (!sl_cgroup_is_over_memory(sb->cgroup)) {
        if (poll(fds, SL_ARRAY_LEN(fds), -1) > 0 && fds[0].revents != 0) {
            return NULL;
        }
    }
    atomic_store(&sb->memory->over, true);
    kill_tree(sb);
    return NULL;
}

static int start(sl_sandbox *sb, sl_error *err)
{
    struct sl_memory_state *s = sb->memory;
    pthread_attr_t attr;
    s->stop = eventfd(0, EFD_CLOEXEC);
    s->main_pidfd = (int)syscall(SYS_pidfd_open, sb->main_pid, 0);
    if (s->stop < 0 || s->main_pidfd < 0) {
        return sl_error_set(err, errno, "cannot watch the memory limit: %s", strerror(errno));
    }
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK);
    int r = pthread_create(&s->thread, &attr,
                           sl_cgroup_holds_memory(sb->cgroup) ? watch_cgroup : watch, sb);
    pthread_attr_destroy(&attr);
    if (r != 0) {
        return sl_error_set(err, r, "cannot watch the memory limit: %s", strerror(r));
    }
    s->runs = true;
    return 0;
}

static void stop(sl_sandbox *sb)
{
    struct sl_memory_state *s = sb->memory;
    if (s->runs) {
        eventfd_write(s->stop, 1);
        pthread_join(s->thread, NULL);
        s->runs = false;
    }
}

bool sl_sandbox_is_over_memory(const sl_sandbox *sb)
{
    return sb->memory != NULL &&
           (atomic_load(&sb->memory->over) ||
            (sl_cgroup_holds_memory(sb->cgroup) && sl_cgroup_is_over_memory(sb->cgroup)));
}

uint64_t sl_sandbox_peak_memory(const sl_sandbox *sb)
{
    if (sl_cgroup_holds_memory(sb->cgroup)) {
        return sl_cgroup_peak_memory(sb->cgroup);
    }
    return sb->memory == NULL ? 0 : atomic_load(&sb->memory->peak);
}

const sl_feature sl_feature_memory = {
    .name = "memory",
    .wanted = wanted,
    .setup = setup,
    .start = start,
    .stop = stop,
    .teardown = teardown,
};
