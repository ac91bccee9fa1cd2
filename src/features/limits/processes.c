/* Owns max_processes: processes of the tree alive at once; threads are free.
 *
 * Each allowed fork adds one; nothing is told when a grandchild ends, so when the count reaches the
 * limit the tree is counted afresh (/proc/PID/task/TID/children). Forks that were allowed a moment
 * ago and may not be born yet are counted on top. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/num.h"
#include "features/features.h"
#include "kernel/proc.h"
#include "kernel/tree.h"
#include "supervisor/supervisor.h"

#define RECENT_MAX 64
#define RECENT_NS  200000000u /* an allowed fork is born within this time, on a busy machine too */

struct sl_procs_state {
    uint32_t count; /* at least as many as are alive */
    struct {
        pid_t tid;
        uint64_t since_ns;
    } recent[RECENT_MAX];
    size_t next;
};

static bool wanted(const sl_policy *policy)
{
    return policy->max_processes > 0;
}

/* The default limit is not one that somebody relies on. */
static bool was_given(const sl_policy *policy)
{
    return policy->max_processes_given;
}

static bool is_fork(uint64_t nr)
{
#ifdef SYS_fork /* newer architectures do without */
    if (nr == SYS_fork || nr == SYS_vfork) {
        return true;
    }
#endif
    return nr == SYS_clone;
}

/* True while a fork that was allowed to this thread may still be under way. */
static bool is_unborn(pid_t tid)
{
    char text[128];
    ssize_t n = sl_proc_read(tid, "syscall", text, sizeof(text));
    if (n <= 0) {
        return n < 0 && n != -ENOENT && n != -ESRCH; /* gone, and its call with it; or who knows */
    }
    const char *at = text;
    uint64_t nr; /* "running" or "-1" is no number: perhaps */
    return sl_num_take(&at, UINT64_MAX, &nr) < 0 || is_fork(nr);
}

static uint32_t count_tree(struct sl_procs_state *s, sl_supervisor *sv)
{
    uint32_t max = sv->policy->max_processes;
    uint32_t count = 0; /* allowed, perhaps not born yet */
    uint64_t now = sl_clock_now_ns();
    for (size_t i = 0; i < RECENT_MAX; i++) {
        if (s->recent[i].tid != 0 && now - s->recent[i].since_ns < RECENT_NS &&
            is_unborn(s->recent[i].tid)) {
            count++;
        }
    }
    size_t room = SL_MIN((size_t)max + 1, (size_t)SL_TREE_MAX);
    bool whole;
    sl_autofree pid_t *list = malloc(room * sizeof(*list));
    if (list == NULL) {
        return max;
    }
    count += (uint32_t)sl_tree_list_whole(sv->helper_pid, list, room, &whole);
    return whole ? count : SL_MAX(count, max); /* who could not be asked may have any number */
}

static void remember(struct sl_procs_state *s, pid_t tid)
{
    s->recent[s->next].tid = tid;
    s->recent[s->next].since_ns = sl_clock_now_ns();
    s->next = (s->next + 1) % RECENT_MAX;
}

static sl_answer handle_fork(sl_call *call)
{
    struct sl_procs_state *s = sl_supervisor_state(call->sv, &sl_feature_processes);
    uint32_t max = call->sv->policy->max_processes;
    for (size_t i = 0; i < RECENT_MAX; i++) {
        if (s->recent[i].tid == call->tid) {
            s->recent[i].tid = 0; /* it asks again, so the earlier one is born */
        }
    }
    if (s->count >= max) {
        s->count = count_tree(s, call->sv);
    }
    if (s->count >= max) {
        return SL_ANSWER_VALUE(-EAGAIN);
    }
    s->count++;
    remember(s, call->tid);
    return SL_ANSWER_PASS;
}

static int setup(sl_supervisor *sv, void *state, sl_error *err)
{
    struct sl_procs_state *s = state;
    (void)sv;
    (void)err;
    s->count = 1;
    return 0;
}

static const sl_syscall_row rows[] = {
    {.nr = SYS_clone,
     .flags = SL_ROW_MAY_CONTINUE, /* plain numbers, and clone3 is refused */
     .handler = handle_fork,
     .conds = {SL_ARG_MASK_EQ(0, CLONE_THREAD, 0)}},
#ifdef SYS_fork
    {.nr = SYS_fork, .flags = SL_ROW_MAY_CONTINUE, .handler = handle_fork},
    {.nr = SYS_vfork, .flags = SL_ROW_MAY_CONTINUE, .handler = handle_fork},
#endif
};

const sl_feature sl_feature_processes = {
    .name = "processes",
    .wanted = wanted,
    .option = "--max-processes",
    .promised = was_given,
    .rows = rows,
    .row_count = SL_ARRAY_LEN(rows),
    .state_size = sizeof(struct sl_procs_state),
    .setup = setup,
};
