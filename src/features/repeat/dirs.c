/* Owns deterministic_dirs: getdents64(2) lists by name, whatever order the file system has.
 *
 * The place of a reader stays in the open directory itself: its offset is the number of names that
 * were given, so that rewinddir, telldir, seekdir, dup and fork work as ever. Between two calls the
 * sorted names are kept, since a reader that removes what it reads must not lose its place. */
#include <dirent.h>
#include <errno.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/util.h"
#include "features/features.h"
#include "kernel/place.h"
#include "supervisor/listing.h"
#include "supervisor/supervisor.h"
#include "supervisor/vfile.h"

#define DIR_BYTES_MAX  (16u * 1024u * 1024u) /* of one directory's entries; then ENOMEM */
#define KEPT_BYTES_MAX (64u * 1024u * 1024u)
#define KEPT_MAX       64
#define READ_SIZE      (64u * 1024u)
#define GIVEN_MAX      (64u * 1024u) /* of one call */

/* As getdents64(2) has it. */
struct entry {
    uint64_t ino;
    int64_t off;
    uint16_t reclen;
    uint8_t type;
    char name[];
};

#define ENTRY_HEAD offsetof(struct entry, name)

/* The names of one open directory of one process. */
struct listing {
    pid_t pid; /* 0: a free slot */
    int fd;
    dev_t dev;
    ino_t ino;
    char *text; /* entries, as they were read */
    size_t len;
    struct entry **sorted; /* into `text` */
    size_t count;
    uint64_t used;
};

struct sl_dirs_state {
    struct listing kept[KEPT_MAX];
    uint64_t clock;
};

static bool wanted(const sl_policy *policy)
{
    return policy->deterministic_dirs;
}

