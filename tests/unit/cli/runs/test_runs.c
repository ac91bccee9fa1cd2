/* Which run is meant, and what it answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "caught.h"
#include "cli/runs/runs.h"
#include "core/util.h"
#include "runs_rig.h"

static struct caught caught;

static int read_words(sl_cli_run_words *w, sl_error *err, char **argv)
{
    int argc = 0;
    int code = 99;
    while (argv[argc] != NULL) {
        argc++;
    }
    *w = (sl_cli_run_words){0};
    caught_begin(&caught, STDOUT_FILENO);
    int r = sl_cli_run_words_read(argc, argv, w, &code, err);
    caught_end(&caught);
    return r;
}

#define WORDS(w, err, ...) read_words(w, err, (char *[]){__VA_ARGS__, NULL})

static void words_are_understood(void **state)
{
    (void)state;
    sl_error err;
    sl_cli_run_words w;
    assert_int_equal(WORDS(&w, &err, (char *)"inspect", (char *)"box"), 0);
    assert_string_equal(w.run, "box");
    assert_false(w.json);
    assert_int_equal(WORDS(&w, &err, (char *)"inspect", (char *)"42", (char *)"--json"), 0);
    assert_true(w.json);
    static char *const spellings[][3] = {
        {(char *)"--signal=TERM", (char *)"box", NULL},
        {(char *)"-s", (char *)"15", (char *)"box"},
        {(char *)"--signal", (char *)"sigterm", (char *)"box"},
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(spellings); i++) {
        assert_int_equal(
            WORDS(&w, &err, (char *)"kill", spellings[i][0], spellings[i][1], spellings[i][2]), 0);
        assert_string_equal(w.run, "box");
        assert_int_equal(w.signal, SIGTERM);
    }
    assert_int_equal(WORDS(&w, &err, (char *)"kill", (char *)"--help"), 1);
    assert_non_null(strstr(caught.text, "usage: sandlock kill"));
}

static void other_words_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *words[3];
        const char *why;
    } rows[] = {{{"inspect", NULL, NULL}, "no run given; expected 'sandlock inspect NAME|PID'"},
                {{"inspect", "a", "b"}, "unexpected word 'b'"},
                {{"inspect", "--signal=9", "a"}, "'--signal=9'; expected '--json'"},
                {{"kill", "--json", "a"}, "'--json'; expected '--signal'"},
                {{"kill", "a", "-s"}, "expects SIGNAL"},
                {{"kill", "--signal=NONE", "a"}, "'NONE' is no signal"},
                {{"kill", "../a", NULL}, "'../a' is neither the name of a run"},
                {{"kill", "a\x1b", NULL}, "is neither the name"},
                {{"kill", "", NULL}, "'' is neither the name"}};
    for (size_t i = 0; i < SL_ARRAY_LEN(rows); i++) {
        sl_error err = {0};
        sl_cli_run_words w;
        char *argv[] = {(char *)rows[i].words[0], (char *)rows[i].words[1],
                        (char *)rows[i].words[2], NULL};
        assert_true(read_words(&w, &err, argv) < 0);
        if (strstr(err.message, rows[i].why) == NULL) {
            fail_msg("'%s' does not say \"%s\"", err.message, rows[i].why);
        }
    }
}

static void is_chosen(const sl_cli_run_rows *rows, const char *word, pid_t guardian)
{
    sl_error err;
    const sl_cli_run_row *row = sl_cli_run_choose(rows, word, &err);
    assert_non_null(row);
    assert_int_equal(row->entry->guardian, guardian);
}

static void a_run_is_called_by_name_or_number(void **state)
{
    (void)state;
    sl_error err;
    sl_cli_run_rows rows;
    char number[16];
    pid_t one = rig_start("one", 0);
    pid_t twin = rig_start("twins", 0);
    pid_t other = rig_start("twins", 0);
    assert_int_equal(sl_cli_run_rows_get(&rows, &err), 0);
    assert_int_equal(rows.runs.count, 3);
    is_chosen(&rows, "one", one);
    snprintf(number, sizeof(number), "%d", (int)one);
    is_chosen(&rows, number, one);
    snprintf(number, sizeof(number), "%d", rig_command_pid(twin));
    is_chosen(&rows, number, twin);
    assert_null(sl_cli_run_choose(&rows, "on", &err)); /* no abbreviations */
    assert_non_null(strstr(err.message, "there is no run 'on'"));
    assert_null(sl_cli_run_choose(&rows, "twins", &err));
    assert_non_null(strstr(err.message, "2 runs are called 'twins'"));
    snprintf(number, sizeof(number), " %d", rig_command_pid(other));
    assert_non_null(strstr(err.message, number));
    assert_string_equal(sl_cli_run_word(rows.items[0].facts, "no-such"), "-");
    assert_int_equal(sl_cli_run_number(rows.items[0].facts, "no-such"), 0);
    sl_cli_run_rows_done(&rows);
}

static int ask(const char *name, json_t **ret_answer, sl_cli_guardian *ret_guardian)
{
    sl_cli_run_words w = {.run = name};
    caught_begin(&caught, STDERR_FILENO);
    int code = sl_cli_run_ask(&w, SL_CONTROL_INSPECT, ret_answer, ret_guardian);
    caught_end(&caught);
    return code;
}

static void it_is_asked(void **state)
{
    (void)state;
    json_t *answer = NULL;
    sl_cli_guardian guardian = {.pidfd = -1};
    pid_t pid = rig_start("box", 0);
    assert_int_equal(ask("box", &answer, &guardian), 0);
    assert_int_equal(sl_cli_run_number(answer, "denied"), 3);
    assert_int_equal(guardian.pid, pid);
    assert_true(guardian.pidfd >= 0);
    close(guardian.pidfd);
    json_decref(answer);
    assert_int_equal(ask("other", &answer, NULL), SL_CLI_NO_RUN);
    assert_string_equal(caught.text, "sandlock: there is no run 'other' (see 'sandlock ps')\n");
}

/* What answers something else is shown as what it is. */
static void an_answer_that_is_none(void **state)
{
    (void)state;
    sl_error err;
    sl_cli_run_rows rows;
    json_t *answer = NULL;
    char number[16];
    pid_t pid = rig_start("\\", 0); /* ends the text in the middle */
    assert_int_equal(sl_cli_run_rows_get(&rows, &err), 0);
    assert_int_equal(rows.runs.count, 1);
    assert_string_equal(sl_cli_run_word(rows.items[0].facts, "state"), "unresponsive");
    assert_int_equal(sl_cli_run_number(rows.items[0].facts, "guardian"), pid);
    sl_cli_run_rows_done(&rows);
    snprintf(number, sizeof(number), "%d", (int)pid);
    assert_int_equal(ask(number, &answer, NULL), 125);
    assert_non_null(strstr(caught.text, "gave an answer that is none"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_understood),
        cmocka_unit_test(other_words_are_refused),
        RIGGED(a_run_is_called_by_name_or_number),
        RIGGED(it_is_asked),
        RIGGED(an_answer_that_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
