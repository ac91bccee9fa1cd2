/* The files that a run was refused, gathered: what the summary says of them. */
#ifndef SANDLOCK_ENGINE_CALLER_REFUSED_H
#define SANDLOCK_ENGINE_CALLER_REFUSED_H

#include <stdint.h>

#include "core/strv.h"
#include "policy/file_denial.h"
#include "policy/policy.h"

#define SL_REFUSED_MAX      512 /* distinct files that are kept */
#define SL_REFUSED_SHOWN    20  /* lines of the summary */
#define SL_REFUSED_TOGETHER 5   /* so many below one directory are told as that directory */

typedef struct sl_refused sl_refused;

sl_refused *sl_refused_new(void); /* NULL: no memory */
void sl_refused_free(sl_refused *refused);

/* Counts it. What is past the maximum is counted as a whole. */
void sl_refused_add(sl_refused *refused, const sl_file_denial *denial);

/* Leaves out what was asked about and never tried. How many times that was. */
uint64_t sl_refused_forget_asked(sl_refused *refused);

/* The lines of the summary, on standard error. NULL: nothing. The policy may be NULL. */
void sl_refused_say(const sl_refused *refused, const sl_policy *policy);
/* The same with these as the well-known secrets (absolute paths). */
void sl_refused_say_with(const sl_refused *refused, const sl_policy *policy,
                         const sl_strv *secrets);

#endif
