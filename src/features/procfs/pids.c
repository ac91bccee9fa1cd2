/* Owns isolate_pids: in /proc the tree sees itself and nobody else.
 *
 * Landlock keeps it: no rule grants /proc, nor the listing of "/" or /proc (fsview.c), so that an
 * open which goes on after it was judged finds nothing of others, whatever the path says by then.
 * What is the tree's own is opened here, on the object that was judged, and injected. Never opens
 * for writing, and nothing that it did not find to be of a process of the tree. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/num.h"
#include "core/util.h"
#include "features/features.h"
#include "features/procfs/pids_int.h"
#include "features/procfs/sockets_int.h"
#include "kernel/proc.h"
#include "kernel/tree.h"
#include "supervisor/listing.h"
#include "supervisor/pin.h"
#include "supervisor/supervisor.h"
#include "supervisor/vfile.h"

static bool wanted(const sl_policy *policy)
{
    return policy->isolate_pids;
}

enum sl_pids_place sl_pids_place_of(const sl_call *call, int fd, char path[PATH_MAX])
{
    if (!sl_pin_is_proc(fd)) {
        return SL_PIDS_ELSEWHERE;
    }
    if (sl_proc_fd_path(fd, path) < 0) {
        return SL_PIDS_FOREIGN;
    }
    if (strcmp(path, "/proc") == 0) {
        return SL_PIDS_TOP;
    }
    if (strncmp(path, "/proc/", 6) != 0) {
        return SL_PIDS_FOREIGN;
    }
    if (path[6] < '0' || path[6] > '9') {
        return SL_PIDS_ELSEWHERE;
    }
    /* Should the number be somebody else's by now, the pinned object is nobody's any more. */
    pid_t pid = sl_num_pid(path + 6);
    return pid == call->tid || sl_tree_has(call->sv->helper_pid, pid) ? SL_PIDS_OWN
                                                                      : SL_PIDS_FOREIGN;
}

/* What was pinned, opened for reading. */
static sl_answer give(sl_call *call, int pin, uint64_t flags)
{
    struct stat st;
    if (fstat(pin, &st) < 0 || S_ISLNK(st.st_mode) || !sl_call_valid(call)) {
        return SL_ANSWER_PASS; /* O_NOFOLLOW on a link: the kernel says ELOOP itself */
    }
    int fd = sl_proc_reopen(pin, O_RDONLY | O_NONBLOCK | (int)(flags & O_DIRECTORY));
    if (fd >= 0 && (flags & O_NONBLOCK) == 0) {
        fcntl(fd, F_SETFL, 0);
    }
    return fd < 0 ? SL_ANSWER_VALUE(fd)
                  : (sl_answer){.kind = SL_INJECT, .fd = fd, .cloexec = (flags & O_CLOEXEC) != 0};
}

/* A file of a disk, which proc never is: its devices have no number of a driver. What most opens
 * are of, and nothing more is asked. */
static bool is_of_disk(const struct stat *st)
{
    return S_ISREG(st->st_mode) && major(st->st_dev) != 0;
}

static bool is_root(int pin, const struct stat *st)
{
    char path[PATH_MAX];
    return S_ISDIR(st->st_mode) && sl_proc_fd_path(pin, path) == 0 && path[1] == '\0';
}

/* O_TMPFILE has O_DIRECTORY's bit in it. */
#define NOT_READING (O_ACCMODE | O_PATH | O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY))

