/* Owns the counting of the tree's memory: private pages by process, each shared object once
 * (memfiles.c). It believes no number that the tree could have made up; it never touches a process.
 *
 * The cheap sum counts pages that a fork shares once for each process, so it is never too low. Only
 * when it is over the limit are shares looked at. docs/internals/limits.md tells the whole. */
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
#include "sandbox/memcount_int.h"
#include "sandbox/tree.h"

#define STATUS_MAX   4096
#define LIST_SHARE   10          /* the list of processes may be so many times older than it took */
#define SHARES_NS    100000000u  /* looking at shares: what is left then counts in full */
#define COMPARED_MAX 256         /* processes that are compared for one address space */

struct proc {
    pid_t pid;
    uint64_t private; /* bytes: anonymous, swapped, page tables */
    uint64_t mapped;  /* shared memory that it has touched through a mapping */
};

struct sl_memcount {
    sl_memfiles *files;
    pid_t *pids;
    struct proc *procs;
    size_t count;
    uint64_t listed_ns;
    uint64_t list_cost_ns;
};

sl_memcount *sl_memcount_new(const sl_fsview *view)
{
    SL_AUTO(sl_memcount) m = calloc(1, sizeof(*m));
    if (m == NULL) {
        return NULL;
    }
    m->pids = malloc(SL_TREE_MAX * sizeof(*m->pids)); /* pages come as they are used */
    m->procs = malloc(SL_TREE_MAX * sizeof(*m->procs));
    m->files = sl_memfiles_new(view);
    if (m->pids == NULL || m->procs == NULL || m->files == NULL) {
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

static bool weigh(struct proc *p)
{
    char text[STATUS_MAX];
    if (!read_proc(p->pid, "status", text)) {
        return false;
    }
    /* The name of a process is its own to choose, but a newline in it is written as "\n". */
    p->private = kilobytes(text, "\nRssAnon:") + kilobytes(text, "\nVmSwap:") +
                 kilobytes(text, "\nVmPTE:") + kilobytes(text, "\nHugetlbPages:");
    p->mapped = kilobytes(text, "\nRssShmem:");
    return true;
}

static void list_again(sl_memcount *m, pid_t spare)
{
    uint64_t now = sl_clock_now_ns();
    if (m->listed_ns != 0 && now - m->listed_ns < m->list_cost_ns * LIST_SHARE) {
        return;
    }
    m->count = sl_tree_list(spare, m->pids, SL_TREE_MAX);
    m->listed_ns = sl_clock_now_ns();
    m->list_cost_ns = m->listed_ns - now;
}

/* Takes those out that are gone; the next list is a fresh one then. */
static void weigh_all(sl_memcount *m)
{
    size_t kept = 0;
    for (size_t i = 0; i < m->count; i++) {
        struct proc *p = &m->procs[kept];
        p->pid = m->pids[i];
        if (weigh(p)) {
            m->pids[kept++] = p->pid;
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
        if (syscall(SYS_kcmp, m->procs[k].pid, m->procs[i].pid, KCMP_VM, 0, 0) == 0) {
            return true;
        }
    }
    return false;
}

/* Pages that several processes have count in parts, which add up to one. */
static uint64_t private_share(const struct proc *p)
{
    char text[STATUS_MAX];
    if (!read_proc(p->pid, "smaps_rollup", text) || strstr(text, "\nPss_Anon:") == NULL) {
        return p->private;
    }
    char status[STATUS_MAX];
    uint64_t rest = 0;
    if (read_proc(p->pid, "status", status)) {
        rest = kilobytes(status, "\nVmPTE:") + kilobytes(status, "\nHugetlbPages:");
    }
    return kilobytes(text, "\nPss_Anon:") + kilobytes(text, "\nSwapPss:") + rest;
}

static uint64_t count_private_shares(const sl_memcount *m, uint64_t enough)
{
    uint64_t deadline = sl_clock_now_ns() + SHARES_NS;
    uint64_t sum = 0;
    for (size_t i = 0; i < m->count && sum <= enough; i++) {
        if (is_counted_already(m, i)) {
            continue;
        }
        bool late = sl_clock_now_ns() > deadline;
        sum += late ? m->procs[i].private : private_share(&m->procs[i]);
    }
    return sum;
}

/* Without the processes that share all of it; no more than before. */
static uint64_t count_private_spaces(const sl_memcount *m)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < m->count; i++) {
        sum += is_counted_already(m, i) ? 0 : m->procs[i].private;
    }
    return sum;
}

sl_memcount_result sl_memcount_take(sl_memcount *m, pid_t spare, uint64_t limit)
{
    uint64_t sum = 0;
    uint64_t largest = 0;
    uint64_t mapped = 0;
    list_again(m, spare);
    weigh_all(m);
    for (size_t i = 0; i < m->count; i++) {
        sum += m->procs[i].private;
        largest = SL_MAX(largest, m->procs[i].private);
        mapped = SL_MAX(mapped, m->procs[i].mapped);
    }
    uint64_t files = SL_MAX(sl_memfiles_most(m->files), mapped);
    if (sum + files > limit || sl_memfiles_is_due(m->files)) {
        files = sl_memfiles_look(m->files, m->pids, m->count, mapped);
    }
    if (sum + files > limit && largest + files <= limit) {
        sum = count_private_spaces(m);
        if (sum + files > limit) {
            sum = count_private_shares(m, limit - files);
            largest = SL_MAX(largest, sum);
        }
    }
    return (sl_memcount_result){.most = sum + files, .least = largest + files};
}
