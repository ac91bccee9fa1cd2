/* The gateway's share of the audit log, and the counts for the end of the run. */
#ifndef SANDLOCK_HTTP_AUDIT_H
#define SANDLOCK_HTTP_AUDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/audit.h"
#include "policy/link.h"
#include "policy/synth.h"

#define SL_SUMMARY_MAX   256 /* distinct denials remembered */
#define SL_SUMMARY_LINES 20  /* sent at the end */

typedef struct sl_audit sl_audit;

/* `fd` -1: no log is written, the counts are kept all the same. */
sl_audit *sl_audit_new(int fd);
/* Shows the counts on the shared pages from now on. */
void sl_audit_share(sl_audit *a, sl_synth_map *map);
void sl_audit_free(sl_audit *a);
bool sl_audit_logging(const sl_audit *a);
/* Writes one line; the time is put in here. */
void sl_audit_write(sl_audit *a, const sl_audit_event *event);

/* Counts a denial for the summary: what was refused, and the flag that would allow it. */
void sl_audit_denied(sl_audit *a, const char *what, const char *allow_with);
void sl_audit_count(sl_audit *a, bool allow, uint64_t bytes_out, uint64_t bytes_in);

/* Sends the summary and BYE on the link. 0 or -errno. */
int sl_audit_report(const sl_audit *a, int link);

#endif
