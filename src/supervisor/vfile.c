/* Owns the recognising of an open by what its path means, and the giving of other content in its
 * place. Never refuses: what is not given goes on to Landlock. */
#include "supervisor/vfile.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fd.h"
#include "core/util.h"
#include "kernel/proc.h"
#include "supervisor/listing.h"
#include "supervisor/path.h"
#include "supervisor/pin.h"
#include "supervisor/supervisor.h"

/* The call in hand. Each part is found when it is first asked for. */
struct sl_vfile_state {
    uint64_t id;
    bool known;  /* `id` is set */
    bool copied; /* `open` is */
    bool pinned; /* `pin` is */
    int pin;     /* owned, or -errno */
    enum { UNTRIED, FOUND, MISSING } path_state, meaning_state, name_state;
    sl_vfile_open open;
    char path[PATH_MAX];
    char meaning[PATH_MAX];
};

/* Takes "//", "/./" and "/../" out of an absolute path. What symlinks do is not followed. */
static void tidy(char *path)
{
    char *out = path;
    for (const char *p = path; *p != '\0';) {
        const char *end = strchrnul(p + 1, '/');
        size_t n = (size_t)(end - p);
        if (n == 3 && memcmp(p, "/..", 3) == 0) {
            while (out > path && *--out != '/') {
            }
        } else if (n > 1 && !(n == 2 && p[1] == '.')) {
            memmove(out, p, n);
            out += n;
        }
        p = end;
    }
    *out = '\0';
}

/* The flags, wherever this call has them. False for every call that opens nothing for reading. */
static bool copy_how(const sl_call *call, const sl_path_arg *arg, struct open_how *how)
{
    uint64_t said = sl_path_said(call, arg, 0);
    switch (call->nr) {
#ifdef SYS_open
    case SYS_open:
#endif
    case SYS_openat:
        how->flags = said;
        return true;
    case SYS_openat2:
        return sl_path_said(call, arg, 1) >= sizeof(*how) &&
               sl_call_read(call, said, how, sizeof(*how)) == 0;
    default:
        return false;
    }
}

static bool copy_open(const sl_call *call, sl_vfile_open *open)
{
    struct open_how how = {0};
    sl_path_arg arg;
    if (!sl_path_arg_of(call, 0, &arg) || !copy_how(call, &arg, &how)) {
        return false;
    }
    open->dirfd = arg.dirfd;
    open->flags = how.flags;
    open->resolve = how.resolve;
    return sl_path_read(call, &arg, open->given) == 0;
}

static void forget(struct sl_vfile_state *s)
{
    if (s->pinned) {
        sl_close(s->pin);
    }
    s->pinned = false;
}

static struct sl_vfile_state *state_of(const sl_call *call)
{
    struct sl_vfile_state *s = call->sv->vfile;
    if (s == NULL) {
        s = call->sv->vfile = calloc(1, sizeof(*s));
    }
    if (s != NULL && (!s->known || s->id != call->id)) {
        forget(s);
        s->id = call->id;
        s->known = true;
        s->path_state = UNTRIED;
        s->meaning_state = UNTRIED;
        s->name_state = UNTRIED;
        s->copied = copy_open(call, &s->open);
        sl_listing_at_open(call);
    }
    return s != NULL && s->copied ? s : NULL;
}

const sl_vfile_open *sl_vfile_copy(const sl_call *call)
{
    const struct sl_vfile_state *s = state_of(call);
    return s == NULL ? NULL : &s->open;
}

const sl_vfile_open *sl_vfile_asked(const sl_call *call)
{
    const sl_vfile_open *open = sl_vfile_copy(call);
    bool reads = open != NULL && open->resolve == 0 &&
                 (open->flags & (O_ACCMODE | O_PATH | O_DIRECTORY)) == O_RDONLY;
    return reads ? open : NULL;
}

int sl_vfile_pin(const sl_call *call)
{
    struct sl_vfile_state *s = state_of(call);
    if (s == NULL) {
        return -EFAULT;
    }
    if (!s->pinned) {
        unsigned flags = (s->open.flags & O_NOFOLLOW) != 0 ? SL_PIN_NOFOLLOW : 0;
        s->pin = s->open.resolve == 0
                     ? sl_pin(call, s->open.dirfd, s->open.given, flags)
                     : sl_pin_bounded(call, s->open.dirfd, s->open.given, flags, s->open.resolve);
        s->pinned = true;
    }
    return s->pin;
}

static bool find_path(const sl_call *call, const sl_vfile_open *open, char path[PATH_MAX])
{
    char name[SL_PROC_FD_NAME_MAX] = "cwd";
    ssize_t n = 0;
    if (open->given[0] != '/') {
        if (open->dirfd != AT_FDCWD) {
            snprintf(name, sizeof(name), "fd/%d", open->dirfd);
        }
        n = sl_proc_link(call->tid, name, path, PATH_MAX);
        if (n <= 0 || path[0] != '/') {
            return false;
        }
    }
    size_t room = PATH_MAX - (size_t)n;
    int k = snprintf(path + n, room, "%s%s", n > 0 ? "/" : "", open->given);
    if (k < 0 || (size_t)k >= room) {
        return false;
    }
    tidy(path);
    return true;
}

