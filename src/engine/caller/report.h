/* What a run tells: audit lines of decisions made here, the summary, the status line. */
#ifndef SANDLOCK_ENGINE_CALLER_REPORT_H
#define SANDLOCK_ENGINE_CALLER_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

#include "core/strv.h"
#include "policy/link.h"
#include "policy/told/file_denial.h"
#include "policy/verdict.h"

typedef struct sl_report sl_report;

/* `audit_fd` and `status_fd` (-1: none) stay the caller's. NULL: no memory. */
sl_report *sl_report_new(int audit_fd, int status_fd);
void sl_report_free(sl_report *report);

/* Before the run: files are told of as well, as this policy asks (engine/caller/refused.h), which
 * outlives the report. 0 or -ENOMEM. */
int sl_report_files(sl_report *report, const sl_policy *policy);
/* Destinations that are never suggested (engine/start/proxies.h); copied. 0 or -ENOMEM. */
int sl_report_proxies(sl_report *report, const sl_strv *proxies);

/* Any thread. One destination that was decided. */
void sl_report_decided(sl_report *report, pid_t pid, const sl_dest *dest,
                       const sl_net_verdict *verdict, bool allowed);
/* Any thread. The same for a connect of the tree to a port of this host where nobody listens: it
 * becomes a denial when the run is over, unless the tree listens there before. */
void sl_report_unheard(sl_report *report, pid_t pid, const sl_dest *dest,
                       const sl_net_verdict *verdict);
/* Any thread. The tree listens on this port. */
void sl_report_listens(sl_report *report, uint16_t port);
/* Any thread. A file that was refused. */
void sl_report_file(sl_report *report, pid_t pid, const sl_file_denial *denial);
/* The command did what it should. */
void sl_report_worked(sl_report *report);
/* The run is over: what was unheard to the end is a denial. */
void sl_report_settle(sl_report *report);
/* Any thread. A system call was refused that this switch would allow: a line of the summary. */
void sl_report_refused(sl_report *report, pid_t pid, const char *call, const char *allow_with);
/* Any thread. port_remap: one JSON line at once, {"ports":{"INSIDE":REAL}} or "udp_ports". It is
 * left out when whoever reads the status does not keep up, for nobody may wait here. */
void sl_report_bound(sl_report *report, enum sl_proto proto, uint16_t inside, uint16_t real);
/* One line of the gateway's; and its counts. */
void sl_report_denied(sl_report *report, const struct sl_link_denied *denied);
void sl_report_bye(sl_report *report, const struct sl_link_bye *bye);

/* Any thread. What was decided up to now; what is unheard up to now counts as denied. */
void sl_report_counts(sl_report *report, uint64_t *ret_allowed, uint64_t *ret_denied);

/* Denials and the flags that would allow them, on standard error. Silent when there were none,
 * unless the run explains itself. */
void sl_report_summary(sl_report *report);

struct sl_report_end {
    int exit_code;
    int signal;          /* that ended the command, 0: none */
    const char *reason;  /* "exited", "signaled", "timeout", "memory", "error" */
    const char *message; /* NULL: none */
    const char *name;    /* of the run (--name), NULL: none */
    pid_t pid;
    uint64_t wall_ns;
    struct rusage usage;  /* of everything that ran inside */
    uint64_t peak_memory; /* bytes */
};
/* One JSON line on `fd`: the last one. */
void sl_report_status(sl_report *report, int fd, const struct sl_report_end *end);

#endif
