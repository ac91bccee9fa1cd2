/* A feature of confinement: one folder, one constant. The set of wanted features makes the BPF
 * filter and the dispatch table from the same rows, so that what is trapped is what is handled, and
 * says what of a policy cannot be kept without a supervisor. */
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
    SL_ROW_MAY_CONTINUE = 1 << 0,  /* safe to let the kernel read the caller's memory again: another
                                      layer decides, or the arguments are plain numbers */
    SL_ROW_REFUSED_ALONE = 1 << 1, /* without a supervisor the kernel refuses it: EPERM */
    SL_ROW_ALLOWED_TOO = 1 << 2,   /* trapped also where an earlier rule lets the call go */
};

typedef struct sl_syscall_row {
    int nr;
    unsigned flags;
    sl_handler handler;
    sl_bpf_cond conds[SL_BPF_CONDS_MAX]; /* trap only when these hold */
} sl_syscall_row;

/* For a feature without which every promise of a policy holds: a means to other features, or
 * something that only a supervisor can get in the way of. Say which, where it is used. */
bool sl_feature_promises_nothing(const sl_policy *policy);

typedef struct sl_feature {
    const char *name;
    bool (*wanted)(const sl_policy *policy);
    /* Whether its answers go into the caller's memory: without that it would be no use, and the run
     * does not start where that cannot be written. NULL: none does, or it has another answer there
     * (sl_supervisor.reads_alone). */
    bool (*writes)(const sl_policy *policy);
    /* What of the policy is lost when nobody supervises, as the user spells it (NULL: `name`), and
     * whether this policy has promised it (NULL: whenever it is wanted). Then a run without a
     * supervisor is refused; a feature that says nothing of this refuses as well. */
    const char *option;
    bool (*promised)(const sl_policy *policy);
    /* Wanted only where no cgroup holds max_memory, which is known later than the policy: elsewhere
     * nothing is trapped or settled for it, and its handlers pass. */
    bool without_cgroup;
    /* What is trapped. */
    const sl_syscall_row *rows;
    size_t row_count;
    /* What the kernel refuses (or lets go) by itself, with a supervisor or without: these come
     * before every row. */
    const sl_bpf_rule *settled;
    size_t settled_count;
    /* The same where it depends on the policy; may be NULL. 0 or -errno. */
    int (*filter)(const sl_policy *policy, sl_bpf_rules *rules);
    /* Bytes of a run's own, zeros at first, which sl_supervisor_state gives. Who has none has
     * nothing to tear down either. */
    size_t state_size;
    /* Fills it, before the fork; may be NULL. After a failure `teardown` is called too. */
    int (*setup)(struct sl_supervisor *sv, void *state, sl_error *err);
    void (*teardown)(void *state);
    /* A thread of its own: begun once the child runs, ended before the tree is killed; may be NULL.
     * `stop` is safe without `start`, and twice. */
    int (*start)(struct sl_supervisor *sv, void *state, sl_error *err);
    void (*stop)(void *state);
} sl_feature;

#endif
