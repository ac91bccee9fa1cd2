/* The text of the audit log: one JSON object a line. Pure; both programs write its lines. Names are
 * OpenTelemetry's semantic conventions where they exist. */
#ifndef SANDLOCK_POLICY_TOLD_AUDIT_H
#define SANDLOCK_POLICY_TOLD_AUDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/buf.h"

#define SL_AUDIT_LINE_MAX (256u << 10)

/* One event. NULL, "" and 0 mean: not known, left out. Text may be anybody's: it is escaped. */
typedef struct sl_audit_event {
    const char *when; /* core/clock.h, sl_clock_iso; never NULL */
    bool allow;
    const char *kind;      /* "net", "http", "websocket", "tls", "tcp", "dns", "file" */
    const char *transport; /* "tcp", "udp", "icmp", "unix" */
    const char *method;
    const char *url;
    const char *host; /* unix: the path */
    bool ported;      /* the port is told, 0 too */
    uint16_t port;
    const sl_addr *peer; /* the dialled address */
    unsigned status;
    const char *path;   /* of a file; unix: is a host */
    const char *access; /* what was wanted of it: "read", "create"... */
    const char *rule;
    const char *reason;
    const char *detail; /* a sentence for people: why TLS failed */
    const char *nearest;
    int pid;
    uint64_t count; /* how often, told where it was more than once */
    const char *exe;
    bool timed; /* bytes and duration are meant, 0 too */
    uint64_t bytes_out;
    uint64_t bytes_in;
    uint64_t duration_ms;
} sl_audit_event;

/* Appends one line, its end included. 0, or -ENOBUFS or -ENOMEM and `out` is as before: half a line
 * is none. */
int sl_audit_line(const sl_audit_event *e, sl_buf *out);

#endif
