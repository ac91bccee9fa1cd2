/* Owns what is told about a run. Whatever a child chose (names, programs) is escaped, in JSON and
 * on the terminal: one event, one line (SUP-09). */
#include "engine/caller/report.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "core/buf.h"
#include "core/clock.h"
#include "core/fd.h"
#include "core/text.h"
#include "core/util.h"
#include "engine/caller/refused.h"
#include "kernel/proc.h"
#include "policy/audit.h"

struct line {
    uint64_t count;
    char what[SL_SUGGESTION_MAX];
    char allow_with[SL_SUGGESTION_MAX];
};

struct sl_report {
    pthread_mutex_t lock;
    int audit_fd;
    int status_fd; /* -1: none, or the last line is written */
    uint64_t allowed;
    uint64_t denied;
    uint64_t bytes_out;
    uint64_t bytes_in;
    size_t count;
    struct line *lines; /* allocated at the first denial */
    sl_refused *files;  /* NULL: none are told of */
};

sl_report *sl_report_new(int audit_fd, int status_fd)
{
    sl_report *r = calloc(1, sizeof(*r));
    if (r != NULL) {
        pthread_mutex_init(&r->lock, NULL);
        r->audit_fd = audit_fd;
        r->status_fd = status_fd;
    }
    return r;
}

void sl_report_free(sl_report *r)
{
    if (r != NULL) {
        pthread_mutex_destroy(&r->lock);
        free(r->lines);
        sl_refused_free(r->files);
        free(r);
    }
}

static void add_line(sl_report *r, const char *what, const char *allow_with, uint64_t count)
{
    if (r->lines == NULL) {
        r->lines = calloc(SL_REPORT_DENIED_MAX, sizeof(*r->lines));
        if (r->lines == NULL) {
            return; /* the counts still say that there were denials */
        }
    }
    for (size_t i = 0; i < r->count; i++) {
        if (strcmp(r->lines[i].what, what) == 0 &&
            strcmp(r->lines[i].allow_with, allow_with) == 0) {
            r->lines[i].count += count;
            return;
        }
    }
    if (r->count < SL_REPORT_DENIED_MAX) {
        struct line *line = &r->lines[r->count++];
        line->count = count;
        snprintf(line->what, sizeof(line->what), "%s", what);
        snprintf(line->allow_with, sizeof(line->allow_with), "%s", allow_with);
    }
}

static void audit(sl_report *r, pid_t pid, const sl_dest *dest, const sl_net_verdict *verdict,
                  bool allowed, const char *address)
{
    char when[SL_CLOCK_ISO_MAX];
    char exe[PATH_MAX];
    sl_buf line;
    (void)sl_proc_link(pid, "exe", exe, sizeof(exe)); /* "" when it is gone */
    sl_audit_event e = {
        .when = sl_clock_iso(when),
        .allow = allowed,
        .kind = "net",
        .transport = sl_proto_name(dest->proto),
        .host = address,
        .ported = dest->proto != SL_PROTO_UNIX,
        .port = dest->port,
        .rule = verdict->rule,
        .reason = allowed ? NULL : verdict->reason,
        .pid = pid,
        .exe = exe,
    };
    sl_buf_init(&line, SL_AUDIT_LINE_MAX);
    if (sl_audit_line(&e, &line) == 0) {
        sl_fd_write_all(r->audit_fd, sl_buf_head(&line), line.len);
    }
    sl_buf_done(&line);
}

static void describe(const sl_dest *dest, const char *host, char ret[SL_SUGGESTION_MAX])
{
    bool v6 = dest->name == NULL && dest->addr.family == 6;
    if (dest->proto == SL_PROTO_UNIX) {
        snprintf(ret, SL_SUGGESTION_MAX, "unix:%s", host);
        return;
    }
    snprintf(ret, SL_SUGGESTION_MAX, "%s://%s%s%s:%u", sl_proto_name(dest->proto), v6 ? "[" : "",
             host, v6 ? "]" : "", dest->port);
}

void sl_report_decided(sl_report *r, pid_t pid, const sl_dest *dest, const sl_net_verdict *verdict,
                       bool allowed)
{
    char address[SL_ADDR_STR_MAX];
    const char *host = dest->name;
    if (host == NULL) {
        host = sl_addr_format(&dest->addr, address);
    }
    if (r->audit_fd >= 0) {
        audit(r, pid, dest, verdict, allowed, host);
    }
    pthread_mutex_lock(&r->lock);
    if (allowed) {
        r->allowed++;
    } else {
        char what[SL_SUGGESTION_MAX];
        char allow_with[SL_SUGGESTION_MAX];
        describe(dest, host, what);
        allow_with[0] = '\0';
        if (verdict->rule == NULL) { /* a deny rule would win over any flag */
            sl_policy_suggest_net(dest, allow_with);
        }
        r->denied++;
        add_line(r, what, allow_with, 1);
    }
    pthread_mutex_unlock(&r->lock);
}

void sl_report_refused(sl_report *r, const char *call, const char *allow_with)
{
    pthread_mutex_lock(&r->lock);
    r->denied++;
    add_line(r, call, allow_with, 1);
    pthread_mutex_unlock(&r->lock);
}

