/* Owns the command line of `run`: the policy's fields and the few options that are none. Never
 * looks at the file system, never repairs a word. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>

#include "cli/cli.h"
#include "core/util.h"
#include "policy/suggest.h"

#define SHOWN_MAX 120

const sl_cli_option sl_cli_options[SL_CLI_OPTION_COUNT] = {
    [SL_CLI_EXEC_SHELL] = {"--exec-shell", 'e', "CMD", "run CMD with /bin/sh -c"},
    [SL_CLI_STATUS_FD] = {"--status-fd", 0, "N",
                          "write one JSON line about the end to descriptor N"},
    [SL_CLI_QUIET] = {"--quiet", 'q', NULL, "no warnings, no summary at the end"},
    [SL_CLI_PRINT_POLICY] = {"--print-policy", 0, NULL, "print the policy as TOML; run nothing"},
    [SL_CLI_NO_SUPERVISOR] = {"--no-supervisor", 0, NULL,
                              "kernel rules alone, nothing stays beside the command"},
    [SL_CLI_HELP] = {"--help", 'h', NULL, "show this help"},
};

/* An option found: a field, or the index of one of ours. */
struct match {
    const sl_field *field;
    enum sl_cli_option_id own;
};

static bool word_is(const char *option, const char *word, size_t len)
{
    return option != NULL && strlen(option) == len && memcmp(option, word, len) == 0;
}

static bool find_long(const char *word, size_t len, struct match *ret)
{
    size_t count;
    const sl_field *fields = sl_fields(&count);
    for (size_t i = 0; i < count; i++) {
        if (word_is(fields[i].option, word, len) || word_is(fields[i].option_alias, word, len)) {
            ret->field = &fields[i];
            return true;
        }
    }
    for (int i = 0; i < SL_CLI_OPTION_COUNT; i++) {
        if (word_is(sl_cli_options[i].option, word, len)) {
            *ret = (struct match){.own = (enum sl_cli_option_id)i};
            return true;
        }
    }
    return false;
}

static bool find_short(char c, struct match *ret)
{
    size_t count;
    const sl_field *fields = sl_fields(&count);
    for (size_t i = 0; i < count; i++) {
        if (fields[i].short_option == c) {
            ret->field = &fields[i];
            return true;
        }
    }
    for (int i = 0; i < SL_CLI_OPTION_COUNT; i++) {
        if (sl_cli_options[i].short_option == c) {
            *ret = (struct match){.own = (enum sl_cli_option_id)i};
            return true;
        }
    }
    return false;
}

static void consider(const char *word, const char *option, const char **nearest, size_t *least)
{
    size_t distance = option == NULL ? SIZE_MAX : sl_suggest_distance(word, option);
    if (distance < *least) {
        *least = distance;
        *nearest = option;
    }
}

const char *sl_cli_nearest_option(const char *word)
{
    const char *nearest = NULL;
    size_t least = SIZE_MAX;
    size_t count;
    const sl_field *fields = sl_fields(&count);
    for (size_t i = 0; i < count; i++) {
        consider(word, fields[i].option, &nearest, &least);
        consider(word, fields[i].option_alias, &nearest, &least);
    }
    for (int i = 0; i < SL_CLI_OPTION_COUNT; i++) {
        consider(word, sl_cli_options[i].option, &nearest, &least);
    }
    /* The two dashes always agree and say nothing. */
    return nearest != NULL && strlen(word) > 2 && sl_suggest_near(least, strlen(word) - 2) ? nearest
                                                                                           : NULL;
}

static int unknown(const char *word, sl_error *err)
{
    const char *nearest = strncmp(word, "--", 2) == 0 ? sl_cli_nearest_option(word) : NULL;
    if (nearest != NULL) {
        return sl_error_usage(err, "unknown option '%.*s'; did you mean '%s'?", SHOWN_MAX, word,
                              nearest);
    }
    return sl_error_usage(err, "unknown option '%.*s'; 'sandlock run --help' lists all", SHOWN_MAX,
                          word);
}

static const char *match_argument(const struct match *m)
{
    return m->field != NULL ? m->field->argument : sl_cli_options[m->own].argument;
}

static const char *match_name(const struct match *m)
{
    return m->field != NULL ? sl_field_what(m->field) : sl_cli_options[m->own].option;
}

static int set_status_fd(sl_run_args *args, const char *value, sl_error *err)
{
    int fd = 0;
    size_t n = strspn(value, "0123456789");
    for (size_t i = 0; i < n && i < 7; i++) {
        fd = fd * 10 + (value[i] - '0');
    }
    if (n == 0 || n > 6 || value[n] != '\0') {
        return sl_error_usage(err, "--status-fd: '%.*s': expected the number of an open descriptor",
                              SHOWN_MAX, value);
    }
    if (fcntl(fd, F_GETFD) < 0) {
        return sl_error_usage(err, "--status-fd: descriptor %d is not open", fd);
    }
    args->status_fd = fd;
    return 0;
}