static void forget(struct listing *l)
{
    free(l->text);
    free(l->sorted);
    *l = (struct listing){0};
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* By bytes, "." and ".." first. */
static int compare(const void *a, const void *b)
{
    const struct entry *x = *(struct entry *const *)a;
    const struct entry *y = *(struct entry *const *)b;
    bool dots = is_dots(x->name);
    return dots != is_dots(y->name) ? (dots ? -1 : 1) : strcmp(x->name, y->name);
}

/* All that the kernel lists, from the start. The offset is anywhere afterwards. */
static int read_all(int fd, struct listing *l)
{
    size_t cap = 0;
    if (lseek(fd, 0, SEEK_SET) < 0) {
        return -errno;
    }
    for (;;) {
        if (cap - l->len < READ_SIZE) {
            cap = cap == 0 ? READ_SIZE : cap * 2;
            char *more = cap > DIR_BYTES_MAX ? NULL : realloc(l->text, cap);
            if (more == NULL) {
                return -ENOMEM;
            }
            l->text = more;
        }
        long n = syscall(SYS_getdents64, fd, l->text + l->len, READ_SIZE);
        if (n <= 0) {
            return n < 0 ? -errno : 0;
        }
        l->len += (size_t)n;
    }
}

static int sort_all(struct listing *l)
{
    size_t count = 0;
    for (size_t at = 0; at < l->len; at += ((struct entry *)(void *)(l->text + at))->reclen) {
        count++;
    }
    l->sorted = calloc(count + 1, sizeof(struct entry *));
    if (l->sorted == NULL) {
        return -ENOMEM;
    }
    for (size_t at = 0; at < l->len; at += l->sorted[l->count++]->reclen) {
        l->sorted[l->count] = (struct entry *)(void *)(l->text + at);
    }
    qsort(l->sorted, l->count, sizeof(struct entry *), compare);
    return 0;
}

static struct listing *find(struct sl_dirs_state *s, const struct listing *key)
{
    for (size_t i = 0; i < KEPT_MAX; i++) {
        struct listing *l = &s->kept[i];
        if (l->pid == key->pid && l->fd == key->fd && l->dev == key->dev && l->ino == key->ino) {
            return l;
        }
    }
    return NULL;
}

static struct listing *oldest(struct sl_dirs_state *s, size_t *ret_bytes)
{
    struct listing *best = NULL;
    *ret_bytes = 0;
    for (size_t i = 0; i < KEPT_MAX; i++) {
        struct listing *l = &s->kept[i];
        if (l->pid == 0) {
            continue;
        }
        *ret_bytes += l->len;
        best = best == NULL || l->used < best->used ? l : best;
    }
    return best;
}

/* A place for one more, within the bounds: those that were not asked for longest go. */
static struct listing *make_room(struct sl_dirs_state *s, size_t len)
{
    size_t bytes;
    struct listing *old;
    while ((old = oldest(s, &bytes)) != NULL && bytes + len > KEPT_BYTES_MAX) {
        forget(old);
    }
    for (size_t i = 0; i < KEPT_MAX; i++) {
        if (s->kept[i].pid == 0) {
            return &s->kept[i];
        }
    }
    forget(old);
    return old;
}

static int list(struct sl_dirs_state *s, int fd, const struct listing *key,
                struct listing **ret_listing)
{
    struct listing fresh = *key;
    int r = read_all(fd, &fresh);
    r = r < 0 ? r : sort_all(&fresh);
    if (r < 0) {
        forget(&fresh);
        return r;
    }
    *ret_listing = make_room(s, fresh.len);
    **ret_listing = fresh;
    return 0;
}

/* Entries from number `at` on, as many as fit. Returns their bytes and how many. */
static size_t fill(const struct listing *l, size_t at, char *out, size_t cap, size_t *ret_count)
{
    size_t len = 0;
    size_t n = 0;
    for (; at + n < l->count; n++) {
        const struct entry *e = l->sorted[at + n];
        struct entry *to = (struct entry *)(void *)(out + len);
        if (e->reclen > cap - len) {
            break;
        }
        memcpy(to, e, e->reclen);
        to->off = (int64_t)(at + n + 1);
        len += e->reclen;
    }
    *ret_count = n;
    return len;
}

static int64_t give(const sl_call *call, int fd, const struct listing *l, size_t at)
{
    size_t cap = (size_t)SL_MIN((uint32_t)call->args[2], GIVEN_MAX);
    sl_autofree char *out = malloc(cap + 1);
    size_t count;
    if (out == NULL) {
        return -ENOMEM;
    }
    size_t len = fill(l, at, out, cap, &count);
    if (len == 0) {
        return at < l->count ? -EINVAL : 0;
    }
    if (sl_call_write(call, call->args[1], out, len) < 0) {
        return -EFAULT;
    }
    return lseek(fd, (off_t)(at + count), SEEK_SET) < 0 ? -errno : (int64_t)len;
}

/* On the caller's own open directory: what it may read was decided when it was opened. */
static sl_answer handle_getdents64(sl_call *call)
{
    struct sl_dirs_state *s = sl_supervisor_state(call->sv, &sl_feature_dirs);
    struct stat st;
    sl_autoclose int fd = sl_listing_pin(call, (int)call->args[0]);
    if (fd < 0) {
        return SL_ANSWER_VALUE(fd == -EBADF ? -EBADF : -EACCES);
    }
    struct listing key = {.pid = sl_call_tgid(call), .fd = (int)call->args[0]};
    if (key.pid <= 0 || fstat(fd, &st) < 0) {
        return SL_ANSWER_VALUE(-EBADF);
    }
    off_t at = S_ISDIR(st.st_mode) ? lseek(fd, 0, SEEK_CUR) : -1;
    if (at < 0) {
        return SL_ANSWER_VALUE(S_ISDIR(st.st_mode) ? -errno : -ENOTDIR);
    }
    key.dev = st.st_dev;
    key.ino = st.st_ino;
    struct listing *l = find(s, &key);
    if (l != NULL && at == 0) {
        forget(l); /* it begins anew */
        l = NULL;
    }
    int r = l == NULL ? list(s, fd, &key, &l) : 0;
    if (r < 0) {
        (void)lseek(fd, at, SEEK_SET);
        return SL_ANSWER_VALUE(r);
    }
    l->used = ++s->clock;
    int64_t given = give(call, fd, l, (size_t)at);
    if (given <= 0) {
        (void)lseek(fd, at, SEEK_SET);
    }
    if (given == 0) {
        forget(l);
        sl_listing_ended(call, key.fd);
    }
    return SL_ANSWER_VALUE(given);
}

static void teardown(void *state)
{
    struct sl_dirs_state *s = state;
    for (size_t i = 0; i < KEPT_MAX; i++) {
        forget(&s->kept[i]);
    }
}

#ifdef SYS_getdents
/* The older form has no reader left; one that it has would not be sorted. */
static const sl_bpf_rule settled[] = {
    {.nr = SYS_getdents, .action = SL_BPF_ERRNO(ENOSYS)},
};
#endif

static const sl_syscall_row rows[] = {
    {.nr = SYS_getdents64, .handler = handle_getdents64},
};

/* Where open directories cannot be fetched what is kept for one must end when it is closed, before
 * its number is another's: vfile.c asks at each open. */
static bool opens_wanted(const sl_policy *policy)
{
    return policy->deterministic_dirs && !sl_place_fetches();
}

static sl_answer handle_open(sl_call *call)
{
    (void)sl_vfile_copy(call);
    return SL_ANSWER_PASS;
}

static const sl_syscall_row open_rows[] = {SL_VFILE_ROWS(handle_open)};

const sl_feature sl_feature_dirs_opened = {
    .name = "dirs_opened",
    .wanted = opens_wanted,
    .promised = sl_feature_promises_nothing, /* a means of "dirs" */
    .rows = open_rows,
    .row_count = SL_ARRAY_LEN(open_rows),
};

const sl_feature sl_feature_dirs = {
    .name = "dirs",
    .wanted = wanted,
    .writes = wanted,
    .option = "--deterministic-dirs",
    .rows = rows,
    .row_count = SL_ARRAY_LEN(rows),
#ifdef SYS_getdents
    .settled = settled,
    .settled_count = SL_ARRAY_LEN(settled),
#endif
    .state_size = sizeof(struct sl_dirs_state),
    .teardown = teardown,
};
