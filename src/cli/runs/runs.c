/* Owns the question which run is meant, and the asking of it. It believes nothing a run says of
 * itself to be more than text. */
#include "cli/runs/runs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/help.h"
#include "cli/say.h"
#include "cli/signals.h"
#include "core/util.h"

static json_t *parse_row(const sl_runs_entry *entry)
{
    const char *name;
    const char *state;
    const char *started;
    int pid;
    int guardian;
    json_t *command;
    json_t *facts = entry->answer == NULL ? NULL : json_loads(entry->answer, 0, NULL);
    if (facts != NULL &&
        json_unpack(facts, "{s:s, s:s, s:s, s:i, s:i, s:o}", "name", &name, "state", &state,
                    "started", &started, "pid", &pid, "guardian", &guardian, "command",
                    &command) == 0 &&
        json_is_array(command)) {
        return facts;
    }
    json_decref(facts);
    return json_pack("{s:s, s:s, s:n, s:n, s:i, s:[]}", "name", "-", "state",
                     entry->error == -EACCES ? "refused" : "unresponsive", "pid", "started",
                     "guardian", entry->guardian, "command");
}

void sl_cli_run_rows_done(sl_cli_run_rows *rows)
{
    for (size_t i = 0; rows->items != NULL && i < rows->runs.count; i++) {
        json_decref(rows->items[i].facts);
    }
    free(rows->items);
    sl_runs_done(&rows->runs);
}

int sl_cli_run_rows_get(sl_cli_run_rows *ret_rows, sl_error *err)
{
    ret_rows->items = NULL;
    int r = sl_runs_list(&ret_rows->runs);
    if (r == 0 && ret_rows->runs.count > 0) {
        ret_rows->items = calloc(ret_rows->runs.count, sizeof(*ret_rows->items));
        r = ret_rows->items == NULL ? -ENOMEM : 0;
    }
    for (size_t i = 0; r == 0 && i < ret_rows->runs.count; i++) {
        ret_rows->items[i].entry = &ret_rows->runs.items[i];
        ret_rows->items[i].facts = parse_row(&ret_rows->runs.items[i]);
        r = ret_rows->items[i].facts == NULL ? -ENOMEM : 0;
    }
    return r < 0 ? sl_error_set(err, -r, "cannot list the runs: %s", strerror(-r)) : 0;
}

const char *sl_cli_run_word(const json_t *facts, const char *key)
{
    const char *word = json_string_value(json_object_get(facts, key));
    return word == NULL ? "-" : word;
}

int sl_cli_run_number(const json_t *facts, const char *key)
{
    return (int)json_integer_value(json_object_get(facts, key));
}

/* Nothing but what a name is made of: no way out of a directory, nothing a terminal obeys. */
static int check_name(const char *word, sl_error *err)
{
    size_t len = strlen(word);
    if (len == 0 || len > SL_CLI_RUN_NAME_MAX || word[0] == '.' ||
        strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != len) {
        return sl_error_usage(err, "'%.*s' is neither the name of a run nor a process id",
                              2 * SL_CLI_RUN_NAME_MAX, word);
    }
    return 0;
}

static int read_option(int argc, char **argv, int *i, sl_cli_run_words *w, sl_error *err)
{
    const char *word = argv[*i];
    const char *value = NULL;
    bool kills = strcmp(argv[0], "kill") == 0;
    if (!kills && strcmp(word, "--json") == 0) {
        w->json = true;
        return 0;
    }
    if (kills && strncmp(word, "--signal=", 9) == 0) {
        value = word + 9;
    } else if (kills && (strcmp(word, "--signal") == 0 || strcmp(word, "-s") == 0)) {
        if (*i + 1 >= argc) {
            return sl_error_usage(err, "option '%s' expects SIGNAL after it", word);
        }
        value = argv[++*i];
    } else {
        return sl_error_usage(err, "unknown option '%.160s'; expected '%s' or '--help'", word,
                              kills ? "--signal" : "--json");
    }
    w->signal = sl_cli_signal(value);
    return w->signal < 0 ? sl_error_usage(err,
                                          "option '--signal': '%.160s' is no signal: expected a "
                                          "name (TERM, SIGINT) or a number from 1 to 64",
                                          value)
                         : 0;
}

