/* Owns the looking through the tree's tables of descriptors for pipes and sockets. Believes that
 * an object is gone only when everybody could be asked, twice, nobody came or went meanwhile, and
 * nothing is on its way in a message. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <netinet/in.h>

#include "core/num.h"
#include "core/util.h"
#include "features/kmem/kmem_int.h"
#include "kernel/diag/diag.h"
#include "kernel/pidfd.h"
#include "kernel/place.h"
#include "kernel/proc.h"
#include "kernel/tree.h"
#include "supervisor/freeze.h"

#define PRESS_SHARE 4 /* of the budget: with less left, sockets get smaller */
#define PASSES_MAX  4 /* of a tree that changes while it is looked through */
#define ORPHANS_MAX 16384
#define NO_INODE    (UINT64_C(1) << 63) /* numbers of sockets that nobody has: their cookie's */
#define SENDING     ((1u << 4) | (1u << 9) | (1u << 11)) /* FIN_WAIT1, LAST_ACK, CLOSING */

struct look {
    sl_supervisor *sv;
    struct sl_kmem_state *state;
    bool whole;     /* everybody could be asked */
    bool under_way; /* a message holds descriptors */
    bool presses;   /* what is left is little: who has much gets less */
    bool ours;      /* the table is our own: what is not known there is not the tree's */
};

bool sl_kmem_link(const char *text, bool *ret_is_pipe, uint64_t *ret_ino)
{
    static const char *const kinds[] = {"socket:[", "pipe:["};
    for (size_t i = 0; i < SL_ARRAY_LEN(kinds); i++) {
        size_t len = strlen(kinds[i]);
        const char *at = text + len;
        if (strncmp(text, kinds[i], len) == 0 && sl_num_take(&at, NO_INODE - 1, ret_ino) == 0 &&
            strcmp(at, "]") == 0) {
            *ret_is_pipe = i == 1;
            return true;
        }
    }
    return false;
}

bool sl_kmem_number(pid_t tid, int fd, uint64_t *ret_ino)
{
    char name[32];
    char text[64];
    bool is_pipe;
    snprintf(name, sizeof(name), "fd/%d", fd);
    return fd >= 0 && sl_proc_link(tid, name, text, sizeof(text)) > 0 &&
           sl_kmem_link(text, &is_pipe, ret_ino);
}

/* A socket that the kernel made, or that came from outside. */
static int fetch(pid_t pid, const char *number, uint64_t ino)
{
    uint64_t fd;
    struct stat st;
    if (!sl_place_fetches() || sl_num_parse_str(number, INT32_MAX, &fd) < 0) {
        return -1;
    }
    sl_autoclose int pidfd = sl_pidfd_open(pid);
    sl_autoclose int own = pidfd < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, (int)fd, 0);
    return own < 0 || fstat(own, &st) < 0 || st.st_ino != ino ? -1 : sl_steal_fd(&own);
}

static bool is_tcp(pid_t pid, const char *number)
{
    char path[64];
    char text[32];
    snprintf(path, sizeof(path), "/proc/%d/fd/%.16s", (int)pid, number);
    ssize_t n = getxattr(path, "system.sockprotoname", text, sizeof(text) - 1);
    text[SL_MAX(n, 0)] = '\0';
    return strncmp(text, "TCP", 3) == 0;
}

/* Makes it smaller, now that it can be had; where it cannot, it counts as it was made. */
static void meet_socket(struct look *l, pid_t pid, const char *number, uint64_t ino)
{
    sl_ledger_item item = {.kind = SL_LEDGER_SOCKET};
    const sl_bounds *b = &l->state->bounds;
    sl_autoclose int own = fetch(pid, number, ino);
    if (own < 0 || sl_bounds_socket(b, l->state->ledger, own, false, &item) < 0) {
        item.charge = is_tcp(pid, number) ? l->state->accepted_tcp : sl_bounds_accepted(b);
    }
    l->state->has_tcp = l->state->has_tcp || item.kind == SL_LEDGER_TCP;
    item.ino = ino;
    sl_ledger_meet(l->state->ledger, &item);
}

