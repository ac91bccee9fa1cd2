/* Owns the help texts. The options of `run` come from the tables that also read them, so that none
 * can be missing here. */
#include "cli/help.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/mains.h"
#include "cli/options.h"
#include "cli/say.h"
#include "core/util.h"

#define HELP_COLUMN 34

static const char run_head[] =
    "usage: sandlock run [OPTION]... [--] COMMAND [ARGUMENT]...\n"
    "\n"
    "Runs COMMAND with what the options grant and nothing else. Without -r, -w and --fs-deny it\n"
    "reads everything but well-known secrets and devices, writes the current directory and /tmp,\n"
    "and signals only its own. Unix sockets of others are out of reach unless named by "
    "'unix:PATH'\n"
    "or -w SOCKET. Without network options the network is open; with any HTTP rule, what no rule "
    "names\n"
    "is denied.\n"
    "\n"
    "example: one API may be asked, one directory written\n"
    "  sandlock run -r / -w . --http-allow 'POST api.example.com/v1/*' -- python3 agent.py\n";

static const char run_tail[] =
    "\n"
    "exit code: the command's own; 128+n when signal n ended it; 124 timeout; 125 sandlock itself\n"
    "failed; 126 not executable; 127 not found; 2 words or a profile not understood\n";

static const struct {
    const char *command;
    const char *text;
} simple[] = {
    {"why",
     "usage: sandlock why [OPTION]... [--] COMMAND [ARGUMENT]...\n"
     "\n"
     "Runs COMMAND as 'sandlock run --explain' with the same options does, and tells at the end "
     "each\n"
     "file, program, socket and request that was refused, with the flag that would allow it.\n"
     "Only what the sandbox refused is named: not what is missing, nor what this user may not do\n"
     "anyway. Opens take longer. 'sandlock help run' lists the options.\n"
     "\n"
     "example: which files does it miss?\n"
     "  sandlock why -r /usr -w . -- python3 build.py\n"},
    {"ps", "usage: sandlock ps [--json]\n"
           "\n"
           "Lists the runs of this user: name, process id of the command, state, start, command.\n"
           "A run without --name is called by its command and that number.\n"
           "\n"
           "example:\n"
           "  sandlock ps --json\n"},
    {"inspect",
     "usage: sandlock inspect [--json] NAME|PID\n"
     "\n"
     "Shows one run: what 'sandlock ps' lists, what was allowed and denied up to now, and\n"
     "the policy as TOML. PID is the command's or that of its 'sandlock run'. Exits with 1\n"
     "if there is no such run, or more than one of that name.\n"
     "\n"
     "example:\n"
     "  sandlock inspect --json agent\n"},
    {"kill",
     "usage: sandlock kill [--signal SIGNAL] NAME|PID\n"
     "\n"
     "Ends a run: SIGTERM for its command, SIGKILL if it is still there 5 seconds later. Returns\n"
     "when it is over, with all that it started. With --signal the command gets that signal, and\n"
     "nothing more. Exits with 1 if there is no such run, or more than one of that name.\n"
     "\n"
     "  -s, --signal SIGNAL   a name or a number: TERM, SIGINT, 9\n"
     "\n"
     "example:\n"
     "  sandlock kill agent\n"
     "  sandlock kill --signal USR1 agent\n"},
    {"check",
     "usage: sandlock check [--json]\n"
     "\n"
     "Tries every kernel feature that sandlock uses and tells what is lost without it. Exits\n"
     "with 1 if 'sandlock run' would refuse here.\n"
     "\n"
     "example:\n"
     "  sandlock check --json\n"},
    {"profile",
     "usage: sandlock profile list [--json]\n"
     "       sandlock profile show NAME\n"
     "       sandlock profile delete NAME\n"
     "\n"
     "Profiles are policies written as TOML: 'sandlock run -p NAME'. Your own are in\n"
     "$XDG_CONFIG_HOME (or ~/.config) in sandlock/profiles/NAME.toml, and hide a shipped one of\n"
     "the same name. Only your own can be deleted.\n"
     "\n"
     "example: a profile from the options of a run, then the run with it\n"
     "  sandlock run -r / -w . --no-udp --print-policy > ~/.config/sandlock/profiles/mine.toml\n"
     "  sandlock profile show mine\n"
     "  sandlock run -p mine -- ls\n"},
    {"version", "usage: sandlock version [--json]\n"
                "\n"
                "Prints the version.\n"
                "\n"
                "example:\n"
                "  sandlock version\n"},
    {"help", "usage: sandlock help [COMMAND]\n"
             "\n"
             "Prints the help of COMMAND, as 'sandlock COMMAND --help' does.\n"
             "\n"
             "example:\n"
             "  sandlock help run\n"},
};

