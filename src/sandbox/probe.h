/* What this kernel can do for us: each feature tried live. */
#ifndef SANDLOCK_SANDBOX_PROBE_H
#define SANDLOCK_SANDBOX_PROBE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"
#include "kernel/landlock.h"

typedef struct sl_probe_result {
    const char *name;  /* "landlock", "seccomp_notify", ...; what --allow-degraded names */
    const char *since; /* first kernel with it: "6.12" */
    const char *lost;  /* what does not work without it */
    bool required;     /* `run` refuses without it (unless degraded) */
    bool made_up;      /* without it the supervisor does the same in another way */
    bool works;        /* the live try succeeded */
    char detail[128];  /* "ABI 7", or why it failed */
} sl_probe_result;

#define SL_PROBE_MAX 24

/* Tries everything, in short-lived forks where needed. Returns how many rows were filled. */
size_t sl_probe_all(sl_probe_result ret_rows[SL_PROBE_MAX]);

typedef struct sl_probe_protection {
    const char *name;  /* "truncate", ...; what --allow-degraded names */
    const char *since; /* first kernel whose Landlock has it: "6.2" */
    const char *keeps; /* from what */
    const char *held;  /* "kernel", "supervisor", "rules", or "not" */
    char detail[128];  /* how */
} sl_probe_protection;

/* How each protection is held here. Tries nothing. */
void sl_probe_protections(sl_probe_protection ret_rows[SL_HOLDS_COUNT]);

/* The calls that no set-up step would miss by itself, asked in a microsecond before each run. */
int sl_probe_quick(sl_error *err);

/* The Landlock ABI of this kernel; 0 when there is none. */
int sl_probe_landlock_abi(void);

#endif
