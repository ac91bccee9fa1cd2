/* Owns the looking at what changes a directory: entries that are made, removed, moved and linked.
 * What the kernel would refuse by itself, since the entry is there or is not, is left untold. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/util.h"
#include "features/explain/explain_int.h"
#include "features/refusal.h"
#include "supervisor/path.h"
#include "supervisor/pin.h"

/* What a call names: a directory and a name in it. */
struct entry {
    int dir; /* owned, or -1 */
    char name[NAME_MAX + 1];
    bool there;
    struct stat st; /* where it is there */
};

static void done(struct entry *e)
{
    sl_close(e->dir);
}

/* Slashes at the end say that a directory is meant, and name nothing. */
static void cut_slashes(char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') {
        path[--n] = '\0';
    }
}

static bool find_path(const sl_call *call, int dirfd, char *path, struct entry *e)
{
    cut_slashes(path);
    e->dir = sl_pin_parent(call, dirfd, path, e->name);
    if (e->dir < 0 || strcmp(e->name, ".") == 0 || strcmp(e->name, "..") == 0) {
        done(e);
        return false;
    }
    e->there = fstatat(e->dir, e->name, &e->st, AT_SYMLINK_NOFOLLOW) == 0;
    return true;
}

/* False when nothing of it can be told: then there is nothing to be done with either. */
static bool find(const sl_call *call, unsigned which, struct entry *e)
{
    sl_path_arg arg;
    char path[PATH_MAX];
    return sl_explain_has_begun(call) && sl_path_arg_of(call, which, &arg) &&
           sl_path_read(call, &arg, path) == 0 && find_path(call, arg.dirfd, path, e);
}

static bool is_refused(const sl_call *call, const struct entry *e)
{
    return !sl_explain_may_change(call->sv, e->dir);
}

/* ---- one entry ---- */

/* Nodes of devices are made for nobody, and no flag gives them. */
static bool makes_device(const sl_call *call)
{
    sl_path_arg arg;
    bool is_mknod = call->nr == SYS_mknodat;
#ifdef SYS_mknod
    is_mknod = is_mknod || call->nr == SYS_mknod;
#endif
    mode_t mode =
        is_mknod && sl_path_arg_of(call, 0, &arg) ? (mode_t)sl_path_said(call, &arg, 0) : 0;
    return S_ISCHR(mode) || S_ISBLK(mode);
}

static void look_at_new(const sl_call *call, struct entry *e)
{
    if (!e->there && is_refused(call, e)) {
        sl_refusal_tell_entry(call, e->dir, e->name, SL_WANT_CREATE);
    }
    done(e);
}

sl_answer sl_explain_make(sl_call *call)
{
    struct entry e;
    if (!makes_device(call) && find(call, 0, &e)) {
        look_at_new(call, &e);
    }
    return SL_ANSWER_PASS;
}

/* unix(7): a socket gets its name by bind(2). */
sl_answer sl_explain_bind(sl_call *call)
{
    struct sockaddr_un sa = {0};
    char path[PATH_MAX];
    struct entry e;
    size_t head = offsetof(struct sockaddr_un, sun_path);
    uint64_t len = call->args[2];
    if (!sl_explain_has_begun(call) || len <= head || len > sizeof(sa) ||
        sl_call_read(call, call->args[1], &sa, len) < 0 || sa.sun_family != AF_UNIX ||
        sa.sun_path[0] == '\0') {
        return SL_ANSWER_PASS;
    }
    snprintf(path, sizeof(path), "%.*s", (int)sizeof(sa.sun_path), sa.sun_path);
    if (find_path(call, AT_FDCWD, path, &e)) {
        look_at_new(call, &e);
    }
    return SL_ANSWER_PASS;
}

