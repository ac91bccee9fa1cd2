/* time_start, live: every way to read the clock shows the tree's; absolute times that are handed to
 * the kernel come due by it and are left as they were. */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "live.h"
#include "sandbox/sandbox_int.h"

#define PAST      "1000000000"
#define FUTURE    "4102444800"
#define SLACK_S   3600 /* a run is over within this time */
#define SHORT_NS  50000000
#define NS_PER_S  1000000000
#define THREADS   8
#define FUTEX_U32 2 /* FUTEX2_SIZE_U32 */

static int64_t ns_of(const struct timespec *t)
{
    return (int64_t)t->tv_sec * NS_PER_S + t->tv_nsec;
}

static int64_t now_ns(clockid_t clock)
{
    struct timespec t = {0};
    clock_gettime(clock, &t);
    return ns_of(&t);
}

static bool is_near(int64_t seconds, const char *start)
{
    int64_t from = strtol(start, NULL, 10);
    return seconds >= from && seconds < from + SLACK_S;
}

/* By the library, which goes through the vDSO, and by the call itself. */
static int program_reads_clocks(char **args)
{
    static const clockid_t wall[] = {CLOCK_REALTIME, CLOCK_REALTIME_COARSE, CLOCK_TAI,
                                     CLOCK_REALTIME_ALARM};
    struct timespec t;
    struct timeval tv;
    struct timezone zone;
    time_t seconds = 0;
    for (size_t i = 0; i < SL_ARRAY_LEN(wall); i++) {
        if (clock_gettime(wall[i], &t) < 0) {
            LIVE_CHECK(wall[i] == CLOCK_REALTIME_ALARM && errno == EINVAL); /* no such device */
            continue;
        }
        LIVE_CHECK(is_near(t.tv_sec, args[0]) && t.tv_nsec >= 0 && t.tv_nsec < NS_PER_S);
        LIVE_CHECK(syscall(SYS_clock_gettime, wall[i], &t) == 0);
        LIVE_CHECK(is_near(t.tv_sec, args[0]) && t.tv_nsec >= 0 && t.tv_nsec < NS_PER_S);
    }
    LIVE_CHECK(gettimeofday(&tv, NULL) == 0 && is_near(tv.tv_sec, args[0]));
    LIVE_CHECK(tv.tv_usec >= 0 && tv.tv_usec < 1000000);
    LIVE_CHECK(syscall(SYS_gettimeofday, &tv, &zone) == 0 && is_near(tv.tv_sec, args[0]));
    LIVE_CHECK(syscall(SYS_gettimeofday, NULL, &zone) == 0);
    LIVE_CHECK(is_near(time(&seconds), args[0]) && is_near(seconds, args[0]));
#ifdef SYS_time
    LIVE_CHECK(is_near(syscall(SYS_time, &seconds), args[0]) && is_near(seconds, args[0]));
    LIVE_CHECK(is_near(syscall(SYS_time, NULL), args[0]));
#endif
    return 0;
}

/* One clock, whichever way it is read: each reading is no earlier than the one before, down to the
 * unit that it has. */
static int program_reads_in_turn(char **args)
{
    struct timespec a;
    struct timespec b;
    struct timeval tv;
    (void)args;
    for (int i = 0; i < 2000; i++) {
        LIVE_CHECK(clock_gettime(CLOCK_REALTIME, &a) == 0);
        LIVE_CHECK(gettimeofday(&tv, NULL) == 0);
        LIVE_CHECK((int64_t)tv.tv_sec * 1000000 + tv.tv_usec >= ns_of(&a) / 1000);
        LIVE_CHECK(time(NULL) >= tv.tv_sec);
        LIVE_CHECK(syscall(SYS_clock_gettime, CLOCK_REALTIME, &b) == 0);
        LIVE_CHECK(ns_of(&b) >= ns_of(&a));
        LIVE_CHECK(clock_gettime(CLOCK_REALTIME, &a) == 0 && ns_of(&a) >= ns_of(&b));
    }
    return 0;
}

