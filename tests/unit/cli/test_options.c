/* The grammar of `sandlock run`: what each word does, and what each wrong word is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/options.h"
#include "core/util.h"

static int parse(char *const *argv, sl_cli_run *ret_run, sl_error *err)
{
    int argc = 0;
    while (argv[argc] != NULL) {
        argc++;
    }
    memset(err, 0, sizeof(*err));
    return sl_cli_run_parse(argc, argv, ret_run, err);
}

static void good(sl_cli_run *run, char *const *argv)
{
    sl_error err;
    int r = parse(argv, run, &err);
    if (r != 0) {
        fail_msg("refused: %s", err.message);
    }
}

#define GOOD(run, ...) good(run, (char *[]){(char *)"run", __VA_ARGS__, NULL})

/* Refused with exit code 2, and the message has both texts. */
static void refused(const char *word, const char *expected, char *const *argv)
{
    sl_error err;
    sl_cli_run run;
    int r = parse(argv, &run, &err);
    if (r == 0) {
        sl_cli_run_done(&run);
        fail_msg("accepted, for want of '%s'", word);
    }
    assert_null(run.policy);
    if (strstr(err.message, word) == NULL || strstr(err.message, expected) == NULL) {
        fail_msg("'%s' names not both '%s' and '%s'", err.message, word, expected);
    }
    assert_int_equal(sl_error_exit_code(err.kind), 2);
    assert_null(strchr(err.message, '\n'));
}

#define REFUSED(word, expected, ...)                                                               \
    refused(word, expected, (char *[]){(char *)"run", __VA_ARGS__, NULL})

static void first_word_begins_the_command(void **state)
{
    (void)state;
    sl_cli_run run;
    GOOD(&run, "-r", "/usr", "ls", "-w", "/x", "--quiet");
    assert_int_equal(run.policy->fs_readable.count, 1);
    assert_int_equal(run.policy->fs_writable.count, 0);
    assert_false(run.quiet);
    assert_string_equal(run.argv[0], "ls");
    assert_string_equal(run.argv[1], "-w");
    assert_string_equal(run.argv[3], "--quiet");
    assert_null(run.argv[4]);
    assert_true(run.policy->frozen);
    sl_cli_run_done(&run);
}

/* A profile is asked for before the options, in whatever place it stands; here those that are part
 * of the program. */
static void options_go_on_top_of_profiles(void **state)
{
    (void)state;
    sl_cli_run run;
    GOOD(&run, "-P", "3", "-p", "build", "--profile=offline", "--isolate-ipc=false", "-e", "true");
    assert_int_equal(run.profiles.count, 2);
    assert_int_equal(run.policy->max_processes, 3);
    assert_true(run.policy->net_allow_given);
    assert_true(run.policy->isolate_signals);
    assert_false(run.policy->isolate_ipc);
    assert_string_equal(run.argv[2], "true");
    sl_cli_run_done(&run);
    GOOD(&run, "-pbuild", "--allow-raw-sockets=false", "--no-udp=true", "true");
    assert_int_equal(run.policy->max_processes, 1024);
    assert_true(run.policy->no_raw_sockets);
    assert_true(run.policy->no_udp);
    sl_cli_run_done(&run);
    GOOD(&run, "-p", "no-such-profile", "--help"); /* the rest was not looked at */
    sl_cli_run_done(&run);
    REFUSED("'no-such-profile'", "profile list", "-p", "no-such-profile", "true");
    REFUSED("'ofline'", "'offline'", "-p", "ofline", "true");
    REFUSED("--profile", "a name or a file", "-p", "", "true");
    REFUSED("-p", "NAME|FILE", "-p");
    REFUSED("--allow-raw-sockets", "'no'", "--allow-raw-sockets=no", "true");
}

