/* Owns the audit log and the table of denials. One line is one write(2); a log that cannot be
 * written never changes a verdict. */
#include "http/audit.h"

#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/fd.h"

struct sl_audit {
    int fd;
    sl_buf line;
    uint64_t allowed;
    uint64_t denied;
    uint64_t bytes_out;
    uint64_t bytes_in;
    sl_synth_map *shared; /* NULL: nobody looks */
    sl_denials denials;
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
    sl_denials_done(&a->denials);
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

void sl_audit_denied(sl_audit *a, const sl_denial *denial)
{
    sl_denial d = *denial;
    d.count = 1;
    d.first_ms = d.last_ms = sl_clock_wall_ms();
    sl_denials_add(&a->denials, &d);
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

int sl_audit_report(sl_audit *a, int link)
{
    uint64_t unlisted = a->denials.unlisted;
    sl_denials_sort(&a->denials);
    for (size_t i = 0; i < a->denials.count; i++) {
        struct sl_link_denied m = {.header = {SL_LINK_DENIED, sizeof(m)},
                                   .denial = a->denials.items[i]};
        if (i >= SL_SUMMARY_LINES) {
            unlisted += m.denial.count;
            continue;
        }
        int r = sl_fd_send(link, &m, sizeof(m), NULL, 0, 0);
        if (r < 0) {
            return r;
        }
    }
    struct sl_link_bye bye = {.header = {SL_LINK_BYE, sizeof(bye)},
                              .allowed = a->allowed,
                              .denied = a->denied,
                              .bytes_out = a->bytes_out,
                              .bytes_in = a->bytes_in,
                              .unlisted = unlisted};
    return sl_fd_send(link, &bye, sizeof(bye), NULL, 0, 0);
}
