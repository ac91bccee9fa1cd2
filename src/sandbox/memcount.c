/* Owns the counting of the tree's memory: private pages by process, each shared object once
 * (memfiles.c). It believes no number that the tree could have made up; it never touches a process.
 *
 * Pages that a fork shares count in each process. How many they may be is remembered of each: at
 * most what it had when it was first seen, and never more than it has. So two sums come cheap, one
 * that is never too low and one that is never too high; only between them are shares looked at.
 * docs/internals/limits.md tells the whole. */
#include "sandbox/memcount.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/clock.h"
#include "sandbox/freeze.h"
#include "sandbox/memcount_int.h"
#include "sandbox/sandbox_int.h"
#include "sandbox/tree.h"

#define STATUS_MAX    4096
#define KNOWN_MAX     8192u     /* processes that are remembered; a power of two */
#define LIST_SHARE    10        /* the list of processes may be so many times older than it took */
#define SHARES_NS     50000000u /* how long looking at shares may take */
#define SHARES_SHARE  32        /* and, while far from the limit, one part of so many of the time */
#define COPIED_PER_US 4096u     /* bytes that the tree can make its own of what was shared */
#define COMPARED_MAX  256       /* processes that are compared for one address space */

struct proc {
    uint64_t private; /* bytes: anonymous, swapped, page tables */
    uint64_t mapped;  /* shared memory that it has touched through a mapping */
};

/* Of a process: how much of its private memory may be another's as well. */
struct known {
    pid_t pid;
    uint64_t shared;
};

struct sl_memcount {
    sl_sandbox *sb;
    sl_memfiles *files;
    pid_t *pids;
    struct proc *procs;
    struct known *known;
    size_t count;
    uint64_t listed_ns;
    uint64_t list_cost_ns;
    uint64_t shares_ns; /* when shares were looked at */
    uint64_t shares_cost_ns;
};

sl_memcount *sl_memcount_new(sl_sandbox *sb)
{
    SL_AUTO(sl_memcount) m = calloc(1, sizeof(*m));
    if (m == NULL) {
        return NULL;
    }
    m->sb = sb;
    /* Pages come as they are used. */
    m->pids = malloc(SL_TREE_MAX * sizeof(*m->pids));
    m->procs = malloc(SL_TREE_MAX * sizeof(*m->procs));
    m->known = calloc(KNOWN_MAX, sizeof(*m->known));
    m->files = sl_memfiles_new(sb->view);
    if (m->pids == NULL || m->procs == NULL || m->known == NULL || m->files == NULL) {
        return NULL;
    }
    return sl_steal(&m);
}

void sl_memcount_free(sl_memcount *m)
{
    if (m != NULL) {
        sl_memfiles_free(m->files);
        free(m->pids);
        free(m->procs);
        free(m->known);
        free(m);
    }
}

static bool read_proc(pid_t pid, const char *name, char text[STATUS_MAX])
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    sl_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, STATUS_MAX - 1);
    text[n > 0 ? n : 0] = '\0';
    return n > 0;
}

/* The number of kB behind a name at the beginning of a line, in bytes; 0 when it is not there. */
static uint64_t kilobytes(const char *text, const char *name)
{
    const char *line = strstr(text, name);
    return line == NULL ? 0 : strtoull(line + strlen(name), NULL, 10) * 1024;
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
                 kilobytes(text, "\nVmPTE:") + kilobytes(text, "\nHugetlbPages:");
    p->mapped = kilobytes(text, "\nRssShmem:");
    struct known *known = known_of(m, pid);
    if (known->pid != pid) {
        *known = (struct known){.pid = pid, .shared = p->private};
    }
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
    m->count = sl_tree_list(m->sb->helper_pid, m->pids, SL_TREE_MAX);
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
        if (syscall(SYS_kcmp, m->pids[k], m->pids[i], KCMP_VM, 0, 0) == 0) {
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
    *known = (struct known){.pid = m->pids[i], .shared = private};
    if (late || private == 0 || is_counted_already(m, i) ||
        !read_proc(m->pids[i], "smaps_rollup", text)) {
        return;
    }
    uint64_t all = kilobytes(text, "\nAnonymous:") + kilobytes(text, "\nSwap:");
    uint64_t part = kilobytes(text, "\nPss_Anon:") + kilobytes(text, "\nSwapPss:");
    known->shared = SL_MIN(private, all > part ? all - part : 0);
}

/* Shares become private page by page as they are written, which only another look tells: soon where
 * that could reach the limit. */
static bool may_look_at_shares(const sl_memcount *m, uint64_t left)
{
    uint64_t soon = left / COPIED_PER_US * 1000;
    uint64_t seldom = m->shares_cost_ns * SHARES_SHARE;
    uint64_t wait = SL_MAX(m->shares_cost_ns * 2, SL_MIN(soon, seldom));
    return m->shares_ns == 0 || sl_clock_now_ns() - m->shares_ns > wait;
}

/* With the tree held still: else it would grow while it is looked at, and take the processors that
 * the looking needs. */
static void look_at_shares(sl_memcount *m)
{
    sl_freeze *freeze = sl_freeze_begin(m->sb);
    m->listed_ns = 0;
    list_again(m);
    weigh_all(m);
    uint64_t began = sl_clock_thread_ns();
    for (size_t i = 0; i < m->count; i++) {
        look_at_shares_of(m, i, sl_clock_thread_ns() - began > SHARES_NS);
    }
    sl_freeze_end(freeze);
    m->shares_ns = sl_clock_now_ns();
    m->shares_cost_ns = sl_clock_thread_ns() - began;
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

sl_memcount_result sl_memcount_take(sl_memcount *m, uint64_t limit)
{
    list_again(m);
    weigh_all(m);
    struct sums s = sum_up(m);
    uint64_t files = SL_MAX(sl_memfiles_most(m->files), s.mapped);
    if (s.all + files > limit || sl_memfiles_is_due(m->files)) {
        files = sl_memfiles_look(m->files, m->pids, m->count, s.mapped);
    }
    if (s.all + files > limit && s.own + files <= limit &&
        may_look_at_shares(m, limit - s.own - files)) {
        look_at_shares(m);
        s = sum_up(m);
    }
    if (s.own + files > limit) {
        s.own = SL_MAX(s.largest, sum_own_once(m));
    }
    return (sl_memcount_result){.most = s.all + files, .least = s.own + files};
}
