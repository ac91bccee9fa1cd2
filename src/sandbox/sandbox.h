/* The confinement of one run: built before the fork, entered by the child, served by the engine.
 *
 * Threads: sl_sandbox_new and _spawn on the main thread; the dispatcher is a thread of ours;
 * deferred calls and hooks' answers belong to the thread that runs the loop. */
#ifndef SANDLOCK_SANDBOX_SANDBOX_H
#define SANDLOCK_SANDBOX_SANDBOX_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <uv.h>

#include "core/err.h"
#include "core/util.h"
#include "features/remap/ports.h"
#include "kernel/cgroup.h"
#include "policy/artefact.h"
#include "policy/link.h"
#include "policy/policy.h"
#include "supervisor/supervisor.h"

typedef struct sl_sandbox sl_sandbox;

/* Builds everything that can be built before the fork. */
int sl_sandbox_new(const sl_policy *policy, sl_sandbox **ret_sb, sl_error *err);

/* port_remap: the ports that sockets of the tree answer on now (features/remap/ports.h). */
size_t sl_sandbox_ports(const sl_sandbox *sb, sl_remap_port *list, size_t max);

/* A file that no rule grants: the child must fail to open it. 0 or -ENOMEM. */
int sl_sandbox_set_canary(sl_sandbox *sb, const char *path);
/* True if the policy lets the child write below this path (absolute, resolved). */
bool sl_sandbox_may_write(const sl_sandbox *sb, const char *path);
/* True if the policy lets the child read this (absolute, resolved). */
bool sl_sandbox_may_read(const sl_sandbox *sb, const char *path);
/* True if the policy lets the child write in a cgroup, or if that cannot be told. */
bool sl_sandbox_may_write_cgroups(const sl_sandbox *sb);
/* Lets the child use this device, by whatever name, unless the policy denies it: then nothing
 * changes. Before the spawn. */
int sl_sandbox_allow_device(sl_sandbox *sb, int fd, sl_error *err);
/* Lets the child open this standard stream again by its names, where it is a file: with the access
 * that the descriptor has, unless the policy denies it. Before the spawn, once for each. */
int sl_sandbox_allow_stream(sl_sandbox *sb, int fd, sl_error *err);
/* Lets the child read this very file of ours by its name, unless the policy denies it: -EACCES.
 * Before the spawn. */
int sl_sandbox_allow_file(sl_sandbox *sb, int fd);
/* Lets the child write this directory, which is there for its temporary files, and notes it. Unless
 * the policy denies it, or something in it: -EACCES. Before the spawn. */
int sl_sandbox_allow_temporary(sl_sandbox *sb, int fd);
/* Says what was left out of the policy and why, a line each. */
void sl_sandbox_say_notes(const sl_sandbox *sb, void (*say)(const char *line));
void sl_sandbox_free(sl_sandbox *sb);
SL_DEFINE_AUTO(sl_sandbox, sl_sandbox_free);

void sl_sandbox_set_hooks(sl_sandbox *sb, const sl_supervisor_hooks *hooks);
/* The map of synthetic names (may be NULL), read-only. */
struct sl_synth_map;
void sl_sandbox_set_synth(sl_sandbox *sb, const struct sl_synth_map *map);
/* The cgroup that the child is born in, which holds what limits it can (may be NULL); outlives the
 * sandbox. Before the spawn. 0 or -errno. */
int sl_sandbox_set_cgroup(sl_sandbox *sb, const sl_cgroup *cgroup, sl_error *err);
/* Trust: the private files of the run (paths the child sees, one an artefact) and, once the gateway
 * has sent them, their content as sealed memfds (taken over; all or none, -1). Opens of whatever
 * they stand for wait until then. */
int sl_sandbox_expect_trust(sl_sandbox *sb, const char *const paths[SL_ARTEFACTS]);
void sl_sandbox_set_trust(sl_sandbox *sb, const int fds[SL_ARTEFACTS]);

#define SL_SPAWN_LIMITS 2

typedef struct sl_spawn_limit {
    int resource; /* RLIMIT_* */
    struct rlimit value;
} sl_spawn_limit;

typedef struct sl_spawn {
    char *const *argv;
    char *const *environ;
    const char *path; /* the program, resolved; tried as execve(2) does */
    pid_t pgid;       /* group to join, 0: leave */
    int terminal_fd;  /* 0: none. Else the child leads a session that this terminal controls */
    unsigned terminal_replaces; /* a bit for each standard descriptor that it becomes */
    const int *changed;         /* signals whose disposition is put back: ignored, or default */
    size_t changed_count;
    sigset_t ignored;
    sigset_t mask;
    const sl_spawn_limit *limits; /* SL_SPAWN_LIMITS of them, or NULL: as they are */
} sl_spawn;

/* Starts the dispatcher thread and the child. On success the child is past execve. Errors of the
 * child's own set-up come back here, with the exit code they mean (126, 127, 125). */
int sl_sandbox_spawn(sl_sandbox *sb, const sl_spawn *spawn, pid_t *ret_pid, sl_error *err);

/* What of this policy nobody keeps without a supervisor, as the user spells it: by the word of the
 * features. NULL when the kernel alone keeps all of it. */
const char *sl_sandbox_promise(const sl_policy *policy);

/* Confines this very process by the kernel's rules alone and becomes the program. Returns only on
 * failure. For policies that need no supervisor (--no-supervisor). */
int sl_sandbox_enter(sl_sandbox *sb, const sl_spawn *spawn, sl_error *err);

/* Joins the loop: deferred calls are served from now on. Before that they queue. */
int sl_sandbox_attach(sl_sandbox *sb, uv_loop_t *loop);
void sl_sandbox_detach(sl_sandbox *sb);

void sl_sandbox_resolved(sl_sandbox *sb, const struct sl_link_resolved *resolved);

/* A child of the engine that does not belong to the tree (the gateway); 0: none any more. */
void sl_sandbox_set_helper(sl_sandbox *sb, pid_t pid);

/* True once the tree was killed for its memory (max_memory). Any thread. */
bool sl_sandbox_is_over_memory(const sl_sandbox *sb);
/* The most memory that was counted of the whole tree; 0: it was not counted. */
uint64_t sl_sandbox_peak_memory(const sl_sandbox *sb);

/* From now on every trapped call is denied: the run ends. */
void sl_sandbox_end(sl_sandbox *sb);

/* Waits for the supervisor's thread, which ends when nobody is left to ask. For tests. */
void sl_sandbox_join(sl_sandbox *sb);

#endif
