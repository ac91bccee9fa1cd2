/* The gateway's share of the audit log, and the counts for the end of the run. */
#ifndef SANDLOCK_HTTP_AUDIT_H
#define SANDLOCK_HTTP_AUDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/link.h"
#include "policy/synth.h"
#include "policy/told/audit.h"
#include "policy/told/denial.h"

#define SL_SUMMARY_LINES 40 /* sent at the end; of the rest only the number */

typedef struct sl_audit sl_audit;

/* `fd` -1: no log is written, the counts are kept all the same. */
sl_audit *sl_audit_new(int fd);
/* Shows the counts on the shared pages from now on. */
void sl_audit_share(sl_audit *a, sl_synth_map *map);
void sl_audit_free(sl_audit *a);
bool sl_audit_logging(const sl_audit *a);
/* Writes one line; the time is put in here. */
void sl_audit_write(sl_audit *a, const sl_audit_event *event);

/* Adds a denial to the summary; its count and its time are put in here. */
void sl_audit_denied(sl_audit *a, const sl_denial *denial);
void sl_audit_count(sl_audit *a, bool allow, uint64_t bytes_out, uint64_t bytes_in);

/* Sends the summary and BYE on the link. 0 or -errno. */
int sl_audit_report(sl_audit *a, int link);

#endif