static void two_dashes_end_the_options(void **state)
{
    (void)state;
    sl_cli_run run;
    GOOD(&run, "--quiet", "--", "--help", "--", "x");
    assert_true(run.quiet);
    assert_false(run.help);
    assert_string_equal(run.argv[0], "--help");
    assert_string_equal(run.argv[1], "--");
    assert_string_equal(run.argv[2], "x");
    sl_cli_run_done(&run);
    GOOD(&run, "-");
    assert_string_equal(run.argv[0], "-");
    sl_cli_run_done(&run);
    GOOD(&run, "--", "");
    assert_string_equal(run.argv[0], "");
    sl_cli_run_done(&run);
}

static void every_spelling_of_a_value(void **state)
{
    (void)state;
    static const char *const want[] = {"/a", "/b", "/c", "/d", "/e=f"};
    sl_cli_run run;
    GOOD(&run, "-r", "/a", "-r/b", "--fs-read", "/c", "--fs-read=/d", "--fs-read=/e=f", "true");
    assert_int_equal(run.policy->fs_readable.count, SL_ARRAY_LEN(want));
    for (size_t i = 0; i < SL_ARRAY_LEN(want); i++) {
        assert_string_equal(run.policy->fs_readable.items[i], want[i]);
    }
    sl_cli_run_done(&run);
}

static void aliases_mean_the_same(void **state)
{
    (void)state;
    sl_cli_run run;
    GOOD(&run, "--http-port", "8080", "--http-port=8081", "--http-ports", "8082", "true");
    assert_int_equal(run.policy->http_ports_text.count, 3);
    sl_cli_run_done(&run);
}

static void fields_of_every_type(void **state)
{
    (void)state;
    sl_cli_run run;
    GOOD(&run, "-t", "1.5", "-P7", "--no-udp", "--clean-env", "--allow-raw-sockets", "--env",
         "A=b=c", "--cwd=/", "--name", "n", "--audit=-", "true");
    assert_int_equal(run.policy->timeout_ms, 1500);
    assert_int_equal(run.policy->max_processes, 7);
    assert_true(run.policy->no_udp);
    assert_true(run.policy->clean_env);
    assert_false(run.policy->no_raw_sockets);
    assert_string_equal(run.policy->env.items[0], "A=b=c");
    assert_string_equal(run.policy->cwd, "/");
    assert_string_equal(run.policy->name, "n");
    assert_string_equal(run.policy->audit, "-");
    sl_cli_run_done(&run);
}

static void nothing_given_is_the_default(void **state)
{
    (void)state;
    sl_cli_run run;
    GOOD(&run, "true");
    assert_int_equal(run.status_fd, -1);
    assert_false(run.quiet);
    assert_false(run.no_supervisor);
    assert_false(run.print_policy);
    assert_int_equal(run.policy->max_processes, SL_POLICY_PROCESSES_MAX);
    assert_true(run.policy->no_raw_sockets);
    assert_false(run.policy->net_allow_given);
    assert_false(run.policy->http_allow_given);
    sl_cli_run_done(&run);
}

static void an_empty_list_is_a_restriction(void **state)
{
    (void)state;
    sl_cli_run run;
    GOOD(&run, "--net-allow=", "--http-allow", "", "true");
    assert_true(run.policy->net_allow_given);
    assert_true(run.policy->http_allow_given);
    assert_int_equal(run.policy->net_allow_count, 0);
    assert_int_equal(run.policy->http_allow_count, 0);
    sl_cli_run_done(&run);
}

static void own_options(void **state)
{
    (void)state;
    sl_cli_run run;
    GOOD(&run, "--status-fd", "7", "--no-supervisor", "--quiet", "-e", "echo $0; exit 3");
    assert_int_equal(run.status_fd, 7);
    assert_true(run.no_supervisor);
    assert_true(run.quiet);
    assert_string_equal(run.argv[0], "/bin/sh");
    assert_string_equal(run.argv[1], "-c");
    assert_string_equal(run.argv[2], "echo $0; exit 3");
    assert_null(run.argv[3]);
    sl_cli_run_done(&run);
    GOOD(&run, "--exec-shell=true", "--status-fd=0");
    assert_string_equal(run.argv[2], "true");
    assert_int_equal(run.status_fd, 0);
    sl_cli_run_done(&run);
}

