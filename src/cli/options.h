/* The words after `sandlock run`, understood: a frozen policy, a command, and what the program
 * itself was told. Nothing runs and no file is looked at here but the profiles that -p names. */
#ifndef SANDLOCK_CLI_OPTIONS_H
#define SANDLOCK_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"
#include "core/strv.h"
#include "policy/policy.h"

#define SL_CLI_PROFILES_MAX 64 /* -p on one command line */

/* An option that is no field of the policy. */
enum sl_cli_option_id {
    SL_CLI_PROFILE,
    SL_CLI_INTERACTIVE,
    SL_CLI_EXEC_SHELL,
    SL_CLI_STATUS_FD,
    SL_CLI_QUIET,
    SL_CLI_EXPLAIN,
    SL_CLI_PRINT_POLICY,
    SL_CLI_NO_SUPERVISOR,
    SL_CLI_HELP,
};

typedef struct sl_cli_option {
    enum sl_cli_option_id id;
    const char *option;
    char short_option;    /* or 0 */
    const char *argument; /* "CMD"; NULL when there is none */
    const char *help;
} sl_cli_option;

const sl_cli_option *sl_cli_own_options(size_t *ret_count);

typedef struct sl_cli_run {
    sl_policy *policy; /* owned; frozen, NULL when `help` is set */
    sl_strv profiles;  /* as given, in order */
    char *const *argv; /* the command, NULL when there is none; may point to `shell` below */
    char *shell[4];    /* /bin/sh -c CMD */
    int status_fd;     /* -1: none */
    bool interactive;
    bool quiet;
    bool explain;
    bool no_supervisor;
    bool print_policy;
    bool help; /* the rest was not looked at */
} sl_cli_run;

/* Understands argv[1..argc), argv[0] being "run", or "why", which always explains and is never
 * quiet; argv is NULL-terminated and outlives `ret_run`,
 * which must not be moved. 0, or -errno with `err` (and nothing to undo). Without a command it is
 * an error, unless the policy or the help is to be printed. Profiles come first, in their order;
 * the options add to their lists and replace their single values, wherever they stand. */
int sl_cli_run_parse(int argc, char *const *argv, sl_cli_run *ret_run, sl_error *err);
void sl_cli_run_done(sl_cli_run *run);

#endif
