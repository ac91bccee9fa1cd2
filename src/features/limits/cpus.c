/* Owns cpu_cores and num_cpus: the cores that the tree runs on, which it cannot widen, and how many
 * it sees. A mask of the caller's is copied once, narrowed, and set from here; the kernel never
 * reads the caller's own again.
 *
 * With num_cpus the tree counts processors from 0: number i stands for core i, or, where the tree
 * has fewer or others, for one of those it has, in turn. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/util.h"
#include "features/features.h"
#include "features/limits/limits.h"
#include "supervisor/supervisor.h"

#define WORD_BITS 64u

struct sl_cpus_state {
    sl_cpu_mask real; /* the cores of the tree */
    unsigned cores[SL_POLICY_CPUS_MAX];
    unsigned count;
    unsigned seen; /* num_cpus; 0: as they are */
};

static struct sl_cpus_state *cpus_of(const sl_supervisor *sv)
{
    return sl_supervisor_state(sv, &sl_feature_cpus);
}

static bool has(const sl_cpu_mask *mask, unsigned cpu)
{
    return (mask->words[cpu / WORD_BITS] >> (cpu % WORD_BITS) & 1) != 0;
}

static void add(sl_cpu_mask *mask, unsigned cpu)
{
    mask->words[cpu / WORD_BITS] |= UINT64_C(1) << (cpu % WORD_BITS);
}

static bool is_empty(const sl_cpu_mask *mask)
{
    static const sl_cpu_mask none;
    return memcmp(mask, &none, sizeof(none)) == 0;
}

static bool wanted(const sl_policy *policy)
{
    return policy->cpu_cores_text.count > 0 || policy->num_cpus > 0;
}

static bool is_held(const sl_policy *policy)
{
    return policy->cpu_cores_text.count > 0;
}

static bool wants_view(const sl_policy *policy)
{
    return policy->num_cpus > 0;
}

/* The cores that the policy names must all be there: fewer would be another policy. */
static int choose_named(const sl_policy *policy, const sl_cpu_mask *ours, sl_cpu_mask *ret_real,
                        sl_error *err)
{
    for (unsigned i = 0; i < SL_POLICY_CPUS_MAX; i++) {
        bool named = (policy->cpu_cores[i / WORD_BITS] >> (i % WORD_BITS) & 1) != 0;
        if (named && !has(ours, i)) {
            return sl_error_set(err, EINVAL, "--cpu-cores: there is no core %u here to run on", i);
        }
        if (named) {
            add(ret_real, i);
        }
    }
    return 0;
}

/* The cores 0 to count-1 where they are ours, so that the numbers the kernel tells by other ways
 * (getcpu(2)) are below the count; else the first of ours. */
static void choose_first(const sl_cpu_mask *ours, unsigned count, sl_cpu_mask *ret_real)
{
    unsigned taken = 0;
    for (unsigned i = 0; i < SL_POLICY_CPUS_MAX && taken < count; i++) {
        if (has(ours, i)) {
            add(ret_real, i);
            taken++;
        }
    }
}

static int setup(sl_supervisor *sv, void *state, sl_error *err)
{
    const sl_policy *policy = sv->policy;
    sl_cpu_mask ours = {0};
    struct sl_cpus_state *s = state;
    if (syscall(SYS_sched_getaffinity, 0, sizeof(ours), &ours) < 0) {
        return sl_error_set(err, errno, "cannot ask for the cores to run on: %s", strerror(errno));
    }
    s->seen = policy->num_cpus;
    if (policy->cpu_cores_text.count > 0) {
        int r = choose_named(policy, &ours, &s->real, err);
        if (r < 0) {
            return r;
        }
    } else {
        choose_first(&ours, s->seen, &s->real);
    }
    for (unsigned i = 0; i < SL_POLICY_CPUS_MAX; i++) {
        if (has(&s->real, i)) {
            s->cores[s->count++] = i;
        }
    }
    return 0;
}