static void why_is_a_run_that_explains(void **state)
{
    (void)state;
    sl_cli_run run;
    GOOD(&run, "--quiet", "true");
    assert_true(run.quiet && !run.explain && !run.policy->explain);
    sl_cli_run_done(&run);
    GOOD(&run, "--explain", "--quiet", "true");
    assert_true(run.quiet && run.explain && run.policy->explain);
    sl_cli_run_done(&run);
    good(&run, (char *[]){(char *)"why", (char *)"--quiet", (char *)"true", NULL});
    assert_true(!run.quiet && run.explain && run.policy->explain);
    sl_cli_run_done(&run);
}

static void printing_needs_no_command(void **state)
{
    (void)state;
    sl_cli_run run;
    GOOD(&run, "--print-policy", "-r", "/");
    assert_true(run.print_policy);
    assert_null(run.argv);
    assert_true(run.policy->frozen);
    sl_cli_run_done(&run);
    GOOD(&run, "-h", "--no-such-option");
    assert_true(run.help);
    sl_cli_run_done(&run);
    GOOD(&run, "-r", "/", "--help");
    assert_true(run.help);
    sl_cli_run_done(&run);
    GOOD(&run, "-hr");
    assert_true(run.help);
    sl_cli_run_done(&run);
}

static void no_command_is_an_error(void **state)
{
    (void)state;
    REFUSED("no command given", "-- COMMAND", "--quiet");
    REFUSED("no command given", "-- COMMAND", "-r", "/", "--");
    sl_cli_run run;
    sl_error err;
    assert_int_not_equal(parse((char *[]){(char *)"run", NULL}, &run, &err), 0);
    REFUSED("'ls'", "one command", "-e", "true", "--", "ls");
    REFUSED("'-e'", "one command", "-e", "true", "-etrue");
}

static void unknown_options_are_named(void **state)
{
    (void)state;
    REFUSED("'--http-alow'", "'--http-allow'", "--http-alow", "x", "--", "true");
    REFUSED("'--http-alow'", "'--http-allow'", "--http-alow=GET x", "--", "true");
    REFUSED("'--fs_read'", "'--fs-read'", "--fs_read", "/", "--", "true");
    REFUSED("'--statusfd'", "'--status-fd'", "--statusfd", "3", "--", "true");
    REFUSED("'--qqqqqqqqqqqqqqqqqqqqqqq'", "--help", "--qqqqqqqqqqqqqqqqqqqqqqq", "true");
    REFUSED("'--'", "--help", "--=x", "true");
    REFUSED("'-R'", "'-r'", "-R", "/", "true");
    REFUSED("'-Z' in '-ZP1'", "--help", "-ZP1", "true");
    REFUSED("'-1'", "--help", "-1", "true");
    /* A prefix is not the option: a later version may have two of that beginning. */
    REFUSED("'--fs-rea'", "'--fs-read'", "--fs-rea", "/", "true");
}

static void very_long_words_are_bounded(void **state)
{
    (void)state;
    char word[8192];
    memset(word, 'a', sizeof(word));
    memcpy(word, "--", 2);
    word[sizeof(word) - 1] = '\0';
    REFUSED("--aaaa", "--help", word, "true");
    word[1] = 'Z';
    REFUSED("'-Z' in '-Zaaa", "--help", word, "true");
}

static void missing_values_are_named(void **state)
{
    (void)state;
    REFUSED("'-r'", "PATH", "-r");
    REFUSED("'--http-allow'", "RULE", "--http-allow");
    REFUSED("'--http-port'", "expects", "--http-port");
    REFUSED("'--status-fd'", "expects N", "--status-fd");
    /* A forgotten value does not swallow the next option, nor the end of options. */
    REFUSED("'--'", "PATH", "-r", "--", "true");
    REFUSED("'--quiet'", "PATH", "-r", "--quiet", "--", "true");
    REFUSED("'--fs-write=/x'", "PATH", "--fs-read", "--fs-write=/x", "--", "true");
    sl_cli_run run;
    GOOD(&run, "--fs-read=--", "-r-x", "true");
    assert_string_equal(run.policy->fs_readable.items[0], "--");
    assert_string_equal(run.policy->fs_readable.items[1], "-x");
    sl_cli_run_done(&run);
}

