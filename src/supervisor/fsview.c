/* Owns the questions about granted paths. What is granted is decided elsewhere, once. */
#include "supervisor/fsview.h"

#include <limits.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

bool sl_fsview_readable(const sl_fsview *view, const char *path)
{
    return is_below_any(path, &view->readable) && !sl_fsview_denied(view, path);
}

void sl_fsview_free(sl_fsview *view)
{
    if (view != NULL) {
        sl_strv_done(&view->writable);
        sl_strv_done(&view->readable);
        sl_strv_done(&view->denied);
        sl_strv_done(&view->notes);
        free(view);
    }
}
