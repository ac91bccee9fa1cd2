/* Owns the gathering of refused files. A path is what the command chose: it is kept whole, bounded
 * in number, and made printable where it is shown. No suggestion is wider than what was asked for,
 * but where many files of one directory were; never so wide that a well-known secret is in it. */
#include "engine/caller/refused.h"

#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/clock.h"
#include "core/fd.h"
#include "core/text.h"
#include "core/util.h"
#include "kernel/proc.h"
#include "policy/told/audit.h"
#include "policy/verdict.h"
#include "sandbox/secrets.h"

/* What one flag would allow. */
struct line {
    char *grant;    /* owned */
    char *path;     /* owned: what was refused; NULL: several below the grant */
    unsigned wants; /* a bit each (enum sl_file_want) */
    bool writes;
    bool by_rule;
    bool asked; /* and nothing more */
    uint64_t count;
    size_t files;
};

struct sl_refused {
    pthread_mutex_t lock;
    const sl_policy *policy;
    int audit_fd;
    uint64_t told;
    struct line *lines; /* SL_REFUSED_MAX, from the first on */
    size_t count;
    uint64_t missed; /* times that there was no room */
    uint64_t left_out;
};

sl_refused *sl_refused_new(int audit_fd, const sl_policy *policy)
{
    sl_refused *r = calloc(1, sizeof(*r));
    if (r != NULL) {
        pthread_mutex_init(&r->lock, NULL);
        r->audit_fd = audit_fd;
        r->policy = policy;
    }
    return r;
}

static void free_line(struct line *line)
{
    free(line->grant);
    free(line->path);
}

void sl_refused_free(sl_refused *r)
{
    if (r != NULL) {
        for (size_t i = 0; i < r->count; i++) {
            free_line(&r->lines[i]);
        }
        pthread_mutex_destroy(&r->lock);
        free(r->lines);
        free(r);
    }
}

static bool is_line(const struct line *line, const sl_file_denial *d)
{
    return line->writes == sl_file_want_writes(d->want) && line->by_rule == d->by_rule &&
           strcmp(line->path, d->path) == 0 && strcmp(line->grant, d->grant) == 0;
}

static void add(sl_refused *r, const sl_file_denial *d)
{
    struct line line = {.grant = strdup(d->grant),
                        .path = strdup(d->path),
                        .wants = 1u << d->want,
                        .writes = sl_file_want_writes(d->want),
                        .by_rule = d->by_rule,
                        .asked = d->asked,
                        .count = 1,
                        .files = 1};
    if (r->lines == NULL) {
        r->lines = calloc(SL_REFUSED_MAX, sizeof(*r->lines));
    }
    if (r->lines == NULL || r->count == SL_REFUSED_MAX || line.grant == NULL || line.path == NULL) {
        free_line(&line);
        r->missed++;
        return;
    }
    r->lines[r->count++] = line;
}

static void gather(sl_refused *r, const sl_file_denial *d)
{
    r->told++;
    for (size_t i = 0; i < r->count; i++) {
        struct line *line = &r->lines[i];
        if (is_line(line, d)) {
            line->wants |= 1u << d->want;
            line->asked = line->asked && d->asked;
            line->count++;
            return;
        }
    }
    add(r, d);
}

static void audit(const sl_refused *r, pid_t pid, const sl_file_denial *d)
{
    char when[SL_CLOCK_ISO_MAX];
    char exe[PATH_MAX];
    sl_buf line;
    (void)sl_proc_link(pid, "exe", exe, sizeof(exe)); /* "" when it is gone */
    sl_audit_event e = {
        .when = sl_clock_iso(when),
        .kind = "file",
        .path = d->path,
        .access = sl_file_want_name(d->want),
        .rule = d->by_rule ? "fs_denied" : NULL,
        .reason = d->by_rule ? "denied_by_rule" : "no_rule",
        .pid = pid,
        .exe = exe,
    };
    sl_buf_init(&line, SL_AUDIT_LINE_MAX);
    if (sl_audit_line(&e, &line) == 0) {
        sl_fd_write_all(r->audit_fd, sl_buf_head(&line), line.len);
    }
    sl_buf_done(&line);
}

void sl_refused_tell(sl_refused *r, pid_t pid, const sl_file_denial *d)
{
    if (r == NULL) {
        return;
    }
    if (r->audit_fd >= 0) {
        audit(r, pid, d);
    }
    pthread_mutex_lock(&r->lock);
    gather(r, d);
    pthread_mutex_unlock(&r->lock);
}

uint64_t sl_refused_count(sl_refused *r)
{
    uint64_t told = 0;
    if (r != NULL) {
        pthread_mutex_lock(&r->lock);
        told = r->told;
        pthread_mutex_unlock(&r->lock);
    }
    return told;
}