const char *sl_vfile_path(const sl_call *call)
{
    struct sl_vfile_state *s = state_of(call);
    if (s == NULL) {
        return NULL;
    }
    if (s->path_state == UNTRIED) {
        s->path_state = find_path(call, &s->open, s->path) ? FOUND : MISSING;
    }
    return s->path_state == FOUND ? s->path : NULL;
}

const char *sl_vfile_meaning(const sl_call *call)
{
    struct sl_vfile_state *s = state_of(call);
    if (s == NULL) {
        return NULL;
    }
    if (s->meaning_state == UNTRIED) {
        int fd = sl_vfile_pin(call);
        s->meaning_state = fd >= 0 && sl_proc_fd_path(fd, s->meaning) == 0 ? FOUND : MISSING;
    }
    return s->meaning_state == FOUND ? s->meaning : NULL;
}

/* The last name of the words where it is what the object is called: nothing is there that could
 * lead on to another name. NULL when that is not certain. One look, where a pin is four calls. It
 * walks "self" as ours, where a link is a link for everybody; only below /proc/self/cwd a file of
 * ours may hide a link of the caller's, which then shows the real file: a view, no more. */
static const char *find_name(const sl_call *call, struct sl_vfile_state *s)
{
    char at[PATH_MAX];
    char link[1];
    const char *given = s->open.given;
    const char *slash = strrchr(given, '/');
    const char *name = slash == NULL ? given : slash + 1;
    if (s->name_state == UNTRIED) {
        int n = 0;
        s->name_state = MISSING;
        if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
            return NULL;
        }
        if (given[0] == '/') {
            n = snprintf(at, sizeof(at), "%s", given);
        } else if (s->open.dirfd == AT_FDCWD) {
            n = snprintf(at, sizeof(at), "/proc/%d/cwd/%s", (int)call->tid, given);
        } else {
            n = snprintf(at, sizeof(at), "/proc/%d/fd/%d/%s", (int)call->tid, s->open.dirfd, given);
        }
        if (n > 0 && (size_t)n < sizeof(at) && readlink(at, link, sizeof(link)) < 0 &&
            errno == EINVAL) {
            s->name_state = FOUND;
        }
    }
    return s->name_state == FOUND ? name : NULL;
}

/* True if the object is certainly called something else than this path's last name. */
static bool is_called_otherwise(const sl_call *call, const char *path)
{
    struct sl_vfile_state *s = state_of(call);
    const char *name = s == NULL || s->pinned ? NULL : find_name(call, s);
    return name != NULL && strcmp(name, strrchr(path, '/') + 1) != 0;
}

bool sl_vfile_means(const sl_call *call, const char *path)
{
    if (sl_vfile_asked(call) == NULL || is_called_otherwise(call, path)) {
        return false;
    }
    const char *words = sl_vfile_path(call);
    if (words == NULL) {
        return false;
    }
    if (strcmp(words, path) != 0) {
        const char *meaning = sl_vfile_meaning(call);
        if (meaning == NULL || strcmp(meaning, path) != 0) {
            return false;
        }
    }
    return !sl_fsview_denied(call->sv->view, path);
}

size_t sl_vfile_which(const sl_call *call, const char *const *paths, size_t count)
{
    size_t i = 0;
    while (i < count && !sl_vfile_means(call, paths[i])) {
        i++;
    }
    return i;
}

sl_answer sl_vfile_inject(int memfd, bool cloexec)
{
    /* Born with 0777, which programs copy with the content; and whoever has it open may change it.
     */
    int fd = fchmod(memfd, 0444) < 0 ? -1 : sl_proc_reopen(memfd, O_RDONLY);
    return fd < 0 ? SL_ANSWER_VALUE(-EACCES)
                  : (sl_answer){.kind = SL_INJECT, .fd = fd, .cloexec = cloexec};
}

sl_answer sl_vfile_give(const sl_call *call, int memfd)
{
    const sl_vfile_open *open = sl_vfile_asked(call);
    if (open == NULL || !sl_call_valid(call)) {
        return SL_ANSWER_PASS;
    }
    return sl_vfile_inject(memfd, (open->flags & O_CLOEXEC) != 0);
}

sl_answer sl_vfile_give_text(const sl_call *call, const char *text, size_t len)
{
    sl_autoclose int memfd = sl_fd_memfd("file", text, len);
    return memfd < 0 ? SL_ANSWER_VALUE(-ENOMEM) : sl_vfile_give(call, memfd);
}

void sl_vfile_done(struct sl_supervisor *sv)
{
    if (sv->vfile != NULL) {
        forget(sv->vfile);
        free(sv->vfile);
        sv->vfile = NULL;
    }
}
