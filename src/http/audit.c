/* Owns the audit log and the table of denials. One line is one write(2); a log that cannot be
 * written never changes a verdict. */
#include "http/audit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/fd.h"
#include "core/util.h"

typedef struct denial {
    uint64_t count;
    char *what;
    char *allow_with;
} denial;

struct sl_audit {
    int fd;
    sl_buf line;
    uint64_t allowed;
    uint64_t denied;
    uint64_t bytes_out;
    uint64_t bytes_in;
    sl_synth_map *shared; /* NULL: nobody looks */
    size_t count;
    denial denials[SL_SUMMARY_MAX];
};

sl_audit *sl_audit_new(int fd)
{
    sl_audit *a = calloc(1, sizeof(*a));
    if (a == NULL) {
        sl_close(fd);
        return NULL;
    }
    a->fd = fd;
    sl_buf_init(&a->line, SL_AUDIT_LINE_MAX);
    return a;
}

void sl_audit_share(sl_audit *a, sl_synth_map *map)
{
    a->shared = map;
}

void sl_audit_free(sl_audit *a)
{
    if (a == NULL) {
        return;
    }
    for (size_t i = 0; i < a->count; i++) {
        free(a->denials[i].what);
        free(a->denials[i].allow_with);
    }
    sl_buf_done(&a->line);
    sl_close(a->fd);
    free(a);
}

bool sl_audit_logging(const sl_audit *a)
{
    return a->fd >= 0;
}

void sl_audit_write(sl_audit *a, const sl_audit_event *event)
{
    char when[SL_CLOCK_ISO_MAX];
    sl_audit_event e = *event;
    if (a->fd < 0) {
        return;
    }
    e.when = sl_clock_iso(when);
    sl_buf_consume(&a->line, a->line.len);
    if (sl_audit_line(&e, &a->line) == 0) {
        (void)sl_fd_write_all(a->fd, sl_buf_head(&a->line), a->line.len);
    }
}

void sl_audit_denied(sl_audit *a, const char *what, const char *allow_with)
{
    for (size_t i = 0; i < a->count; i++) {
        if (strcmp(a->denials[i].what, what) == 0 &&
            strcmp(a->denials[i].allow_with, allow_with) == 0) {
            a->denials[i].count++;
            return;
        }
    }
    if (a->count == SL_SUMMARY_MAX) {
        return; /* counted in the total all the same */
    }
    denial d = {.count = 1, .what = strdup(what), .allow_with = strdup(allow_with)};
    if (d.what == NULL || d.allow_with == NULL) {
        free(d.what);
        free(d.allow_with);
        return;
    }
    a->denials[a->count++] = d;
}

void sl_audit_count(sl_audit *a, bool allow, uint64_t bytes_out, uint64_t bytes_in)
{
    a->allowed += allow ? 1 : 0;
    a->denied += allow ? 0 : 1;
    if (a->shared != NULL) {
        sl_synth_count(a->shared, allow);
    }
    a->bytes_out += bytes_out;
    a->bytes_in += bytes_in;
}

static int more_frequent(const void *left, const void *right)
{
    const denial *const *l = left;
    const denial *const *r = right;
    return (*l)->count < (*r)->count ? 1 : (*l)->count > (*r)->count ? -1 : *l < *r ? -1 : 1;
}

int sl_audit_report(const sl_audit *a, int link)
{
    const denial *order[SL_SUMMARY_MAX];
    for (size_t i = 0; i < a->count; i++) {
        order[i] = &a->denials[i];
    }
    qsort(order, a->count, sizeof(order[0]), more_frequent);
    for (size_t i = 0; i < SL_MIN(a->count, (size_t)SL_SUMMARY_LINES); i++) {
        struct sl_link_denied m = {.header = {SL_LINK_DENIED, sizeof(m)}, .count = order[i]->count};
        snprintf(m.what, sizeof(m.what), "%s", order[i]->what);
        snprintf(m.allow_with, sizeof(m.allow_with), "%s", order[i]->allow_with);
        int r = sl_fd_send(link, &m, sizeof(m), NULL, 0, 0);
        if (r < 0) {
            return r;
        }
    }
    struct sl_link_bye bye = {.header = {SL_LINK_BYE, sizeof(bye)},
                              .allowed = a->allowed,
                              .denied = a->denied,
                              .bytes_out = a->bytes_out,
                              .bytes_in = a->bytes_in};
    return sl_fd_send(link, &bye, sizeof(bye), NULL, 0, 0);
}