void sl_refused_worked(sl_refused *r)
{
    size_t kept = 0;
    for (size_t i = 0; r != NULL && !r->policy->explain && i < r->count; i++) {
        if (r->lines[i].asked) {
            r->left_out += r->lines[i].count;
            free_line(&r->lines[i]);
        } else {
            r->lines[kept++] = r->lines[i];
        }
    }
    if (r != NULL && !r->policy->explain) {
        r->count = kept;
    }
}

/* ---- what is told together ---- */

struct told {
    struct line
        lines[SL_REFUSED_MAX]; /* paths and grants are owned by `texts`, or by the refused */
    size_t count;
    sl_strv texts;
    const sl_strv *secrets;
};

/* True if `path` is strictly below `top`; both absolute and without a slash at the end. */
static bool is_within(const char *path, const char *top)
{
    size_t n = strcmp(top, "/") == 0 ? 0 : strlen(top);
    return strncmp(path, top, n) == 0 && path[n] == '/' && path[n + 1] != '\0';
}

static bool is_secret(const struct told *t, const char *path)
{
    bool is = false;
    for (size_t i = 0; !is && i < t->secrets->count; i++) {
        const char *secret = t->secrets->items[i];
        is = strcmp(path, secret) == 0 || is_within(path, secret);
    }
    return is;
}

static bool has_secrets(const struct told *t, const char *path)
{
    bool has = false;
    for (size_t i = 0; !has && i < t->secrets->count; i++) {
        has = is_within(t->secrets->items[i], path);
    }
    return has;
}

/* True if a grant of this directory may stand for what is below: it opens nothing that is guarded.
 * For writing it is not a directory of the root's. */
static bool may_stand(const struct told *t, const char *dir, bool writes)
{
    bool may = strcmp(dir, "/") != 0 && strcmp(dir, "/dev") != 0 && !has_secrets(t, dir) &&
               (!writes || strchr(dir + 1, '/') != NULL);
    for (size_t i = 0; may && i < t->count; i++) {
        may = !t->lines[i].by_rule || !is_within(t->lines[i].grant, dir);
    }
    return may;
}

static void take_in(struct line *into, const struct line *other)
{
    into->wants |= other->wants;
    into->count += other->count;
    into->files += other->files;
    into->path = NULL;
}

/* True if the flag of `one` allows what `other` asks for. */
static bool covers(const struct told *t, const struct line *one, const struct line *other)
{
    if (one->by_rule || other->by_rule || (other->writes && !one->writes)) {
        return false;
    }
    if (strcmp(one->grant, other->grant) == 0) {
        return true;
    }
    /* Who has files read may not want to have their directory written. */
    return one->writes == other->writes && is_within(other->grant, one->grant) &&
           may_stand(t, one->grant, one->writes);
}

static void take_in_covered(struct told *t)
{
    for (size_t i = 0; i < t->count; i++) {
        for (size_t k = 0; k < t->count;) {
            if (k == i || !covers(t, &t->lines[i], &t->lines[k])) {
                k++;
                continue;
            }
            take_in(&t->lines[i], &t->lines[k]);
            t->lines[k] = t->lines[--t->count];
            i = i == t->count ? k : i; /* it was the last, which has moved */
        }
    }
}

/* How much there is below: what stands for several counts as two. */
static size_t count_within(const struct told *t, const char *dir, bool writes)
{
    size_t count = 0;
    for (size_t i = 0; i < t->count; i++) {
        const struct line *line = &t->lines[i];
        bool is = !line->by_rule && line->writes == writes && is_within(line->grant, dir);
        count += is ? SL_MIN(line->files, (size_t)2) : 0;
    }
    return count;
}

/* The nearest directory above that has enough of the same kind below it; false: none. */
static bool find_together(const struct told *t, const struct line *line, char ret_dir[PATH_MAX])
{
    char *slash;
    snprintf(ret_dir, PATH_MAX, "%s", line->grant);
    while ((slash = strrchr(ret_dir, '/')) != NULL && slash != ret_dir) {
        *slash = '\0';
        if (!may_stand(t, ret_dir, line->writes)) {
            return false; /* what is above it may even less */
        }
        if (count_within(t, ret_dir, line->writes) >= SL_REFUSED_TOGETHER) {
            return true;
        }
    }
    return false;
}

/* True if some were: there may be more then. */
static bool join_once(struct told *t)
{
    char dir[PATH_MAX];
    bool joined = false;
    for (size_t i = 0; i < t->count; i++) {
        struct line *line = &t->lines[i];
        if (!line->by_rule && find_together(t, line, dir) && sl_strv_add(&t->texts, dir) == 0) {
            line->grant = t->texts.items[t->texts.count - 1];
            line->path = NULL;
            take_in_covered(t);
            joined = true;
        }
    }
    return joined;
}

