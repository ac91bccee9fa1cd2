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
#include "core/util.h"
#include "engine/caller/refused.h"
#include "engine/caller/summary.h"
#include "engine/caller/unheard.h"
#include "kernel/proc.h"
#include "policy/told/audit.h"

struct sl_report {
    pthread_mutex_t lock;
    int audit_fd;
    int status_fd; /* -1: none, or the last line is written */
    uint64_t allowed;
    uint64_t denied;
    uint64_t bytes_out;
    uint64_t bytes_in;
    sl_denials denials;
    sl_unheard unheard; /* connects that became no denial yet */
    sl_strv proxies;
    sl_refused *files; /* NULL: none are told of */
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
        sl_denials_done(&r->denials);
        sl_strv_done(&r->proxies);
        sl_refused_free(r->files);
        free(r);
    }
}

int sl_report_proxies(sl_report *r, const sl_strv *proxies)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < proxies->count; i++) {
        result = sl_strv_add(&r->proxies, proxies->items[i]);
    }
    return result;
}

static void add(sl_report *r, sl_denial *d, uint64_t count, uint64_t first_ms, uint64_t last_ms)
{
    d->count = count;
    d->first_ms = first_ms;
    d->last_ms = last_ms;
    r->denied += count;
    sl_denials_add(&r->denials, d);
}

static void audit(sl_report *r, const sl_met *met, const sl_net_verdict *verdict, bool allowed)
{
    char when[SL_CLOCK_ISO_MAX];
    char address[SL_ADDR_STR_MAX];
    sl_buf line;
    const sl_dest *dest = &met->dest;
    sl_audit_event e = {
        .when = sl_clock_iso_of(met->last_ms, when),
        .allow = allowed,
        .kind = "net",
        .transport = sl_proto_name(dest->proto),
        .host = dest->name != NULL ? dest->name : sl_addr_format(&dest->addr, address),
        .ported = dest->proto != SL_PROTO_UNIX,
        .port = dest->port,
        .rule = verdict->rule,
        .reason = allowed ? NULL : verdict->reason,
        .pid = met->pid,
        .exe = met->exe,
        .count = met->count,
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

/* Under the lock. */
static void deny(sl_report *r, const sl_met *met, const sl_net_verdict *verdict)
{
    const sl_dest *dest = &met->dest;
    char address[SL_ADDR_STR_MAX];
    const char *host = dest->name != NULL ? dest->name : sl_addr_format(&dest->addr, address);
    sl_denial d = {.port = dest->port};
    describe(dest, host, d.what);
    sl_denial_by(&d, met->exe);
    if (dest->proto != SL_PROTO_UNIX) {
        snprintf(d.host, sizeof(d.host), "%s", host);
    }
    bool by_rule = verdict->rule != NULL && strcmp(verdict->reason, "isolated") != 0;
    if (by_rule) { /* it would win over any flag */
        snprintf(d.why, sizeof(d.why), "the deny rule '%s', which no option overrules",
                 verdict->rule);
    } else if (strcmp(verdict->reason, "address_denied") == 0) {
        sl_policy_suggest_resolve(host, &dest->addr, d.allow_with);
    } else if (strcmp(verdict->reason, "udp_disabled") != 0 &&
               strcmp(verdict->reason, "http_only") != 0 &&
               strcmp(verdict->reason, "unassigned") != 0 &&
               strcmp(verdict->reason, "isolated") != 0) {
        sl_policy_suggest_net(dest, d.allow_with);
    }
    if (d.why[0] == '\0') {
        snprintf(d.why, sizeof(d.why), "%s", sl_denial_reason(verdict->reason));
    }
    add(r, &d, met->count, met->first_ms, met->last_ms);
}

/* Somebody met a verdict, now. */
static void meet(sl_met *ret, pid_t pid, const sl_dest *dest)
{
    *ret = (sl_met){.count = 1, .pid = pid, .dest = *dest};
    ret->first_ms = ret->last_ms = sl_clock_wall_ms();
    (void)sl_proc_link(pid, "exe", ret->exe, sizeof(ret->exe)); /* "" when it is gone */
}

void sl_report_decided(sl_report *r, pid_t pid, const sl_dest *dest, const sl_net_verdict *verdict,
                       bool allowed)
{
    sl_met met;
    meet(&met, pid, dest);
    if (r->audit_fd >= 0) {
        audit(r, &met, verdict, allowed);
    }
    pthread_mutex_lock(&r->lock);
    if (allowed) {
        r->allowed++;
    } else {
        deny(r, &met, verdict);
    }
    pthread_mutex_unlock(&r->lock);
}

void sl_report_unheard(sl_report *r, pid_t pid, const sl_dest *dest, const sl_net_verdict *verdict)
{
    sl_met met;
    meet(&met, pid, dest);
    pthread_mutex_lock(&r->lock);
    bool kept = sl_unheard_add(&r->unheard, &met, verdict);
    pthread_mutex_unlock(&r->lock);
    if (!kept) {
        sl_report_decided(r, pid, dest, verdict, false);
    }
}

void sl_report_listens(sl_report *r, uint16_t port)
{
    pthread_mutex_lock(&r->lock);
    sl_unheard_drop(&r->unheard, port);
    pthread_mutex_unlock(&r->lock);
}

void sl_report_settle(sl_report *r)
{
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->unheard.count; i++) {
        const sl_unheard_item *item = &r->unheard.items[i];
        if (r->audit_fd >= 0) {
            audit(r, &item->met, &item->verdict, false);
        }
        deny(r, &item->met, &item->verdict);
    }
    r->unheard.count = 0;
    pthread_mutex_unlock(&r->lock);
}

void sl_report_refused(sl_report *r, pid_t pid, const char *call, const char *allow_with)
{
    char exe[PATH_MAX];
    sl_denial d = {.port = 0};
    uint64_t now = sl_clock_wall_ms();
    (void)sl_proc_link(pid, "exe", exe, sizeof(exe));
    sl_denial_by(&d, exe);
    snprintf(d.what, sizeof(d.what), "%s", call);
    snprintf(d.allow_with, sizeof(d.allow_with), "%s", allow_with);
    pthread_mutex_lock(&r->lock);
    add(r, &d, 1, now, now);
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
    sl_denials_add(&r->denials, &denied->denial);
    pthread_mutex_unlock(&r->lock);
}

void sl_report_bye(sl_report *r, const struct sl_link_bye *bye)
{
    pthread_mutex_lock(&r->lock);
    r->allowed += bye->allowed;
    r->denied += bye->denied;
    r->bytes_out += bye->bytes_out;
    r->bytes_in += bye->bytes_in;
    r->denials.unlisted += bye->unlisted;
    pthread_mutex_unlock(&r->lock);
}

void sl_report_counts(sl_report *r, uint64_t *ret_allowed, uint64_t *ret_denied)
{
    pthread_mutex_lock(&r->lock);
    *ret_allowed = r->allowed;
    *ret_denied = r->denied + sl_unheard_sum(&r->unheard) + sl_refused_count(r->files);
    pthread_mutex_unlock(&r->lock);
}

void sl_report_summary(sl_report *r)
{
    sl_report_settle(r);
    sl_summary_write(&r->denials, &r->proxies);
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
