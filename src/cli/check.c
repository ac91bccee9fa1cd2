/* Owns the command `check`: prints what the probe found. Decides nothing. */
#include <string.h>

#include "cli/cli.h"
#include "sandbox/probe.h"

static void print_json_string(const char *text)
{
    putchar('"');
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            printf("\\%c", c);
        } else if (c < 0x20 || c >= 0x7f) {
            printf("\\u%04x", c);
        } else {
            putchar(c);
        }
    }
    putchar('"');
}

static void print_json_member(const char *name, const char *value)
{
    printf("\"%s\": ", name);
    print_json_string(value == NULL ? "" : value);
    fputs(", ", stdout);
}

static void print_json(const sl_probe_result *rows, size_t count)
{
    fputs("[", stdout);
    for (size_t i = 0; i < count; i++) {
        fputs(i == 0 ? "\n  {" : ",\n  {", stdout);
        print_json_member("name", rows[i].name);
        print_json_member("since", rows[i].since);
        print_json_member("detail", rows[i].detail);
        print_json_member("lost", rows[i].lost);
        printf("\"required\": %s, \"works\": %s}", rows[i].required ? "true" : "false",
               rows[i].works ? "true" : "false");
    }
    fputs("\n]\n", stdout);
}

static void print_table(const sl_probe_result *rows, size_t count)
{
    printf("%-22s %-8s %-7s %s\n", "feature", "", "since", "detail");
    for (size_t i = 0; i < count; i++) {
        const sl_probe_result *row = &rows[i];
        const char *state = row->works ? "ok" : row->required ? "MISSING" : "no";
        printf("%-22s %-8s %-7s %s\n", row->name, state, row->since, row->detail);
        if (!row->works && row->lost != NULL) {
            printf("%-22s          %s without it: %s\n", "", row->required ? "required;" : "",
                   row->lost);
        }
    }
}

int sl_cli_check(char *const *argv)
{
    bool json = false;
    for (; *argv != NULL; argv++) {
        if (strcmp(*argv, "--help") == 0 || strcmp(*argv, "-h") == 0) {
            sl_cli_help_check(stdout);
            return 0;
        }
        if (strcmp(*argv, "--json") != 0) {
            sl_error err;
            (void)sl_error_usage(&err, "check: unknown word '%.120s'; expected --json or nothing",
                                 *argv);
            sl_cli_say(err.message);
            return SL_EXIT_USAGE;
        }
        json = true;
    }
    sl_probe_result rows[SL_PROBE_MAX];
    size_t count = sl_probe_all(rows);
    bool ready = true;
    for (size_t i = 0; i < count; i++) {
        ready = ready && (rows[i].works || !rows[i].required);
    }
    if (json) {
        print_json(rows, count);
    } else {
        print_table(rows, count);
        puts(ready ? "\n'sandlock run' works here."
                   : "\n'sandlock run' refuses to start here (see --allow-degraded).");
    }
    return ready ? 0 : 1;
}