const sl_cpu_mask *sl_cpus_of_tree(const sl_supervisor *sv)
{
    const struct sl_cpus_state *s = cpus_of(sv);
    return s == NULL ? NULL : &s->real;
}

/* The core that processor number `i` of the tree stands for. */
static unsigned core_of(const struct sl_cpus_state *s, unsigned i)
{
    return has(&s->real, i) ? i : s->cores[i % s->count];
}

unsigned sl_cpus_core(const sl_supervisor *sv, unsigned i)
{
    return core_of(cpus_of(sv), i);
}

static pid_t target_of(const sl_call *call)
{
    pid_t tid = (pid_t)call->args[0];
    return tid == 0 ? call->tid : tid;
}

/* Whoever it names is of the tree: others were refused before (scheduling/scheduling.c). */
static sl_answer handle_sched_setaffinity(sl_call *call)
{
    const struct sl_cpus_state *s = cpus_of(call->sv);
    sl_cpu_mask asked = {0};
    sl_cpu_mask given = {0};
    uint32_t len = (uint32_t)call->args[1];
    unsigned most = s->seen > 0 ? s->seen : SL_POLICY_CPUS_MAX;
    if (sl_call_read(call, call->args[2], &asked, SL_MIN(len, sizeof(asked))) < 0) {
        return SL_ANSWER_VALUE(-EFAULT);
    }
    for (unsigned i = 0; i < most; i++) {
        unsigned core = s->seen > 0 ? core_of(s, i) : i;
        if (has(&asked, i) && has(&s->real, core)) {
            add(&given, core);
        }
    }
    if (is_empty(&given) || target_of(call) < 0) {
        return SL_ANSWER_VALUE(is_empty(&given) ? -EINVAL : -ESRCH);
    }
    if (!sl_call_valid(call)) {
        return SL_ANSWER_VALUE(-ESRCH);
    }
    long r = syscall(SYS_sched_setaffinity, target_of(call), sizeof(given), &given);
    return SL_ANSWER_VALUE(r < 0 ? -errno : 0);
}

static sl_answer handle_sched_getaffinity(sl_call *call)
{
    const struct sl_cpus_state *s = cpus_of(call->sv);
    sl_cpu_mask real = {0};
    sl_cpu_mask told = {0};
    uint32_t len = (uint32_t)call->args[1];
    long size = syscall(SYS_sched_getaffinity, target_of(call), sizeof(real), &real);
    if (size < 0 || target_of(call) < 0) {
        return SL_ANSWER_VALUE(size < 0 ? -errno : -ESRCH);
    }
    uint32_t most = SL_MAX((uint32_t)size, (s->seen + WORD_BITS - 1) / WORD_BITS * 8);
    if (len % 8 != 0 || len < most) {
        return SL_ANSWER_VALUE(-EINVAL);
    }
    for (unsigned i = 0; i < s->seen; i++) {
        if (has(&real, core_of(s, i))) {
            add(&told, i);
        }
    }
    return SL_ANSWER_VALUE(sl_call_write(call, call->args[2], &told, most) < 0 ? -EFAULT
                                                                               : (int64_t)most);
}

static const sl_syscall_row rows[] = {
    {.nr = SYS_sched_setaffinity, .handler = handle_sched_setaffinity},
};

static const sl_syscall_row view_rows[] = {
    {.nr = SYS_sched_getaffinity, .handler = handle_sched_getaffinity},
};

const sl_feature sl_feature_cpus = {
    .name = "cpus",
    .wanted = wanted,
    .option = "--cpu-cores",
    .promised = is_held,
    .rows = rows,
    .row_count = SL_ARRAY_LEN(rows),
    .state_size = sizeof(struct sl_cpus_state),
    .setup = setup,
};

const sl_feature sl_feature_cpus_seen = {
    .name = "cpus_seen",
    .wanted = wants_view,
    .writes = wants_view,
    .option = "--num-cpus",
    .rows = view_rows,
    .row_count = SL_ARRAY_LEN(view_rows),
};