/* Each turn but the last leaves fewer lines. */
static void join(struct told *t)
{
    take_in_covered(t);
    while (join_once(t)) {
    }
}

/* ---- the lines ---- */

/* "create in, remove from" */
static void describe_wants(unsigned wants, char *out, size_t size)
{
    size_t n = 0;
    out[0] = '\0';
    for (unsigned want = 0; want < SL_WANTS; want++) {
        const char *after = want == SL_WANT_CREATE                           ? " in"
                            : want == SL_WANT_REMOVE || want == SL_WANT_LINK ? " from"
                                                                             : "";
        if ((wants & (1u << want)) != 0 && n < size) {
            n += (size_t)snprintf(out + n, size - n, "%s%s%s", n > 0 ? ", " : "",
                                  sl_file_want_name((enum sl_file_want)want), after);
        }
    }
}

static void say_line(const struct told *t, const struct line *line)
{
    char wants[96];
    char path[PATH_MAX];
    char flag[2 * PATH_MAX] = "";
    const char *one = line->path; /* one entry is called by its name, not by where it is */
    const char *note = is_secret(t, line->grant)     ? "  (a well-known secret)"
                       : has_secrets(t, line->grant) ? "  (well-known secrets are below it)"
                                                     : "";
    if (one != NULL && (line->wants & (line->wants - 1)) == 0) {
        snprintf(wants, sizeof(wants), "%s",
                 sl_file_want_name((enum sl_file_want)__builtin_ctz(line->wants)));
    } else {
        describe_wants(line->wants, wants, sizeof(wants));
        one = line->grant;
    }
    snprintf(path, sizeof(path), "%s", one);
    if (!line->by_rule) {
        sl_file_denial_suggest(line->grant, line->writes, flag, sizeof(flag));
    }
    sl_printable(path);
    sl_printable(flag);
    fprintf(stderr, "sandlock:   %s %s", wants, path);
    if (line->files > 1) {
        fprintf(stderr, " (%zu files)", line->files);
    } else if (line->count > 1) {
        fprintf(stderr, " (%llu times)", (unsigned long long)line->count);
    }
    fprintf(stderr, "%s%s%s\n", flag[0] == '\0' ? "" : ":  ", flag, note);
}

static int by_count(const void *a, const void *b)
{
    const struct line *x = a;
    const struct line *y = b;
    return x->count != y->count ? (x->count < y->count ? 1 : -1) : strcmp(x->grant, y->grant);
}

void sl_refused_say_with(sl_refused *r, const sl_strv *secrets)
{
    struct told *t = r->count == 0 ? NULL : calloc(1, sizeof(*t));
    if (t == NULL) {
        return;
    }
    memcpy(t->lines, r->lines, r->count * sizeof(*r->lines));
    t->count = r->count;
    t->secrets = secrets;
    join(t);
    qsort(t->lines, t->count, sizeof(*t->lines), by_count);
    fprintf(stderr, "sandlock: files: %llu denied; to allow:\n",
            (unsigned long long)(r->told - r->left_out));
    for (size_t i = 0; i < t->count && i < SL_REFUSED_SHOWN; i++) {
        say_line(t, &t->lines[i]);
    }
    if (t->count > SL_REFUSED_SHOWN) {
        fprintf(stderr, "sandlock:   and %zu more\n", t->count - SL_REFUSED_SHOWN);
    }
    if (r->missed > 0) {
        fprintf(stderr, "sandlock:   and %llu times others than the first %d\n",
                (unsigned long long)r->missed, SL_REFUSED_MAX);
    }
    if (sl_policy_has_default_view(r->policy)) {
        fprintf(stderr, "sandlock:   (any -r or -w replaces the default view, which is nearly "
                        "-r / -w . -w /tmp)\n");
    }
    sl_strv_done(&t->texts);
    free(t);
}

/* With each where links lead: refused files are named without any. */
static int list_secrets(sl_strv *ret_paths)
{
    char real[PATH_MAX];
    int r = sl_secrets_list(ret_paths);
    size_t listed = ret_paths->count;
    for (size_t i = 0; r == 0 && i < listed; i++) {
        bool other = realpath(ret_paths->items[i], real) != NULL;
        r = other && !sl_strv_has(ret_paths, real) ? sl_strv_add(ret_paths, real) : 0;
    }
    return r;
}

void sl_refused_say(sl_refused *r, uint64_t others)
{
    sl_strv secrets = {0};
    if (r == NULL) {
        return;
    }
    if (r->count > 0 && list_secrets(&secrets) == 0) {
        sl_refused_say_with(r, &secrets);
    }
    if (r->told == 0 && others == 0 && r->policy->explain) {
        fprintf(stderr, "sandlock: nothing was denied\n");
    }
    sl_strv_done(&secrets);
}
