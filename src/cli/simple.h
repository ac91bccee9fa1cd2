/* The options that the small commands have in common. */
#ifndef SANDLOCK_CLI_SIMPLE_H
#define SANDLOCK_CLI_SIMPLE_H

#include <stdbool.h>

#include "core/err.h"

/* --json where `ret_json` is not NULL, and --help. 0 to go on, 1 after the help was printed (or
 * failed to be: `ret_code`), or -EINVAL with `err`. */
int sl_cli_simple_options(int argc, char **argv, bool *ret_json, int *ret_code, sl_error *err);

#endif
