/* Owns /proc/net under isolate_pids and port_remap: of the lists of sockets the tree sees the lines
 * of its own, with the ports that it calls its own. Under isolate_pids, of the other files those
 * that tell of interfaces, routes and counters are shown, and nothing else. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/clock.h"
#include "core/fd.h"
#include "core/num.h"
#include "core/util.h"
#include "features/features.h"
#include "features/procfs/sockets_int.h"
#include "kernel/tree.h"
#include "supervisor/deferred.h"
#include "supervisor/supervisor.h"
#include "supervisor/vfile.h"

#define SOCKETS_MAX     65536       /* of the tree; more are not shown */
#define DESCRIPTORS_MAX 131072      /* that are looked at */
#define TEXT_MAX        (16u << 20) /* of own lines */
#define PROCESSES_MAX   4096

/* Lists of sockets, and the column (from 0) of the inode (proc_net(5)). */
static const struct {
    const char *name;
    unsigned column;
} lists[] = {
    {"tcp", 9},  {"tcp6", 9},    {"udp", 9},      {"udp6", 9}, {"raw", 9},
    {"raw6", 9}, {"udplite", 9}, {"udplite6", 9}, {"icmp", 9}, {"icmp6", 9},
    {"unix", 6}, {"netlink", 9}, {"packet", 8},
};

static const char *const shown[] = {
    "",         "arp",       "dev",   "dev_mcast",  "dev_snmp6", "fib_trie",  "fib_triestat",
    "if_inet6", "igmp",      "igmp6", "ipv6_route", "netstat",   "protocols", "psched",
    "route",    "rt6_stats", "snmp",  "snmp6",      "sockstat",  "sockstat6", "softnet_stat",
    "wireless",
};

/* What comes after ".../net" in a path below the directory of a process; NULL when it is not there.
 */
static const char *net_file(const char *path)
{
    if (strncmp(path, "/proc/", 6) != 0) {
        return NULL;
    }
    const char *rest = path + 6;
    rest += strcspn(rest, "/");
    if (strncmp(rest, "/task/", 6) == 0) {
        rest += 6;
        rest += strcspn(rest, "/");
    }
    if (strncmp(rest, "/net", 4) != 0 || (rest[4] != '\0' && rest[4] != '/')) {
        return NULL;
    }
    return rest[4] == '/' ? rest + 5 : rest + 4;
}

struct sockets {
    uint64_t *inodes;
    size_t count;
    size_t looked_at;
};

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void add_of_process(struct sockets *s, pid_t pid)
{
    char text[64];
    snprintf(text, sizeof(text), "/proc/%d/fd", (int)pid);
    DIR *d = opendir(text);
    for (struct dirent *e; d != NULL && s->count < SOCKETS_MAX && s->looked_at < DESCRIPTORS_MAX &&
                           (e = readdir(d)) != NULL;) {
        s->looked_at++;
        ssize_t n = readlinkat(dirfd(d), e->d_name, text, sizeof(text) - 1);
        text[n < 0 ? 0 : n] = '\0';
        if (strncmp(text, "socket:[", 8) == 0) {
            s->inodes[s->count++] = sl_num_after(text, "socket:[", 0);
        }
    }
    if (d != NULL) {
        closedir(d);
    }
}

static bool is_own(const struct sockets *s, const char *line, unsigned column)
{
    for (unsigned i = 0; i < column; i++) {
        line += strspn(line, " ");
        line += strcspn(line, " \n");
    }
    uint64_t inode = sl_num_after(line, "", 0);
    return inode != 0 && bsearch(&inode, s->inodes, s->count, sizeof(inode), compare) != NULL;
}

/* The first line, which names the columns, and the tree's own. */
static int keep_own_lines(sl_supervisor *sv, FILE *from, const struct sockets *s, size_t which,
                          sl_buf *out)
{
    unsigned column = lists[which].column;
    sl_autofree char *line = NULL;
    size_t cap = 0;
    bool first = true;
    int r = 0;
    for (ssize_t n; r == 0 && (n = getline(&line, &cap, from)) > 0; first = false) {
        if (first || is_own(s, line, column)) {
            sl_sockets_rename_line(sv, lists[which].name, line);
            r = sl_buf_append(out, line, (size_t)n);
        }
    }
    return r < 0 || ferror(from) == 0 ? r : -EIO;
}

