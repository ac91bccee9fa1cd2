/* The program's own pieces: options, help, messages, commands. */
#ifndef SANDLOCK_CLI_CLI_H
#define SANDLOCK_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "core/err.h"
#include "policy/policy.h"

#define SL_EXIT_USAGE 2

/* An option of `run` that is no policy field. */
typedef struct sl_cli_option {
    const char *option;   /* "--status-fd" */
    char short_option;    /* 'e', or 0 */
    const char *argument; /* "N", or NULL */
    const char *help;
} sl_cli_option;

enum sl_cli_option_id {
    SL_CLI_EXEC_SHELL,
    SL_CLI_STATUS_FD,
    SL_CLI_QUIET,
    SL_CLI_PRINT_POLICY,
    SL_CLI_NO_SUPERVISOR,
    SL_CLI_HELP,
    SL_CLI_OPTION_COUNT
};
extern const sl_cli_option sl_cli_options[SL_CLI_OPTION_COUNT];

/* What a command line of `run` says. */
typedef struct sl_run_args {
    sl_policy *policy;    /* owned, not frozen */
    char *const *command; /* points into argv or at `shell`; NULL: none */
    const char *shell[4]; /* "/bin/sh", "-c", CMD, NULL */
    int status_fd;        /* -1: none */
    bool quiet;
    bool print_policy;
    bool no_supervisor;
    bool help; /* asked for: nothing behind it was read */
} sl_run_args;

/* Reads what follows `sandlock run` (argv ends with NULL). Looks at nothing but the words, except
 * that the status descriptor must be open. Release with sl_run_args_done, also after failure. */
int sl_run_args_parse(char *const *argv, sl_run_args *ret_args, sl_error *err);
void sl_run_args_done(sl_run_args *args);

/* The known word nearest to a mistyped option ("--http-alow"), or NULL. */
const char *sl_cli_nearest_option(const char *word);

/* One line "sandlock: ..." on stderr; control bytes are shown as \xNN. */
void sl_cli_say(const char *message);
/* Copies `text` with control bytes (C1 and broken UTF-8 too) as \xNN. Returns `out`. */
const char *sl_cli_printable(const char *text, char *out, size_t size);

void sl_cli_help(FILE *to);
void sl_cli_help_run(FILE *to);
void sl_cli_help_check(FILE *to);
void sl_cli_help_version(FILE *to);

/* The commands. `argv` is what follows the command's name. They return the exit code. */
int sl_cli_run(char *const *argv);
int sl_cli_check(char *const *argv);

#endif
