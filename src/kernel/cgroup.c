/* Owns the cgroup of a run: made beside the caller's own, never in place of it, and gone with the
 * run. It changes no cgroup that was there before: a controller that the parent does not hand down
 * is one we do without. */
#include "kernel/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "core/num.h"
#include "kernel/clone.h"

#define PREFIX    "sandlock-"
#define NAME_MAX_ 32
#define FILE_MAX  4096 /* bytes of a control file that are looked at */
#define PERIOD_US 100000u
#define MOUNT     "/sys/fs/cgroup"

struct sl_cgroup {
    int parent;
    int dir; /* locked while the run lives: an unlocked one may be swept away */
    int events;
    bool memory;
    bool cpu;
    char name[NAME_MAX_];
};

static int read_at(int at, const char *name, char text[FILE_MAX])
{
    sl_autoclose int fd = openat(at, name, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, FILE_MAX - 1);
    text[n > 0 ? n : 0] = '\0';
    return n < 0 ? -errno : 0;
}

static int write_at(int at, const char *name, const char *text)
{
    sl_autoclose int fd = openat(at, name, O_WRONLY | O_CLOEXEC);
    return fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

/* True if `word` is one of the words of `text`. */
static bool has_word(const char *text, const char *word)
{
    size_t len = strlen(word);
    for (const char *p = text; (p = strstr(p, word)) != NULL; p += len) {
        bool begins = p == text || p[-1] == ' ';
        bool ends = p[len] == '\0' || p[len] == ' ' || p[len] == '\n';
        if (begins && ends) {
            return true;
        }
    }
    return false;
}

/* The number behind `name` in a file of "name number" lines; 0 if it is not there. */
static uint64_t number_of(int at, const char *file, const char *name)
{
    char text[FILE_MAX];
    size_t len = strlen(name);
    if (read_at(at, file, text) < 0) {
        return 0;
    }
    for (const char *p = text; p != NULL && *p != '\0';) {
        if (strncmp(p, name, len) == 0 && (len == 0 || p[len] == ' ')) {
            return sl_num_after(p, name, 0);
        }
        p = strchr(p, '\n');
        p = p == NULL ? NULL : p + 1;
    }
    return 0;
}

/* ---- the place ---- */

int sl_cgroup_parent(const char *self, char path[PATH_MAX])
{
    const char *own = strncmp(self, "0::/", 4) == 0 ? self : strstr(self, "\n0::/");
    if (own == NULL) {
        return -ENOENT;
    }
    own = strchr(own, '/');
    size_t len = strcspn(own, "\n");
    int n = snprintf(path, PATH_MAX, MOUNT "%.*s", (int)len, own);
    if (n < 0 || n >= PATH_MAX) {
        return -ENAMETOOLONG;
    }
    if (strstr(path, "/..") != NULL) {
        return -EXDEV; /* outside what this mount shows: cgroup_namespaces(7) */
    }
    *strrchr(path, '/') = '\0';
    return 0;
}

/* By its owner, not by what root may: guardian and engine give their privileges up, and it is they
 * who remove what is made here. */
static bool is_ours(int at, const char *name)
{
    struct stat st;
    return fstatat(at, name, &st, 0) == 0 && st.st_uid == geteuid() && (st.st_mode & S_IWUSR) != 0;
}

/* Opens the parent, if it is there for us to make children in. */
static int open_parent(char path[PATH_MAX], const char **ret_why)
{
    char self[FILE_MAX];
    struct statfs fs;
    *ret_why = "there is no version 2 hierarchy";
    int r = sl_clone_knows_cgroups() ? read_at(AT_FDCWD, "/proc/self/cgroup", self) : -ENOSYS;
    r = r < 0 ? r : sl_cgroup_parent(self, path);
    if (r < 0) {
        return r;
    }
    sl_autoclose int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstatfs(fd, &fs) < 0) {
        return -errno;
    }
    if (fs.f_type != CGROUP2_SUPER_MAGIC) {
        return -ENOENT;
    }
    *ret_why = "the cgroup above is not ours to divide";
    return is_ours(fd, ".") && is_ours(fd, "cgroup.procs") ? sl_steal_fd(&fd) : -EACCES;
}

/* Removes what a run left that was killed with all that belonged to it. */
static void sweep(int parent)
{
    int fd = openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    if (list == NULL) {
        sl_close(fd);
        return;
    }
    struct dirent *entry;
    while ((entry = readdir(list)) != NULL) {
        if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) != 0) {
            continue;
        }
        sl_autoclose int dir =
            openat(parent, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (dir >= 0 && flock(dir, LOCK_EX | LOCK_NB) == 0) {
            unlinkat(parent, entry->d_name, AT_REMOVEDIR);
        }
    }
    closedir(list);
}

/* ---- the limits ---- */

