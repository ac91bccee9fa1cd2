/* Owns the calls that take an absolute time by a pointer and do what nobody can do for the caller:
 * wait on its futex, arm its timer. The caller's own timespec is set to the real time, the call
 * goes on, and as soon as the kernel has read it, what was there is put back.
 *
 * One thread, one call after the other, never the dispatcher: a second call with the same timespec
 * must not find the lent value. It waits for nothing longer than CONSUMED_NS. */
#include "features/repeat/lend.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/num.h"
#include "core/util.h"
#include "kernel/proc.h"
#include "kernel/thread.h"
#include "supervisor/supervisor.h"

#define LOOK_NS 50000 /* between two looks at the caller */
#define CONSUMED_NS                                                                                \
    1000000000           /* a caller that did not run within this time gets its value back         \
                          */
#define GRACE_NS 2000000 /* for one that runs on: it may lose the processor before it reads */
#define NS_PER_S 1000000000
#define STACK    (128u * 1024u)

struct loan {
    sl_call call;
    uint64_t addr;
    int64_t offset_ns;
    bool zero_is_off;
};

struct sl_lender {
    pthread_mutex_t lock;
    pthread_cond_t more;
    pthread_t thread;
    bool ending; /* under lock */
    size_t first;
    size_t count;
    struct loan queue[SL_LEND_MAX];
};

/* How often the thread was given a processor and how often it gave one up by itself: proc(5). */
struct turns {
    long runs;
    long sleeps;
};

static void count_turns(pid_t tid, struct turns *ret)
{
    char text[128];
    ret->sleeps = sl_proc_status(tid, "voluntary_ctxt_switches");
    ret->runs = -1;
    if (sl_proc_read(tid, "schedstat", text, sizeof(text)) > 0) {
        const char *last = strrchr(text, ' ');
        uint64_t runs;
        if (last != NULL && sl_num_next(&last, &runs) == 0) {
            ret->runs = (long)runs;
        }
    }
}

static void look_later(void)
{
    nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL);
}

/* Until the caller has run since: the kernel reads the time before anything else. Once it sleeps
 * again that is certain; one that only runs is given GRACE_NS for a few instructions. */
static void wait_consumed(pid_t tid, const struct turns *before)
{
    uint64_t end = sl_clock_now_ns() + CONSUMED_NS;
    bool ran = false;
    while (sl_clock_now_ns() < end) {
        struct turns now;
        look_later();
        count_turns(tid, &now);
        if (now.sleeps < 0 || now.sleeps != before->sleeps) {
            return;
        }
        if (!ran && now.runs != before->runs) {
            ran = true;
            end = SL_MIN(end, sl_clock_now_ns() + GRACE_NS);
        }
    }
}

static struct timespec earlier(const struct timespec *t, int64_t offset_ns)
{
    int64_t s = t->tv_sec - offset_ns / NS_PER_S;
    int64_t ns = t->tv_nsec - offset_ns % NS_PER_S;
    if (ns < 0) {
        s--;
        ns += NS_PER_S;
    } else if (ns >= NS_PER_S) {
        s++;
        ns -= NS_PER_S;
    }
    /* Before 1970 is past, which is not refused; 0 would mean "off" to a timer. */
    return s < 0 || (s == 0 && ns == 0) ? (struct timespec){.tv_nsec = 1}
                                        : (struct timespec){.tv_sec = s, .tv_nsec = ns};
}

/* Times that are nobody's deadline: malformed ones the kernel refuses itself, and what is centuries
 * away is so by either clock. */
static bool leave_alone(const struct loan *loan, const struct timespec *t)
{
    return t->tv_nsec < 0 || t->tv_nsec >= NS_PER_S || t->tv_sec < 0 ||
           t->tv_sec > INT64_MAX / NS_PER_S ||
           (loan->zero_is_off && t->tv_sec == 0 && t->tv_nsec == 0);
}

static void lend(const struct loan *loan)
{
    struct timespec own;
    struct timespec found;
    sl_autoclose int mem = sl_proc_open(loan->call.tid, "mem", O_RDWR);
    if (mem < 0 || !sl_call_valid(&loan->call)) {
        sl_supervisor_answer(&loan->call, &SL_ANSWER_VALUE(-EFAULT));
        return;
    }
    if (pread(mem, &own, sizeof(own), (off_t)loan->addr) != (ssize_t)sizeof(own)) {
        sl_supervisor_answer(&loan->call, &SL_ANSWER_VALUE(-EFAULT));
        return;
    }
    if (leave_alone(loan, &own)) {
        sl_supervisor_answer(&loan->call, &SL_ANSWER_PASS);
        return;
    }
    struct timespec lent = earlier(&own, loan->offset_ns);
    if (pwrite(mem, &lent, sizeof(lent), (off_t)loan->addr) != (ssize_t)sizeof(lent)) {
        sl_supervisor_answer(&loan->call, &SL_ANSWER_VALUE(-EFAULT));
        return;
    }
    struct turns before;
    count_turns(loan->call.tid, &before);
    sl_supervisor_answer(&loan->call, &SL_ANSWER_PASS);
    wait_consumed(loan->call.tid, &before);
    /* Unless the caller has put something else there meanwhile. */
    if (pread(mem, &found, sizeof(found), (off_t)loan->addr) == (ssize_t)sizeof(found) &&
        memcmp(&found, &lent, sizeof(lent)) == 0) {
        (void)!pwrite(mem, &own, sizeof(own), (off_t)loan->addr);
    }
}

static void *run(void *state)
{
    struct sl_lender *s = state;
    pthread_mutex_lock(&s->lock);
    while (!s->ending) {
        if (s->count == 0) {
            pthread_cond_wait(&s->more, &s->lock);
            continue;
        }
        struct loan loan = s->queue[s->first];
        s->first = (s->first + 1) % SL_LEND_MAX;
        s->count--;
        pthread_mutex_unlock(&s->lock);
        lend(&loan);
        pthread_mutex_lock(&s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static struct sl_lender *begin(void)
{
    struct sl_lender *s = calloc(1, sizeof(*s));
    if (s == NULL) {
        return NULL;
    }
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->more, NULL);
    if (sl_thread_start(STACK, run, s, &s->thread) < 0) {
        free(s);
        return NULL;
    }
    return s;
}

sl_answer sl_lend(struct sl_lender **lender, const sl_call *call, uint64_t addr, int64_t offset_ns,
                  bool zero_is_off)
{
    struct sl_lender *s = *lender == NULL ? begin() : *lender;
    *lender = s;
    if (s == NULL) {
        return SL_ANSWER_VALUE(-ENOMEM);
    }
    pthread_mutex_lock(&s->lock);
    bool room = s->count < SL_LEND_MAX && !s->ending;
    if (room) {
        s->queue[(s->first + s->count) % SL_LEND_MAX] = (struct loan){
            .call = *call, .addr = addr, .offset_ns = offset_ns, .zero_is_off = zero_is_off};
        s->count++;
        pthread_cond_signal(&s->more);
    }
    pthread_mutex_unlock(&s->lock);
    return room ? SL_ANSWER_DEFER : SL_ANSWER_VALUE(-EAGAIN);
}

void sl_lender_free(struct sl_lender *s)
{
    if (s == NULL) {
        return;
    }
    pthread_mutex_lock(&s->lock);
    s->ending = true;
    pthread_cond_signal(&s->more);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    pthread_cond_destroy(&s->more);
    pthread_mutex_destroy(&s->lock);
    free(s);
}