/* Switches of the policy may be taken back from a profile; the program's own take nothing. */
static void flags_take_true_or_false_at_most(void **state)
{
    (void)state;
    sl_cli_run run;
    GOOD(&run, "--no-udp", "--no-udp=false", "true");
    assert_false(run.policy->no_udp);
    sl_cli_run_done(&run);
    REFUSED("--no-udp", "''", "--no-udp=", "true");
    REFUSED("--no-udp", "'1': expected true or false", "--no-udp=1", "true");
    REFUSED("'--quiet'", "''", "--quiet=", "true");
    REFUSED("'--help'", "'x'", "--help=x");
}

static void status_fd_is_a_number(void **state)
{
    (void)state;
    static char *const bad[] = {"", "x", "-1", "+1", "1x", " 1", "0x1", "9999999999", "2147483648"};
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        REFUSED("'--status-fd'", "number", "--status-fd", bad[i], "true");
    }
}

static void bad_values_name_option_and_word(void **state)
{
    (void)state;
    REFUSED("GET", "--http-allow", "--http-allow", "GET", "true");
    REFUSED("65536", "--net-connect", "--net-connect", "80,65536", "true");
    REFUSED("010.0.0.1", "--net-allow", "--net-allow", "010.0.0.1", "true");
    REFUSED("soon", "--timeout", "-t", "soon", "true");
    REFUSED("-3", "--max-processes", "-P", "-3", "true");
    REFUSED("NOVALUE", "--env", "--env", "NOVALUE", "true");
    REFUSED("a.test", "--resolve", "--resolve", "a.test", "true");
}

/* Two options of one spelling would make one of them unreachable. */
static void spellings_are_distinct(void **state)
{
    (void)state;
    const char *words[256];
    char letters[256];
    size_t count = 0;
    size_t letter_count = 0;
    size_t n;
    const sl_cli_option *own = sl_cli_own_options(&n);
    for (size_t i = 0; i < n; i++) {
        words[count++] = own[i].option;
        letters[letter_count++] = own[i].short_option;
    }
    const sl_field *fields = sl_fields(&n);
    assert_in_range(n, 1, 100);
    for (size_t i = 0; i < n; i++) {
        if (fields[i].option != NULL) {
            words[count++] = fields[i].option;
            letters[letter_count++] = fields[i].short_option;
            assert_non_null(fields[i].help);
            assert_non_null(fields[i].group);
        }
        if (fields[i].option_alias != NULL) {
            words[count++] = fields[i].option_alias;
        }
    }
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(strncmp(words[i], "--", 2), 0);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(words[i], words[j]);
        }
    }
    for (size_t i = 0; i < letter_count; i++) {
        for (size_t j = 0; letters[i] != 0 && j < i; j++) {
            assert_int_not_equal(letters[i], letters[j]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_word_begins_the_command),
        cmocka_unit_test(options_go_on_top_of_profiles),
        cmocka_unit_test(two_dashes_end_the_options),
        cmocka_unit_test(every_spelling_of_a_value),
        cmocka_unit_test(aliases_mean_the_same),
        cmocka_unit_test(fields_of_every_type),
        cmocka_unit_test(nothing_given_is_the_default),
        cmocka_unit_test(an_empty_list_is_a_restriction),
        cmocka_unit_test(own_options),
        cmocka_unit_test(why_is_a_run_that_explains),
        cmocka_unit_test(printing_needs_no_command),
        cmocka_unit_test(no_command_is_an_error),
        cmocka_unit_test(unknown_options_are_named),
        cmocka_unit_test(very_long_words_are_bounded),
        cmocka_unit_test(missing_values_are_named),
        cmocka_unit_test(flags_take_true_or_false_at_most),
        cmocka_unit_test(status_fd_is_a_number),
        cmocka_unit_test(bad_values_name_option_and_word),
        cmocka_unit_test(spellings_are_distinct),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
