/* Owns the walking of the tree through /proc. The tree chooses its own depth and width: nothing
 * here recurses, and a number is believed only when it is complete. */
#include "kernel/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
};

/* Adds the children that one thread has. The kernel ends each number by a space. */
static void add_children(struct lister *l, int tasks, const char *tid)
{
    char path[300];
    char text[4096];
    size_t kept = 0; /* of a number that the next read goes on with */
    snprintf(path, sizeof(path), "%s/children", tid);
    sl_autoclose int fd = openat(tasks, path, O_RDONLY | O_CLOEXEC);
    ssize_t n;
    while (fd >= 0 && (n = read(fd, text + kept, sizeof(text) - 1 - kept)) > 0) {
        text[kept + (size_t)n] = '\0';
        const char *at = text;
        for (const char *end; (end = strchr(at, ' ')) != NULL; at = end + 1) {
            pid_t pid = sl_num_pid(at);
            if (pid > 0 && pid != l->spare && l->count < l->max) {
                l->list[l->count++] = pid;
            }
        }
        kept = strlen(at);
        memmove(text, at, kept);
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
