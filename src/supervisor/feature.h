/* A feature of confinement: one file, one constant. The set of wanted features makes the BPF filter
 * and the dispatch table from the same rows, so that what is trapped is what is handled. */
#ifndef SANDLOCK_SUPERVISOR_FEATURE_H
#define SANDLOCK_SUPERVISOR_FEATURE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"
#include "kernel/bpf.h"
#include "policy/policy.h"
#include "supervisor/notify.h"

typedef sl_answer (*sl_handler)(sl_call *call);

enum sl_row_flags {
    SL_ROW_MAY_CONTINUE = 1 << 0, /* safe to let the kernel read the caller's memory again: another
                                     layer decides, or the arguments are plain numbers */
};

typedef struct sl_syscall_row {
    int nr;
    unsigned flags;
    sl_handler handler;
    sl_bpf_cond conds[SL_BPF_CONDS_MAX]; /* trap only when these hold */
} sl_syscall_row;

typedef struct sl_feature {
    const char *name;
    bool (*wanted)(const sl_policy *policy);
    const sl_syscall_row *rows;
    size_t row_count;
    /* Adds answers the kernel gives alone (no trap); may be NULL. 0 or -errno. */
    int (*filter)(const sl_policy *policy, sl_bpf_rules *rules);
    /* State of a run, before the fork; may be NULL. */
    int (*setup)(struct sl_sandbox *sb, sl_error *err);
    void (*teardown)(struct sl_sandbox *sb);
    /* A thread of its own: begun once the child runs, ended before the tree is killed; may be NULL.
     * `stop` is safe without `start`, and twice. */
    int (*start)(struct sl_sandbox *sb, sl_error *err);
    void (*stop)(struct sl_sandbox *sb);
} sl_feature;

/* All features, in the order of the chain. */
extern const sl_feature *const sl_features[];
extern const size_t sl_feature_count;

#endif