/* Wall and monotonic clock advance alike: around one reading of the other. */
static int program_runs_at_real_speed(char **args)
{
    int64_t wall = now_ns(CLOCK_REALTIME);
    int64_t mono_before = now_ns(CLOCK_MONOTONIC);
    (void)args;
    LIVE_CHECK(clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){.tv_nsec = SHORT_NS}, NULL) ==
               0);
    int64_t mono = now_ns(CLOCK_MONOTONIC) - mono_before;
    LIVE_CHECK(now_ns(CLOCK_REALTIME) - wall >= mono - 5000000);
    return 0;
}

/* ---- waits until an absolute time ---- */

struct waits {
    struct timespec deadline;
    struct timespec copy;
};

static struct timespec *soon(struct waits *w)
{
    int64_t at = now_ns(CLOCK_REALTIME) + SHORT_NS;
    w->deadline = (struct timespec){.tv_sec = at / NS_PER_S, .tv_nsec = at % NS_PER_S};
    w->copy = w->deadline;
    return &w->deadline;
}

/* The time has come, and the caller's own value is as it was: at the latest a little later. */
static bool was_kept(const struct timespec *value, const struct timespec *copy)
{
    while (memcmp(value, copy, sizeof(*copy)) != 0) {
        sched_yield(); /* a call: what `value` points at is read anew */
    }
    return now_ns(CLOCK_REALTIME) >= ns_of(copy);
}

static int program_sleeps_until(char **args)
{
    struct waits w;
    (void)args;
    for (int i = 0; i < 3; i++) {
        LIVE_CHECK(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, soon(&w), NULL) == 0);
        LIVE_CHECK(was_kept(&w.deadline, &w.copy));
    }
    /* what is past is past, also what would be before 1970 */
    w.deadline = (struct timespec){.tv_sec = 5};
    LIVE_CHECK(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &w.deadline, NULL) == 0);
    w.deadline = (struct timespec){.tv_nsec = NS_PER_S};
    LIVE_CHECK(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &w.deadline, NULL) == EINVAL);
    LIVE_CHECK(syscall(SYS_clock_nanosleep, CLOCK_REALTIME, TIMER_ABSTIME, 8, NULL) < 0 &&
               errno == EFAULT);
    return 0;
}

static void on_alarm(int sig)
{
    (void)sig;
}

/* A signal ends a sleep that has an hour to go, and the rest of it is slept by the same value. */
static int program_is_interrupted(char **args)
{
    struct sigaction action = {.sa_handler = on_alarm};
    struct itimerval timer = {.it_value.tv_usec = SHORT_NS / 1000};
    struct waits w;
    (void)args;
    soon(&w);
    w.deadline.tv_sec += SLACK_S;
    w.copy = w.deadline;
    LIVE_CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    LIVE_CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
    LIVE_CHECK(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &w.deadline, NULL) == EINTR);
    LIVE_CHECK(!was_kept(&w.deadline, &w.copy)); /* as it was, and not come */
    return 0;
}

/* Many threads with one and the same deadline, which is lent for each of them. */
static struct waits common;
static sem_t never;

static void *wait_in_vain(void *unused)
{
    bool late = sem_timedwait(&never, &common.deadline) < 0 && errno == ETIMEDOUT &&
                now_ns(CLOCK_REALTIME) >= ns_of(&common.copy);
    return late ? unused : NULL;
}

