/* Owns the table of path calls. A call that takes a path and is not here cannot be judged by one:
 * adding it is adding its row. */
#include "supervisor/path.h"

#include <fcntl.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/syscall.h>

#include "core/util.h"
#include "kernel/numbers.h"

#define NEW (O_CREAT | O_EXCL) /* open(2): a link at the end is never followed then */

#define NONE (-1)

enum flags_are {
    NO_FLAGS,
    AT_FLAGS,    /* AT_* as they stand */
    OPEN_FLAGS,  /* O_NOFOLLOW says that a link is meant, and so does making what must be new */
    LINK_FLAGS,  /* the opposite way round: AT_SYMLINK_FOLLOW, and else the link */
    WATCH_FLAGS, /* inotify(7): IN_DONT_FOLLOW */
    MARK_FLAGS,  /* fanotify_mark(2): FAN_MARK_DONT_FOLLOW; without a path the directory itself */
};

/* Which argument is what; NONE: the call has no such thing. */
struct name {
    int8_t dirfd;
    int8_t path; /* NONE with a dirfd: the descriptor itself */
    int8_t flags;
    int8_t next; /* what is told or asked besides, from here on */
    uint8_t flags_are;
    unsigned at; /* what the call means without being told */
};

static const struct row {
    int nr;
    struct name names[SL_PATH_NAMES_MAX];
} rows[] = {
#define AT(nr, d, p)                                                                               \
    {                                                                                              \
        (nr),                                                                                      \
        {                                                                                          \
            {                                                                                      \
                (d), (p), NONE, (p) + 1, NO_FLAGS, 0                                               \
            }                                                                                      \
        }                                                                                          \
    }
#define AT_F(nr, d, p, f, n)                                                                       \
    {                                                                                              \
        (nr),                                                                                      \
        {                                                                                          \
            {                                                                                      \
                (d), (p), (f), (n), AT_FLAGS, 0                                                    \
            }                                                                                      \
        }                                                                                          \
    }
#define PATH(nr) AT(nr, NONE, 0)
#define LINK(nr)                                                                                   \
    {                                                                                              \
        (nr),                                                                                      \
        {                                                                                          \
            {                                                                                      \
                NONE, 0, NONE, 1, NO_FLAGS, AT_SYMLINK_NOFOLLOW                                    \
            }                                                                                      \
        }                                                                                          \
    }
#define WHOLE(nr)                                                                                  \
    {                                                                                              \
        (nr),                                                                                      \
        {                                                                                          \
            {                                                                                      \
                0, NONE, NONE, 1, NO_FLAGS, 0                                                      \
            }                                                                                      \
        }                                                                                          \
    }

    /* opening */
    {SYS_openat, {{0, 1, 2, 2, OPEN_FLAGS, 0}}},
    AT(SYS_openat2, 0, 1),
    {SYS_name_to_handle_at, {{0, 1, 4, 2, LINK_FLAGS, 0}}},
    AT_F(SYS_execveat, 0, 1, 4, 2),
    PATH(SYS_execve),
    /* asking */
    AT_F(SYS_newfstatat, 0, 1, 3, 2),
    AT_F(SYS_statx, 0, 1, 2, 3),
    AT(SYS_faccessat, 0, 1),
    AT_F(SYS_faccessat2, 0, 1, 3, 2),
    {SYS_readlinkat, {{0, 1, NONE, 2, NO_FLAGS, AT_SYMLINK_NOFOLLOW}}},
    PATH(SYS_statfs),
    PATH(SYS_getxattr),
    LINK(SYS_lgetxattr),
    PATH(SYS_listxattr),
    LINK(SYS_llistxattr),
    AT_F(SL_NR_GETXATTRAT, 0, 1, 2, 3),
    AT_F(SL_NR_LISTXATTRAT, 0, 1, 2, 3),
    AT_F(SL_NR_FILE_GETATTR, 0, 1, 4, 2),
    /* changing what is said of a file */
    AT(SYS_fchmodat, 0, 1),
    AT_F(SL_NR_FCHMODAT2, 0, 1, 3, 2),
    WHOLE(SYS_fchmod),
    AT_F(SYS_fchownat, 0, 1, 4, 2),
    WHOLE(SYS_fchown),
    AT_F(SYS_utimensat, 0, 1, 3, 2),
    PATH(SYS_setxattr),
    LINK(SYS_lsetxattr),
    WHOLE(SYS_fsetxattr),
    AT_F(SL_NR_SETXATTRAT, 0, 1, 2, 3),
    PATH(SYS_removexattr),
    LINK(SYS_lremovexattr),
    WHOLE(SYS_fremovexattr),
    AT_F(SL_NR_REMOVEXATTRAT, 0, 1, 2, 3),
    AT_F(SL_NR_FILE_SETATTR, 0, 1, 4, 2),
    WHOLE(SYS_ioctl),
    PATH(SYS_truncate),
    WHOLE(SYS_ftruncate),
    /* changing directories' contents: what is named at the end is never followed */
    {SYS_mkdirat, {{0, 1, NONE, 2, NO_FLAGS, AT_SYMLINK_NOFOLLOW}}},
    {SYS_mknodat, {{0, 1, NONE, 2, NO_FLAGS, AT_SYMLINK_NOFOLLOW}}},
    {SYS_unlinkat, {{0, 1, NONE, 2, NO_FLAGS, AT_SYMLINK_NOFOLLOW}}},
    {SYS_symlinkat, {{1, 2, NONE, 0, NO_FLAGS, AT_SYMLINK_NOFOLLOW}}},
    {SYS_linkat,
     {{0, 1, 4, NONE, LINK_FLAGS, 0}, {2, 3, NONE, NONE, NO_FLAGS, AT_SYMLINK_NOFOLLOW}}},
    {SYS_renameat2,
     {{0, 1, NONE, 4, NO_FLAGS, AT_SYMLINK_NOFOLLOW},
      {2, 3, NONE, 4, NO_FLAGS, AT_SYMLINK_NOFOLLOW}}},
    /* going there, watching */
    PATH(SYS_chdir),
    PATH(SYS_chroot),
    {SYS_inotify_add_watch, {{NONE, 1, 2, 2, WATCH_FLAGS, 0}}},
    {SYS_fanotify_mark, {{3, 4, 1, 2, MARK_FLAGS, 0}}},
#ifdef SYS_open /* the old calls that newer architectures do without */
    {SYS_open, {{NONE, 0, 1, 1, OPEN_FLAGS, 0}}},
    PATH(SYS_creat),
    PATH(SYS_stat),
    LINK(SYS_lstat),
    PATH(SYS_access),
    LINK(SYS_readlink),
    PATH(SYS_chmod),
    PATH(SYS_chown),
    LINK(SYS_lchown),
    PATH(SYS_utime),
    PATH(SYS_utimes),
    AT(SYS_futimesat, 0, 1),
    LINK(SYS_mkdir),
    LINK(SYS_mknod),
    LINK(SYS_rmdir),
    LINK(SYS_unlink),
    {SYS_symlink, {{NONE, 1, NONE, 0, NO_FLAGS, AT_SYMLINK_NOFOLLOW}}},
    {SYS_link,
     {{NONE, 0, NONE, NONE, NO_FLAGS, AT_SYMLINK_NOFOLLOW},
      {NONE, 1, NONE, NONE, NO_FLAGS, AT_SYMLINK_NOFOLLOW}}},
    {SYS_rename,
     {{NONE, 0, NONE, NONE, NO_FLAGS, AT_SYMLINK_NOFOLLOW},
      {NONE, 1, NONE, NONE, NO_FLAGS, AT_SYMLINK_NOFOLLOW}}},
    {SYS_renameat,
     {{0, 1, NONE, NONE, NO_FLAGS, AT_SYMLINK_NOFOLLOW},
      {2, 3, NONE, NONE, NO_FLAGS, AT_SYMLINK_NOFOLLOW}}},
#endif
};