static sl_answer handle_open(sl_call *call)
{
    char path[PATH_MAX];
    const sl_fsview *view = call->sv->view;
    const sl_vfile_open *open = sl_vfile_copy(call);
    int pin = open == NULL ? -EFAULT : sl_vfile_pin(call);
    struct stat st;
    if (pin < 0 || fstat(pin, &st) < 0 || is_of_disk(&st)) {
        return SL_ANSWER_PASS;
    }
    bool reads = (open->flags & NOT_READING) == O_RDONLY;
    switch (sl_pids_place_of(call, pin, path)) {
    case SL_PIDS_FOREIGN: /* a spelling of "self" that was not seen through may be meant: EACCES */
        return open->resolve != 0 ? SL_ANSWER_PASS : SL_ANSWER_VALUE(-ENOENT);
    case SL_PIDS_OWN:
    case SL_PIDS_TOP:
        if (!reads || !view->proc_read) {
            return SL_ANSWER_PASS;
        }
        return sl_sockets_is_net(path)
                   ? sl_sockets_open_net(call, path, give(call, pin, open->flags))
                   : give(call, pin, open->flags);
    case SL_PIDS_ELSEWHERE:
        break;
    }
    return reads && view->root_listed && is_root(pin, &st) ? give(call, pin, open->flags)
                                                           : SL_ANSWER_PASS;
}

struct own {
    pid_t *list;
    size_t count;
};

static bool keep_own(const char *name, const void *arg)
{
    const struct own *own = arg;
    if (name[0] < '0' || name[0] > '9') {
        return true;
    }
    pid_t pid = sl_num_pid(name);
    for (size_t i = 0; i < own->count; i++) {
        if (own->list[i] == pid) {
            return true;
        }
    }
    return false;
}

static sl_answer list_own(sl_call *call, int fd)
{
    sl_autofree pid_t *list = malloc(SL_TREE_MAX * sizeof(*list));
    if (list == NULL) {
        return SL_ANSWER_VALUE(-ENOMEM);
    }
    struct own own = {.list = list};
    own.count = sl_tree_list(call->sv->helper_pid, list, SL_TREE_MAX);
    return sl_listing_answer(call, fd, keep_own, &own);
}

/* A descriptor that is exchanged behind our back shows numbers at most, which kill(pid, 0) tells
 * anybody: what lies below them stays shut. */
static sl_answer handle_getdents(sl_call *call)
{
    char path[PATH_MAX];
    sl_autoclose int fd = sl_listing_pin(call, (int)call->args[0]);
    if (fd < 0) { /* the kernel has the error, but for what is ours */
        return fd == -EMFILE || fd == -ENFILE ? SL_ANSWER_VALUE(-ENOMEM) : SL_ANSWER_PASS;
    }
    switch (sl_pids_place_of(call, fd, path)) {
    case SL_PIDS_TOP:
        return list_own(call, fd);
    case SL_PIDS_FOREIGN:
        return SL_ANSWER_VALUE(-ENOENT);
    default:
        return SL_ANSWER_PASS;
    }
}

static const sl_syscall_row rows[] = {
    SL_VFILE_ROWS(handle_open),
    {.nr = SYS_getdents64, .flags = SL_ROW_MAY_CONTINUE, .handler = handle_getdents},
    {.nr = SYS_newfstatat, .handler = sl_pids_handle_stat},
    {.nr = SYS_statx, .handler = sl_pids_handle_statx},
    {.nr = SYS_faccessat, .handler = sl_pids_handle_access},
    {.nr = SYS_faccessat2, .handler = sl_pids_handle_access},
    {.nr = SYS_readlinkat, .handler = sl_pids_handle_readlink},
#ifdef SYS_stat /* the old calls that newer architectures do without */
    {.nr = SYS_getdents, .flags = SL_ROW_MAY_CONTINUE, .handler = handle_getdents},
    {.nr = SYS_stat, .handler = sl_pids_handle_stat},
    {.nr = SYS_lstat, .handler = sl_pids_handle_stat},
    {.nr = SYS_access, .handler = sl_pids_handle_access},
    {.nr = SYS_readlink, .handler = sl_pids_handle_readlink},
#endif
};

const sl_feature sl_feature_pids = {
    .name = "pids",
    .wanted = wanted,
    .writes = wanted,
    .option = "--isolate-pids",
    .rows = rows,
    .row_count = SL_ARRAY_LEN(rows),
};