int sl_report_files(sl_report *r, const sl_policy *policy)
{
    r->files = sl_refused_new(r->audit_fd, policy);
    return r->files == NULL ? -ENOMEM : 0;
}

void sl_report_file(sl_report *r, pid_t pid, const sl_file_denial *denial)
{
    sl_refused_tell(r->files, pid, denial);
}

void sl_report_worked(sl_report *r)
{
    sl_refused_worked(r->files);
}

/* Whoever reads keeps up: half of a pipe is left for the last line, which is never left out. */
static bool has_room(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    int unread = 0;
    int size = fcntl(fd, F_GETPIPE_SZ);
    if (size > 0 && ioctl(fd, FIONREAD, &unread) == 0 && unread > size / 2) {
        return false;
    }
    return poll(&p, 1, 0) > 0 && (p.revents & POLLOUT) != 0;
}

void sl_report_bound(sl_report *r, enum sl_proto proto, uint16_t inside, uint16_t real)
{
    char line[64];
    int n = snprintf(line, sizeof(line), "{\"%s\":{\"%u\":%u}}\n",
                     proto == SL_PROTO_UDP ? "udp_ports" : "ports", inside, real);
    pthread_mutex_lock(&r->lock);
    if (r->status_fd >= 0 && has_room(r->status_fd)) {
        sl_fd_write_all(r->status_fd, line, (size_t)n);
    }
    pthread_mutex_unlock(&r->lock);
}

void sl_report_denied(sl_report *r, const struct sl_link_denied *denied)
{
    pthread_mutex_lock(&r->lock);
    add_line(r, denied->what, denied->allow_with, denied->count);
    pthread_mutex_unlock(&r->lock);
}

void sl_report_bye(sl_report *r, const struct sl_link_bye *bye)
{
    pthread_mutex_lock(&r->lock);
    r->allowed += bye->allowed;
    r->denied += bye->denied;
    r->bytes_out += bye->bytes_out;
    r->bytes_in += bye->bytes_in;
    pthread_mutex_unlock(&r->lock);
}

void sl_report_counts(sl_report *r, uint64_t *ret_allowed, uint64_t *ret_denied)
{
    pthread_mutex_lock(&r->lock);
    *ret_allowed = r->allowed;
    *ret_denied = r->denied + sl_refused_count(r->files);
    pthread_mutex_unlock(&r->lock);
}

static int by_count(const void *a, const void *b)
{
    uint64_t x = ((const struct line *)a)->count;
    uint64_t y = ((const struct line *)b)->count;
    return x < y ? 1 : x > y ? -1 : 0;
}

static void say_lines(sl_report *r)
{
    if (r->denied == 0 || r->count == 0) {
        return;
    }
    qsort(r->lines, r->count, sizeof(*r->lines), by_count);
    fprintf(stderr, "sandlock: %llu denied; to allow:\n", (unsigned long long)r->denied);
    for (size_t i = 0; i < r->count && i < SL_REPORT_SHOWN_MAX; i++) {
        struct line *line = &r->lines[i];
        sl_printable(line->what);
        sl_printable(line->allow_with);
        fprintf(stderr, "sandlock:   %s", line->what);
        if (line->count > 1) {
            fprintf(stderr, " (%llu times)", (unsigned long long)line->count);
        }
        fprintf(stderr, "%s%s\n", line->allow_with[0] == '\0' ? "" : ":  ", line->allow_with);
    }
    if (r->count > SL_REPORT_SHOWN_MAX) {
        fprintf(stderr, "sandlock:   and %zu more\n", r->count - SL_REPORT_SHOWN_MAX);
    }
}

void sl_report_summary(sl_report *r)
{
    say_lines(r);
    sl_refused_say(r->files, r->denied);
}

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

void sl_report_status(sl_report *r, int fd, const struct sl_report_end *end)
{
    uint64_t allowed = 0;
    uint64_t denied = 0;
    if (r != NULL) {
        pthread_mutex_lock(&r->lock);
        r->status_fd = -1;
        pthread_mutex_unlock(&r->lock);
        sl_report_counts(r, &allowed, &denied);
    }
    json_t *line =
        json_pack("{s:s*, s:i, s:o, s:s, s:s*, s:i, s:f, s:f, s:f, s:I, s:I, s:I, s:I, s:I}",
                  "name", end->name, "exit_code", end->exit_code, "signal",
                  end->signal == 0 ? json_null() : json_integer(end->signal), "reason", end->reason,
                  "message", end->message, "pid", (int)end->pid, "wall_seconds",
                  (double)end->wall_ns / 1e9, "user_seconds", seconds(end->usage.ru_utime),
                  "system_seconds", seconds(end->usage.ru_stime), "peak_memory",
                  (json_int_t)end->peak_memory, "allowed", (json_int_t)allowed, "denied",
                  (json_int_t)denied, "bytes_out", (json_int_t)(r == NULL ? 0 : r->bytes_out),
                  "bytes_in", (json_int_t)(r == NULL ? 0 : r->bytes_in));
    char *text = line == NULL
                     ? NULL
                     : json_dumps(line, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(6));
    json_decref(line);
    if (text != NULL) {
        size_t len = strlen(text);
        text[len] = '\n';
        sl_fd_write_all(fd, text, len + 1);
        free(text);
    }
}