static int add_row(sl_buf *out, char letter, const char *option, const char *argument,
                   const char *help)
{
    char left[128];
    char head[8] = "    ";
    if (letter != 0) {
        snprintf(head, sizeof(head), "-%c, ", letter);
    }
    int n = snprintf(left, sizeof(left), "  %s%s%s%s", head, option, argument == NULL ? "" : " ",
                     argument == NULL ? "" : argument);
    if (n >= HELP_COLUMN) {
        return sl_buf_printf(out, "%s\n%*s%s\n", left, HELP_COLUMN, "", help);
    }
    return sl_buf_printf(out, "%-*s%s\n", HELP_COLUMN, left, help);
}

/* The first field of a group prints the whole group, in the table's order. */
static int add_group(sl_buf *out, const sl_field *fields, size_t count, size_t first)
{
    const char *group = fields[first].group;
    for (size_t i = 0; i < first; i++) {
        if (fields[i].option != NULL && strcmp(fields[i].group, group) == 0) {
            return 0;
        }
    }
    int r = sl_buf_printf(out, "\n%s:\n", group);
    for (size_t i = first; r == 0 && i < count; i++) {
        const sl_field *f = &fields[i];
        if (f->option != NULL && strcmp(f->group, group) == 0) {
            r = add_row(out, f->short_option, f->option,
                        f->type == SL_FIELD_BOOL ? NULL : f->argument, f->help);
        }
    }
    return r;
}

static int add_run(sl_buf *out)
{
    size_t count;
    int r = sl_buf_append_str(out, run_head);
    const sl_field *fields = sl_fields(&count);
    for (size_t i = 0; r == 0 && i < count; i++) {
        if (fields[i].option != NULL) {
            r = add_group(out, fields, count, i);
        }
    }
    r = r < 0 ? r : sl_buf_append_str(out, "\nThis program:\n");
    const sl_cli_option *own = sl_cli_own_options(&count);
    for (size_t i = 0; r == 0 && i < count; i++) {
        r = add_row(out, own[i].short_option, own[i].option, own[i].argument, own[i].help);
    }
    return r < 0 ? r : sl_buf_append_str(out, run_tail);
}

static int add_program(sl_buf *out)
{
    size_t count;
    const sl_cli_command *commands = sl_cli_commands(&count);
    int r = sl_buf_append_str(out, "usage: sandlock COMMAND ...\n"
                                   "\n"
                                   "Runs programs with what you grant them and nothing else.\n"
                                   "\n"
                                   "commands:\n");
    for (size_t i = 0; r == 0 && i < count; i++) {
        r = sl_buf_printf(out, "  %-10s%s\n", commands[i].name, commands[i].help);
    }
    return r < 0 ? r
                 : sl_buf_append_str(out, "\n"
                                          "example:\n"
                                          "  sandlock run -r / --http-allow 'GET example.com/*' -- "
                                          "curl https://example.com/\n"
                                          "\n"
                                          "'sandlock help COMMAND' tells more.\n");
}

int sl_cli_help_print(const char *command)
{
    sl_buf out;
    sl_buf_init(&out, SL_CLI_OUTPUT_MAX);
    int r = -ENOENT;
    if (command == NULL) {
        r = add_program(&out);
    } else if (strcmp(command, "run") == 0) {
        r = add_run(&out);
    }
    for (size_t i = 0; command != NULL && i < SL_ARRAY_LEN(simple); i++) {
        if (strcmp(command, simple[i].command) == 0) {
            r = sl_buf_append_str(&out, simple[i].text);
        }
    }
    int code = sl_cli_put(r, &out);
    sl_buf_done(&out);
    return code;
}

int sl_cli_help_main(int argc, char **argv)
{
    if (argc > 2) {
        sl_error err;
        sl_error_usage(&err, "unexpected word '%s'; expected 'sandlock help [COMMAND]'", argv[2]);
        return sl_cli_fail(&err);
    }
    if (argc < 2) {
        return sl_cli_help_print(NULL);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        return sl_cli_help_print("help");
    }
    return sl_cli_command_find(argv[1]) == NULL ? sl_cli_command_unknown(argv[1])
                                                : sl_cli_help_print(argv[1]);
}