/* The sockets that the tree has open now. */
static int list_sockets(const sl_supervisor *sv, struct sockets *ret)
{
    sl_autofree pid_t *list = malloc(PROCESSES_MAX * sizeof(*list));
    ret->inodes = malloc(SOCKETS_MAX * sizeof(*ret->inodes));
    if (list == NULL || ret->inodes == NULL) {
        return -ENOMEM;
    }
    size_t count = sl_tree_list(sv->helper_pid, list, PROCESSES_MAX);
    for (size_t i = 0; i < count; i++) {
        add_of_process(ret, list[i]);
    }
    qsort(ret->inodes, ret->count, sizeof(*ret->inodes), compare);
    return 0;
}

struct wanted {
    size_t which;
    bool cloexec;
};

/* On the loop thread, of which lists take half the time at most: the tree decides how many there
 * are to make, and how many descriptors to look at. */
static bool resume_list(sl_deferred *d, enum sl_wake why, sl_answer *ret_answer)
{
    const struct wanted *wanted = d->data;
    struct sl_sockets_state *s = sl_supervisor_state(d->call.sv, &sl_feature_sockets);
    struct sockets sockets = {0};
    sl_buf out;
    uint64_t start = sl_clock_now_ns();
    (void)why;
    if (start < s->next_ns) {
        sl_deferred_park(d);
        return false;
    }
    sl_buf_init(&out, TEXT_MAX);
    FILE *from = fdopen(d->fd, "re");
    int r = from == NULL ? -ENOMEM : list_sockets(d->call.sv, &sockets);
    if (from != NULL) {
        d->fd = -1;
        r = r < 0 ? r : keep_own_lines(d->call.sv, from, &sockets, wanted->which, &out);
        fclose(from);
    }
    free(sockets.inodes);
    sl_autoclose int memfd = r < 0 ? -1 : sl_fd_memfd("net", sl_buf_head(&out), out.len);
    sl_buf_done(&out);
    *ret_answer = memfd < 0 ? SL_ANSWER_VALUE(-EIO) : sl_vfile_inject(memfd, wanted->cloexec);
    uint64_t end = sl_clock_now_ns();
    s->next_ns = end + (end - start);
    return true;
}

bool sl_sockets_is_net(const char *path)
{
    return net_file(path) != NULL;
}

/* The list of this name; SL_ARRAY_LEN(lists) when there is none. */
static size_t find_list(const char *name)
{
    size_t i = 0;
    while (i < SL_ARRAY_LEN(lists) && strcmp(name, lists[i].name) != 0) {
        i++;
    }
    return i;
}

static sl_answer give_list(sl_call *call, size_t which, int fd, bool cloexec)
{
    struct wanted *wanted = malloc(sizeof(*wanted));
    if (wanted != NULL) {
        *wanted = (struct wanted){which, cloexec};
    }
    return sl_deferred_start(call, fd, &(sl_wait){.resume = resume_list, .data = wanted});
}

/* The engine's own: it lives in the network that the tree lives in. */
sl_answer sl_sockets_give(sl_call *call, const char *path, bool cloexec)
{
    char real[64];
    const char *name = net_file(path);
    size_t which = name == NULL ? SL_ARRAY_LEN(lists) : find_list(name);
    if (which == SL_ARRAY_LEN(lists)) {
        return SL_ANSWER_PASS;
    }
    snprintf(real, sizeof(real), "/proc/self/net/%s", name);
    int fd = open(real, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || !sl_call_valid(call)) {
        sl_close(fd);
        return SL_ANSWER_PASS;
    }
    return give_list(call, which, fd, cloexec);
}

sl_answer sl_sockets_open_net(sl_call *call, const char *path, sl_answer opened)
{
    const char *name = net_file(path);
    if (opened.kind != SL_INJECT) {
        return opened;
    }
    size_t which = find_list(name);
    if (which < SL_ARRAY_LEN(lists)) {
        return give_list(call, which, opened.fd, opened.cloexec);
    }
    size_t top = strcspn(name, "/");
    for (size_t i = 0; i < SL_ARRAY_LEN(shown); i++) {
        if (strlen(shown[i]) == top && memcmp(name, shown[i], top) == 0) {
            return opened;
        }
    }
    close(opened.fd);
    return SL_ANSWER_VALUE(-EACCES);
}
