/* Owns the counting of the tree's memory: private pages by process, each shared object once
 * (memfiles.c). It believes no number that the tree could have made up; it never touches a process.
 *
 * Pages that a fork shares count in each process. How many they may be is remembered of each: at
 * most what it had when it was first seen, and never more than it has. So two sums come cheap, one
 * that is never too low and one that is never too high; only between them are shares looked at, and
 * again once page faults can have made enough of what was shared the tree's own.
 * docs/internals/limits.md tells the whole. */
#include "features/limits/memcount.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/num.h"
#include "features/limits/memcount_int.h"
#include "features/limits/memfaults.h"
#include "kernel/proc.h"
#include "kernel/tree.h"
#include "supervisor/freeze.h"
#include "supervisor/supervisor.h"

#define STATUS_MAX   4096
#define THREAD_SIZE  (28u << 10) /* in the kernel: a stack of 16 KiB, and the thread itself */
#define KNOWN_MAX    8192u       /* processes that are remembered; a power of two */
#define LIST_SHARE   10          /* the list of processes may be so many times older than it took */
#define SHARES_NS    50000000u   /* how long one look at shares may take */
#define LOOKS_MAX    3           /* one after the other, until one is true */
#define NEAR_SHARE   8           /* of the limit: so much below it a look shows what is ahead */
#define STEP_SHARE   32          /* of the limit: with less that may be new no look is worth it */
#define COMPARED_MAX 256         /* processes that are compared for one address space */

struct proc {
    uint64_t private; /* bytes: anonymous, swapped, page tables, threads */
    uint64_t mapped;  /* shared memory that it has touched through a mapping */
};

/* Of a process: how much of its private memory may be another's as well. */
struct known {
    pid_t pid;
    bool looked_at; /* at the last look at shares */
    uint64_t round; /* of the count that saw it last: a number may come back as somebody else's */
    uint64_t shared;
    uint64_t faults; /* then */
};

struct sl_memcount {
    sl_supervisor *sv;
    sl_memfiles *files;
    pid_t *pids;
    struct proc *procs;
    struct known *known;
    size_t count;
    uint64_t round;
    uint64_t listed_ns;
    uint64_t list_cost_ns;
    sl_memfaults faults;
    sl_freeze *freeze;  /* the next one, or what the tree is held with */
    sl_freeze *leaving; /* the one before, which has let go or is about to */
    bool held;

    /* The last look at shares. */
    bool look_true; /* nothing ended while it was taken */
    uint64_t look_cost_ns;
    uint64_t look_own;  /* bytes: what it found, each page once */
    uint64_t look_huge; /* sl_memfaults_huge */
};

sl_memcount *sl_memcount_new(sl_supervisor *sv)
{
    SL_AUTO(sl_memcount) m = calloc(1, sizeof(*m));
    if (m == NULL) {
        return NULL;
    }
    m->sv = sv;
    sl_memfaults_init(&m->faults);
    /* Pages come as they are used. */
    m->pids = malloc(SL_TREE_MAX * sizeof(*m->pids));
    m->procs = malloc(SL_TREE_MAX * sizeof(*m->procs));
    m->known = calloc(KNOWN_MAX, sizeof(*m->known));
    m->files = sl_memfiles_new(sv->view);
    if (m->pids == NULL || m->procs == NULL || m->known == NULL || m->files == NULL) {
        return NULL;
    }
    return sl_steal(&m);
}

void sl_memcount_free(sl_memcount *m)
{
    if (m != NULL) {
        sl_freeze_end(m->freeze);
        sl_freeze_end(m->leaving);
        sl_memfaults_done(&m->faults);
        sl_memfiles_free(m->files);
        free(m->pids);
        free(m->procs);
        free(m->known);
        free(m);
    }
}

static bool read_proc(pid_t pid, const char *name, char text[STATUS_MAX])
{
    return sl_proc_read(pid, name, text, STATUS_MAX) > 0;
}

/* The number of kB behind a name at the beginning of a line, in bytes; 0 when it is not there. */
static uint64_t kilobytes(const char *text, const char *name)
{
    return sl_num_after(text, name, 0) * 1024;
}

/* What is known of a process. One that another has pushed out is as one never seen. */
static struct known *known_of(const sl_memcount *m, pid_t pid)
{
    return &m->known[(size_t)pid & (KNOWN_MAX - 1)];
}

