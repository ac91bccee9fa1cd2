/* Owns the questions about granted paths. What is granted is decided elsewhere, once. */
#include "supervisor/fsview.h"

#include <errno.h>
#include <limits.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel/landlock.h"
#include "policy/unix_rule.h"

bool sl_fsview_is_below(const char *path, const char *top)
{
    size_t n = strlen(top);
    if (n == 1) {
        return true; /* "/" */
    }
    return strncmp(path, top, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

/* True if one of the write grants lies above `path`, at it or below it. */
static bool reaches(const sl_fsview *view, const char *path)
{
    for (size_t i = 0; i < view->writable.count; i++) {
        if (sl_fsview_is_below(path, view->writable.items[i]) ||
            sl_fsview_is_below(view->writable.items[i], path)) {
            return true;
        }
    }
    return false;
}

bool sl_fsview_writes_type(const sl_fsview *view, const char *type)
{
    char line[2 * PATH_MAX];
    struct mntent entry;
    bool found = false;
    FILE *mounts = setmntent("/proc/self/mounts", "re");
    if (mounts == NULL) {
        return true;
    }
    while (!found && getmntent_r(mounts, &entry, line, sizeof(line)) != NULL) {
        found = strcmp(entry.mnt_type, type) == 0 && reaches(view, entry.mnt_dir);
    }
    endmntent(mounts);
    return found;
}

static bool is_below_any(const char *path, const sl_strv *tops)
{
    for (size_t i = 0; i < tops->count; i++) {
        if (sl_fsview_is_below(path, tops->items[i])) {
            return true;
        }
    }
    return false;
}

bool sl_fsview_writable(const sl_fsview *view, const char *path)
{
    return is_below_any(path, &view->writable);
}

bool sl_fsview_denied(const sl_fsview *view, const char *path)
{
    return is_below_any(path, &view->denied);
}

bool sl_fsview_denied_by_rule(const sl_fsview *view, const char *path)
{
    bool denied = false;
    for (size_t i = 0; !denied && i < view->ruled; i++) {
        denied = sl_fsview_is_below(path, view->denied.items[i]);
    }
    return denied;
}

bool sl_fsview_readable(const sl_fsview *view, const char *path)
{
    return is_below_any(path, &view->readable) && !sl_fsview_denied(view, path);
}

int sl_fsview_add_stream(sl_fsview *view, const struct stat *st, unsigned rights)
{
    if (view->stream_count == SL_FSVIEW_STREAMS) {
        return -ENOBUFS;
    }
    view->streams[view->stream_count++] =
        (sl_fsview_stream){.file = {.dev = st->st_dev, .ino = st->st_ino}, .rights = rights};
    return 0;
}

unsigned sl_fsview_stream_rights(const sl_fsview *view, const struct stat *st)
{
    unsigned rights = 0;
    for (size_t i = 0; i < view->stream_count; i++) {
        const sl_fsview_file *file = &view->streams[i].file;
        rights |= file->dev == st->st_dev && file->ino == st->st_ino ? view->streams[i].rights : 0;
    }
    return rights;
}

/* Searching a directory needs no right, and a list of its names only one above it. */
static unsigned modes_of_dir(const sl_fsview *view, const char *path)
{
    bool top = view->root_listed && strcmp(path, "/") == 0;
    return X_OK | (top || is_below_any(path, &view->listed) ? (unsigned)R_OK : 0);
}

unsigned sl_fsview_modes(const sl_fsview *view, const char *path, const struct stat *st)
{
    unsigned modes = S_ISDIR(st->st_mode) ? modes_of_dir(view, path) : 0;
    unsigned stream = sl_fsview_stream_rights(view, st);
    modes |= (stream & SL_LANDLOCK_LOOK) != 0 ? (unsigned)R_OK : 0;
    modes |= (stream & SL_LANDLOCK_FILL) != 0 ? (unsigned)W_OK : 0;
    if (sl_fsview_denied(view, path)) {
        return modes;
    }
    modes |= is_below_any(path, &view->readable) ? (unsigned)(R_OK | X_OK) : 0;
    modes |= is_below_any(path, &view->writable) ? (unsigned)(R_OK | W_OK | X_OK) : 0;
    return modes | (is_below_any(path, &view->devices) ? (unsigned)(R_OK | W_OK) : 0);
}

int sl_fsview_add_socket(sl_fsview *view, const struct stat *st)
{
    sl_fsview_file *grown =
        realloc(view->sockets, (view->socket_count + 1) * sizeof(*view->sockets));
    if (grown == NULL) {
        return -ENOMEM;
    }
    view->sockets = grown;
    view->sockets[view->socket_count++] = (sl_fsview_file){.dev = st->st_dev, .ino = st->st_ino};
    return 0;
}

bool sl_fsview_names_socket(const sl_fsview *view, const struct stat *st, const char *path)
{
    if (sl_fsview_denied(view, path)) {
        return false;
    }
    for (size_t i = 0; i < view->socket_count; i++) {
        if (view->sockets[i].dev == st->st_dev && view->sockets[i].ino == st->st_ino) {
            return true;
        }
    }
    for (size_t i = 0; i < view->socket_rules.count; i++) {
        if (sl_unix_rule_has(view->socket_rules.items[i], path)) {
            return true;
        }
    }
    return false;
}

void sl_fsview_free(sl_fsview *view)
{
    if (view != NULL) {
        sl_strv_done(&view->writable);
        sl_strv_done(&view->readable);
        sl_strv_done(&view->listed);
        sl_strv_done(&view->devices);
        sl_strv_done(&view->denied);
        sl_strv_done(&view->notes);
        sl_strv_done(&view->socket_rules);
        free(view->sockets);
        free(view);
    }
}
