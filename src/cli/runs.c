/* Owns `sandlock ps`, `inspect` and `kill`: which run is meant, and what is shown of it. What a run
 * says is the text of others here: nothing of it acts on the terminal (SUP-09). */
#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/help.h"
#include "cli/mains.h"
#include "cli/say.h"
#include "cli/signals.h"
#include "cli/simple.h"
#include "core/util.h"
#include "engine/runs.h"

#define LIST_MAX (16u << 20) /* bytes of what runs say of themselves */
#define NO_RUN   1           /* exit code: there is no such run, or more than one */
#define WORD_MAX 80          /* bytes of the name of a run */
#define GRACE_MS 5000        /* to end after SIGTERM; and to be gone after SIGKILL */

/* The words after `inspect` and `kill`. */
struct words {
    const char *run;
    bool json;
    int signal;
};

/* One run and its row. */
struct row {
    const sl_runs_entry *entry;
    json_t *facts; /* of a run that does not answer: what is known of it */
};

struct rows {
    sl_runs runs;
    struct row *items;
};

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

static void rows_done(struct rows *rows)
{
    for (size_t i = 0; rows->items != NULL && i < rows->runs.count; i++) {
        json_decref(rows->items[i].facts);
    }
    free(rows->items);
    sl_runs_done(&rows->runs);
}

static int rows_get(struct rows *ret_rows, sl_error *err)
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

static const char *word_of(const json_t *facts, const char *key)
{
    const char *word = json_string_value(json_object_get(facts, key));
    return word == NULL ? "-" : word;
}

static int number_of(const json_t *facts, const char *key)
{
    return (int)json_integer_value(json_object_get(facts, key));
}

/* As one could type it, but for what is escaped. */
static int put_command(sl_buf *out, const json_t *command)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < json_array_size(command); i++) {
        const char *word = json_string_value(json_array_get(command, i));
        word = word == NULL ? "?" : word;
        bool plain = word[0] != '\0' && strpbrk(word, " '\"\\$`&|;<>()*?[]#~") == NULL;
        r = sl_buf_append_str(out, i == 0 ? "" : " ");
        r = r < 0 ? r : sl_buf_append_str(out, plain ? "" : "'");
        r = r < 0 ? r : sl_cli_put_printable(out, word);
        r = r < 0 ? r : sl_buf_append_str(out, plain ? "" : "'");
    }
    return r;
}

/* "6379=41234 udp:53=40053": inside and outside, of a run with --port-remap. */
static int put_ports(sl_buf *out, const json_t *facts)
{
    static const char *const keys[] = {"ports", "udp_ports"};
    int r = 0;
    for (size_t i = 0; i < SL_ARRAY_LEN(keys); i++) {
        const char *name;
        json_t *real;
        json_object_foreach(json_object_get(facts, keys[i]), name, real)
        {
            r = r < 0 ? r : sl_buf_append_str(out, i == 1 ? " udp:" : " ");
            r = r < 0 ? r : sl_cli_put_printable(out, name);
            r = r < 0 ? r : sl_buf_printf(out, "=%d", (int)json_integer_value(real));
        }
    }
    return r;
}

static int put_cell(sl_buf *out, const char *text, size_t width)
{
    size_t before = out->len;
    int r = sl_cli_put_printable(out, text);
    size_t len = out->len - before;
    return r < 0 ? r : sl_buf_printf(out, "%*s", (int)(len < width ? width - len : 0) + 2, "");
}

static int put_table(sl_buf *out, const struct rows *rows)
{
    size_t width = strlen("NAME");
    for (size_t i = 0; i < rows->runs.count; i++) {
        width = SL_MAX(width, SL_MIN(strlen(word_of(rows->items[i].facts, "name")), WORD_MAX));
    }
    int r = sl_buf_printf(out, "%-*s  %-8s%-14s%-22s%s\n", (int)width, "NAME", "PID", "STATE",
                          "STARTED", "COMMAND");
    for (size_t i = 0; r == 0 && i < rows->runs.count; i++) {
        const json_t *f = rows->items[i].facts;
        bool silent = json_is_null(json_object_get(f, "pid"));
        r = put_cell(out, word_of(f, "name"), width);
        r = r < 0 ? r : sl_buf_printf(out, "%-8d", number_of(f, silent ? "guardian" : "pid"));
        r = r < 0 ? r : put_cell(out, word_of(f, "state"), 12);
        r = r < 0 ? r : put_cell(out, word_of(f, "started"), 20);
        r = r < 0 ? r : put_command(out, json_object_get(f, "command"));
        bool has_ports = json_object_size(json_object_get(f, "ports")) > 0 ||
                         json_object_size(json_object_get(f, "udp_ports")) > 0;
        r = r < 0 || !has_ports ? r : sl_buf_append_str(out, "  #");
        r = r < 0 ? r : put_ports(out, f);
        r = r < 0 ? r : sl_buf_append_str(out, "\n");
    }
    return r;
}

