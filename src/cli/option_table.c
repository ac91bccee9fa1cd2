/* Owns the search for an option: the fields of the policy and the few that are the program's own.
 * It changes nothing. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/options_int.h"
#include "core/util.h"
#include "policy/text/suggest.h"

#define SHOWN_MAX 200 /* bytes of an unknown word that are repeated */

static const sl_cli_option own_options[] = {
    {SL_CLI_PROFILE, "--profile", 'p', "NAME|FILE",
     "begin with this profile; options add to it and override it"},
    {SL_CLI_INTERACTIVE, "--interactive", 'i', NULL, "give the command a terminal of its own"},
    {SL_CLI_EXEC_SHELL, "--exec-shell", 'e', "CMD", "run /bin/sh -c CMD instead of a command"},
    {SL_CLI_STATUS_FD, "--status-fd", 0, "N", "write one JSON line about the end to descriptor N"},
    {SL_CLI_QUIET, "--quiet", 0, NULL, "no warnings, no summary of what was denied"},
    {SL_CLI_EXPLAIN, "--explain", 0, NULL,
     "name each file and program that is refused, and the flag for it; opens are slower"},
    {SL_CLI_PRINT_POLICY, "--print-policy", 0, NULL, "print the policy as TOML and run nothing"},
    {SL_CLI_NO_SUPERVISOR, "--no-supervisor", 0, NULL,
     "kernel rules alone; no process of ours stays"},
    {SL_CLI_HELP, "--help", 'h', NULL, "print this text"},
};

const sl_cli_option *sl_cli_own_options(size_t *ret_count)
{
    *ret_count = SL_ARRAY_LEN(own_options);
    return own_options;
}

static bool is_word(const char *option, const char *word, size_t len)
{
    return option != NULL && strncmp(option, word, len) == 0 && option[len] == '\0';
}

static const char *argument_of(const sl_field *f)
{
    if (f->type == SL_FIELD_BOOL) {
        return NULL;
    }
    return f->argument == NULL ? "VALUE" : f->argument;
}

bool sl_cli_find(const char *word, size_t len, char letter, sl_cli_found *ret_found)
{
    for (size_t i = 0; i < SL_ARRAY_LEN(own_options); i++) {
        const sl_cli_option *o = &own_options[i];
        if (word != NULL ? is_word(o->option, word, len) : o->short_option == letter) {
            *ret_found = (sl_cli_found){.own = o, .option = o->option, .argument = o->argument};
            return true;
        }
    }
    size_t count;
    const sl_field *fields = sl_fields(&count);
    for (size_t i = 0; i < count; i++) {
        const sl_field *f = &fields[i];
        bool is_alias = word != NULL && is_word(f->option_alias, word, len);
        bool is_it = word != NULL ? is_word(f->option, word, len)
                                  : f->option != NULL && f->short_option == letter;
        if (is_it || is_alias) {
            *ret_found = (sl_cli_found){
                .field = f,
                .option = is_alias ? f->option_alias : f->option,
                .argument = argument_of(f),
            };
            return true;
        }
    }
    return false;
}

static void offer(const char *name, const char *option, size_t *best, const char **ret_option)
{
    size_t d = sl_suggest_distance(name, option);
    if (d < *best) {
        *best = d;
        *ret_option = option;
    }
}

static const char *nearest(const char *name)
{
    size_t best = SIZE_MAX;
    const char *option = NULL;
    for (size_t i = 0; i < SL_ARRAY_LEN(own_options); i++) {
        offer(name, own_options[i].option + 2, &best, &option);
    }
    size_t count;
    const sl_field *fields = sl_fields(&count);
    for (size_t i = 0; i < count; i++) {
        if (fields[i].option != NULL) {
            offer(name, fields[i].option + 2, &best, &option);
        }
    }
    return sl_suggest_near(best, strlen(name)) ? option : NULL;
}

int sl_cli_unknown_long(const char *word, size_t len, sl_error *err)
{
    char name[SHOWN_MAX + 1];
    snprintf(name, sizeof(name), "%.*s", (int)SL_MIN(len, SHOWN_MAX), word);
    const char *near = nearest(name + 2);
    if (near != NULL) {
        return sl_error_usage(err, "unknown option '%s'; did you mean '--%s'?", name, near);
    }
    return sl_error_usage(err, "unknown option '%s'; expected one that 'sandlock run --help' lists",
                          name);
}

int sl_cli_unknown_short(char letter, const char *word, sl_error *err)
{
    sl_cli_found other;
    char swapped = (char)(letter ^ 0x20); /* the other case */
    bool is_letter = (swapped >= 'a' && swapped <= 'z') || (swapped >= 'A' && swapped <= 'Z');
    if (is_letter && sl_cli_find(NULL, 0, swapped, &other)) {
        return sl_error_usage(err, "unknown option '-%c' in '%.*s'; did you mean '-%c' (%s)?",
                              letter, SHOWN_MAX, word, swapped, other.option);
    }
    return sl_error_usage(
        err, "unknown option '-%c' in '%.*s'; expected one that 'sandlock run --help' lists",
        letter, SHOWN_MAX, word);
}
