/* The process of the gateway: a child of the engine that does not belong to the tree. */
#ifndef SANDLOCK_ENGINE_HELPER_H
#define SANDLOCK_ENGINE_HELPER_H

#include <sys/types.h>

#include "core/err.h"
#include "sandbox/sandbox.h"

/* The path of the gateway program: beside ours, or in ../libexec/sandlock. Caller frees. */
int sl_helper_find(char **ret_path, sl_error *err);

/* Starts it. It gets nothing but `link`, its end of the link, which stays ours, and our standard
 * error. The sandbox is told its number before its first step: until then it would pass for one of
 * the tree, which may be looked at and signalled from inside. */
int sl_helper_start(const char *path, int link, sl_sandbox *sb, pid_t *ret_pid, sl_error *err);

#endif
