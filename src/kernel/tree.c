/* Owns the walking of the tree through /proc. The tree chooses its own depth and width: nothing
 * here recurses, and a number is believed only when it is complete. */
#include "kernel/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/util.h"
#include "kernel/proc.h"

#define ATTEMPTS 3

struct lister {
    pid_t spare;
    pid_t *list;
    size_t count;
    size_t max;
};

/* Adds the children that one thread has. The kernel ends each number by a space. */
static void add_children(struct lister *l, int tasks, const char *tid)
{
    char path[300];
    char text[4096];
    snprintf(path, sizeof(path), "%s/children", tid);
    sl_autoclose int fd = openat(tasks, path, O_RDONLY | O_CLOEXEC);
    pid_t pid = 0;
    ssize_t n;
    while (fd >= 0 && (n = read(fd, text, sizeof(text))) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            if (text[i] >= '0' && text[i] <= '9') {
                pid = pid * 10 + (text[i] - '0');
                continue;
            }
            if (pid > 0 && pid != l->spare && l->count < l->max) {
                l->list[l->count++] = pid;
            }
            pid = 0;
        }
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
    if (tasks != NULL) {
        closedir(tasks);
    }
}

size_t sl_tree_list(pid_t spare, pid_t *list, size_t max)
{
    struct lister l = {.spare = spare, .list = list, .max = max};
    add_below(&l, getpid());
    for (size_t i = 0; i < l.count && l.count < max; i++) {
        add_below(&l, list[i]);
    }
    return l.count;
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