int sl_cli_run_words_read(int argc, char **argv, sl_cli_run_words *w, int *ret_code, sl_error *err)
{
    for (int i = 1; i < argc; i++) {
        int r = 0;
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            *ret_code = sl_cli_help_print(argv[0]);
            return 1;
        }
        if (argv[i][0] == '-') {
            r = read_option(argc, argv, &i, w, err);
        } else if (w->run != NULL) {
            r = sl_error_usage(err, "unexpected word '%.160s'; expected one NAME or PID", argv[i]);
        } else {
            r = check_name(argv[i], err);
            w->run = argv[i];
        }
        if (r < 0) {
            return r;
        }
    }
    return w->run != NULL
               ? 0
               : sl_error_usage(err, "no run given; expected 'sandlock %s NAME|PID'", argv[0]);
}

static bool is_meant(const json_t *facts, const char *word)
{
    char pid[16];
    char guardian[16];
    snprintf(pid, sizeof(pid), "%d", sl_cli_run_number(facts, "pid"));
    snprintf(guardian, sizeof(guardian), "%d", sl_cli_run_number(facts, "guardian"));
    return strcmp(word, sl_cli_run_word(facts, "name")) == 0 || strcmp(word, guardian) == 0 ||
           (sl_cli_run_number(facts, "pid") > 0 && strcmp(word, pid) == 0);
}

const sl_cli_run_row *sl_cli_run_choose(const sl_cli_run_rows *rows, const char *word,
                                        sl_error *err)
{
    const sl_cli_run_row *found = NULL;
    char pids[128] = "";
    size_t used = 0;
    size_t count = 0;
    for (size_t i = 0; i < rows->runs.count; i++) {
        if (is_meant(rows->items[i].facts, word)) {
            found = &rows->items[i];
            count++;
            int n = snprintf(pids + used, sizeof(pids) - used, " %d",
                             sl_cli_run_number(found->facts, "pid"));
            used = SL_MIN(used + (size_t)n, sizeof(pids) - 1);
        }
    }
    if (count > 1) {
        sl_error_set(err, ENOTUNIQ, "%zu runs are called '%s': say which by its process id:%s",
                     count, word, pids);
        return NULL;
    }
    if (count == 0) {
        sl_error_set(err, ESRCH, "there is no run '%s' (see 'sandlock ps')", word);
    }
    return found;
}

static int ask_failed(const char *word, const sl_cli_run_row *row, int error, sl_error *err)
{
    if (error == -ETIMEDOUT) {
        return sl_error_set(err, ETIMEDOUT,
                            "run '%s' does not answer; the process id of its guardian is %d", word,
                            row->entry->guardian);
    }
    if (error == -EACCES) {
        return sl_error_set(err, EACCES,
                            "run '%s' turned us away: it serves no process that is confined more "
                            "than itself, and few at once",
                            word);
    }
    return sl_error_set(err, -error, "run '%s' is over", word);
}

int sl_cli_run_ask(const sl_cli_run_words *w, enum sl_control_what what, json_t **ret_answer,
                   sl_cli_guardian *ret_guardian)
{
    sl_cli_run_rows rows;
    sl_error err;
    sl_autofree char *text = NULL;
    int code = 0;
    int r = sl_cli_run_rows_get(&rows, &err);
    if (r < 0) {
        code = sl_cli_fail(&err);
    } else {
        const sl_cli_run_row *row = sl_cli_run_choose(&rows, w->run, &err);
        if (row != NULL && ret_guardian != NULL) {
            ret_guardian->pid = row->entry->guardian;
            ret_guardian->pidfd = (int)syscall(SYS_pidfd_open, row->entry->guardian, 0);
        }
        r = row == NULL ? -ESRCH : sl_runs_ask(row->entry, what, w->signal, &text);
        if (r < 0 && row != NULL) {
            (void)ask_failed(w->run, row, r, &err);
        }
        code = r < 0 ? (sl_cli_fail(&err), SL_CLI_NO_RUN) : 0;
    }
    sl_cli_run_rows_done(&rows);
    if (code == 0) {
        *ret_answer = json_loads(text, 0, NULL);
        if (!json_is_object(*ret_answer)) {
            (void)sl_error_set(&err, EPROTO, "run '%s' gave an answer that is none", w->run);
            return sl_cli_fail(&err);
        }
    }
    return code;
}
