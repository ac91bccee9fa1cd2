/* Owns the words after `sandlock`: what they are called and, in a line, what they do. What each
 * does is bound to them in main.c. */
#include "cli/command.h"

#include <stdint.h>
#include <string.h>

#include "cli/say.h"
#include "core/util.h"
#include "policy/text/suggest.h"

static const sl_cli_command commands[SL_CLI_COMMANDS] = {
    {SL_CLI_COMMAND_RUN, "run", "run a command, confined"},
    {SL_CLI_COMMAND_WHY, "why", "run it, and tell each file that was refused"},
    {SL_CLI_COMMAND_PS, "ps", "list the runs"},
    {SL_CLI_COMMAND_INSPECT, "inspect", "show a run and its policy"},
    {SL_CLI_COMMAND_KILL, "kill", "end a run, or signal it"},
    {SL_CLI_COMMAND_CHECK, "check", "tell what this kernel can do"},
    {SL_CLI_COMMAND_PROFILE, "profile", "list, show or delete profiles"},
    {SL_CLI_COMMAND_VERSION, "version", "print the version"},
    {SL_CLI_COMMAND_HELP, "help", "print the help of a command"},
};

const sl_cli_command *sl_cli_commands(size_t *ret_count)
{
    *ret_count = SL_ARRAY_LEN(commands);
    return commands;
}

const sl_cli_command *sl_cli_command_find(const char *name)
{
    for (size_t i = 0; i < SL_ARRAY_LEN(commands); i++) {
        if (strcmp(name, commands[i].name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

int sl_cli_command_unknown(const char *name)
{
    sl_error err;
    const char *near = NULL;
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < SL_ARRAY_LEN(commands); i++) {
        size_t d = sl_suggest_distance(name, commands[i].name);
        if (d < best) {
            best = d;
            near = commands[i].name;
        }
    }
    if (name[0] == '-') {
        sl_error_usage(&err,
                       "unknown option '%s'; expected a command before options, as in "
                       "'sandlock run -r / -- ls'",
                       name);
    } else if (sl_suggest_near(best, strlen(name))) {
        sl_error_usage(&err, "unknown command '%s'; did you mean '%s'?", name, near);
    } else {
        sl_error_usage(
            &err,
            "unknown command '%s'; expected one of 'run', 'why', 'ps', 'inspect', 'kill', "
            "'check', 'profile', 'version', 'help' ('sandlock run -- %s' runs a program)",
            name, name);
    }
    return sl_cli_fail(&err);
}
