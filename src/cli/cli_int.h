/* What the files of the program sandlock share. */
#ifndef SANDLOCK_CLI_CLI_INT_H
#define SANDLOCK_CLI_CLI_INT_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"
#include "core/err.h"

#define SL_CLI_OUTPUT_MAX (1u << 20)
#define SL_CLI_LIST_MAX   (16u << 20) /* of what runs say of themselves */

#define SL_CLI_NO_RUN 1 /* exit code: there is no such run, or more than one */

/* A word after `sandlock`. `main` gets the command's own words, argv[0] being its name. */
typedef struct sl_cli_command {
    const char *name;
    const char *help; /* one line */
    int (*main)(int argc, char **argv);
} sl_cli_command;

const sl_cli_command *sl_cli_commands(size_t *ret_count);
const sl_cli_command *sl_cli_command_find(const char *name);
/* Says that `name` is no command, with the nearest one. Returns the exit code. */
int sl_cli_command_unknown(const char *name);

int sl_cli_run_main(int argc, char **argv);
int sl_cli_ps_main(int argc, char **argv);
int sl_cli_inspect_main(int argc, char **argv);
int sl_cli_kill_main(int argc, char **argv);
int sl_cli_check_main(int argc, char **argv);
int sl_cli_profile_main(int argc, char **argv);
int sl_cli_version_main(int argc, char **argv);
int sl_cli_help_main(int argc, char **argv);

/* The number of "TERM", "sigterm" or "15"; -1 for none. */
int sl_cli_signal(const char *word);

/* Options of the small commands: --json where `ret_json` is not NULL, and --help. 0 to go on, 1
 * after the help was printed (or failed to be: `ret_code`), or -EINVAL with `err`. */
int sl_cli_simple_options(int argc, char **argv, bool *ret_json, int *ret_code, sl_error *err);

/* Prints the help of a command (NULL: of the program) on stdout. Returns the exit code. */
int sl_cli_help_print(const char *command);

/* One line "sandlock: ..." on stderr, control bytes shown as \xNN. Returns the exit code. */
int sl_cli_fail(const sl_error *err);

/* Appends text that others chose, control bytes shown as \xNN. 0 or -errno. */
int sl_cli_put_printable(sl_buf *out, const char *text);

/* Writes to stdout. Returns the exit code: 0, or 125 after saying why it failed. `r` is the result
 * of the filling of `out`. */
int sl_cli_put(int r, const sl_buf *out);

#endif
