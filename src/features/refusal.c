/* Owns the question whether a refusal is the sandbox's: the supervisor has the same user as the
 * caller, so that what the kernel refuses to us by mode and owner it refuses outside as well. It
 * judges no grant and changes no answer. */
#include "features/refusal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/num.h"
#include "core/util.h"
#include "kernel/proc.h"
#include "supervisor/supervisor.h"

static bool user_may(int fd, int mode)
{
    char link[SL_PROC_FD_NAME_MAX];
    sl_proc_fd_name(fd, link);
    return faccessat(AT_FDCWD, link, mode, 0) == 0;
}

/* Whether the user could do this of the object, were there no sandbox. */
static bool is_ours(int fd, const struct stat *st, enum sl_file_want want)
{
    switch (want) {
    case SL_WANT_READ:
    case SL_WANT_LIST:
    case SL_WANT_WATCH:
        return user_may(fd, R_OK);
    case SL_WANT_EXECUTE:
        return user_may(fd, X_OK);
    case SL_WANT_WRITE:
        return user_may(fd, W_OK);
    case SL_WANT_CREATE:
    case SL_WANT_REMOVE:
        return user_may(fd, W_OK | X_OK);
    case SL_WANT_LINK: /* whoever asks has looked at the file */
        return true;
    case SL_WANT_LEASE: /* fcntl(2): of one's own files */
    case SL_WANT_CHANGE:
        return st->st_uid == geteuid();
    case SL_WANTS:
        break;
    }
    return false;
}

/* The numbers below /proc are another's in the next run: what can be granted is all of it. The
 * caller's own is spelt as everybody spells it. True if the path was such a one. */
static bool spell_proc(const sl_call *call, const char *path, char ret_path[PATH_MAX])
{
    const char *number = path + sizeof("/proc/") - 1;
    if (strncmp(path, "/proc/", sizeof("/proc/") - 1) != 0 || *number < '0' || *number > '9') {
        return false;
    }
    const char *rest = strchrnul(number, '/');
    if (sl_num_pid(number) != sl_call_tgid(call)) {
        rest = number;
    }
    snprintf(ret_path, PATH_MAX, "/proc/%s%s", rest == number ? "" : "self", rest);
    return true;
}

static void tell(const sl_call *call, sl_file_denial *denial)
{
    char spelt[PATH_MAX];
    const sl_supervisor *sv = call->sv;
    denial->by_rule = sl_fsview_denied_by_rule(sv->view, denial->path);
    if (spell_proc(call, denial->path, spelt)) {
        denial->path = spelt;
        denial->grant = "/proc";
    }
    if (sl_call_valid(call)) { /* or the path was another's */
        sv->hooks.file(sv->hooks.report_arg, call->tid, denial);
    }
}

static void tell_object(const sl_call *call, int fd, enum sl_file_want want, bool asked)
{
    struct stat st;
    char path[PATH_MAX];
    bool named = call->sv->hooks.file != NULL && fstat(fd, &st) == 0 && st.st_nlink > 0 &&
                 sl_proc_fd_path(fd, path) == 0;
    sl_file_denial denial = {.want = want, .path = path, .grant = path, .asked = asked};
    if (named && is_ours(fd, &st, want)) {
        tell(call, &denial);
    }
}

void sl_refusal_tell(const sl_call *call, int fd, enum sl_file_want want)
{
    tell_object(call, fd, want, false);
}

void sl_refusal_tell_modes(const sl_call *call, int fd, unsigned modes, bool asked)
{
    struct stat st;
    if ((modes & W_OK) != 0) { /* a grant for writing is one for reading */
        tell_object(call, fd, SL_WANT_WRITE, asked);
    } else if ((modes & R_OK) != 0 && fstat(fd, &st) == 0) {
        tell_object(call, fd, S_ISDIR(st.st_mode) ? SL_WANT_LIST : SL_WANT_READ, asked);
    } else if ((modes & X_OK) != 0) {
        tell_object(call, fd, SL_WANT_EXECUTE, asked);
    }
}

/* unlink(2): in a directory with the sticky bit only one's own. */
static bool is_kept_by_others(const struct stat *dir, int fd, const char *name)
{
    struct stat st;
    return (dir->st_mode & S_ISVTX) != 0 && dir->st_uid != geteuid() &&
           fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_uid != geteuid();
}

void sl_refusal_tell_entry(const sl_call *call, int dir, const char *name, enum sl_file_want want)
{
    struct stat st;
    char grant[PATH_MAX];
    char path[PATH_MAX + NAME_MAX + 2];
    if (call->sv->hooks.file == NULL || fstat(dir, &st) < 0 || st.st_nlink == 0 ||
        sl_proc_fd_path(dir, grant) < 0 || !is_ours(dir, &st, want) ||
        (want == SL_WANT_REMOVE && is_kept_by_others(&st, dir, name))) {
        return;
    }
    snprintf(path, sizeof(path), "%s/%s", grant[1] == '\0' ? "" : grant, name);
    tell(call, &(sl_file_denial){.want = want, .path = path, .grant = grant});
}
