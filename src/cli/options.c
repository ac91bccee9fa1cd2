/* Owns the grammar of the command line. It runs nothing and prints nothing, and opens nothing
 * but profiles; what is not understood is an error, never a guess. */
#include "cli/options.h"

#include <errno.h>
#include <string.h>

#include "cli/options_int.h"
#include "cli/profiles.h"
#include "core/num.h"
#include "core/util.h"

#define STATUS_FD_MAX 999999999u

/* Where the reading is. */
struct reader {
    char *const *argv;
    int argc;
    int next;
};

/* A forgotten value must not swallow what follows. `--option=value` takes any value. */
static bool is_option_word(const char *word)
{
    sl_cli_found found;
    if (strcmp(word, "--") == 0) {
        return true;
    }
    return strncmp(word, "--", 2) == 0 && sl_cli_find(word, strcspn(word, "="), 0, &found);
}

static int take_value(struct reader *r, const char *option, const sl_cli_found *found,
                      const char **ret_value, sl_error *err)
{
    if (r->next >= r->argc) {
        return sl_error_usage(err, "option '%s' expects %s after it", option, found->argument);
    }
    if (is_option_word(r->argv[r->next])) {
        return sl_error_usage(err, "option '%s' expects %s after it, found '%s'", option,
                              found->argument, r->argv[r->next]);
    }
    *ret_value = r->argv[r->next++];
    return 0;
}

static int parse_fd(const char *value, int *ret_fd, sl_error *err)
{
    uint64_t fd;
    if (sl_num_parse_str(value, STATUS_FD_MAX, &fd) < 0) {
        return sl_error_usage(err, "option '--status-fd': '%s' is not the number of a descriptor",
                              value);
    }
    *ret_fd = (int)fd;
    return 0;
}

static int add_profile(sl_cli_run *run, const char *word, sl_error *err)
{
    if (word[0] == '\0') {
        return sl_error_usage(err, "option '--profile': expected a name or a file, found ''");
    }
    if (run->profiles.count >= SL_CLI_PROFILES_MAX) {
        return sl_error_usage(err, "option '--profile' is given more than %d times",
                              SL_CLI_PROFILES_MAX);
    }
    return sl_strv_add(&run->profiles, word) < 0 ? sl_error_set(err, ENOMEM, "not enough memory")
                                                 : 0;
}

static int apply_own(sl_cli_run *run, const sl_cli_option *own, const char *value, sl_error *err)
{
    switch (own->id) {
    case SL_CLI_PROFILE:
        return add_profile(run, value, err);
    case SL_CLI_INTERACTIVE:
        run->interactive = true;
        return 0;
    case SL_CLI_EXEC_SHELL:
        if (run->shell[0] != NULL) {
            return sl_error_usage(err, "option '-e' is given twice; expected one command");
        }
        run->shell[0] = (char *)"/bin/sh";
        run->shell[1] = (char *)"-c";
        run->shell[2] = (char *)value;
        return 0;
    case SL_CLI_STATUS_FD:
        return parse_fd(value, &run->status_fd, err);
    case SL_CLI_QUIET:
        run->quiet = true;
        return 0;
    case SL_CLI_EXPLAIN:
        run->explain = true;
        return 0;
    case SL_CLI_PRINT_POLICY:
        run->print_policy = true;
        return 0;
    case SL_CLI_NO_SUPERVISOR:
        run->no_supervisor = true;
        return 0;
    case SL_CLI_HELP:
        run->help = true;
        return 0;
    }
    return sl_error_set(err, EINVAL, "option '%s' has no meaning here", own->option);
}

static int apply(sl_cli_run *run, const sl_cli_found *found, const char *value, sl_error *err)
{
    if (found->own != NULL) {
        return apply_own(run, found->own, value, err);
    }
    if (found->field->type == SL_FIELD_BOOL && value == NULL) {
        value = found->field->negated ? "false" : "true";
    } else if (found->field->type == SL_FIELD_BOOL && found->field->negated) {
        value = strcmp(value, "true") == 0 ? "false" : strcmp(value, "false") == 0 ? "true" : value;
    }
    int r = sl_policy_set(run->policy, found->field, value, err);
    if (r < 0 && err != NULL && strstr(err->message, found->field->option) == NULL) {
        sl_error_prefix(err, "%s", found->field->option); /* the same rule may stand elsewhere */
    }
    return r;
}