static int program_shares_deadline(char **args)
{
    pthread_t threads[THREADS];
    void *done;
    LIVE_CHECK(sem_init(&never, 0, 0) == 0);
    soon(&common);
    for (size_t i = 0; i < THREADS; i++) {
        LIVE_CHECK(pthread_create(&threads[i], NULL, wait_in_vain, args) == 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        LIVE_CHECK(pthread_join(threads[i], &done) == 0 && done == args);
    }
    LIVE_CHECK(was_kept(&common.deadline, &common.copy));
    return 0;
}

static void *wake(void *sem)
{
    sem_post(sem);
    return NULL;
}

static int program_waits_on_futex(char **args)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
    pthread_t thread;
    sem_t sem;
    struct waits w;
    uint32_t word = 7;
    struct {
        uint64_t val;
        uint64_t uaddr;
        uint32_t flags;
        uint32_t reserved;
    } waiter = {.val = 7, .uaddr = (uintptr_t)&word, .flags = FUTEX_U32};
    (void)args;
    LIVE_CHECK(sem_init(&sem, 0, 0) == 0 && pthread_mutex_lock(&lock) == 0);
    LIVE_CHECK(pthread_cond_timedwait(&cond, &lock, soon(&w)) == ETIMEDOUT);
    LIVE_CHECK(was_kept(&w.deadline, &w.copy));
    LIVE_CHECK(sem_timedwait(&sem, soon(&w)) < 0 && errno == ETIMEDOUT);
    LIVE_CHECK(was_kept(&w.deadline, &w.copy));
    /* one that is woken long before its time */
    w.deadline.tv_sec += SLACK_S;
    LIVE_CHECK(pthread_create(&thread, NULL, wake, &sem) == 0);
    LIVE_CHECK(sem_timedwait(&sem, &w.deadline) == 0 && pthread_join(thread, NULL) == 0);
    if (syscall(449, &waiter, 1, 0, soon(&w), CLOCK_REALTIME) < 0 && errno != ENOSYS) {
        LIVE_CHECK(errno == ETIMEDOUT && was_kept(&w.deadline, &w.copy));
    }
    LIVE_CHECK(syscall(455, &word, 7, ~0ul, FUTEX_U32, &w.deadline, CLOCK_REALTIME) < 0 &&
               errno == ENOSYS);
    return 0;
}

struct held {
    pthread_mutex_t lock;
    sem_t taken;
    sem_t release;
};

static void *hold(void *held)
{
    struct held *h = held;
    pthread_mutex_lock(&h->lock);
    sem_post(&h->taken);
    sem_wait(&h->release);
    pthread_mutex_unlock(&h->lock);
    return NULL;
}

/* FUTEX_LOCK_PI takes wall-clock time without saying so. */
static int program_waits_for_lock(char **args)
{
    struct held h;
    struct waits w;
    pthread_mutexattr_t attr;
    pthread_t thread;
    (void)args;
    LIVE_CHECK(sem_init(&h.taken, 0, 0) == 0 && sem_init(&h.release, 0, 0) == 0);
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
    LIVE_CHECK(pthread_mutex_init(&h.lock, &attr) == 0);
    LIVE_CHECK(pthread_create(&thread, NULL, hold, &h) == 0 && sem_wait(&h.taken) == 0);
    LIVE_CHECK(pthread_mutex_timedlock(&h.lock, soon(&w)) == ETIMEDOUT);
    LIVE_CHECK(was_kept(&w.deadline, &w.copy));
    LIVE_CHECK(sem_post(&h.release) == 0 && pthread_join(thread, NULL) == 0);
    return 0;
}

static int program_arms_timers(char **args)
{
    struct itimerspec it = {0};
    struct itimerspec off = {0};
    struct waits w;
    uint64_t times;
    timer_t timer;
    sigset_t set;
    int fd = timerfd_create(CLOCK_REALTIME, 0);
    int mono = timerfd_create(CLOCK_MONOTONIC, 0);
    (void)args;
    LIVE_CHECK(fd >= 0 && mono >= 0);
    it.it_value = *soon(&w);
    LIVE_CHECK(timerfd_settime(fd, TFD_TIMER_ABSTIME, &it, NULL) == 0);
    LIVE_CHECK(read(fd, &times, sizeof(times)) == sizeof(times) && times == 1);
    LIVE_CHECK(was_kept(&it.it_value, &w.copy));
    LIVE_CHECK(timerfd_settime(fd, TFD_TIMER_ABSTIME, &off, NULL) == 0); /* off stays off */
    LIVE_CHECK(timerfd_gettime(fd, &it) == 0 && it.it_value.tv_sec == 0 &&
               it.it_value.tv_nsec == 0);
    int64_t at = now_ns(CLOCK_MONOTONIC) + SHORT_NS; /* the other clock is not ours */
    it.it_value = (struct timespec){.tv_sec = at / NS_PER_S, .tv_nsec = at % NS_PER_S};
    LIVE_CHECK(timerfd_settime(mono, TFD_TIMER_ABSTIME, &it, NULL) == 0);
    LIVE_CHECK(read(mono, &times, sizeof(times)) == sizeof(times) && now_ns(CLOCK_MONOTONIC) >= at);
    LIVE_CHECK(timerfd_settime(4095, TFD_TIMER_ABSTIME, &it, NULL) < 0 && errno == EBADF);

    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    LIVE_CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    LIVE_CHECK(timer_create(CLOCK_REALTIME, NULL, &timer) == 0);
    it.it_value = *soon(&w);
    LIVE_CHECK(timer_settime(timer, TIMER_ABSTIME, &it, NULL) == 0);
    LIVE_CHECK(sigwaitinfo(&set, NULL) == SIGALRM && was_kept(&it.it_value, &w.copy));
    LIVE_CHECK(timer_settime(timer, TIMER_ABSTIME, &off, NULL) == 0);
    LIVE_CHECK(syscall(SYS_timer_settime, 77, TIMER_ABSTIME, &it, NULL) < 0 && errno == EINVAL);
    return 0;
}

