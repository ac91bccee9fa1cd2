/* Owns who is told of what happens to files. Landlock has no right for it: inotify(7) tells of a
 * file to everybody whose identity may read it. So a watch is set here, on the pinned object, where
 * the policy lets it be read; the older and the newer way of being told cannot be set for somebody
 * else, or need not be, and are refused by the filter. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/syscall.h>

#include "core/util.h"
#include "features/features.h"
#include "features/refusal.h"
#include "kernel/place.h"
#include "kernel/proc.h"
#include "supervisor/hold.h"
#include "supervisor/path.h"
#include "supervisor/pin.h"
#include "supervisor/supervisor.h"

/* Whatever takes a part out of a grant of all: then somebody may be told too much. */
static bool wanted(const sl_policy *p)
{
    bool all = sl_strv_has(&p->fs_readable, "/") || sl_strv_has(&p->fs_writable, "/");
    return !all || p->fs_denied.count > 0 || p->http_key != NULL || p->isolate_pids ||
           p->gpu_devices.count > 0;
}

/* What has no path (a pipe, a socket) was opened by the tree, or given to it. */
static bool may_watch(const sl_call *call, int fd)
{
    char path[PATH_MAX];
    int r = sl_proc_fd_path(fd, path);
    bool nameless = r == -ENOENT && path[0] != '\0' && path[0] != '/';
    bool may = nameless || (r == 0 && sl_fsview_readable(call->sv->view, path));
    if (!may) {
        sl_refusal_tell(call, fd, SL_WANT_WATCH);
    }
    return may;
}

static int find(const sl_call *call)
{
    char path[PATH_MAX];
    sl_path_arg where;
    if (!sl_path_arg_of(call, 0, &where)) {
        return -ENOSYS;
    }
    int r = sl_path_read(call, &where, path);
    unsigned flags = (where.at & AT_SYMLINK_NOFOLLOW) != 0 ? SL_PIN_NOFOLLOW : 0;
    return r < 0 ? r : sl_pin(call, where.dirfd, path, flags);
}

/* What a group says of one watch, without what was asked: "inotify wd:1 ino:2 sdev:3 mask:4
 * ignored_mask:0 fhandle-bytes:..." (proc_pid_fdinfo(5)). The kernel's own names for the object,
 * which on some file systems are not those of stat(2). */
static bool read_watch(pid_t pid, int group, long wd, char ret_object[SL_HOLD_TEXT_MAX])
{
    char name[SL_PROC_FD_NAME_MAX];
    char line[SL_HOLD_TEXT_MAX];
    bool found = false;
    snprintf(name, sizeof(name), "fdinfo/%d", group);
    int fd = sl_proc_open(pid, name, O_RDONLY);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "re");
    if (file == NULL) {
        sl_close(fd);
        return false;
    }
    while (!found && fgets(line, sizeof(line), file) != NULL) {
        unsigned long number;
        int at = 0;
        char *mask = strstr(line, " mask:");
        if (mask != NULL && sscanf(line, "inotify wd:%lx %n", &number, &at) == 1 && at > 0 &&
            number == (unsigned long)wd) {
            const char *handle = strstr(mask, " fhandle-bytes:");
            *mask = '\0';
            snprintf(ret_object, SL_HOLD_TEXT_MAX, "%s%s", line + at, handle == NULL ? "" : handle);
            found = true;
        }
    }
    fclose(file);
    return found;
}

/* A watch of our own tells what the kernel will say of theirs. */
static bool name_object(int object, char ret_object[SL_HOLD_TEXT_MAX])
{
    char name[SL_PROC_FD_NAME_MAX];
    sl_autoclose int group = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    sl_proc_fd_name(object, name);
    int wd = group < 0 ? -1 : inotify_add_watch(group, name, IN_DELETE_SELF);
    return wd >= 0 && read_watch(SL_PROC_SELF, group, wd, ret_object);
}

static bool may_watch_named(const sl_call *call, sl_hold_memo *memo)
{
    sl_autoclose int object = find(call);
    return object >= 0 && may_watch(call, object) && name_object(object, memo->text);
}

/* Holding everybody does not keep memory still: the kernel itself writes there for them (aio(7),
 * the end of a thread). */
static bool is_what_was_named(const sl_call *call, long wd, const sl_hold_memo *memo)
{
    char object[SL_HOLD_TEXT_MAX];
    return read_watch(call->tid, (int)call->args[0], wd, object) && strcmp(object, memo->text) == 0;
}

static const sl_hold_way held_and_judged = {
    .whom = SL_HOLD_TREE, .check = may_watch_named, .judge = is_what_was_named};

static sl_answer handle_inotify_add_watch(sl_call *call)
{
    char name[SL_PROC_FD_NAME_MAX];
    uint32_t mask = (uint32_t)call->args[2];
    if (!sl_place_fetches()) { /* its own to add: nobody hears of it before it was looked at */
        return sl_hold_continue(call, &held_and_judged);
    }
    sl_autoclose int group = sl_call_pin(call, (int)call->args[0]);
    sl_autoclose int object = group < 0 ? -1 : find(call);
    if (group < 0 || object < 0) {
        return SL_ANSWER_VALUE(group < 0 ? group : object);
    }
    if (!may_watch(call, object)) {
        return SL_ANSWER_VALUE(-EACCES);
    }
    if (!sl_call_valid(call)) {
        return SL_ANSWER_VALUE(-EPERM);
    }
    sl_proc_fd_name(object, name); /* leads to the object, even a symlink */
    int wd = inotify_add_watch(group, name, mask & ~(uint32_t)IN_DONT_FOLLOW);
    return SL_ANSWER_VALUE(wd < 0 ? -errno : wd);
}

#define REFUSE(nr_, error, ...)                                                                    \
    {                                                                                              \
        .nr = (nr_), .action = SL_BPF_ERRNO(error), .conds = { __VA_ARGS__ }                       \
    }

static const sl_bpf_rule settled[] = {
    /* its signals go to whoever asks, so nobody can ask on behalf */
    REFUSE(SYS_fcntl, EACCES, SL_ARG_EQ(1, F_NOTIFY)),
    /* on the built-in list too, which a policy may replace */
    REFUSE(SYS_fanotify_init, EPERM),
    REFUSE(SYS_fanotify_mark, EPERM),
};

static const sl_syscall_row rows[] = {
    {.nr = SYS_inotify_add_watch, .handler = handle_inotify_add_watch},
};

const sl_feature sl_feature_watch = {
    .name = "watch",
    .wanted = wanted,
    .promised = sl_feature_promises_nothing, /* docs/THREAT-MODEL.md says so */
    .rows = rows,
    .row_count = SL_ARRAY_LEN(rows),
    .settled = settled,
    .settled_count = SL_ARRAY_LEN(settled),
};
