/* The child's environment, and the program it names. */
#ifndef SANDLOCK_ENGINE_START_ENVIRON_H
#define SANDLOCK_ENGINE_START_ENVIRON_H

#include "core/buf.h"
#include "core/err.h"
#include "core/strv.h"
#include "policy/artefact.h"
#include "policy/policy.h"

#define SL_ENVIRON_BUNDLE_MAX (8u << 20) /* bytes of the user's own bundles together */

/* The caller's environment with clean_env and env applied; beside HTTP rules without the variables
 * of proxies, but for those of env. 0 or -ENOMEM. */
int sl_environ_make(const sl_policy *policy, char *const *environ_in, sl_strv *ret_env);

/* The names of the variables that this policy keeps from the command for naming proxies, and all
 * the proxies that caller and policy name. 0 or -ENOMEM. */
int sl_environ_proxies(const sl_policy *policy, char *const *environ_in, sl_strv *ret_removed,
                       sl_strv *ret_proxies);

/* Points the trust variables at the run's files. What they named before is listed in `ret_before`,
 * each file once: it stays believed. 0 or -ENOMEM. */
int sl_environ_trust(sl_strv *env, const char *const files[SL_ARTEFACTS], sl_strv *ret_before);

/* Appends the content of those files that can be read. 0 or -ENOMEM. */
int sl_environ_read_trust(const sl_strv *files, sl_buf *ret_pem);

/* The path that execvp(3) would try for `name` with this PATH: the first that exists and may be
 * executed. Kind of failure NOT_FOUND or NOT_EXEC. Caller frees. */
int sl_environ_find(const char *name, const sl_strv *env, char **ret_path, sl_error *err);

#endif