/* On a queue that was opened outside: Landlock grants none. */
static int program_waits_for_messages(char **args)
{
    char byte[8] = "x";
    struct waits w;
    mqd_t q = (mqd_t)strtol(args[1], NULL, 10);
    LIVE_CHECK(mq_timedreceive(q, byte, sizeof(byte), NULL, soon(&w)) < 0 && errno == ETIMEDOUT);
    LIVE_CHECK(was_kept(&w.deadline, &w.copy));
    LIVE_CHECK(mq_timedsend(q, byte, 1, 0, soon(&w)) == 0);
    LIVE_CHECK(mq_timedsend(q, byte, 1, 0, soon(&w)) < 0 && errno == ETIMEDOUT);
    LIVE_CHECK(was_kept(&w.deadline, &w.copy));
    return 0;
}

/* Bad pointers are errors of the call. */
static int program_asks_badly(char **args)
{
    (void)args;
    LIVE_CHECK(syscall(SYS_clock_gettime, CLOCK_REALTIME, 8) < 0 && errno == EFAULT);
    LIVE_CHECK(syscall(SYS_clock_gettime, CLOCK_REALTIME, NULL) < 0 && errno == EFAULT);
    LIVE_CHECK(syscall(SYS_clock_gettime, 77, 8) < 0 && errno == EINVAL);
    LIVE_CHECK(syscall(SYS_gettimeofday, 8, NULL) < 0 && errno == EFAULT);
    LIVE_CHECK(syscall(SYS_timerfd_settime, 4095, TFD_TIMER_ABSTIME, 8, NULL) < 0);
    LIVE_CHECK(syscall(SYS_futex, 8, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, 8, NULL, 1) < 0 &&
               errno == EFAULT);
#ifdef SYS_time
    LIVE_CHECK(syscall(SYS_time, 8) < 0 && errno == EFAULT);
#endif
    return 0;
}

static int run(const char *program, const char *start)
{
    SL_AUTO(sl_policy) policy = live_policy("fs_readable", "/", "time_start", start, NULL);
    return live_run(&(struct live_run){.policy = policy, .program = program, .args = {start}});
}

static void run_both(const char *program)
{
    assert_int_equal(run(program, PAST), 0);
    assert_int_equal(run(program, FUTURE), 0);
}

static void clock_starts_where_it_is_told(void **state)
{
    (void)state;
    run_both("reads_clocks");
}

static void all_readings_are_of_one_clock(void **state)
{
    (void)state;
    run_both("reads_in_turn");
    run_both("runs_at_real_speed");
}

static void sleeps_end_by_the_clock(void **state)
{
    (void)state;
    run_both("sleeps_until");
    run_both("is_interrupted");
}

static void waits_end_by_the_clock(void **state)
{
    (void)state;
    run_both("waits_on_futex");
    run_both("waits_for_lock");
    run_both("shares_deadline");
}