/* Over the limit all of it ends, not the largest of it; and memory that was put out to disk would
 * be memory beyond the limit. */
static bool limit_memory(sl_cgroup *g, uint64_t bytes)
{
    char text[32];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)bytes);
    int swap = write_at(g->dir, "memory.swap.max", "0");
    if ((swap < 0 && swap != -ENOENT) || write_at(g->dir, "memory.oom.group", "1") < 0 ||
        write_at(g->dir, "memory.max", text) < 0) {
        return false;
    }
    g->events = openat(g->dir, "memory.events", O_RDONLY | O_CLOEXEC);
    return g->events >= 0;
}

static bool limit_cpu(const sl_cgroup *g, unsigned percent)
{
    char text[48];
    snprintf(text, sizeof(text), "%llu %u", (unsigned long long)percent * (PERIOD_US / 100),
             PERIOD_US);
    return write_at(g->dir, "cpu.max", text) == 0;
}

/* Makes the directory and holds it. */
static int make(sl_cgroup *g)
{
    snprintf(g->name, sizeof(g->name), PREFIX "%d", (int)getpid());
    if (mkdirat(g->parent, g->name, 0755) < 0) {
        g->name[0] = '\0';
        return -errno;
    }
    g->dir = openat(g->parent, g->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return g->dir < 0 || flock(g->dir, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
}

int sl_cgroup_new(uint64_t max_memory, unsigned max_cpu, sl_cgroup **ret_cgroup)
{
    char path[PATH_MAX];
    char handed[FILE_MAX];
    const char *why;
    *ret_cgroup = NULL;
    if (max_memory == 0 && max_cpu == 0) {
        return 0;
    }
    sl_autoclose int parent = open_parent(path, &why);
    if (parent < 0 || read_at(parent, "cgroup.subtree_control", handed) < 0) {
        return 0;
    }
    bool memory = max_memory > 0 && has_word(handed, "memory");
    bool cpu = max_cpu > 0 && has_word(handed, "cpu");
    if (!memory && !cpu) {
        return 0;
    }
    SL_AUTO(sl_cgroup) g = calloc(1, sizeof(*g));
    if (g == NULL) {
        return -ENOMEM;
    }
    g->dir = -1;
    g->events = -1;
    g->parent = sl_steal_fd(&parent);
    sweep(g->parent);
    if (make(g) == 0) {
        g->memory = memory && limit_memory(g, max_memory);
        g->cpu = cpu && limit_cpu(g, max_cpu);
    }
    if (!g->memory && !g->cpu) {
        sl_cgroup_end(g);
        return 0;
    }
    *ret_cgroup = sl_steal_ptr(&g);
    return 0;
}

bool sl_cgroup_describe(char *detail, size_t cap)
{
    char path[PATH_MAX];
    char handed[FILE_MAX];
    const char *why;
    sl_autoclose int parent = open_parent(path, &why);
    if (parent < 0 || read_at(parent, "cgroup.subtree_control", handed) < 0) {
        snprintf(detail, cap, "%s", why);
        return false;
    }
    bool memory = has_word(handed, "memory");
    bool cpu = has_word(handed, "cpu");
    snprintf(detail, cap, "%s",
             memory && cpu ? "memory and processor time"
             : memory      ? "memory alone"
             : cpu         ? "processor time alone"
                           : "neither memory nor processor time is handed down");
    return memory || cpu;
}

/* ---- what it says and does ---- */

bool sl_cgroup_holds_memory(const sl_cgroup *g)
{
    return g != NULL && g->memory;
}

bool sl_cgroup_holds_cpu(const sl_cgroup *g)
{
    return g != NULL && g->cpu;
}

int sl_cgroup_fd(const sl_cgroup *g)
{
    return g == NULL ? -1 : g->dir;
}

int sl_cgroup_events_fd(const sl_cgroup *g)
{
    return g->events;
}

/* "oom": the limit was reached and an allocation was about to fail. Reaching it alone is "max", and
 * means only that page cache had to go. */
bool sl_cgroup_is_over_memory(const sl_cgroup *g)
{
    return number_of(g->dir, "memory.events", "oom") > 0;
}

uint64_t sl_cgroup_peak_memory(const sl_cgroup *g)
{
    return number_of(g->dir, "memory.peak", "");
}

void sl_cgroup_kill(const sl_cgroup *g)
{
    write_at(g->dir, "cgroup.kill", "1");
}

void sl_cgroup_end(sl_cgroup *g)
{
    if (g != NULL && g->name[0] != '\0' &&
        (unlinkat(g->parent, g->name, AT_REMOVEDIR) == 0 || errno == ENOENT)) {
        g->name[0] = '\0';
    }
}

void sl_cgroup_free(sl_cgroup *g)
{
    if (g != NULL) {
        sl_close(g->events);
        sl_close(g->dir);
        sl_close(g->parent);
        free(g);
    }
}
