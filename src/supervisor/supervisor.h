/* The supervisor of one run: receives the calls that the filter traps, and answers each by the
 * chain of its features. Built before the fork, served by a thread of its own.
 *
 * Threads: sl_supervisor_new, _start and _free on the main thread; the dispatcher is a thread of
 * ours; deferred calls and the answers of hooks belong to the thread that runs the loop. */
#ifndef SANDLOCK_SUPERVISOR_SUPERVISOR_H
#define SANDLOCK_SUPERVISOR_SUPERVISOR_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/err.h"
#include "core/util.h"
#include "kernel/cgroup.h"
#include "policy/link.h"
#include "policy/policy.h"
#include "policy/synth.h"
#include "policy/told/file_denial.h"
#include "supervisor/feature.h"
#include "supervisor/fsview.h"

#define SL_FEATURES_MAX 48
#define SL_CHAIN_MAX    10  /* handlers of one system call */
#define SL_CHAINS_MAX   256 /* system calls that may be trapped at once, and none */
#define SL_PIDFD_CACHE  64  /* threads whose pidfd is kept; a power of two */

/* The errno that only the dispatcher gives: proof that traps reach it (canary). */
#define SL_CANARY_ERRNO EXFULL

/* What the canary's connect(2) names in place of an address: read, and the answer (every bit
 * turned) written back. EFAULT: what the policy needs of that could not be done. */
typedef struct sl_canary_question {
    uint64_t asked;
    uint64_t answer;
} sl_canary_question;

/* What the supervisor asks of the engine. `flow` and `dns` may be called from the dispatcher thread
 * and must not block; descriptors stay the caller's. 0 or -errno (then the call is denied). */
typedef struct sl_supervisor_hooks {
    void *flow_arg;
    void *report_arg;
    int (*flow)(void *flow_arg, const struct sl_link_flow *flow, int fd);
    int (*dns)(void *flow_arg, const struct sl_link_dns *dns, int fd);
    /* The answer comes later, as a message with the same id. */
    int (*resolve)(void *flow_arg, const struct sl_link_resolve *resolve);
    /* A certificate file is wanted, and opens of it wait for the content. Asked once. */
    int (*want_trust)(void *flow_arg);
    /* One denied (or, with `allowed`, granted) destination, for the audit log and the summary. */
    void (*decided)(void *report_arg, pid_t pid, const sl_dest *dest, const sl_net_verdict *verdict,
                    bool allowed);
    /* A file was refused that the user himself may use. Any thread; NULL: nobody is told. */
    void (*file)(void *report_arg, pid_t pid, const sl_file_denial *denial);
    /* A call was refused that a switch of the policy would allow. Any thread. */
    void (*refused)(void *report_arg, pid_t pid, const char *call, const char *allow_with);
    /* A connect to a port of this host where nobody listens, refused with this verdict: a denial
     * unless the tree `listens` there before the run is over. Any thread. */
    void (*unheard)(void *report_arg, pid_t pid, const sl_dest *dest,
                    const sl_net_verdict *verdict);
    void (*listens)(void *report_arg, uint16_t port);
    /* port_remap: a socket of the tree got port `inside`, which is `real` outside. Any thread. */
    void (*bound)(void *report_arg, enum sl_proto proto, uint16_t inside, uint16_t real);
} sl_supervisor_hooks;

/* The handlers of one trapped call. */
typedef struct sl_chain {
    const sl_syscall_row *rows[SL_CHAIN_MAX];
    size_t count;
} sl_chain;

struct sl_deferred_queue;
struct sl_vfile_state;
struct sl_listing_state;
struct sl_worker;
struct sl_port_names;

typedef struct sl_supervisor {
    /* What features read. Fixed before the child is there, but for what is atomic. */
    const sl_policy *policy; /* borrowed, as all of these */
    const sl_fsview *view;
    const sl_synth_map *synth; /* names and their addresses; may be NULL */
    const sl_cgroup *cgroup;   /* NULL: none */
    sl_supervisor_hooks hooks;
    const struct sl_port_names
        *port_names; /* who gives ports other names (features/net); or NULL */
    /* Closes our descriptors of what the tree has closed (features/mint); or NULL. Dispatcher
     * thread only. */
    void (*let_go)(struct sl_supervisor *sv);
    pid_t main_pid;           /* the tree's first process */
    _Atomic pid_t helper_pid; /* the gateway, a child of the engine that is not of the tree */
    atomic_bool reads_alone;  /* the tree's memory cannot be written (canary) */
    atomic_bool ending;       /* every call is denied from now on */

    /* The room's own. */
    const sl_feature *wanted[SL_FEATURES_MAX];
    void *states[SL_FEATURES_MAX]; /* of the feature at the same place; owned */
    size_t wanted_count;
    sl_chain *chains; /* [0] is empty */
    uint8_t chain_of[SL_BPF_NR_MAX];
    atomic_int listener; /* published by the child in the shared address space; -1 until then, -2:
                            none will come */
    pthread_t dispatcher;
    bool dispatcher_runs;
    struct {
        pid_t tid;
        int fd;
    } pidfds[SL_PIDFD_CACHE]; /* dispatcher thread only */
    struct sl_deferred_queue *deferred;
    struct sl_vfile_state *vfile;
    struct sl_listing_state *listing; /* dispatcher thread only */
    struct sl_worker *worker;         /* dispatcher thread only */
} sl_supervisor;

/* Chains and states for the features of the list that this policy wants. `policy` and `view`
 * outlive it. 0 or -errno. */
int sl_supervisor_new(const sl_policy *policy, const sl_fsview *view,
                      const sl_feature *const *features, size_t count, sl_supervisor **ret_sv,
                      sl_error *err);
void sl_supervisor_free(sl_supervisor *sv);
SL_DEFINE_AUTO(sl_supervisor, sl_supervisor_free);

/* True if some feature here answers into callers' memory. */
bool sl_supervisor_writes(const sl_supervisor *sv);

/* The state of a feature; NULL when the policy does not want it. Any thread. */
void *sl_supervisor_state(const sl_supervisor *sv, const sl_feature *feature);

/* Starts the dispatcher, which waits for the listener. 0 or -errno. */
int sl_supervisor_start(sl_supervisor *sv, sl_error *err);
/* No listener will come: lets the dispatcher go. */
void sl_supervisor_release(sl_supervisor *sv);
/* Waits until the dispatcher has ended: nobody is left to ask, or it was released. */
void sl_supervisor_join(sl_supervisor *sv);

/* The threads that features have, between the start of the child and the end of the tree. Stopping
 * is safe without a start, and twice. */
int sl_supervisor_start_features(sl_supervisor *sv, sl_error *err);
void sl_supervisor_stop_features(sl_supervisor *sv);

/* Answers the kernel, and tells the trace what became of the call. Called by dispatch, and for
 * deferred calls by whoever answers them: DEFER, which is no answer yet, is only told. Any thread.
 */
void sl_supervisor_answer(const sl_call *call, const sl_answer *answer);

/* Runs the chain of a call to its answer. */
sl_answer sl_dispatch_call(sl_call *call, unsigned *ret_flags);
void *sl_dispatch_thread(void *supervisor);

#endif