static bool weigh(const sl_memcount *m, pid_t pid, struct proc *p)
{
    char text[STATUS_MAX];
    if (!read_proc(pid, "status", text)) {
        return false;
    }
    /* The name of a process is its own to choose, but a newline in it is written as "\\n". */
    p->private = kilobytes(text, "\nRssAnon:") + kilobytes(text, "\nVmSwap:") +
                 kilobytes(text, "\nVmPTE:") + kilobytes(text, "\nHugetlbPages:") +
                 sl_num_after(text, "\nThreads:", 0) * THREAD_SIZE;
    p->mapped = kilobytes(text, "\nRssShmem:");
    struct known *known = known_of(m, pid);
    if (known->pid != pid || known->round + 1 < m->round) {
        *known = (struct known){.pid = pid, .shared = p->private};
    }
    known->round = m->round;
    known->shared = SL_MIN(known->shared, p->private);
    return true;
}

static void list_again(sl_memcount *m)
{
    uint64_t now = sl_clock_now_ns();
    if (m->listed_ns != 0 && now - m->listed_ns < m->list_cost_ns * LIST_SHARE) {
        return;
    }
    uint64_t began = sl_clock_thread_ns();
    m->count = sl_tree_list(m->sv->helper_pid, m->pids, SL_TREE_MAX);
    m->listed_ns = now;
    m->list_cost_ns = sl_clock_thread_ns() - began;
}

/* Takes those out that are gone; the next list is a fresh one then. */
static void weigh_all(sl_memcount *m)
{
    size_t kept = 0;
    for (size_t i = 0; i < m->count; i++) {
        if (weigh(m, m->pids[i], &m->procs[kept])) {
            m->pids[kept++] = m->pids[i];
        } else {
            m->listed_ns = 0;
        }
    }
    m->count = kept;
}

/* vfork(2) and clone(2) with CLONE_VM make two processes of one memory. */
static bool is_counted_already(const sl_memcount *m, size_t i)
{
    for (size_t k = 0; k < i && k < COMPARED_MAX; k++) {
        if (sl_tree_is_one_memory(m->pids[k], m->pids[i])) {
            return true;
        }
    }
    return false;
}

/* What is surely a process's own. */
static uint64_t own_of(const sl_memcount *m, size_t i)
{
    return m->procs[i].private - known_of(m, m->pids[i])->shared;
}

/* Without those that are one address space with another. */
static uint64_t sum_own_once(const sl_memcount *m)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < m->count; i++) {
        uint64_t own = own_of(m, i);
        sum += own > 0 && !is_counted_already(m, i) ? own : 0;
    }
    return sum;
}

/* Asks the kernel, which counts a page that several have in parts that add up to one. Only answers
 * of one look add up: who is not asked counts as if it shared all. */
static void look_at_shares_of(const sl_memcount *m, size_t i, bool late)
{
    char text[STATUS_MAX];
    uint64_t private = m->procs[i].private;
    struct known *known = known_of(m, m->pids[i]);
    known->shared = private;
    known->looked_at = !late;
    known->faults = sl_memfaults_count(m->pids[i]);
    if (late || private == 0 || is_counted_already(m, i) ||
        !read_proc(m->pids[i], "smaps_rollup", text)) {
        return;
    }
    uint64_t all = kilobytes(text, "\nAnonymous:") + kilobytes(text, "\nSwap:");
    uint64_t part = kilobytes(text, "\nPss_Anon:") + kilobytes(text, "\nSwapPss:");
    known->shared = SL_MIN(private, all > part ? all - part : 0);
}

struct sums {
    uint64_t all;
    uint64_t own;
    uint64_t largest;
    uint64_t mapped; /* the largest */
};

static struct sums sum_up(const sl_memcount *m)
{
    struct sums s = {0};
    for (size_t i = 0; i < m->count; i++) {
        s.all += m->procs[i].private;
        s.own += own_of(m, i);
        s.largest = SL_MAX(s.largest, m->procs[i].private);
        s.mapped = SL_MAX(s.mapped, m->procs[i].mapped);
    }
    s.own = SL_MAX(s.own, s.largest);
    return s;
}

/* What the tree can have made its own since the last look: by page faults, and all that they have
 * who came since. */