static int append_json(const char *data, size_t size, void *out)
{
    return sl_buf_append(out, data, size) < 0 ? -1 : 0;
}

static int put_json(sl_buf *out, const json_t *value)
{
    int r = json_dump_callback(value, append_json, out, JSON_INDENT(2) | JSON_ENSURE_ASCII);
    return r < 0 ? -ENOMEM : sl_buf_append_str(out, "\n");
}

int sl_cli_ps_main(int argc, char **argv)
{
    bool json = false;
    int code = 0;
    sl_error err;
    struct rows rows;
    sl_buf out;
    int r = sl_cli_simple_options(argc, argv, &json, &code, &err);
    if (r != 0) {
        return r < 0 ? sl_cli_fail(&err) : code;
    }
    r = rows_get(&rows, &err);
    if (r < 0) {
        rows_done(&rows);
        return sl_cli_fail(&err);
    }
    sl_buf_init(&out, LIST_MAX);
    if (json) {
        json_t *all = json_array();
        for (size_t i = 0; i < rows.runs.count; i++) {
            (void)json_array_append(all, rows.items[i].facts);
        }
        r = put_json(&out, all);
        json_decref(all);
    } else {
        r = put_table(&out, &rows);
    }
    code = sl_cli_put(r, &out);
    sl_buf_done(&out);
    rows_done(&rows);
    return code;
}

/* Nothing but what a name is made of: no way out of a directory, nothing a terminal obeys. */
static int check_name(const char *word, sl_error *err)
{
    size_t len = strlen(word);
    if (len == 0 || len > WORD_MAX || word[0] == '.' ||
        strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != len) {
        return sl_error_usage(err, "'%.*s' is neither the name of a run nor a process id",
                              2 * WORD_MAX, word);
    }
    return 0;
}

static int read_option(int argc, char **argv, int *i, struct words *w, sl_error *err)
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

/* 0 to go on, 1 after the help, -EINVAL. */
static int read_words(int argc, char **argv, struct words *w, int *ret_code, sl_error *err)
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
    snprintf(pid, sizeof(pid), "%d", number_of(facts, "pid"));
    snprintf(guardian, sizeof(guardian), "%d", number_of(facts, "guardian"));
    return strcmp(word, word_of(facts, "name")) == 0 || strcmp(word, guardian) == 0 ||
           (number_of(facts, "pid") > 0 && strcmp(word, pid) == 0);
}

