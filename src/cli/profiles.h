/* Where profiles are: the user's own below the configuration directory, then those that came with
 * the program, which are inside it. */
#ifndef SANDLOCK_CLI_PROFILES_H
#define SANDLOCK_CLI_PROFILES_H

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"
#include "policy/policy.h"

#define SL_PROFILES_MAX 1024 /* of one user */

typedef struct sl_cli_shipped {
    const char *name;
    const char *text; /* ends with a NUL that `len` does not count */
    size_t len;
} sl_cli_shipped;

const sl_cli_shipped *sl_cli_shipped_profiles(size_t *ret_count);
/* NULL when there is none of that name. */
const sl_cli_shipped *sl_cli_shipped_profile(const char *name);

/* Where the user's own are: $XDG_CONFIG_HOME, or ~/.config, and sandlock/profiles below it. NULL
 * without a home (or memory). Caller frees. */
char *sl_cli_profile_dir(void);

/* 0, or an error that says what a name is. Kind: USAGE. */
int sl_cli_profile_check_name(const char *name, sl_error *err);

/* The text of a profile by its name: the user's own, else the shipped one. `*ret_path` is NULL for
 * the latter. The caller frees both. */
int sl_cli_profile_read(const char *name, char **ret_text, size_t *ret_len, char **ret_path,
                        sl_error *err);

/* What -p means: a word with a '/' or a final ".toml" is a file, any other a name. */
int sl_cli_profile_load(const char *word, sl_policy *policy, sl_error *err);

#endif