static void press(const struct look *l, pid_t pid, const char *number, uint64_t ino)
{
    sl_ledger *ledger = l->state->ledger;
    const sl_ledger_item *known = sl_ledger_find(ledger, ino);
    if (known == NULL || known->kind != SL_LEDGER_TCP || known->child != 0 ||
        known->charge <= sl_bounds_pressed(ledger)) {
        return;
    }
    sl_autoclose int own = fetch(pid, number, ino);
    if (own >= 0) {
        sl_ledger_item item = *known;
        item.charge = SL_MIN(item.charge, sl_bounds_press(ledger, own));
        (void)sl_ledger_put(ledger, &item);
    }
}

/* unix(7): how many descriptors lie in messages to this one, or to who waits for it. */
static bool holds_messages(int dir, const char *number)
{
    char name[64];
    char text[1024];
    snprintf(name, sizeof(name), "../fdinfo/%.16s", number);
    return sl_proc_read_at(dir, name, text, sizeof(text)) > 0 &&
           sl_num_after(text, "scm_fds:", 0) > 0;
}

static void look_at(struct look *l, pid_t pid, int dir, const char *number, const char *text)
{
    uint64_t ino;
    bool is_pipe;
    if (!sl_kmem_link(text, &is_pipe, &ino)) {
        return;
    }
    if (!is_pipe && !l->ours) {
        l->under_way = l->under_way || holds_messages(dir, number);
    }
    if (sl_ledger_see(l->state->ledger, ino) || l->ours) {
        if (l->presses) {
            press(l, pid, number, ino);
        }
        return;
    }
    if (is_pipe) {
        sl_ledger_meet(l->state->ledger,
                       &(sl_ledger_item){.ino = ino,
                                         .kind = SL_LEDGER_PIPE,
                                         .charge = sl_bounds_usual_pipe(&l->state->bounds)});
    } else {
        meet_socket(l, pid, number, ino);
    }
}

/* False when it cannot be read; of a process that is gone it is empty. */
static bool look_at_table(struct look *l, pid_t pid)
{
    char path[64];
    char text[64];
    bool any = false;
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return errno == ENOENT || errno == ESRCH;
    }
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        ssize_t n = readlinkat(dirfd(dir), e->d_name, text, sizeof(text) - 1);
        text[SL_MAX(n, 0)] = '\0';
        any = any || n > 0;
        look_at(l, pid, dirfd(dir), e->d_name, text);
    }
    closedir(dir);
    return any;
}

/* A process outlives its first thread; its threads have one table (features/tables). */
static bool look_at_threads(struct look *l, pid_t pid)
{
    char path[64];
    bool read = true;
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return errno == ENOENT || errno == ESRCH;
    }
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        pid_t tid = sl_num_pid(e->d_name);
        read = (tid <= 0 || tid == pid || look_at_table(l, tid)) && read;
    }
    closedir(dir);
    return read;
}

static void pass(struct look *l, const pid_t *list, size_t count, bool backwards)
{
    l->whole = true;
    for (size_t i = 0; i < count; i++) {
        pid_t pid = list[backwards ? count - 1 - i : i];
        if (look_at_table(l, pid)) {
            continue;
        }
        long threads = sl_proc_status(pid, "Threads");
        if (threads > 1) {
            l->whole = look_at_threads(l, pid) && l->whole;
        } else if (threads < 0 && threads != -ESRCH) {
            l->whole = false;
        }
    }
}

static bool is_one_thread(const pid_t *list, size_t count)
{
    return count == 1 && sl_proc_status(list[0], "Threads") == 1;
}

/* Through all, there and back: a descriptor that is handed on meanwhile is met on one of the ways.
 * Whoever made the call waits for us; where there are others, they are held as well. */
static void look_at_tree(struct look *l)
{
    sl_autofree pid_t *list = malloc(2 * SL_TREE_MAX * sizeof(*list));
    if (list == NULL) {
        return;
    }
    pid_t *now = list + SL_TREE_MAX;
    pid_t spare = atomic_load(&l->sv->helper_pid);
    bool all;
    size_t count = sl_tree_list_whole(spare, list, SL_TREE_MAX, &all);
    bool alone = all && is_one_thread(list, count);
    sl_freeze *held = alone ? NULL : sl_freeze_prepare(l->sv);
    if (held != NULL) {
        sl_freeze_begin(held);
    }
    bool same = alone;
    pass(l, list, count, false);
    for (unsigned i = 1; !same && i < PASSES_MAX; i++) {
        size_t then = sl_tree_list_whole(spare, now, SL_TREE_MAX, &all);
        same = all && then == count && memcmp(list, now, count * sizeof(*list)) == 0;
        memcpy(list, now, then * sizeof(*list));
        count = then;
        pass(l, list, count, i % 2 == 1);
    }
    l->whole = l->whole && same && count < SL_TREE_MAX;
    sl_freeze_end(held);
}