static uint64_t made_since_look(const sl_memcount *m)
{
    uint64_t made = (sl_memfaults_huge(&m->faults) - m->look_huge) * m->faults.huge_size;
    for (size_t i = 0; i < m->count; i++) {
        const struct known *known = known_of(m, m->pids[i]);
        uint64_t faults = known->looked_at ? sl_memfaults_count(m->pids[i]) : 0;
        made += !known->looked_at        ? m->procs[i].private
                : faults > known->faults ? (faults - known->faults) * m->faults.page_size
                                         : 0;
    }
    return made;
}

/* A look shows two things: near the limit, how far it is still; and at the limit, whether it is
 * passed. */
static bool is_worth_a_look(const sl_memcount *m, uint64_t made, uint64_t files, uint64_t limit)
{
    uint64_t near = limit - limit / NEAR_SHARE;
    uint64_t from = m->look_own + files < near ? near : limit;
    return made > m->look_own + limit / STEP_SHARE && made + files > from;
}

/* False if a process has less than when it was looked at, or is gone: one that was on its way
 * through exec or exit ends that in the kernel, where nothing holds it, and what it shared is
 * counted a second time as its peer's alone. */
static bool is_as_it_was(const sl_memcount *m)
{
    bool same = true;
    for (size_t i = 0; i < m->count && same; i++) {
        struct proc now;
        same = weigh(m, m->pids[i], &now) && now.private >= m->procs[i].private;
    }
    return same;
}

/* With the tree held still: else it would grow while it is looked at, and take the processors that
 * the looking needs. */
static void look_at_shares(sl_memcount *m)
{
    if (m->freeze != NULL) {
        sl_freeze_begin(m->freeze);
        m->held = true;
    }
    uint64_t began = sl_clock_thread_ns();
    m->look_true = false;
    for (int i = 0; i < LOOKS_MAX && !m->look_true; i++) {
        m->listed_ns = 0;
        list_again(m);
        weigh_all(m);
        m->look_huge = sl_memfaults_huge(&m->faults);
        uint64_t start = sl_clock_thread_ns(); /* of this look: else the next would be none */
        for (size_t k = 0; k < m->count; k++) {
            look_at_shares_of(m, k, sl_clock_thread_ns() - start > SHARES_NS);
        }
        m->look_true = is_as_it_was(m);
    }
    m->look_own = sum_up(m).own;
    m->look_cost_ns = sl_clock_thread_ns() - began;
}

void sl_memcount_let_go(sl_memcount *m)
{
    if (m->held) {
        sl_freeze_let_go(m->freeze);
        sl_freeze_end(m->leaving);
        m->leaving = sl_steal(&m->freeze);
        m->held = false;
    }
}

/* Bytes of files; looks through them where there may be more than at the last look. */
static uint64_t files_of(sl_memcount *m, const struct sums *s, uint64_t limit)
{
    uint64_t files = SL_MAX(sl_memfiles_most(m->files), s->mapped);
    return files > sl_memfiles_last(m->files) && s->all + files > limit
               ? sl_memfiles_look(m->files, m->pids, m->count, s->mapped)
               : files;
}

sl_memcount_result sl_memcount_take(sl_memcount *m, uint64_t limit)
{
    m->round++;
    list_again(m);
    weigh_all(m);
    struct sums s = sum_up(m);
    uint64_t files = files_of(m, &s, limit);
    uint64_t made = s.all; /* and most of it the tree's own, as far as is known yet */
    uint64_t look_ns = 0;
    if (s.own < s.all && m->freeze == NULL) {
        m->freeze = sl_freeze_prepare(m->sv);
    }
    if (s.own < s.all && s.all + files > limit - limit / NEAR_SHARE && s.own + files <= limit) {
        made = m->look_own + made_since_look(m);
        if (is_worth_a_look(m, made, files, limit)) {
            look_at_shares(m);
            s = sum_up(m);
            made = s.own;
            look_ns = m->look_cost_ns;
        }
    }
    if (sl_memfiles_is_due(m->files)) { /* late: a process that forks keeps its mappings locked */
        files = sl_memfiles_look(m->files, m->pids, m->count, s.mapped);
    }
    if (s.own + files > limit) {
        s.own = SL_MAX(s.largest, sum_own_once(m));
    }
    sl_memcount_result result = {
        .most = SL_MIN(s.all, made) + files, .least = s.own + files, .look_ns = look_ns};
    result.held = m->held && m->look_true && result.least > limit;
    if (!result.held) {
        sl_memcount_let_go(m);
    }
    return result;
}