/* The one that is meant; NULL with the reason when there is none or more than one. */
static const struct row *choose(const struct rows *rows, const char *word, sl_error *err)
{
    const struct row *found = NULL;
    char pids[128] = "";
    size_t used = 0;
    size_t count = 0;
    for (size_t i = 0; i < rows->runs.count; i++) {
        if (is_meant(rows->items[i].facts, word)) {
            found = &rows->items[i];
            count++;
            int n =
                snprintf(pids + used, sizeof(pids) - used, " %d", number_of(found->facts, "pid"));
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

static int ask_failed(const char *word, const struct row *row, int error, sl_error *err)
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

/* Text first, so that what follows is a policy that can be used again. */
static int put_inspected(sl_buf *out, const json_t *f)
{
    int r = sl_buf_append_str(out, "# name     ");
    r = r < 0 ? r : sl_cli_put_printable(out, word_of(f, "name"));
    r = r < 0 ? r : sl_buf_append_str(out, "\n# state    ");
    r = r < 0 ? r : sl_cli_put_printable(out, word_of(f, "state"));
    r = r < 0
            ? r
            : sl_buf_printf(out, "\n# pid      %d (guardian %d, engine %d)\n# started  ",
                            number_of(f, "pid"), number_of(f, "guardian"), number_of(f, "engine"));
    r = r < 0 ? r : sl_cli_put_printable(out, word_of(f, "started"));
    r = r < 0 ? r : sl_buf_append_str(out, "\n# command  ");
    r = r < 0 ? r : put_command(out, json_object_get(f, "command"));
    r = r < 0 ? r
              : sl_buf_printf(out, "\n# allowed  %lld\n# denied   %lld\n",
                              (long long)json_integer_value(json_object_get(f, "allowed")),
                              (long long)json_integer_value(json_object_get(f, "denied")));
    if (r == 0 && json_object_get(f, "ports") != NULL) {
        r = sl_buf_append_str(out, "# ports   ");
        r = r < 0 ? r : put_ports(out, f);
        r = r < 0 ? r : sl_buf_append_str(out, "\n");
    }
    const char *toml = json_string_value(json_object_get(f, "policy_toml"));
    while (r == 0 && toml != NULL && *toml != '\0') { /* its own escapes, once more for safety */
        size_t len = strcspn(toml, "\n");
        sl_autofree char *line = strndup(toml, len);
        r = line == NULL ? -ENOMEM : sl_cli_put_printable(out, line);
        r = r < 0 ? r : sl_buf_append_str(out, "\n");
        toml += len + (toml[len] == '\n' ? 1 : 0);
    }
    return r;
}

/* The first process of a run. */
struct guardian {
    int pid;
    int pidfd; /* says when the run is over; -1: it is so already */
};

/* Finds the run and asks it. The exit code; 0 with the answer. `ret_guardian` may be NULL. */
static int find_and_ask(const struct words *w, enum sl_control_what what, json_t **ret_answer,
                        struct guardian *ret_guardian)
{
    struct rows rows;
    sl_error err;
    sl_autofree char *text = NULL;
    int code = 0;
    int r = rows_get(&rows, &err);
    if (r < 0) {
        code = sl_cli_fail(&err);
    } else {
        const struct row *row = choose(&rows, w->run, &err);
        if (row != NULL && ret_guardian != NULL) {
            ret_guardian->pid = row->entry->guardian;
            ret_guardian->pidfd = (int)syscall(SYS_pidfd_open, row->entry->guardian, 0);
        }
        r = row == NULL ? -ESRCH : sl_runs_ask(row->entry, what, w->signal, &text);
        if (r < 0 && row != NULL) {
            (void)ask_failed(w->run, row, r, &err);
        }
        code = r < 0 ? (sl_cli_fail(&err), NO_RUN) : 0;
    }
    rows_done(&rows);
    if (code == 0) {
        *ret_answer = json_loads(text, 0, NULL);
        if (!json_is_object(*ret_answer)) {
            (void)sl_error_set(&err, EPROTO, "run '%s' gave an answer that is none", w->run);
            return sl_cli_fail(&err);
        }
    }
    return code;
}

int sl_cli_inspect_main(int argc, char **argv)
{
    struct words w = {0};
    sl_error err;
    json_t *facts = NULL;
    sl_buf out;
    int code = 0;
    int r = read_words(argc, argv, &w, &code, &err);
    if (r != 0) {
        return r < 0 ? sl_cli_fail(&err) : code;
    }
    code = find_and_ask(&w, SL_CONTROL_INSPECT, &facts, NULL);
    if (code == 0) {
        sl_buf_init(&out, LIST_MAX);
        if (w.json) {
            (void)json_object_del(facts, "policy_toml"); /* the same, for people */
        }
        r = w.json ? put_json(&out, facts) : put_inspected(&out, facts);
        code = sl_cli_put(r, &out);
        sl_buf_done(&out);
    }
    json_decref(facts);
    return code;
}

/* One signal for the command of the run. The exit code. */
static int send_signal(const struct words *w, struct guardian *ret_guardian)
{
    json_t *answer = NULL;
    int code = find_and_ask(w, SL_CONTROL_KILL, &answer, ret_guardian);
    if (code == 0 && !json_is_true(json_object_get(answer, "sent"))) {
        sl_error err;
        (void)sl_error_set(&err, ESRCH, "run '%s' is over", w->run);
        (void)sl_cli_fail(&err);
        code = NO_RUN;
    }
    json_decref(answer);
    return code;
}

static bool is_over_within(const struct guardian *g, int ms)
{
    struct pollfd p = {.fd = g->pidfd, .events = POLLIN};
    return g->pidfd < 0 || poll(&p, 1, ms) > 0;
}

/* SIGKILL for the run that was asked to end, not for one that has its name by now. */
static int kill_run(const char *name, const struct guardian *g)
{
    sl_error err;
    json_t *answer = NULL;
    char number[16];
    snprintf(number, sizeof(number), "%d", g->pid);
    (void)sl_error_set(&err, ETIMEDOUT, "run '%s' did not end within %d s of SIGTERM; killing it",
                       name, GRACE_MS / 1000);
    (void)sl_cli_fail(&err);
    struct words w = {.run = number, .signal = SIGKILL};
    int code = find_and_ask(&w, SL_CONTROL_KILL, &answer, NULL);
    json_decref(answer);
    if (is_over_within(g, code == 0 ? GRACE_MS : 0)) {
        return 0;
    }
    if (code == 0) {
        (void)sl_error_set(&err, ETIMEDOUT, "run '%s' is still there %d s after SIGKILL", name,
                           GRACE_MS / 1000);
        code = sl_cli_fail(&err);
    }
    return code;
}

/* Asked to end, given time for it, then killed; and gone when we say so. */
static int end_run(struct words *w)
{
    struct guardian guardian = {.pidfd = -1};
    w->signal = SIGTERM;
    int code = send_signal(w, &guardian);
    if (code == 0 && !is_over_within(&guardian, GRACE_MS)) {
        code = kill_run(w->run, &guardian);
    }
    sl_close(guardian.pidfd);
    return code;
}

int sl_cli_kill_main(int argc, char **argv)
{
    struct words w = {0};
    sl_error err;
    int code = 0;
    int r = read_words(argc, argv, &w, &code, &err);
    if (r != 0) {
        return r < 0 ? sl_cli_fail(&err) : code;
    }
    return w.signal != 0 ? send_signal(&w, NULL) : end_run(&w);
}