static void timers_expire_by_the_clock(void **state)
{
    (void)state;
    run_both("arms_timers");
}

static void queues_time_out_by_the_clock(void **state)
{
    static const char *const starts[] = {PAST, FUTURE};
    struct mq_attr attr = {.mq_maxmsg = 1, .mq_msgsize = 8};
    char name[64];
    (void)state;
    snprintf(name, sizeof(name), "/sandlock-test-%d", (int)getpid());
    for (size_t i = 0; i < SL_ARRAY_LEN(starts); i++) {
        char number[16];
        mqd_t q = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
        if (q < 0) {
            assert_int_equal(errno, ENOSYS); /* this kernel has no message queues */
            return;
        }
        mq_unlink(name);
        assert_int_equal(fcntl(q, F_SETFD, 0), 0);
        snprintf(number, sizeof(number), "%d", q);
        SL_AUTO(sl_policy)
        policy =
            live_policy("fs_readable", "/", "close_fds", "false", "time_start", starts[i], NULL);
        assert_int_equal(live_run(&(struct live_run){.policy = policy,
                                                     .program = "waits_for_messages",
                                                     .args = {starts[i], number}}),
                         0);
        mq_close(q);
    }
}

static void bad_pointers_are_errors(void **state)
{
    (void)state;
    run_both("asks_badly");
}

static void without_it_nothing_changes(void **state)
{
    char now[32];
    SL_AUTO(sl_policy) policy = live_policy("fs_readable", "/", NULL);
    (void)state;
    snprintf(now, sizeof(now), "%lld", (long long)time(NULL));
    assert_int_equal(
        live_run(&(struct live_run){.policy = policy, .program = "reads_clocks", .args = {now}}),
        0);
}

/* A policy pays for what it asks. */
static void without_it_nothing_is_trapped(void **state)
{
    static const int calls[] = {SYS_brk,           SYS_arch_prctl,    SYS_set_tid_address,
                                SYS_clock_gettime, SYS_gettimeofday,  SYS_clock_nanosleep,
                                SYS_futex,         SYS_timer_settime, SYS_timerfd_settime,
                                SYS_getrandom,     SYS_execve,        SYS_getdents64};
    sl_autofree sl_bpf_rules *rules = malloc(sizeof(*rules));
    SL_AUTO(sl_policy)
    policy = live_policy("fs_readable", "/", "no_randomize_memory", "true", "no_huge_pages", "true",
                         "no_coredump", "true", NULL);
    (void)state;
    assert_non_null(rules);
    assert_int_equal(sl_sandbox_rules(policy, NULL, true, rules), 0);
    for (size_t i = 0; i < rules->count; i++) {
        for (size_t k = 0; k < SL_ARRAY_LEN(calls); k++) {
            assert_int_not_equal(rules->items[i].nr, calls[k]);
        }
    }
}

int main(int argc, char **argv)
{
    static const struct live_program programs[] = {
        {"reads_clocks", program_reads_clocks},
        {"reads_in_turn", program_reads_in_turn},
        {"runs_at_real_speed", program_runs_at_real_speed},
        {"sleeps_until", program_sleeps_until},
        {"waits_on_futex", program_waits_on_futex},
        {"is_interrupted", program_is_interrupted},
        {"shares_deadline", program_shares_deadline},
        {"waits_for_lock", program_waits_for_lock},
        {"arms_timers", program_arms_timers},
        {"waits_for_messages", program_waits_for_messages},
        {"asks_badly", program_asks_badly},
        {NULL, NULL},
    };
    live_start(argc, argv, programs);
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(clock_starts_where_it_is_told),
        cmocka_unit_test(all_readings_are_of_one_clock),
        cmocka_unit_test(sleeps_end_by_the_clock),
        cmocka_unit_test(waits_end_by_the_clock),
        cmocka_unit_test(timers_expire_by_the_clock),
        cmocka_unit_test(queues_time_out_by_the_clock),
        cmocka_unit_test(bad_pointers_are_errors),
        cmocka_unit_test(without_it_nothing_changes),
        cmocka_unit_test(without_it_nothing_is_trapped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
