/* Owns the counting of memory that is a file: memfds, shared anonymous mappings, System V segments,
 * and what lies in a tmpfs. Such a file needs nobody who has it mapped, so descriptors, mappings
 * and names are all looked at, each object once.
 *
 * Two bounds keep the answer honest. Objects whose size cannot be asked (mapped, and no descriptor
 * left) count with all they could be, but with no more than the machine's shared memory grew by.
 * Where the tree has made itself too large to be looked through, that growth counts whole. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/num.h"
#include "features/limits/memcount_int.h"

#define OBJECTS_MAX 8192u /* slots; a power of two */
#define ROOTS_MAX   16
#define DEPTH_MAX   32
#define ENTRIES_MAX 20000u     /* names that one look at a tmpfs reads */
#define LOOK_NS     50000000u  /* how long one look may take */
#define DUE_NS      250000000u /* without cause, one look in this time */
#define DUE_SHARE   50         /* and at most one part of so many of a processor */

/* A directory of a tmpfs that the tree may write to. */
struct root {
    char *path;
    dev_t dev;
    uint64_t used; /* of the whole tmpfs, before the tree */
};

struct object {
    uint64_t look; /* of which this is; an older one is an empty slot */
    dev_t dev;
    ino_t ino;
    uint64_t extent; /* how far it reaches, for one that is only seen mapped */
    bool known;
};

struct sl_memfiles {
    int meminfo;
    dev_t memory; /* the device of memfds and shared mappings */
    struct root roots[ROOTS_MAX];
    size_t root_count;
    struct statx_timestamp start;
    uint64_t base; /* the machine's shared memory before the tree */

    uint64_t last; /* what the last look found */
    uint64_t last_shared;
    uint64_t last_ns;
    uint64_t last_cost_ns;

    /* the look in progress */
    struct object *objects;
    uint64_t look;
    size_t object_count;
    uint64_t known;   /* bytes */
    uint64_t unknown; /* bytes: of objects that may be smaller, or older than the tree */
    uint64_t deadline_ns;
    unsigned entries;
    bool incomplete;
};