static const struct row *find(int nr)
{
    for (size_t i = 0; i < SL_ARRAY_LEN(rows); i++) {
        if (rows[i].nr == nr) {
            return &rows[i];
        }
    }
    return NULL;
}

bool sl_path_is_call(int nr)
{
    return find(nr) != NULL;
}

static unsigned nofollow(bool is_link)
{
    return is_link ? AT_SYMLINK_NOFOLLOW : 0;
}

static unsigned flags_of(const struct name *name, uint64_t given)
{
    switch ((enum flags_are)name->flags_are) {
    case AT_FLAGS:
        return (unsigned)given;
    case OPEN_FLAGS:
        return nofollow((given & O_NOFOLLOW) != 0 || (given & NEW) == NEW);
    case LINK_FLAGS:
        return (unsigned)(given & AT_EMPTY_PATH) | nofollow((given & AT_SYMLINK_FOLLOW) == 0);
    case WATCH_FLAGS:
        return nofollow((given & IN_DONT_FOLLOW) != 0);
    case MARK_FLAGS:
        return nofollow((given & FAN_MARK_DONT_FOLLOW) != 0);
    case NO_FLAGS:
        break;
    }
    return 0;
}

bool sl_path_arg_of(const sl_call *call, unsigned which, sl_path_arg *ret_arg)
{
    const struct row *row = find(call->nr);
    const struct name *name = row == NULL || which >= SL_PATH_NAMES_MAX ? NULL : &row->names[which];
    if (name == NULL || (name->dirfd == 0 && name->path == 0)) { /* no row, or nothing there */
        return false;
    }
    bool whole =
        name->path == NONE || (name->flags_are == MARK_FLAGS && call->args[name->path] == 0);
    *ret_arg = (sl_path_arg){
        .dirfd = name->dirfd == NONE ? AT_FDCWD : (int)call->args[name->dirfd],
        .address = name->path == NONE ? 0 : call->args[name->path],
        .at = name->at | (name->flags == NONE ? 0 : flags_of(name, call->args[name->flags])),
        .whole = whole,
        .next = name->next,
    };
    return true;
}

uint64_t sl_path_said(const sl_call *call, const sl_path_arg *arg, unsigned which)
{
    size_t at = (size_t)arg->next + which;
    return arg->next >= 0 && at < SL_ARRAY_LEN(call->args) ? call->args[at] : 0;
}

int sl_path_read(const sl_call *call, const sl_path_arg *arg, char text[PATH_MAX])
{
    if (arg->address == 0 && (arg->at & AT_EMPTY_PATH) != 0) {
        text[0] = '\0';
        return 0;
    }
    return sl_call_read_str(call, arg->address, text, PATH_MAX);
}
