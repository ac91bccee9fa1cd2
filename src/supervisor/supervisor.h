/* What only this room may see of a sandbox. */
#ifndef SANDLOCK_SUPERVISOR_SUPERVISOR_H
#define SANDLOCK_SUPERVISOR_SUPERVISOR_H

#include <linux/filter.h>
#include <pthread.h>
#include <stdatomic.h>

#include "kernel/cgroup.h"
#include "policy/synth.h"
#include "sandbox/child.h"
#include "sandbox/fsview.h"
#include "sandbox/sandbox.h"
#include "supervisor/feature.h"

#define SL_CHAIN_MAX   10  /* handlers of one system call */
#define SL_CHAINS_MAX  256 /* system calls that may be trapped at once, and none */
#define SL_PIDFD_CACHE 64  /* threads whose pidfd is kept; a power of two */

typedef struct sl_chain {
    const sl_syscall_row *rows[SL_CHAIN_MAX];
    size_t count;
} sl_chain;

struct sl_deferred_queue;
struct sl_net_state;
struct sl_ports_state;
struct sl_trust_state;
struct sl_hostname_state;
struct sl_vfile_state;
struct sl_procs_state;
struct sl_meta_state;
struct sl_cpu_state;
struct sl_cpus_state;
struct sl_image_state;
struct sl_lend_state;
struct sl_random_state;
struct sl_dirs_state;
struct sl_memory_state;

struct sl_sandbox {
    const sl_policy *policy;
    sl_sandbox_hooks hooks;
    const sl_synth_map *synth;
    const sl_cgroup *cgroup; /* NULL: none; borrowed */

    /* built before the fork */
    char *canary_path;
    int landlock_fd;
    sl_fsview *view;
    struct sock_filter *insns;
    unsigned short insn_count;
    sl_chain *chains; /* [0] is empty */
    uint8_t chain_of[SL_BPF_NR_MAX];

    /* the listener's number is published by the child in the shared address space */
    atomic_int listener; /* -1 until then; -2: none will come */
    pthread_t dispatcher;
    bool dispatcher_runs;
    bool canary_met; /* dispatcher thread only */
    atomic_bool ending;
    pid_t main_pid;
    _Atomic pid_t helper_pid; /* the gateway, a child of the engine that is not of the tree */

    struct {
        pid_t tid;
        int fd;
    } pidfds[SL_PIDFD_CACHE]; /* dispatcher thread only */

    uint64_t lists_from_ns; /* loop thread only: when the next list of sockets may be made */

    struct sl_deferred_queue *deferred;
    struct sl_net_state *net;
    struct sl_ports_state *ports;
    struct sl_trust_state *trust;
    struct sl_hostname_state *hostname;
    struct sl_vfile_state *vfile; /* vfile.c */
    struct sl_procs_state *procs;
    struct sl_meta_state *meta;
    struct sl_cpu_state *cpu;
    struct sl_cpus_state *cpus;
    struct sl_image_state *image;
    struct sl_random_state *random;
    struct sl_dirs_state *dirs;
    struct sl_lend_state *lend; /* dispatcher thread only */
    struct sl_memory_state *memory;
};

/* The cores that the tree is held to; NULL: whatever the caller has. */
const sl_cpu_mask *sl_cpus_of_tree(const sl_sandbox *sb);
/* num_cpus: the core that processor number `i` of the tree stands for. */
unsigned sl_cpus_core(const sl_sandbox *sb, unsigned i);

/* The errno that only the dispatcher gives: proof that traps reach it (canary). */
#define SL_CANARY_ERRNO EXFULL

/* The filter's rules of a policy: first every answer the kernel can give alone, then the traps; the
 * first rule that holds decides. 0 or -errno. */
int sl_sandbox_rules(const sl_policy *policy, bool with_traps, sl_bpf_rules *rules);

/* Answers the kernel. Called by dispatch, and for deferred calls by the loop thread. */
void sl_sandbox_answer(sl_sandbox *sb, uint64_t id, const sl_answer *answer);

/* Runs the chain of a call to its answer. */
sl_answer sl_dispatch_call(sl_call *call, unsigned *ret_flags);
void *sl_dispatch_thread(void *sandbox);

#endif