/* rmdir(2) of one that is not is tried by many, to go on when it fails. */
static bool is_empty(const struct entry *e)
{
    int fd = openat(e->dir, e->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    bool empty = true;
    if (d == NULL) {
        sl_close(fd);
        return false;
    }
    for (const struct dirent *i; empty && (i = readdir(d)) != NULL;) {
        empty = strcmp(i->d_name, ".") == 0 || strcmp(i->d_name, "..") == 0;
    }
    closedir(d);
    return empty;
}

static bool removes_dir(const sl_call *call)
{
    sl_path_arg arg;
#ifdef SYS_rmdir
    if (call->nr == SYS_rmdir) {
        return true;
    }
#endif
    return call->nr == SYS_unlinkat && sl_path_arg_of(call, 0, &arg) &&
           (sl_path_said(call, &arg, 0) & AT_REMOVEDIR) != 0;
}

sl_answer sl_explain_remove(sl_call *call)
{
    struct entry e;
    if (!find(call, 0, &e)) {
        return SL_ANSWER_PASS;
    }
    bool wants_dir = removes_dir(call);
    bool fits = e.there && wants_dir == S_ISDIR(e.st.st_mode) && (!wants_dir || is_empty(&e));
    if (fits && is_refused(call, &e)) {
        sl_refusal_tell_entry(call, e.dir, e.name, SL_WANT_REMOVE);
    }
    done(&e);
    return SL_ANSWER_PASS;
}

/* ---- from one place to another ---- */

static bool user_may_change(const struct entry *e)
{
    return faccessat(e->dir, ".", W_OK | X_OK, 0) == 0;
}

static bool is_same_dir(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* What rename(2) makes of an entry that is there already. */
static bool may_replace(const sl_call *call, const struct entry *from, const struct entry *to)
{
    sl_path_arg arg;
    unsigned flags = 0;
    if (call->nr == SYS_renameat2 && sl_path_arg_of(call, 0, &arg)) {
        flags = (unsigned)sl_path_said(call, &arg, 0);
    }
    if ((flags & RENAME_EXCHANGE) != 0) {
        return to->there;
    }
    return !to->there || ((flags & RENAME_NOREPLACE) == 0 &&
                          S_ISDIR(from->st.st_mode) == S_ISDIR(to->st.st_mode));
}

static void look_at_rename(const sl_call *call, const struct entry *from, const struct entry *to)
{
    struct stat old;
    struct stat new;
    bool fits = from->there && may_replace(call, from, to) && fstat(from->dir, &old) == 0 &&
                fstat(to->dir, &new) == 0 && old.st_dev == new.st_dev &&user_may_change(from) &&
                user_may_change(to);
    if (fits && is_refused(call, from)) {
        sl_refusal_tell_entry(call, from->dir, from->name, SL_WANT_REMOVE);
    }
    if (fits && !is_same_dir(&old, &new) && is_refused(call, to)) {
        sl_refusal_tell_entry(call, to->dir, to->name, SL_WANT_CREATE);
    }
}

/* A second name in another directory could give more rights than the first: Landlock wants both
 * directories granted (LANDLOCK_ACCESS_FS_REFER, landlock(7)). */
static void look_at_link(const sl_call *call, const struct entry *from, const struct entry *to)
{
    struct stat old;
    struct stat new;
    bool fits = from->there && !to->there && !S_ISDIR(from->st.st_mode) &&
                from->st.st_uid == geteuid() && fstat(from->dir, &old) == 0 &&
                fstat(to->dir, &new) == 0 && old.st_dev == new.st_dev &&user_may_change(to);
    if (fits && is_refused(call, to)) {
        sl_refusal_tell_entry(call, to->dir, to->name, SL_WANT_CREATE);
    } else if (fits && !is_same_dir(&old, &new) && is_refused(call, from)) {
        sl_refusal_tell_entry(call, from->dir, from->name, SL_WANT_LINK);
    }
}

static sl_answer look_at_both(const sl_call *call,
                              void (*look)(const sl_call *call, const struct entry *from,
                                           const struct entry *to))
{
    struct entry from;
    struct entry to;
    if (!find(call, 0, &from)) {
        return SL_ANSWER_PASS;
    }
    if (find(call, 1, &to)) {
        look(call, &from, &to);
        done(&to);
    }
    done(&from);
    return SL_ANSWER_PASS;
}

sl_answer sl_explain_rename(sl_call *call)
{
    return look_at_both(call, look_at_rename);
}

sl_answer sl_explain_link(sl_call *call)
{
    return look_at_both(call, look_at_link);
}
