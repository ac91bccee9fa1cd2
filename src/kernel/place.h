/* Where we run: what a container's profile or an older kernel withholds, told apart from each
 * other. A system call is asked in a way that changes nothing. */
#ifndef SANDLOCK_KERNEL_PLACE_H
#define SANDLOCK_KERNEL_PLACE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"

#define SL_PLACE_TEXT_MAX 320

/* The calls that a run begins with. */
enum sl_place_call {
    SL_PLACE_PIDFD_OPEN,
    SL_PLACE_PIDFD_GETFD,
    SL_PLACE_PROCESS_VM_READV,
    SL_PLACE_MEMFD_CREATE,
    SL_PLACE_SECCOMP,
    SL_PLACE_LANDLOCK,
    SL_PLACE_CALLS,
};

/* "pidfd_open(2)" */
const char *sl_place_name(enum sl_place_call call);

/* Asks whether the system has this call for us: 0 or the -errno of its refusal. */
int sl_place_ask(enum sl_place_call call);

/* True where the descriptors of a child can be fetched (pidfd_getfd(2)): usual profiles of
 * containers keep that from whom they do not let trace everybody. Asked once. */
bool sl_place_fetches(void);

/* Why a call may have failed so, in a few words: "EPERM: forbidden here, ...". */
const char *sl_place_cause(int error, char text[SL_PLACE_TEXT_MAX]);

/* What this errno of the call means: the likely cause and the way out, as the rest of a sentence
 * that begins with its name. Returns `text`. */
const char *sl_place_say(const char *call, int error, char text[SL_PLACE_TEXT_MAX]);

/* Whether others' memory and descriptors can be had without a capability, as far as Yama has a say
 * (kernel.yama.ptrace_scope). 0 or -EPERM with the way out. */
int sl_place_check_ptrace(sl_error *err);

/* Whether /proc is there, shows this process and its number, and those of others of ours. 0 or
 * -errno with what is wrong and the way out. */
int sl_place_check_proc(sl_error *err);

#endif
