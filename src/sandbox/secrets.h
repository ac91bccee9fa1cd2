/* The table of well-known secrets (conf/secrets), which is part of the program. */
#ifndef SANDLOCK_SANDBOX_SECRETS_H
#define SANDLOCK_SANDBOX_SECRETS_H

#include "core/strv.h"

/* Adds each path of the table, "~/" replaced, for $HOME and for the password file's home of this
 * user. 0 or -ENOMEM. */
int sl_secrets_list(sl_strv *ret_paths);

#endif
