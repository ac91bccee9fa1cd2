/* Owns the help texts. Each ends with an example that works as it stands. */
#include <string.h>

#include "cli/cli.h"

#define COLUMN 34 /* where explanations begin */

void sl_cli_help(FILE *to)
{
    fputs("sandlock confines a command and decides every HTTP request it makes.\n"
          "\n"
          "Usage: sandlock COMMAND [...]\n"
          "\n"
          "  run       run a command, confined\n"
          "  check     try what this kernel can do\n"
          "  version   print the version\n"
          "  help      show help for a command: sandlock help run\n"
          "\n"
          "Example: let curl read one API and nothing else on the network\n"
          "\n"
          "  sandlock run --http-allow 'GET api.example.com/v1/*' -- \\\n"
          "    curl https://api.example.com/v1/models\n",
          to);
}

static void print_row(FILE *to, char short_option, const char *option, const char *argument,
                      const char *help)
{
    char left[96];
    char dash[5] = "    ";
    if (short_option != 0) {
        snprintf(dash, sizeof(dash), "-%c, ", short_option);
    }
    snprintf(left, sizeof(left), "  %s%s%s%s", dash, option, argument == NULL ? "" : " ",
             argument == NULL ? "" : argument);
    if (strlen(left) >= COLUMN) {
        fprintf(to, "%s\n%*s%s\n", left, COLUMN, "", help);
    } else {
        fprintf(to, "%-*s%s\n", COLUMN, left, help);
    }
}

static void print_fields(FILE *to)
{
    size_t count;
    const sl_field *fields = sl_fields(&count);
    const char *group = "";
    for (size_t i = 0; i < count; i++) {
        const sl_field *f = &fields[i];
        if (f->option == NULL) {
            continue;
        }
        if (strcmp(group, f->group) != 0) {
            group = f->group;
            fprintf(to, "\n%s\n", group);
        }
        print_row(to, f->short_option, f->option, f->argument, f->help);
    }
}

void sl_cli_help_run(FILE *to)
{
    fputs("Runs COMMAND with only the files, destinations and HTTP requests that are named.\n"
          "\n"
          "Usage: sandlock run [OPTION...] [--] COMMAND [ARG...]\n"
          "       sandlock run [OPTION...] -e 'SHELL COMMAND'\n",
          to);
    print_fields(to);
    for (int i = 0; i < SL_CLI_OPTION_COUNT; i++) {
        const sl_cli_option *o = &sl_cli_options[i];
        print_row(to, o->short_option, o->option, o->argument, o->help);
    }
    fputs("\n"
          "Without -r, -w and --fs-deny it reads all but well-known secrets, and writes the\n"
          "current directory and /tmp. Without network options the network is open; with any\n"
          "HTTP or net rule, what no rule names is denied.\n"
          "\n"
          "Exit code: the command's own; 128+n for signal n; 124 timeout; 125 sandlock itself;\n"
          "126 not executable; 127 not found; 2 a command line that cannot be understood.\n"
          "\n"
          "Example: an agent that may read one API, post to one path, and use one database\n"
          "\n"
          "  sandlock run -r /usr -r /etc -w . \\\n"
          "    --http-allow 'GET api.example.com/v1/*' \\\n"
          "    --http-allow 'POST api.example.com/v1/chat/completions' \\\n"
          "    --net-allow db.example.com:5432 -- python3 agent.py\n",
          to);
}

void sl_cli_help_check(FILE *to)
{
    fputs("Tries every kernel feature that sandlock uses and says what is lost without it.\n"
          "\n"
          "Usage: sandlock check [--json]\n"
          "\n"
          "      --json   print a JSON array\n"
          "\n"
          "Exit code: 0 if 'sandlock run' works here, 1 if it would refuse.\n"
          "\n"
          "Example: sandlock check && echo ready\n",
          to);
}

void sl_cli_help_version(FILE *to)
{
    fputs("Prints the version.\n"
          "\n"
          "Usage: sandlock version\n"
          "\n"
          "Example: sandlock version\n",
          to);
}
