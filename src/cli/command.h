/* The words after `sandlock`. */
#ifndef SANDLOCK_CLI_COMMAND_H
#define SANDLOCK_CLI_COMMAND_H

#include <stddef.h>

enum sl_cli_command_id {
    SL_CLI_COMMAND_RUN,
    SL_CLI_COMMAND_WHY,
    SL_CLI_COMMAND_PS,
    SL_CLI_COMMAND_INSPECT,
    SL_CLI_COMMAND_KILL,
    SL_CLI_COMMAND_CHECK,
    SL_CLI_COMMAND_PROFILE,
    SL_CLI_COMMAND_VERSION,
    SL_CLI_COMMAND_HELP,
    SL_CLI_COMMANDS, /* how many there are */
};

typedef struct sl_cli_command {
    enum sl_cli_command_id id;
    const char *name;
    const char *help; /* one line */
} sl_cli_command;

/* All of them, in the order of their numbers. */
const sl_cli_command *sl_cli_commands(size_t *ret_count);
/* NULL when there is none of that name. */
const sl_cli_command *sl_cli_command_find(const char *name);
/* Says that `name` is no command, with the nearest one. Returns the exit code. */
int sl_cli_command_unknown(const char *name);

#endif
