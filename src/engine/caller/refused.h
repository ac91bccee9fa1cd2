/* The files that a run was refused, gathered: what the summary says of them. */
#ifndef SANDLOCK_ENGINE_CALLER_REFUSED_H
#define SANDLOCK_ENGINE_CALLER_REFUSED_H

#include <stdint.h>
#include <sys/types.h>

#include "core/strv.h"
#include "policy/policy.h"
#include "policy/told/file_denial.h"

#define SL_REFUSED_MAX      512 /* distinct files that are kept */
#define SL_REFUSED_SHOWN    20  /* lines of the summary */
#define SL_REFUSED_TOGETHER 5   /* so many below one directory are told as that directory */

typedef struct sl_refused sl_refused;

/* `audit_fd` (-1: none) stays the caller's; the policy outlives it. NULL: no memory. Everything
 * here takes a NULL for one to which nothing was told. */
sl_refused *sl_refused_new(int audit_fd, const sl_policy *policy);
void sl_refused_free(sl_refused *refused);

/* Any thread. A line of the audit log, and one of the summary; what is past the maximum is counted
 * as a whole. */
void sl_refused_tell(sl_refused *refused, pid_t pid, const sl_file_denial *denial);
/* Any thread. How many were told. */
uint64_t sl_refused_count(sl_refused *refused);

/* The command did what it should: what it only asked about (access(2)) is left out of the summary,
 * unless the policy explains. */
void sl_refused_worked(sl_refused *refused);

/* The summary, on standard error. Silent when there is nothing to say, but for a run that explains
 * itself: with no `others` denied either it says so. */
void sl_refused_say(sl_refused *refused, uint64_t others);
/* The same of files alone, with these as the well-known secrets (absolute paths). */
void sl_refused_say_with(sl_refused *refused, const sl_strv *secrets);

#endif