static uint64_t shared_now(const sl_memfiles *f)
{
    char text[4096];
    ssize_t n = f->meminfo < 0 ? -1 : pread(f->meminfo, text, sizeof(text) - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    return sl_num_after(text, "\nShmem:", 0) * 1024;
}

static uint64_t used_of(const char *path)
{
    struct statfs s;
    return statfs(path, &s) < 0 ? 0 : (s.f_blocks - s.f_bfree) * (uint64_t)s.f_bsize;
}

static void add_root(sl_memfiles *f, const char *path, dev_t dev)
{
    if (f->root_count == ROOTS_MAX) {
        return;
    }
    struct root *root = &f->roots[f->root_count];
    root->path = strdup(path);
    root->dev = dev;
    root->used = used_of(path);
    f->root_count += root->path != NULL;
}

/* What the tree may write of the tmpfs that is mounted there. */
static void add_mount(sl_memfiles *f, const sl_fsview *view, const char *top, dev_t dev)
{
    if (sl_fsview_writable(view, top) || strcmp(top, "/dev/shm") == 0) {
        add_root(f, top, dev);
        return;
    }
    for (size_t i = 0; i < view->writable.count; i++) {
        struct stat st;
        const char *path = view->writable.items[i];
        if (sl_fsview_is_below(path, top) && stat(path, &st) == 0 && st.st_dev == dev) {
            add_root(f, path, dev);
        }
    }
}

/* proc_pid_mountinfo(5). A mount point with a blank in it is written with an escape; no such one is
 * looked at by name, its files are still found through descriptors. */
static void read_mounts(sl_memfiles *f, const sl_fsview *view)
{
    char *line = NULL;
    size_t cap = 0;
    FILE *file = fopen("/proc/self/mountinfo", "re");
    while (file != NULL && getline(&line, &cap, file) > 0) {
        unsigned major;
        unsigned minor;
        char top[1024];
        const char *type = strstr(line, " - ");
        if (type == NULL ||
            (strncmp(type, " - tmpfs ", 9) != 0 && strncmp(type, " - devtmpfs ", 12) != 0) ||
            sscanf(line, "%*d %*d %u:%u %*s %1023s", &major, &minor, top) != 3) {
            continue;
        }
        add_mount(f, view, top, makedev(major, minor));
    }
    free(line);
    if (file != NULL) {
        fclose(file);
    }
}

sl_memfiles *sl_memfiles_new(const sl_fsview *view)
{
    sl_memfiles *f = calloc(1, sizeof(*f));
    if (f == NULL) {
        return NULL;
    }
    f->objects = calloc(OBJECTS_MAX, sizeof(*f->objects));
    f->meminfo = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
    sl_autoclose int fd = memfd_create("sandlock", MFD_CLOEXEC);
    struct stat st;
    struct timespec now;
    if (f->objects == NULL || fd < 0 || fstat(fd, &st) < 0) {
        sl_memfiles_free(f);
        return NULL;
    }
    f->memory = st.st_dev;
    read_mounts(f, view);
    clock_gettime(CLOCK_REALTIME_COARSE, &now); /* the clock of the kernel's own time stamps */
    f->start.tv_sec = now.tv_sec;
    f->start.tv_nsec = (uint32_t)now.tv_nsec;
    f->base = shared_now(f);
    f->last_shared = f->base;
    f->last_ns = sl_clock_now_ns();
    return f;
}

void sl_memfiles_free(sl_memfiles *f)
{
    if (f == NULL) {
        return;
    }
    for (size_t i = 0; i < f->root_count; i++) {
        free(f->roots[i].path);
    }
    sl_close(f->meminfo);
    free(f->objects);
    free(f);
}

uint64_t sl_memfiles_most(sl_memfiles *f)
{
    uint64_t shared = shared_now(f);
    return f->last + (shared > f->last_shared ? shared - f->last_shared : 0);
}

uint64_t sl_memfiles_last(const sl_memfiles *f)
{
    return f->last;
}

bool sl_memfiles_is_due(const sl_memfiles *f)
{
    return sl_clock_now_ns() - f->last_ns > SL_MAX(DUE_NS, f->last_cost_ns * DUE_SHARE);
}

/* The slot of this object: found, or new in this look; NULL: no room. */
static struct object *slot(sl_memfiles *f, dev_t dev, ino_t ino)
{
    if (f->object_count > OBJECTS_MAX / 4 * 3) {
        f->incomplete = true;
        return NULL;
    }
    size_t at = (size_t)((ino * 0x9e3779b97f4a7c15u + dev) >> 32) & (OBJECTS_MAX - 1);
    while (f->objects[at].look == f->look &&
           (f->objects[at].dev != dev || f->objects[at].ino != ino)) {
        at = (at + 1) & (OBJECTS_MAX - 1);
    }
    if (f->objects[at].look != f->look) {
        f->objects[at] = (struct object){.look = f->look, .dev = dev, .ino = ino};
        f->object_count++;
    }
    return &f->objects[at];
}

static bool is_of_the_run(const sl_memfiles *f, const struct statx_timestamp *t)
{
    return t->tv_sec > f->start.tv_sec ||
           (t->tv_sec == f->start.tv_sec && t->tv_nsec >= f->start.tv_nsec);
}

/* An object that can be asked: its blocks, once. One that is older than the run may have them from
 * before. */
static void add_known(sl_memfiles *f, const struct statx *stx)
{
    dev_t dev = makedev(stx->stx_dev_major, stx->stx_dev_minor);
    struct object *o = slot(f, dev, stx->stx_ino);
    if (o == NULL || o->known) {
        return;
    }
    o->known = true;
    f->unknown -= o->extent;
    o->extent = 0;
    bool born = (stx->stx_mask & STATX_BTIME) != 0 && is_of_the_run(f, &stx->stx_btime);
    *(born ? &f->known : &f->unknown) += stx->stx_blocks * 512;
}

static void add_mapped(sl_memfiles *f, dev_t dev, ino_t ino, uint64_t extent)
{
    struct object *o = slot(f, dev, ino);
    if (o != NULL && !o->known && extent > o->extent) {
        f->unknown += extent - o->extent;
        o->extent = extent;
    }
}

static bool is_memory(const sl_memfiles *f, dev_t dev)
{
    for (size_t i = 0; i < f->root_count; i++) {
        if (f->roots[i].dev == dev) {
            return true;
        }
    }
    return dev == f->memory;
}

/* By its name: asking another file system may take for ever. */
static bool may_be_memory(const sl_memfiles *f, const char *path)
{
    for (size_t i = 0; i < f->root_count; i++) {
        if (sl_fsview_is_below(path, f->roots[i].path)) {
            return true;
        }
    }
    return strncmp(path, "/memfd:", 7) == 0 || strncmp(path, "/dev/zero", 9) == 0;
}

static bool is_late(sl_memfiles *f)
{
    f->incomplete = f->incomplete || sl_clock_thread_ns() > f->deadline_ns;
    return f->incomplete;
}

#define STATX_WANTED (STATX_BASIC_STATS | STATX_BTIME)

static void look_at_descriptors(sl_memfiles *f, pid_t pid)
{
    char path[64];
    char target[1024];
    struct statx stx;
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    DIR *dir = opendir(path);
    f->incomplete = f->incomplete || (dir == NULL && errno == EACCES);
    for (struct dirent *e; dir != NULL && !is_late(f) && (e = readdir(dir)) != NULL;) {
        ssize_t n = readlinkat(dirfd(dir), e->d_name, target, sizeof(target) - 1);
        target[n > 0 ? n : 0] = '\0';
        if (may_be_memory(f, target) &&
            statx(dirfd(dir), e->d_name, AT_STATX_DONT_SYNC, STATX_WANTED, &stx) == 0 &&
            is_memory(f, makedev(stx.stx_dev_major, stx.stx_dev_minor))) {
            add_known(f, &stx);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
}

/* proc_pid_maps(5). System V segments are asked for by themselves. */
static void look_at_mappings(sl_memfiles *f, pid_t pid)
{
    char path[64];
    char *line = NULL;
    size_t cap = 0;
    snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
    FILE *file = fopen(path, "re");
    f->incomplete = f->incomplete || (file == NULL && errno == EACCES);
    while (file != NULL && getline(&line, &cap, file) > 0 && !is_late(f)) {
        unsigned long long from;
        unsigned long long to;
        unsigned long long offset;
        unsigned long ino;
        unsigned major;
        unsigned minor;
        if (sscanf(line, "%llx-%llx %*s %llx %x:%x %lu", &from, &to, &offset, &major, &minor,
                   &ino) == 6 &&
            ino != 0 && is_memory(f, makedev(major, minor)) && strstr(line, " /SYSV") == NULL) {
            add_mapped(f, makedev(major, minor), ino, offset + (to - from));
        }
    }
    free(line);
    if (file != NULL) {
        fclose(file);
    }
}

/* Names in a tmpfs. Directories wait on a stack, since the tree chooses how deep they are. */
static void look_at_names(sl_memfiles *f, const struct root *root)
{
    DIR *stack[DEPTH_MAX];
    size_t depth = 0;
    struct statx stx;
    stack[depth] = opendir(root->path);
    depth += stack[0] != NULL;
    while (depth > 0) {
        DIR *dir = stack[depth - 1];
        struct dirent *e = is_late(f) ? NULL : readdir(dir);
        if (e == NULL) {
            closedir(dir);
            depth--;
            continue;
        }
        bool self = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
        if (self ||
            statx(dirfd(dir), e->d_name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC,
                  STATX_WANTED, &stx) < 0 ||
            makedev(stx.stx_dev_major, stx.stx_dev_minor) != root->dev) {
            continue;
        }
        f->incomplete = f->incomplete || ++f->entries > ENTRIES_MAX;
        if (!S_ISDIR(stx.stx_mode)) {
            if (stx.stx_uid == geteuid() && is_of_the_run(f, &stx.stx_ctime)) {
                add_known(f, &stx);
            }
            continue;
        }
        int fd = depth == DEPTH_MAX ? -1
                                    : openat(dirfd(dir), e->d_name,
                                             O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        DIR *below = fd < 0 ? NULL : fdopendir(fd);
        if (below != NULL) {
            stack[depth++] = below;
        } else {
            sl_close(fd);
            f->incomplete = f->incomplete || stx.stx_uid == geteuid();
        }
    }
}

/* sysvipc(7): segments that were made since the start, by a process of the tree, by us for one
 * (features/ipc), or by one that is gone. */
static uint64_t segments(const sl_memfiles *f, const pid_t *pids, size_t count)
{
    char *line = NULL;
    size_t cap = 0;
    uint64_t sum = 0;
    FILE *file = fopen("/proc/sysvipc/shm", "re");
    while (file != NULL && getline(&line, &cap, file) > 0) {
        int creator;
        unsigned uid;
        long long changed;
        unsigned long long rss;
        unsigned long long swap;
        if (sscanf(line, "%*d %*d %*o %*u %d %*d %*u %*u %*u %u %*u %*d %*d %lld %llu %llu",
                   &creator, &uid, &changed, &rss, &swap) != 5 ||
            uid != geteuid() || changed < f->start.tv_sec) {
            continue;
        }
        bool ours = creator == getpid() || kill(creator, 0) < 0;
        for (size_t i = 0; i < count && !ours; i++) {
            ours = pids[i] == creator;
        }
        sum += ours ? rss + swap : 0;
    }
    free(line);
    if (file != NULL) {
        fclose(file);
    }
    return sum;
}

uint64_t sl_memfiles_look(sl_memfiles *f, const pid_t *pids, size_t count, uint64_t mapped)
{
    uint64_t began = sl_clock_thread_ns();
    uint64_t shared = shared_now(f);
    f->look++;
    f->object_count = 0;
    f->known = 0;
    f->unknown = 0;
    f->entries = 0;
    f->incomplete = false;
    f->deadline_ns = began + LOOK_NS;
    for (size_t i = 0; i < count && !is_late(f); i++) {
        look_at_descriptors(f, pids[i]);
        look_at_mappings(f, pids[i]);
    }
    for (size_t i = 0; i < f->root_count; i++) {
        if (used_of(f->roots[i].path) > f->roots[i].used) {
            look_at_names(f, &f->roots[i]);
        }
    }
    f->known += segments(f, pids, count);
    uint64_t grown = shared > f->base ? shared - f->base : 0;
    uint64_t rest = grown > f->known ? grown - f->known : 0;
    f->last = f->known + SL_MIN(f->unknown, SL_MAX(rest, mapped));
    if (f->incomplete) {
        f->last = SL_MAX(f->last, grown);
    }
    f->last_shared = shared;
    f->last_ns = sl_clock_now_ns();
    f->last_cost_ns = sl_clock_thread_ns() - began;
    return f->last;
}