static int apply_own(sl_run_args *args, enum sl_cli_option_id id, const char *value, sl_error *err)
{
    switch (id) {
    case SL_CLI_EXEC_SHELL:
        if (args->shell[0] != NULL) {
            return sl_error_usage(err, "-e: given twice; join the commands with ';'");
        }
        args->shell[0] = "/bin/sh";
        args->shell[1] = "-c";
        args->shell[2] = value;
        return 0;
    case SL_CLI_STATUS_FD:
        return set_status_fd(args, value, err);
    case SL_CLI_QUIET:
        args->quiet = true;
        return 0;
    case SL_CLI_PRINT_POLICY:
        args->print_policy = true;
        return 0;
    case SL_CLI_NO_SUPERVISOR:
        args->no_supervisor = true;
        return 0;
    case SL_CLI_HELP:
        args->help = true;
        return 0;
    case SL_CLI_OPTION_COUNT:
        break;
    }
    return -EINVAL;
}

static int apply(sl_run_args *args, const struct match *m, const char *value, sl_error *err)
{
    if (m->field == NULL) {
        return apply_own(args, m->own, value, err);
    }
    if (m->field->type == SL_FIELD_BOOL) {
        value = m->field->negated ? "false" : "true";
    }
    return sl_policy_set(args->policy, m->field, value, err);
}

static int missing_value(const struct match *m, const char *word, sl_error *err)
{
    return sl_error_usage(err, "%s: expected %s behind it", word, match_argument(m));
}

/* "--option", "--option VALUE", "--option=VALUE". `*argv` is left at the last word used. */
static int take_long(sl_run_args *args, char *const **argv, sl_error *err)
{
    const char *word = **argv;
    const char *equals = strchr(word, '=');
    size_t len = equals == NULL ? strlen(word) : (size_t)(equals - word);
    struct match m = {0};
    if (!find_long(word, len, &m)) {
        sl_autofree char *name = strndup(word, len);
        return unknown(name == NULL ? "" : name, err);
    }
    if (match_argument(&m) == NULL) {
        return equals != NULL ? sl_error_usage(err, "%s takes no value, found '%.*s'",
                                               match_name(&m), SHOWN_MAX, equals + 1)
                              : apply(args, &m, NULL, err);
    }
    if (equals == NULL && (*argv)[1] == NULL) {
        return missing_value(&m, word, err);
    }
    return apply(args, &m, equals != NULL ? equals + 1 : *++(*argv), err);
}

/* "-q", "-qr PATH", "-rPATH". */
static int take_short(sl_run_args *args, char *const **argv, sl_error *err)
{
    for (const char *c = **argv + 1; *c != '\0' && !args->help; c++) {
        struct match m = {0};
        char word[3] = {'-', *c, '\0'};
        if (!find_short(*c, &m)) {
            return unknown(**argv, err);
        }
        if (match_argument(&m) == NULL) {
            int r = apply(args, &m, NULL, err);
            if (r < 0) {
                return r;
            }
            continue;
        }
        if (c[1] == '\0' && (*argv)[1] == NULL) {
            return missing_value(&m, word, err);
        }
        return apply(args, &m, c[1] != '\0' ? c + 1 : *++(*argv), err);
    }
    return 0;
}

static int take_command(sl_run_args *args, char *const *argv, sl_error *err)
{
    args->command = *argv == NULL ? NULL : argv;
    if (args->shell[0] != NULL) {
        if (args->command != NULL) {
            return sl_error_usage(err, "'%.*s': a command and -e cannot stand together", SHOWN_MAX,
                                  *argv);
        }
        args->command = (char *const *)args->shell;
    }
    if (args->command == NULL && !args->print_policy) {
        return sl_error_usage(err,
                              "run: the command is missing: expected 'sandlock run [OPTION...] "
                              "-- COMMAND [ARG...]'");
    }
    if (args->command != NULL && args->command[0][0] == '\0') {
        return sl_error_usage(err, "run: the command is ''");
    }
    return 0;
}

int sl_run_args_parse(char *const *argv, sl_run_args *ret_args, sl_error *err)
{
    sl_run_args *args = ret_args;
    *args = (sl_run_args){.status_fd = -1};
    args->policy = sl_policy_new();
    if (args->policy == NULL) {
        return sl_error_set(err, ENOMEM, "no memory for the policy");
    }
    for (; *argv != NULL; argv++) {
        const char *word = *argv;
        if (word[0] != '-' || word[1] == '\0') {
            break; /* the command; its own options are not ours */
        }
        if (strcmp(word, "--") == 0) {
            argv++;
            break;
        }
        int r = word[1] == '-' ? take_long(args, &argv, err) : take_short(args, &argv, err);
        if (r < 0 || args->help) {
            return r;
        }
    }
    return take_command(args, argv, err);
}

void sl_run_args_done(sl_run_args *args)
{
    sl_policy_free(args->policy);
    args->policy = NULL;
}
