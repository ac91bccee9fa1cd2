/* Owns the first word after `sandlock`. It sets no locale and starts no library: the way to a run's
 * first process is part of its start time. */
#include <stdint.h>
#include <string.h>

#include "cli/cli_int.h"
#include "core/util.h"
#include "policy/suggest.h"

static const sl_cli_command commands[] = {
    {"run", "run a command, confined", sl_cli_run_main},
    {"ps", "list the runs", sl_cli_ps_main},
    {"inspect", "show a run and its policy", sl_cli_inspect_main},
    {"kill", "end a run, or signal it", sl_cli_kill_main},
    {"check", "tell what this kernel can do", sl_cli_check_main},
    {"profile", "list, show or delete profiles", sl_cli_profile_main},
    {"version", "print the version", sl_cli_version_main},
    {"help", "print the help of a command", sl_cli_help_main},
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
            "unknown command '%s'; expected one of 'run', 'ps', 'inspect', 'kill', "
            "'check', 'profile', 'version', 'help' ('sandlock run -- %s' runs a program)",
            name, name);
    }
    return sl_cli_fail(&err);
}

int sl_cli_simple_options(int argc, char **argv, bool *ret_json, int *ret_code, sl_error *err)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            *ret_code = sl_cli_help_print(argv[0]);
            return 1;
        }
        if (ret_json != NULL && strcmp(argv[i], "--json") == 0) {
            *ret_json = true;
        } else if (argv[i][0] == '-') {
            return sl_error_usage(err, "unknown option '%s'; expected '--json' or '--help'",
                                  argv[i]);
        } else {
            return sl_error_usage(err, "unexpected word '%s'; 'sandlock %s' takes none", argv[i],
                                  argv[0]);
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        sl_error err;
        sl_error_usage(&err, "no command given; expected one of 'run', 'ps', 'inspect', 'kill', "
                             "'check', 'profile', 'version', 'help' (see 'sandlock help')");
        return sl_cli_fail(&err);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        return sl_cli_help_print(NULL);
    }
    if (strcmp(argv[1], "--version") == 0) {
        return sl_cli_version_main(1, argv);
    }
    const sl_cli_command *command = sl_cli_command_find(argv[1]);
    return command == NULL ? sl_cli_command_unknown(argv[1]) : command->main(argc - 1, argv + 1);
}
