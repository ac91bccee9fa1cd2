/* Owns the finding of what a path of the caller means. The kernel walks for us where the answer is
 * the same for everybody; below /proc it would find our own "self", so that there each step is
 * taken here. Never opens anything but by O_PATH, and follows no link into a process outside the
 * tree. */
#include "supervisor/pin.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "core/num.h"
#include "core/util.h"
#include "kernel/proc.h"
#include "kernel/tree.h"
#include "supervisor/supervisor.h"

#define LINKS_MAX     40  /* path_resolution(7) */
#define STEPS_MAX     512 /* the dispatcher takes no longer walks: ELOOP */
#define PROC_ROOT_INO 1

bool sl_pin_is_proc(int fd)
{
    struct statfs fs;
    return fstatfs(fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
}

int sl_pin_start(const sl_call *call, int dirfd)
{
    if (dirfd != AT_FDCWD) {
        return sl_call_reach(call, dirfd);
    }
    int fd = sl_proc_open(call->tid, "cwd", O_PATH | O_DIRECTORY);
    return fd < 0 ? -EACCES : fd;
}

struct walk {
    const sl_call *call;
    int dir; /* owned */
    unsigned links;
    unsigned flags;
    char rest[2 * PATH_MAX]; /* what is still to walk */
};

static int move_to(struct walk *w, int fd)
{
    if (fd < 0) {
        return -errno;
    }
    close(w->dir);
    w->dir = fd;
    return 0;
}

/* Puts the text of a link before what is left of the path. */
static int put_before(struct walk *w, const char *text, const char *rest)
{
    char joined[sizeof(w->rest)];
    int n = snprintf(joined, sizeof(joined), "%s%s", text, rest);
    if (n < 0 || (size_t)n >= PATH_MAX) {
        return -ENAMETOOLONG;
    }
    memcpy(w->rest, joined, (size_t)n + 1);
    return text[0] == '/' ? move_to(w, open("/", O_PATH | O_CLOEXEC)) : 0;
}

static bool is_proc_root(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && st.st_ino == PROC_ROOT_INO && sl_pin_is_proc(fd);
}

/* Links below a process jump to an object of that process, which must be one of the tree. Links of
 * other directories are plain, and nothing of "self" is in them. */
static int jump(struct walk *w, const char *name, const char *rest)
{
    char path[PATH_MAX];
    int r = sl_proc_fd_path(w->dir, path);
    if (r < 0) {
        return r;
    }
    bool known = strncmp(path, "/proc/", 6) == 0; /* else another proc: whose numbers are these? */
    pid_t pid = known ? sl_num_pid(path + 6) : 0;
    if (!known || (pid > 0 && !sl_tree_has(w->call->sv->helper_pid, pid))) {
        return -EACCES;
    }
    r = move_to(w, openat(w->dir, name, O_PATH | O_CLOEXEC));
    memmove(w->rest, rest, strlen(rest) + 1);
    return r;
}

static int follow(struct walk *w, int link, const char *name, const char *rest)
{
    char text[PATH_MAX];
    if (++w->links > LINKS_MAX) {
        return -ELOOP;
    }
    bool of_proc = is_proc_root(w->dir);
    if (!of_proc && sl_pin_is_proc(link)) {
        return jump(w, name, rest);
    }
    ssize_t n = readlinkat(link, "", text, sizeof(text) - 1);
    if (n <= 0) {
        return n < 0 ? -errno : -ENOENT;
    }
    text[n] = '\0';
    if (of_proc && (strcmp(name, "self") == 0 || strcmp(name, "thread-self") == 0)) {
        pid_t tgid = sl_call_tgid(w->call);
        if (tgid < 0) {
            return tgid;
        }
        n = snprintf(text, sizeof(text), "%d", (int)tgid);
        if (name[0] == 't') {
            snprintf(text + n, sizeof(text) - (size_t)n, "/task/%d", (int)w->call->tid);
        }
    }
    return put_before(w, text, rest);
}

/* One component of the path. 0 or -errno. */
static int step(struct walk *w)
{
    char name[NAME_MAX + 1];
    char *start = w->rest + strspn(w->rest, "/");
    char *end = strchrnul(start, '/');
    size_t len = (size_t)(end - start);
    if (len > NAME_MAX) {
        return -ENAMETOOLONG;
    }
    memcpy(name, start, len);
    name[len] = '\0';
    if (len == 0) { /* slashes at the end ask for a directory */
        w->rest[0] = '\0';
        return move_to(w, openat(w->dir, ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
    }
    sl_autoclose int fd = openat(w->dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0) {
        return -errno;
    }
    bool last = *end == '\0';
    if (S_ISLNK(st.st_mode) && !(last && (w->flags & SL_PIN_NOFOLLOW) != 0)) {
        return follow(w, fd, name, end);
    }
    memmove(w->rest, end, strlen(end) + 1);
    return move_to(w, sl_steal_fd(&fd));
}

static int walk(const sl_call *call, int start, const char *path, unsigned flags)
{
    struct walk w = {.call = call, .flags = flags};
    w.dir = path[0] == '/' ? open("/", O_PATH | O_CLOEXEC) : fcntl(start, F_DUPFD_CLOEXEC, 0);
    if (w.dir < 0) {
        return -errno;
    }
    snprintf(w.rest, sizeof(w.rest), "%s", path);
    int r = 0;
    for (unsigned n = 0; r == 0 && w.rest[0] != '\0'; n++) {
        r = n < STEPS_MAX ? step(&w) : -ELOOP;
    }
    if (r < 0) {
        close(w.dir);
        return r;
    }
    return w.dir;
}

static int open_plain(int start, const char *path, unsigned flags)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_MAGICLINKS};
    if ((flags & SL_PIN_NOFOLLOW) != 0) {
        how.flags |= O_NOFOLLOW;
    }
    long fd = syscall(SYS_openat2, start < 0 ? AT_FDCWD : start, path, &how, sizeof(how));
    return fd < 0 ? -errno : (int)fd;
}

/* True if nothing of this name is in the directory, and the directory is everybody's. */
static bool is_missing(int start, const char *path)
{
    char parent[PATH_MAX];
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    snprintf(parent, sizeof(parent), "%.*s", slash == NULL ? 0 : (int)(slash - path), path);
    if (parent[0] == '\0') {
        snprintf(parent, sizeof(parent), "%s", slash == NULL ? "." : "/");
    }
    sl_autoclose int dir = open_plain(start, parent, 0);
    return dir >= 0 && !sl_pin_is_proc(dir) && name[0] != '\0' &&
           faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
}

int sl_pin(const sl_call *call, int dirfd, const char *path, unsigned flags)
{
    if (path[0] == '\0' && (flags & SL_PIN_EMPTY) == 0) {
        return -ENOENT;
    }
    sl_autoclose int start = path[0] == '/' ? -1 : sl_pin_start(call, dirfd);
    if (path[0] != '/' && (start < 0 || path[0] == '\0')) {
        return sl_steal_fd(&start);
    }
    int fd = open_plain(start, path, flags);
    if (fd >= 0 && !sl_pin_is_proc(fd)) {
        return fd;
    }
    if (fd == -ENOENT && is_missing(start, path)) {
        return -ENOENT;
    }
    sl_close(fd);
    return walk(call, start, path, flags);
}

int sl_pin_parent(const sl_call *call, int dirfd, const char *path, char ret_name[NAME_MAX + 1])
{
    char parent[PATH_MAX];
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    if (name[0] == '\0' || strlen(name) > NAME_MAX) {
        return name[0] == '\0' ? -EISDIR : -ENAMETOOLONG;
    }
    snprintf(ret_name, NAME_MAX + 1, "%s", name);
    snprintf(parent, sizeof(parent), "%.*s", slash == NULL ? 0 : (int)(slash - path), path);
    if (parent[0] == '\0') {
        snprintf(parent, sizeof(parent), "%s", slash == NULL ? "." : "/");
    }
    return sl_pin(call, dirfd, parent, 0);
}

/* What a name at the top of proc is for the caller: its own numbers for "self", and for the links
 * that lead there. The name itself for all others. */
static int name_own(const sl_call *call, const char *name, size_t len, char out[PATH_MAX])
{
    static const struct {
        const char *name;
        const char *below;
    } links[] = {{"self", ""}, {"thread-self", ""}, {"net", "/net"}, {"mounts", "/mounts"}};
    for (size_t i = 0; i < SL_ARRAY_LEN(links); i++) {
        if (strlen(links[i].name) != len || memcmp(name, links[i].name, len) != 0) {
            continue;
        }
        pid_t tgid = sl_call_tgid(call);
        if (tgid < 0) {
            return tgid;
        }
        return name[0] == 't' ? snprintf(out, PATH_MAX, "%d/task/%d", (int)tgid, (int)call->tid)
                              : snprintf(out, PATH_MAX, "%d%s", (int)tgid, links[i].below);
    }
    return snprintf(out, PATH_MAX, "%.*s", (int)len, name);
}

/* Where the words have led so far, as far as words tell: a wrong guess leaves a name as it was. */
static void move_words(char at[PATH_MAX], const char *name, size_t top)
{
    size_t len = strlen(at);
    if (strcmp(name, "..") == 0) {
        while (len > top && at[--len] != '/') {
        }
        at[SL_MAX(len, top)] = '\0';
    } else if (name[0] != '\0' && strcmp(name, ".") != 0) {
        snprintf(at + len, PATH_MAX - len, "/%s", name);
    }
}

/* Writes the path with the caller's own numbers in each place where it says "self" at the top of
 * proc, but at the end where the link itself is asked for. `at` is where it begins. */
static int spell_own(const sl_call *call, const char *path, char at[PATH_MAX], size_t top,
                     unsigned flags, char out[PATH_MAX])
{
    char name[PATH_MAX];
    size_t used = 0;
    while (*path != '\0') {
        size_t slashes = strspn(path, "/");
        const char *word = path + slashes;
        size_t len = strcspn(word, "/");
        bool is_link = word[len] == '\0' && (flags & SL_PIN_NOFOLLOW) != 0;
        int n = strcmp(at, "/proc") == 0 && !is_link
                    ? name_own(call, word, len, name)
                    : snprintf(name, sizeof(name), "%.*s", (int)len, word);
        if (n < 0 || used + slashes + (size_t)n >= PATH_MAX) {
            return n < 0 ? n : -ENAMETOOLONG;
        }
        memcpy(out + used, path, slashes);
        memcpy(out + used + slashes, name, (size_t)n);
        used += slashes + (size_t)n;
        move_words(at, name, top);
        path = word + len;
    }
    out[used] = '\0';
    return 0;
}

int sl_pin_bounded(const sl_call *call, int dirfd, const char *path, unsigned flags,
                   uint64_t resolve)
{
    char at[PATH_MAX] = "";
    char spelt[PATH_MAX];
    bool in_root = (resolve & RESOLVE_IN_ROOT) != 0;
    bool from_root = path[0] == '/' && !in_root;
    sl_autoclose int start = from_root ? -1 : sl_pin_start(call, dirfd);
    if (!from_root && (start < 0 || sl_proc_fd_path(start, at) < 0)) {
        return start < 0 ? start : -EACCES;
    }
    if (strcmp(at, "/") == 0) {
        at[0] = '\0';
    }
    int r = 0;
    if ((resolve & RESOLVE_NO_SYMLINKS) != 0) { /* "self" is a link like any other then */
        snprintf(spelt, sizeof(spelt), "%s", path);
    } else {
        r = spell_own(call, path, at, in_root ? strlen(at) : 0, flags, spelt);
    }
    if (r < 0) {
        return r;
    }
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = resolve | RESOLVE_NO_MAGICLINKS};
    if ((flags & SL_PIN_NOFOLLOW) != 0) {
        how.flags |= O_NOFOLLOW;
    }
    long fd = syscall(SYS_openat2, from_root ? AT_FDCWD : start, spelt, &how, sizeof(how));
    return fd < 0 ? -errno : (int)fd;
}
