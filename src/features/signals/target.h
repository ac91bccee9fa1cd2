/* Whom a call that signals names by a number, and the sending to nobody else. */
#ifndef SANDLOCK_FEATURES_SIGNALS_TARGET_H
#define SANDLOCK_FEATURES_SIGNALS_TARGET_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#include "policy/policy.h"
#include "supervisor/notify.h"

/* A process, or a thread of one, that was found to be in reach. While `fd` stands for one that
 * lives the numbers are its own; empty: -1. */
typedef struct sl_target {
    pid_t tgid;
    pid_t tid; /* 0: the process */
    int fd;    /* owned */
} sl_target;

/* True where the kernel judges each signal itself (Landlock's scope), when it is sent. */
bool sl_target_kernel_judges(const struct sl_supervisor *sv);
/* True where nobody but us keeps the tree to itself. */
bool sl_target_judges_all(const sl_policy *policy);

/* True for the number of one of our processes: guardian, engine, gateway. They keep it for the
 * whole run, so that nothing need be read. A thread of theirs has another one. */
bool sl_target_is_ours(const struct sl_supervisor *sv, pid_t tgid);
/* True if the number is the caller's own process: it lives while its call waits for us. */
bool sl_target_is_caller(const sl_call *call, pid_t number);

/* 0: whoever has this number may be signalled. -ESRCH: nobody has it. -EPERM: no, or nobody can
 * tell. It may be another's at once: for a caller who holds it, or where the kernel judges too. */
int sl_target_judge(const struct sl_supervisor *sv, pid_t number);
/* Judges a process or thread, and holds it. `thread`: the signal is for the thread alone. The same
 * answers. */
int sl_target_open(const struct sl_supervisor *sv, pid_t number, bool thread, sl_target *ret);
void sl_target_done(sl_target *t);

/* Sends it from here: the sender is the engine, but as `info` (or NULL) says. 0 or -errno. */
int sl_target_send(const sl_target *t, int sig, siginfo_t *info);

#endif