/* ---- TCP that nobody has any more, and that still sends: tcp(7) ---- */

struct orphan {
    uint64_t cookie;
    uint64_t waits; /* bytes */
    bool known;
};

struct orphans {
    struct orphan *items; /* NULL: not listed, so every one may be there */
    size_t count;
    bool complete;
};

static int by_cookie(const void *a, const void *b)
{
    const struct orphan *x = a;
    const struct orphan *y = b;
    return (x->cookie > y->cookie) - (x->cookie < y->cookie);
}

static void note_orphan(void *arg, const struct inet_diag_msg *m)
{
    struct orphans *o = arg;
    bool others = m->idiag_uid != 0 && m->idiag_uid != geteuid(); /* older kernels say 0 */
    if (m->idiag_inode != 0 || m->idiag_wqueue == 0 || others) {
        return;
    }
    o->complete = o->complete && o->count < ORPHANS_MAX;
    if (o->complete) {
        o->items[o->count++] =
            (struct orphan){.cookie = sl_diag_cookie(m), .waits = m->idiag_wqueue};
    }
}

static void list_orphans(struct orphans *o)
{
    static const int families[] = {AF_INET, AF_INET6};
    o->items = malloc(ORPHANS_MAX * sizeof(*o->items));
    o->complete = o->items != NULL;
    for (size_t i = 0; o->complete && i < SL_ARRAY_LEN(families); i++) {
        struct sl_diag_question q = {
            .family = families[i], .protocol = IPPROTO_TCP, .states = SENDING};
        o->complete = sl_diag_each(&q, note_orphan, o) && o->complete;
    }
    if (o->complete) {
        qsort(o->items, o->count, sizeof(*o->items), by_cookie);
    }
}

static bool stays(void *arg, const sl_ledger_item *item)
{
    struct orphans *o = arg;
    struct orphan key = {.cookie = item->cookie};
    if (item->kind != SL_LEDGER_TCP || !o->complete) {
        return item->kind == SL_LEDGER_TCP;
    }
    struct orphan *found = bsearch(&key, o->items, o->count, sizeof(key), by_cookie);
    if (found != NULL) {
        found->known = true;
    }
    return found != NULL;
}

/* Those that were accepted and closed between two looks. */
static void meet_orphans(sl_ledger *l, const struct orphans *o)
{
    for (size_t i = 0; o->complete && i < o->count; i++) {
        const struct orphan *each = &o->items[i];
        if (!each->known) {
            sl_ledger_meet(l, &(sl_ledger_item){.ino = NO_INODE | each->cookie,
                                                .cookie = each->cookie,
                                                .kind = SL_LEDGER_TCP,
                                                .charge = 2 * each->waits});
        }
    }
}

void sl_kmem_look(sl_supervisor *sv, struct sl_kmem_state *s)
{
    struct look l = {.sv = sv, .state = s};
    struct orphans o = {.items = NULL};
    l.presses = sl_ledger_left(s->ledger) < sl_ledger_budget(s->ledger) / PRESS_SHARE;
    if (sv->let_go != NULL) {
        sv->let_go(sv);
    }
    sl_ledger_look(s->ledger);
    look_at_tree(&l);
    if (!sl_place_fetches()) { /* what the tree has closed and we have not yet */
        l.ours = true;
        (void)look_at_table(&l, getpid());
    }
    bool whole = l.whole && !l.under_way;
    if (whole && s->has_tcp) {
        list_orphans(&o);
    }
    sl_ledger_looked(s->ledger, whole, stays, &o);
    if (whole) {
        meet_orphans(s->ledger, &o);
    }
    free(o.items);
}
