/* Owns time_start: the wall clock of the tree begins where the policy says and runs at the speed of
 * the real one. CLOCK_MONOTONIC and CLOCK_BOOTTIME stay as they are: they promise differences only,
 * and every timeout is made of them.
 *
 * What goes through the vDSO never gets here (vdso.c). Here are the direct calls, and the absolute
 * times that are handed to the kernel. All of it is numbers: going on is always safe. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "core/num.h"
#include "core/util.h"
#include "features/features.h"
#include "features/repeat/image.h"
#include "features/repeat/lend.h"
#include "kernel/numbers.h"
#include "kernel/proc.h"
#include "supervisor/supervisor.h"

#define NS_PER_S   1000000000
#define TIMERS_MAX 65536 /* bytes of /proc/PID/timers that are looked at */

struct sl_time_state {
    struct sl_lender *lender; /* dispatcher thread only */
};

static bool wanted(const sl_policy *policy)
{
    return policy->time_start != NULL;
}

static bool is_wall_clock(int clock)
{
    return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE ||
           clock == CLOCK_REALTIME_ALARM || clock == CLOCK_TAI;
}

/* The clock of the tree, now. */
static int now(const sl_call *call, clockid_t clock, struct timespec *ret)
{
    struct timespec t;
    if (clock_gettime(clock, &t) < 0) {
        return -errno;
    }
    int64_t ns = (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec + sl_image_of(call->sv)->offset_ns;
    *ret = (struct timespec){.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};
    return 0;
}

static sl_answer handle_clock_gettime(sl_call *call)
{
    struct timespec t;
    int clock = (int)call->args[0];
    if (!is_wall_clock(clock)) {
        return SL_ANSWER_PASS;
    }
    int r = now(call, clock, &t);
    return SL_ANSWER_VALUE(r < 0 ? r : sl_call_write(call, call->args[1], &t, sizeof(t)));
}

static sl_answer handle_gettimeofday(sl_call *call)
{
    struct timespec t = {0};
    struct timezone zone;
    int r = now(call, CLOCK_REALTIME, &t);
    struct timeval tv = {.tv_sec = t.tv_sec, .tv_usec = t.tv_nsec / 1000};
    r = r < 0 ? r : sl_call_write(call, call->args[0], &tv, sizeof(tv));
    if (r == 0 && call->args[1] != 0) {
        r = syscall(SYS_gettimeofday, NULL, &zone) < 0
                ? -errno
                : sl_call_write(call, call->args[1], &zone, sizeof(zone));
    }
    return SL_ANSWER_VALUE(r);
}

#ifdef SYS_time
static sl_answer handle_time(sl_call *call)
{
    struct timespec t;
    int r = now(call, CLOCK_REALTIME, &t);
    if (r == 0 && call->args[0] != 0) {
        r = sl_call_write(call, call->args[0], &t.tv_sec, sizeof(t.tv_sec));
    }
    return SL_ANSWER_VALUE(r < 0 ? r : t.tv_sec);
}
#endif

/* ---- absolute times ---- */

static sl_answer lend(const sl_call *call, size_t arg)
{
    struct sl_time_state *s = sl_supervisor_state(call->sv, &sl_feature_time);
    return sl_lend(&s->lender, call, call->args[arg], sl_image_of(call->sv)->offset_ns, false);
}

static sl_answer lend_timer(const sl_call *call, size_t arg)
{
    uint64_t value = call->args[arg] + offsetof(struct itimerspec, it_value);
    struct sl_time_state *s = sl_supervisor_state(call->sv, &sl_feature_time);
    return sl_lend(&s->lender, call, value, sl_image_of(call->sv)->offset_ns, true);
}

static sl_answer handle_clock_nanosleep(sl_call *call)
{
    return is_wall_clock((int)call->args[0]) ? lend(call, 2) : SL_ANSWER_PASS;
}

/* Without FUTEX_CLOCK_REALTIME only FUTEX_LOCK_PI takes a wall-clock time: futex(2). With it and a
 * command that has none, the kernel says ENOSYS. */
static sl_answer handle_futex(sl_call *call)
{
    switch ((int)call->args[1] & FUTEX_CMD_MASK) {
    case FUTEX_LOCK_PI:
    case FUTEX_WAIT_BITSET:
    case FUTEX_WAIT_REQUEUE_PI:
    case FUTEX_LOCK_PI2:
        return lend(call, 3);
    default:
        return SL_ANSWER_PASS;
    }
}

static sl_answer handle_futex_waitv(sl_call *call)
{
    return lend(call, 3);
}

static sl_answer handle_mq(sl_call *call)
{
    return lend(call, 4);
}

/* The clock of a timer, proc(5): "ID: 0", some lines, "ClockID: 0". The wall clock when the kernel
 * does not tell; -1 when there is no such timer. */
static int timer_clock(const sl_call *call, int id)
{
    char head[32];
    sl_autoclose int fd = sl_proc_open(call->tid, "timers", O_RDONLY);
    sl_autofree char *text = malloc(TIMERS_MAX);
    if (fd < 0 || text == NULL) {
        return CLOCK_REALTIME;
    }
    size_t len = 1;
    ssize_t n;
    text[0] = '\n';
    while (len < TIMERS_MAX - 1 && (n = read(fd, text + len, TIMERS_MAX - 1 - len)) > 0) {
        len += (size_t)n;
    }
    text[len] = '\0';
    snprintf(head, sizeof(head), "\nID: %d\n", id);
    const char *timer = strstr(text, head);
    const char *clock = timer == NULL ? NULL : strstr(timer, "\nClockID: ");
    uint64_t number; /* that of a processor's time is negative */
    if (clock == NULL) {
        return -1;
    }
    clock += strlen("\nClockID: ");
    return sl_num_take(&clock, INT_MAX, &number) < 0 ? -1 : (int)number;
}

static sl_answer handle_timer_settime(sl_call *call)
{
    return is_wall_clock(timer_clock(call, (int)call->args[0])) ? lend_timer(call, 2)
                                                                : SL_ANSWER_PASS;
}

static sl_answer handle_timerfd_settime(sl_call *call)
{
    char path[64]; /* -1 for what is no timer: the kernel says why */
    snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", (int)call->tid, (int)call->args[0]);
    return is_wall_clock((int)sl_proc_number(path, "clockid")) ? lend_timer(call, 2)
                                                               : SL_ANSWER_PASS;
}

/* Clocks that stay, and the calls of our own code in the vDSO, which adds the offset itself. */
#define LET(call, ...)                                                                             \
    {                                                                                              \
        .nr = SYS_##call, .action = SECCOMP_RET_ALLOW, .conds = { __VA_ARGS__ }                    \
    }
static const sl_bpf_rule settled[] = {
    LET(clock_gettime, SL_ARG_EQ(2, SL_ARCH_VDSO_MAGIC)),
    LET(gettimeofday, SL_ARG_EQ(2, SL_ARCH_VDSO_MAGIC)),
    LET(clock_gettime, SL_ARG_EQ(0, CLOCK_MONOTONIC)),
    LET(clock_gettime, SL_ARG_MASK_EQ(0, ~1u, CLOCK_PROCESS_CPUTIME_ID)), /* thread's, too */
    LET(clock_gettime, SL_ARG_EQ(0, CLOCK_MONOTONIC_COARSE)),
    LET(clock_gettime, SL_ARG_MASK_NE(0, 0x80000000u, 0)), /* of other processes */
    LET(futex, SL_ARG_MASK_EQ(1, FUTEX_CLOCK_REALTIME, 0),
        SL_ARG_MASK_NE(1, (uint32_t)FUTEX_CMD_MASK, FUTEX_LOCK_PI)),
    /* no C library has it; its absolute times would need a row */
    {.nr = SL_NR_FUTEX_WAIT, .action = SL_BPF_ERRNO(ENOSYS)},
};

static void teardown(void *state)
{
    struct sl_time_state *s = state;
    sl_lender_free(s->lender);
}

#define ROW(number, handle, ...)                                                                   \
    {                                                                                              \
        .nr = (number), .flags = SL_ROW_MAY_CONTINUE, .handler = (handle), .conds = {              \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

static const sl_syscall_row rows[] = {
    ROW(SYS_clock_gettime, handle_clock_gettime, SL_ARG_NOT_NULL(1)),
    ROW(SYS_gettimeofday, handle_gettimeofday, SL_ARG_NOT_NULL(0)),
#ifdef SYS_time
    ROW(SYS_time, handle_time),
#endif
    ROW(SYS_clock_nanosleep, handle_clock_nanosleep, SL_ARG_MASK_NE(1, TIMER_ABSTIME, 0),
        SL_ARG_NE(0, CLOCK_MONOTONIC), SL_ARG_NOT_NULL(2)),
    ROW(SYS_futex, handle_futex, SL_ARG_NOT_NULL(3)),
    ROW(SL_NR_FUTEX_WAITV, handle_futex_waitv, SL_ARG_EQ(4, CLOCK_REALTIME), SL_ARG_NOT_NULL(3)),
    ROW(SYS_mq_timedsend, handle_mq, SL_ARG_NOT_NULL(4)),
    ROW(SYS_mq_timedreceive, handle_mq, SL_ARG_NOT_NULL(4)),
    ROW(SYS_timer_settime, handle_timer_settime, SL_ARG_MASK_NE(1, TIMER_ABSTIME, 0),
        SL_ARG_NOT_NULL(2)),
    ROW(SYS_timerfd_settime, handle_timerfd_settime, SL_ARG_MASK_NE(1, TIMER_ABSTIME, 0),
        SL_ARG_NOT_NULL(2)),
};

const sl_feature sl_feature_time = {
    .name = "time",
    .wanted = wanted,
    .writes = wanted,
    .option = "--time-start",
    .rows = rows,
    .row_count = SL_ARRAY_LEN(rows),
    .settled = settled,
    .settled_count = SL_ARRAY_LEN(settled),
    .state_size = sizeof(struct sl_time_state),
    .teardown = teardown,
};
