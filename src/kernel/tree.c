/* Owns the walking of the tree through /proc. The tree chooses its own depth and width: nothing
 * here recurses, and a number is believed only when it is complete. */
#include "kernel/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/kcmp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/num.h"
#include "core/util.h"
#include "kernel/proc.h"

#define ATTEMPTS 3

struct lister {
    pid_t spare;
    pid_t *list;
    size_t count;
    size_t max;
    bool whole;
};

/* Whoever has ended meanwhile has no children any more. */
static void note_failure(struct lister *l)
{
    l->whole = l->whole && (errno == ENOENT || errno == ESRCH);
}

/* Adds the children that one thread has. The kernel ends each number by a space. */
static void add_children(struct lister *l, int tasks, const char *tid)
{
    char path[300];
    char text[4096];
    size_t kept = 0; /* of a number that the next read goes on with */
    snprintf(path, sizeof(path), "%s/children", tid);
    sl_autoclose int fd = openat(tasks, path, O_RDONLY | O_CLOEXEC);
    ssize_t n = -1;
    while (fd >= 0 && (n = read(fd, text + kept, sizeof(text) - 1 - kept)) > 0) {
        text[kept + (size_t)n] = '\0';
        const char *at = text;
        for (const char *end; (end = strchr(at, ' ')) != NULL; at = end + 1) {
            pid_t pid = sl_num_pid(at);
            if (pid <= 0 || pid == l->spare) {
                continue;
            }
            if (l->count < l->max) {
                l->list[l->count++] = pid;
            } else {
                l->whole = false;
            }
        }
        kept = strlen(at);
        memmove(text, at, kept);
    }
    if (n < 0) {
        note_failure(l);
    }
}

static void add_below(struct lister *l, pid_t pid)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    for (struct dirent *e; tasks != NULL && l->count < l->max && (e = readdir(tasks)) != NULL;) {
        if (e->d_name[0] != '.') {
            add_children(l, dirfd(tasks), e->d_name);
        }
    }
    if (tasks == NULL) {
        note_failure(l);
        return;
    }
    closedir(tasks);
}

size_t sl_tree_list_whole(pid_t spare, pid_t *list, size_t max, bool *ret_whole)
{
    struct lister l = {.spare = spare, .list = list, .max = max, .whole = true};
    add_below(&l, getpid());
    for (size_t i = 0; i < l.count && l.count < max; i++) {
        add_below(&l, list[i]);
    }
    *ret_whole = l.whole && l.count < max;
    return l.count;
}

size_t sl_tree_list(pid_t spare, pid_t *list, size_t max)
{
    bool whole;
    return sl_tree_list_whole(spare, list, max, &whole);
}

/* The child that this thread waits for until it executes a program; 0: it waits for none. "58 ..."
 * or "56 0xFLAGS ..." of proc_pid_syscall(5), and the youngest of its children. */
static pid_t vforked_by(int tasks, const char *tid)
{
    char path[300];
    char text[4096];
    uint64_t number;
    uint64_t flags = 0;
    const char *at = text;
    snprintf(path, sizeof(path), "%s/syscall", tid);
    if (sl_proc_read_at(tasks, path, text, sizeof(text)) <= 0 || sl_num_next(&at, &number) < 0) {
        return 0;
    }
    if (number == SYS_clone && strncmp(at, " 0x", 3) == 0) {
        (void)sl_num_parse_hex(at + 3, strcspn(at + 3, " \n"), UINT64_MAX, &flags);
    }
#ifdef SYS_vfork
    flags |= number == SYS_vfork ? CLONE_VFORK | CLONE_VM : 0;
#endif
    if ((flags & (CLONE_VFORK | CLONE_VM)) != (CLONE_VFORK | CLONE_VM)) {
        return 0;
    }
    snprintf(path, sizeof(path), "%s/children", tid);
    ssize_t n = sl_proc_read_at(tasks, path, text, sizeof(text));
    if (n <= 0 || n == (ssize_t)sizeof(text) - 1) {
        return 0;
    }
    text[n - 1] = '\0'; /* a space is behind each */
    const char *last = strrchr(text, ' ');
    return sl_num_pid(last == NULL ? text : last + 1);
}

static bool has_vforked(pid_t parent, pid_t child)
{
    char path[64];
    bool found = false;
    snprintf(path, sizeof(path), "/proc/%d/task", (int)parent);
    DIR *tasks = opendir(path);
    for (struct dirent *e; tasks != NULL && !found && (e = readdir(tasks)) != NULL;) {
        found = e->d_name[0] != '.' && vforked_by(dirfd(tasks), e->d_name) == child;
    }
    if (tasks != NULL) {
        closedir(tasks);
    }
    return found;
}

bool sl_tree_is_one_memory(pid_t a, pid_t b)
{
    long r = syscall(SYS_kcmp, a, b, KCMP_VM, 0, 0);
    if (r >= 0 || (errno != EPERM && errno != ENOSYS)) {
        return r == 0;
    }
    return has_vforked(a, b) || has_vforked(b, a);
}

/* Up the line of parents. A parent that ends meanwhile leaves a gap, and its children another
 * parent: asked again. */
bool sl_tree_has(pid_t spare, pid_t pid)
{
    pid_t own = getpid();
    for (unsigned attempt = 0; attempt < ATTEMPTS; attempt++) {
        long at = pid;
        for (unsigned depth = 0; at > 1 && depth < SL_TREE_MAX; depth++) {
            long tgid;
            long parent;
            sl_proc_family((pid_t)at, &tgid, &parent);
            if (tgid == own || (spare != 0 && (tgid == spare || parent == spare))) {
                return false;
            }
            if (parent == own) {
                return true;
            }
            at = parent;
        }
        if (at >= 0) {
            return false; /* at the top of the system, past us */
        }
    }
    return false;
}
