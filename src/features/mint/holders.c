/* Owns the looking through the tree's tables of descriptors. Believes that nobody has a socket only
 * when everybody could be asked, nobody came or went meanwhile, and no descriptor lies in a message
 * that was not received yet (SCM_RIGHTS): then it is in no table. */
#include "features/mint/holders.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/num.h"
#include "core/util.h"
#include "kernel/proc.h"
#include "kernel/tree.h"

#define LISTS       3 /* of a tree that changes while it is looked through */
#define SOCKET_LINK "socket:["

/* "socket:[123]" */
static bool socket_number(const char *text, uint64_t *ret_ino)
{
    const char *at = text + strlen(SOCKET_LINK);
    return strncmp(text, SOCKET_LINK, strlen(SOCKET_LINK)) == 0 &&
           sl_num_take(&at, UINT64_MAX, ret_ino) == 0 && strcmp(at, "]") == 0;
}

int sl_holders_socket(pid_t tid, int fd, uint64_t *ret_ino)
{
    char name[32];
    char text[64];
    snprintf(name, sizeof(name), "fd/%d", fd);
    ssize_t n = fd < 0 ? -ENOENT : sl_proc_link(tid, name, text, sizeof(text));
    if (n < 0) {
        return n == -ENOENT ? -EBADF : -EACCES;
    }
    return socket_number(text, ret_ino) ? 0 : -ENOTSOCK;
}

static int by_ino(const void *a, const void *b)
{
    const sl_look *x = a;
    const sl_look *y = b;
    return (x->ino > y->ino) - (x->ino < y->ino);
}

struct search {
    sl_look *items; /* by ino */
    size_t count;
    size_t missing;
    bool whole;         /* everybody could be asked */
    bool asks_messages; /* and is, what messages that nobody received hold */
    bool in_flight;     /* they hold descriptors */
};

static void note(struct search *s, uint64_t ino, pid_t tid, int number)
{
    sl_look key = {.ino = ino};
    sl_look *l = bsearch(&key, s->items, s->count, sizeof(key), by_ino);
    if (l != NULL && !l->seen) {
        l->seen = true;
        l->tid = tid;
        l->number = number;
        s->missing--;
    }
}

/* unix(7) sockets tell how many descriptors their messages hold; a listener tells those of the
 * connections that nobody accepted, too. What lies in a message within a message makes the outer
 * one's socket tell. */
static bool holds_messages(pid_t tid, int number)
{
    char name[32];
    char text[1024];
    snprintf(name, sizeof(name), "fdinfo/%d", number);
    ssize_t n = sl_proc_read(tid, name, text, sizeof(text));
    const char *at = n < 0 ? NULL : strstr(text, "\nscm_fds:");
    uint64_t count = n < 0 && n != -ENOENT && n != -ESRCH;
    if (at != NULL) {
        at += strlen("\nscm_fds:");
        at += strspn(at, " \t");
        (void)sl_num_take(&at, UINT64_MAX, &count);
    }
    return count > 0;
}

/* One table of descriptors. False when it cannot be read; of a process that is gone it is empty. */
static bool search_table(struct search *s, pid_t tid)
{
    char path[64];
    char text[64];
    bool any = false;
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)tid);
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return errno == ENOENT || errno == ESRCH;
    }
    for (struct dirent *e; s->missing > 0 && (e = readdir(dir)) != NULL;) {
        ssize_t n = readlinkat(dirfd(dir), e->d_name, text, sizeof(text) - 1);
        uint64_t ino;
        uint64_t number;
        text[SL_MAX(n, 0)] = '\0';
        any = any || n > 0;
        if (n > 0 && socket_number(text, &ino) &&
            sl_num_parse_str(e->d_name, INT32_MAX, &number) == 0) {
            note(s, ino, tid, (int)number);
            s->in_flight = s->in_flight || (s->asks_messages && holds_messages(tid, (int)number));
        }
    }
    closedir(dir);
    return any || s->missing == 0;
}

/* The tables of the threads: each may have one of its own, and a process outlives its first one. */
static bool search_threads(struct search *s, pid_t pid)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return errno == ENOENT || errno == ESRCH;
    }
    for (struct dirent *e; s->missing > 0 && (e = readdir(dir)) != NULL;) {
        pid_t tid = sl_num_pid(e->d_name);
        if (tid > 0) {
            (void)search_table(s, tid);
        }
    }
    closedir(dir);
    return true;
}

static void search_list(struct search *s, const pid_t *list, size_t count)
{
    for (size_t i = 0; s->missing > 0 && i < count; i++) {
        bool read = search_table(s, list[i]);
        long count_of_threads = read && s->missing > 0 ? sl_proc_status(list[i], "Threads") : 1;
        if (!read || (count_of_threads != 1 && count_of_threads != -ESRCH)) {
            bool threads = search_threads(s, list[i]);
            s->whole = s->whole && (threads || read);
        }
    }
}

/* What comes out of a message after its socket's table was read is in a table behind that. */
static void search_tables_and_messages(struct search *s, const pid_t *list, size_t count)
{
    search_list(s, list, count);
    if (s->missing == 0 || !s->whole) {
        return;
    }
    s->asks_messages = true;
    search_list(s, list, count);
    s->asks_messages = false;
    search_list(s, list, count);
    s->whole = s->whole && !s->in_flight;
}

/* Through all of the tree, again while processes come and go: a descriptor may go over to one that
 * was not there yet. */
static void search_tree(pid_t spare, struct search *s)
{
    sl_autofree pid_t *list = malloc(2 * SL_TREE_MAX * sizeof(*list));
    if (list == NULL) {
        return;
    }
    pid_t *now = list + SL_TREE_MAX;
    bool all;
    size_t count = sl_tree_list_whole(spare, list, SL_TREE_MAX, &all);
    for (unsigned i = 0; s->missing > 0 && i < LISTS; i++) {
        s->whole = true;
        s->in_flight = false;
        search_tables_and_messages(s, list, count);
        bool still_all;
        size_t then = sl_tree_list_whole(spare, now, SL_TREE_MAX, &still_all);
        if (then == count && memcmp(list, now, count * sizeof(*list)) == 0) {
            s->whole = s->whole && all && still_all;
            return;
        }
        memcpy(list, now, then * sizeof(*list));
        count = then;
        all = still_all;
        s->whole = false;
    }
}

/* Asks first where each was last. */
static void look_where_used(struct search *s)
{
    for (size_t i = 0; i < s->count; i++) {
        sl_look *l = &s->items[i];
        uint64_t ino;
        l->seen = l->tid != 0 && sl_holders_socket(l->tid, l->number, &ino) == 0 && ino == l->ino;
        s->missing -= l->seen;
    }
}

bool sl_holders_find(pid_t spare, sl_look *looks, size_t count)
{
    struct search s = {.items = looks, .count = count, .missing = count, .whole = true};
    look_where_used(&s);
    if (s.missing == 0) {
        return true;
    }
    s.whole = false;
    qsort(s.items, s.count, sizeof(*s.items), by_ino);
    search_tree(spare, &s);
    return s.missing == 0 || s.whole;
}
