/* Owns the first word after `sandlock`. It sets no locale and starts no library: the way to a run's
 * first process is part of its start time. */
#include <string.h>

#include "cli/command.h"
#include "cli/help.h"
#include "cli/mains.h"
#include "cli/say.h"

static int (*const mains[SL_CLI_COMMANDS])(int argc, char **argv) = {
    [SL_CLI_COMMAND_RUN] = sl_cli_run_main,         [SL_CLI_COMMAND_WHY] = sl_cli_run_main,
    [SL_CLI_COMMAND_PS] = sl_cli_ps_main,           [SL_CLI_COMMAND_INSPECT] = sl_cli_inspect_main,
    [SL_CLI_COMMAND_KILL] = sl_cli_kill_main,       [SL_CLI_COMMAND_CHECK] = sl_cli_check_main,
    [SL_CLI_COMMAND_PROFILE] = sl_cli_profile_main, [SL_CLI_COMMAND_VERSION] = sl_cli_version_main,
    [SL_CLI_COMMAND_HELP] = sl_cli_help_main,
};

int main(int argc, char **argv)
{
    if (argc < 2) {
        sl_error err;
        sl_error_usage(&err, "no command given; expected one of 'run', 'why', 'ps', 'inspect', "
                             "'kill', 'check', 'profile', 'version', 'help' (see 'sandlock help')");
        return sl_cli_fail(&err);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        return sl_cli_help_print(NULL);
    }
    if (strcmp(argv[1], "--version") == 0) {
        return sl_cli_version_main(1, argv);
    }
    const sl_cli_command *command = sl_cli_command_find(argv[1]);
    return command == NULL ? sl_cli_command_unknown(argv[1])
                           : mains[command->id](argc - 1, argv + 1);
}