/* "--name", "--name=value" */
static int read_long(struct reader *r, sl_cli_run *run, sl_error *err)
{
    const char *word = r->argv[r->next++];
    size_t len = strcspn(word, "=");
    const char *value = word[len] == '=' ? word + len + 1 : NULL;
    sl_cli_found found;
    if (!sl_cli_find(word, len, 0, &found)) {
        return sl_cli_unknown_long(word, len, err);
    }
    /* "--no-udp=false" takes back what a profile said. */
    if (found.argument == NULL && value != NULL && found.field == NULL) {
        return sl_error_usage(err, "option '%s' takes no value, found '%s'", found.option, value);
    }
    if (found.argument != NULL && value == NULL) {
        int e = take_value(r, found.option, &found, &value, err);
        if (e < 0) {
            return e;
        }
    }
    return apply(run, &found, value, err);
}

/* "-r PATH", "-rPATH", "-h", and letters without values before one of them */
static int read_short(struct reader *r, sl_cli_run *run, sl_error *err)
{
    const char *word = r->argv[r->next++];
    for (const char *p = word + 1; *p != '\0' && !run->help; p++) {
        char option[3] = {'-', *p, '\0'};
        const char *value = NULL;
        sl_cli_found found;
        if (!sl_cli_find(NULL, 0, *p, &found)) {
            return sl_cli_unknown_short(*p, word, err);
        }
        int e = 0;
        if (found.argument != NULL && p[1] != '\0') {
            value = p + 1;
        } else if (found.argument != NULL) {
            e = take_value(r, option, &found, &value, err);
        }
        e = e < 0 ? e : apply(run, &found, value, err);
        if (e < 0 || value != NULL) {
            return e;
        }
    }
    return 0;
}

static int read_options(struct reader *r, sl_cli_run *run, sl_error *err)
{
    while (r->next < r->argc && !run->help) {
        const char *word = r->argv[r->next];
        if (word[0] != '-' || word[1] == '\0') {
            return 0;
        }
        if (strcmp(word, "--") == 0) {
            r->next++;
            return 0;
        }
        int e = word[1] == '-' ? read_long(r, run, err) : read_short(r, run, err);
        if (e < 0) {
            return e;
        }
    }
    return 0;
}

static int choose_command(const struct reader *r, sl_cli_run *run, sl_error *err)
{
    bool given = r->next < r->argc;
    if (given && run->shell[0] != NULL) {
        return sl_error_usage(err, "'%s' is given beside '-e'; expected one command",
                              r->argv[r->next]);
    }
    if (run->shell[0] != NULL) {
        run->argv = run->shell;
    } else if (given) {
        run->argv = r->argv + r->next;
    } else if (!run->print_policy) {
        return sl_error_usage(err,
                              "no command given; expected 'sandlock run [OPTION]... -- COMMAND "
                              "[ARGUMENT]...' (see 'sandlock run --help')");
    }
    return 0;
}

static int begin(sl_cli_run *run, sl_error *err)
{
    *run = (sl_cli_run){.policy = sl_policy_new(), .status_fd = -1};
    return run->policy == NULL ? sl_error_set(err, ENOMEM, "not enough memory") : 0;
}

/* The profiles are known once all words were read: the words are read again on top of them. */
static int begin_with_profiles(struct reader *reader, sl_cli_run *run, sl_error *err)
{
    sl_strv profiles = run->profiles;
    run->profiles = (sl_strv){0};
    sl_cli_run_done(run);
    int r = begin(run, err);
    for (size_t i = 0; r == 0 && i < profiles.count; i++) {
        r = sl_cli_profile_load(profiles.items[i], run->policy, err);
    }
    sl_strv_done(&profiles);
    reader->next = 1;
    return r < 0 ? r : read_options(reader, run, err);
}

int sl_cli_run_parse(int argc, char *const *argv, sl_cli_run *ret_run, sl_error *err)
{
    struct reader reader = {.argv = argv, .argc = argc, .next = 1};
    int r = begin(ret_run, err);
    r = r < 0 ? r : read_options(&reader, ret_run, err);
    if (r == 0 && !ret_run->help && ret_run->profiles.count > 0) {
        r = begin_with_profiles(&reader, ret_run, err);
    }
    if (r == 0 && !ret_run->help) {
        if (strcmp(argv[0], "why") == 0) {
            ret_run->explain = true;
            ret_run->quiet = false;
        }
        ret_run->policy->explain = ret_run->explain;
        r = choose_command(&reader, ret_run, err);
        r = r < 0 ? r : sl_policy_freeze(ret_run->policy, err);
    }
    if (r < 0 || ret_run->help) {
        sl_cli_run_done(ret_run);
    }
    return r;
}

void sl_cli_run_done(sl_cli_run *run)
{
    sl_policy_free(run->policy);
    run->policy = NULL;
    sl_strv_done(&run->profiles);
}
