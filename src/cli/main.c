/* Owns the program's first word: which command. Does nothing else before it, so that `run` starts
 * fast. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "core/util.h"
#include "policy/suggest.h"

static int cmd_version(char *const *argv)
{
    if (*argv != NULL && (strcmp(*argv, "--help") == 0 || strcmp(*argv, "-h") == 0)) {
        sl_cli_help_version(stdout);
        return 0;
    }
    if (*argv != NULL) {
        sl_error err;
        (void)sl_error_usage(&err, "version: unexpected word '%.120s'", *argv);
        sl_cli_say(err.message);
        return SL_EXIT_USAGE;
    }
    puts("sandlock " SANDLOCK_VERSION);
    return 0;
}

static int cmd_help(char *const *argv);

static const struct {
    const char *name;
    int (*run)(char *const *argv);
    void (*help)(FILE *to);
} commands[] = {
    {"run", sl_cli_run, sl_cli_help_run},
    {"check", sl_cli_check, sl_cli_help_check},
    {"version", cmd_version, sl_cli_help_version},
    {"help", cmd_help, sl_cli_help},
};

static int unknown_command(const char *word)
{
    const char *nearest = NULL;
    size_t least = SIZE_MAX;
    sl_error err;
    for (size_t i = 0; i < SL_ARRAY_LEN(commands); i++) {
        size_t distance = sl_suggest_distance(word, commands[i].name);
        if (distance < least) {
            least = distance;
            nearest = commands[i].name;
        }
    }
    if (nearest != NULL && sl_suggest_near(least, strlen(word))) {
        (void)sl_error_usage(&err, "unknown command '%.120s'; did you mean '%s'?", word, nearest);
    } else {
        (void)sl_error_usage(&err, "unknown command '%.120s'; expected run, check, version or help",
                             word);
    }
    sl_cli_say(err.message);
    return SL_EXIT_USAGE;
}

static int cmd_help(char *const *argv)
{
    if (*argv == NULL || argv[0][0] == '-') {
        sl_cli_help(stdout);
        return 0;
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(commands); i++) {
        if (strcmp(*argv, commands[i].name) == 0) {
            commands[i].help(stdout);
            return 0;
        }
    }
    return unknown_command(*argv);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        sl_cli_help(stderr);
        return SL_EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        return cmd_help(argv + 2);
    }
    if (strcmp(argv[1], "--version") == 0) {
        return cmd_version(argv + 2);
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(commands); i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            return commands[i].run(argv + 2);
        }
    }
    return unknown_command(argv[1]);
}
