/* The child between clone and execve. */
#ifndef SANDLOCK_SANDBOX_CHILD_H
#define SANDLOCK_SANDBOX_CHILD_H

#include <linux/filter.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/resource.h>

#include "features/limits/limits.h"
#include "policy/policy.h"
#include "sandbox/sandbox.h"
#include "supervisor/identity.h"

/* Where the child's set-up can fail; decides message and exit code. */
enum sl_child_step {
    SL_CHILD_OK = 0,  /* execve was called; a new program runs */
    SL_CHILD_STARTED, /* not that far yet */
    SL_CHILD_RLIMIT,
    SL_CHILD_AFFINITY,
    SL_CHILD_MEMORY, /* addresses, huge pages */
    SL_CHILD_CHDIR,
    SL_CHILD_PRIVILEGES,
    SL_CHILD_IDENTITY, /* its user namespace */
    SL_CHILD_TERMINAL,
    SL_CHILD_LANDLOCK,
    SL_CHILD_SECCOMP,
    SL_CHILD_CANARY_FILE,   /* a file that no rule grants could be opened */
    SL_CHILD_CANARY_NOTIFY, /* a trapped call did not reach the supervisor */
    SL_CHILD_CANARY_MEMORY, /* the supervisor does not reach the memory of who asks */
    SL_CHILD_CANARY_FILTER, /* a refused call was not refused */
    SL_CHILD_STDIO,
    SL_CHILD_EXEC,
};

/* Everything the child needs, ready before the clone; it allocates nothing. The address space is
 * shared until execve, so results are simply written here. */
struct sl_child_args {
    char *const *argv;
    char *const *environ;
    const char *path;
    const char *cwd; /* NULL: stay */
    int landlock_fd;
    const struct sock_filter *insns;
    unsigned short insn_count;
    bool notify; /* the filter has a listener */
    atomic_int *listener;
    const char *canary_path;
    bool close_fds;
    const int *changed; /* signals that the engine ignores */
    size_t changed_count;
    sigset_t ignored; /* those of them that the caller of sandlock ignored */
    sigset_t mask;    /* what it blocked */
    pid_t pgid;
    int terminal_fd; /* 0: the session and the descriptors stay as they are */
    unsigned terminal_replaces;
    pid_t parent; /* PR_SET_PDEATHSIG: who must still be the parent; 0: no such tie */
    const sl_spawn_limit *limits; /* SL_SPAWN_LIMITS, or NULL */
    bool identity;                /* a user namespace with these maps */
    char uid_map[SL_IDENTITY_MAP_MAX];
    char gid_map[SL_IDENTITY_MAP_MAX];
    const sl_cpu_mask *cpus; /* or NULL */
    bool no_randomize_memory;
    bool no_huge_pages;
    bool no_coredump;

    enum sl_child_step failed_step; /* written by the child */
    int failed_errno;
};

/* Runs on the child's own stack, in the engine's address space, with all signals blocked. Returns
 * only on failure (the caller exits). Only async-signal-safe calls (signal-safety(7)). */
int sl_child_main(void *args);

#endif
