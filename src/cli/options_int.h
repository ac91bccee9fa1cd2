/* The table of options, for those who read the command line. */
#ifndef SANDLOCK_CLI_OPTIONS_INT_H
#define SANDLOCK_CLI_OPTIONS_INT_H

#include "cli/options.h"

/* An option as it was found: a field of the policy or one of our own. */
typedef struct sl_cli_found {
    const sl_field *field;
    const sl_cli_option *own;
    const char *option;   /* its full name, as a long option was spelt */
    const char *argument; /* what it takes; NULL: nothing */
} sl_cli_found;

/* By the first `len` bytes of `word` ("--name"), or by the letter when `word` is NULL. */
bool sl_cli_find(const char *word, size_t len, char letter, sl_cli_found *ret_found);

/* Both say what is unknown and what was probably meant. Return -EINVAL. */
int sl_cli_unknown_long(const char *word, size_t len, sl_error *err);
int sl_cli_unknown_short(char letter, const char *word, sl_error *err);

#endif
