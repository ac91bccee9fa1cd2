/* What the summary says of a denial, and the table that both programs gather them in. A value: no
 * I/O, no clock. */
#ifndef SANDLOCK_POLICY_TOLD_DENIAL_H
#define SANDLOCK_POLICY_TOLD_DENIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/host.h"
#include "policy/verdict.h"

#define SL_DENIALS_MAX         256 /* distinct ones that are kept; of more only the number is */
#define SL_DENIAL_WHY_MAX      256
#define SL_DENIAL_PROGRAMS_MAX 96 /* names of those that met it, as many as fit */

typedef struct sl_denial {
    uint64_t count;
    uint64_t first_ms; /* core/clock.h, sl_clock_wall_ms */
    uint64_t last_ms;
    char what[SL_SUGGESTION_MAX];       /* "POST https://api.example.com/v1/files" */
    char allow_with[SL_SUGGESTION_MAX]; /* "" when no option allows it */
    char why[SL_DENIAL_WHY_MAX];        /* a sentence for people; "" when `what` says enough */
    char programs[SL_DENIAL_PROGRAMS_MAX];
    char host[SL_HOST_NAME_MAX]; /* where to: a name, or an address; "" when it is nowhere */
    uint16_t port;               /* 0: any */
} sl_denial;

/* All bytes zero is an empty table. */
typedef struct sl_denials {
    sl_denial *items;
    size_t count;
    uint64_t unlisted; /* denials that found no place */
} sl_denials;

void sl_denials_done(sl_denials *t);

/* Adds it to the one that says the same, or as a new one. The same: what, the option, and, where no
 * option helps, the reason. A table without memory counts on. */
void sl_denials_add(sl_denials *t, const sl_denial *d);

/* Most frequent first; of equal ones the earlier. */
void sl_denials_sort(sl_denials *t);

/* Adds the program at this path to a list of names; "" adds none. */
void sl_denial_by(sl_denial *d, const char *exe);

/* Why a destination was refused, for people. `reason` is a constant of sl_net_verdict. */
const char *sl_denial_reason(const char *reason);

#endif
