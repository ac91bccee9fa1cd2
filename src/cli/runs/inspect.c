/* Owns `sandlock ps` and `inspect`: what is shown of runs. What a run says is the text of others
 * here: nothing of it acts on the terminal (SUP-09). */
#include <errno.h>
#include <string.h>

#include "cli/json.h"
#include "cli/mains.h"
#include "cli/runs/runs.h"
#include "cli/say.h"
#include "cli/simple.h"
#include "core/util.h"

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

static int put_table(sl_buf *out, const sl_cli_run_rows *rows)
{
    size_t width = strlen("NAME");
    for (size_t i = 0; i < rows->runs.count; i++) {
        width = SL_MAX(width, SL_MIN(strlen(sl_cli_run_word(rows->items[i].facts, "name")),
                                     SL_CLI_RUN_NAME_MAX));
    }
    int r = sl_buf_printf(out, "%-*s  %-8s%-14s%-22s%s\n", (int)width, "NAME", "PID", "STATE",
                          "STARTED", "COMMAND");
    for (size_t i = 0; r == 0 && i < rows->runs.count; i++) {
        const json_t *f = rows->items[i].facts;
        bool silent = json_is_null(json_object_get(f, "pid"));
        r = put_cell(out, sl_cli_run_word(f, "name"), width);
        r = r < 0 ? r
                  : sl_buf_printf(out, "%-8d", sl_cli_run_number(f, silent ? "guardian" : "pid"));
        r = r < 0 ? r : put_cell(out, sl_cli_run_word(f, "state"), 12);
        r = r < 0 ? r : put_cell(out, sl_cli_run_word(f, "started"), 20);
        r = r < 0 ? r : put_command(out, json_object_get(f, "command"));
        bool has_ports = json_object_size(json_object_get(f, "ports")) > 0 ||
                         json_object_size(json_object_get(f, "udp_ports")) > 0;
        r = r < 0 || !has_ports ? r : sl_buf_append_str(out, "  #");
        r = r < 0 ? r : put_ports(out, f);
        r = r < 0 ? r : sl_buf_append_str(out, "\n");
    }
    return r;
}

int sl_cli_ps_main(int argc, char **argv)
{
    bool json = false;
    int code = 0;
    sl_error err;
    sl_cli_run_rows rows;
    sl_buf out;
    int r = sl_cli_simple_options(argc, argv, &json, &code, &err);
    if (r != 0) {
        return r < 0 ? sl_cli_fail(&err) : code;
    }
    r = sl_cli_run_rows_get(&rows, &err);
    if (r < 0) {
        sl_cli_run_rows_done(&rows);
        return sl_cli_fail(&err);
    }
    sl_buf_init(&out, SL_CLI_RUNS_MAX);
    if (json) {
        json_t *all = json_array();
        for (size_t i = 0; i < rows.runs.count; i++) {
            (void)json_array_append(all, rows.items[i].facts);
        }
        r = sl_cli_put_json(&out, all);
        json_decref(all);
    } else {
        r = put_table(&out, &rows);
    }
    code = sl_cli_put(r, &out);
    sl_buf_done(&out);
    sl_cli_run_rows_done(&rows);
    return code;
}

/* Text first, so that what follows is a policy that can be used again. */
static int put_inspected(sl_buf *out, const json_t *f)
{
    int r = sl_buf_append_str(out, "# name     ");
    r = r < 0 ? r : sl_cli_put_printable(out, sl_cli_run_word(f, "name"));
    r = r < 0 ? r : sl_buf_append_str(out, "\n# state    ");
    r = r < 0 ? r : sl_cli_put_printable(out, sl_cli_run_word(f, "state"));
    r = r < 0 ? r
              : sl_buf_printf(out, "\n# pid      %d (guardian %d, engine %d)\n# started  ",
                              sl_cli_run_number(f, "pid"), sl_cli_run_number(f, "guardian"),
                              sl_cli_run_number(f, "engine"));
    r = r < 0 ? r : sl_cli_put_printable(out, sl_cli_run_word(f, "started"));
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

int sl_cli_inspect_main(int argc, char **argv)
{
    sl_cli_run_words w = {0};
    sl_error err;
    json_t *facts = NULL;
    sl_buf out;
    int code = 0;
    int r = sl_cli_run_words_read(argc, argv, &w, &code, &err);
    if (r != 0) {
        return r < 0 ? sl_cli_fail(&err) : code;
    }
    code = sl_cli_run_ask(&w, SL_CONTROL_INSPECT, &facts, NULL);
    if (code == 0) {
        sl_buf_init(&out, SL_CLI_RUNS_MAX);
        if (w.json) {
            (void)json_object_del(facts, "policy_toml"); /* the same, for people */
        }
        r = w.json ? sl_cli_put_json(&out, facts) : put_inspected(&out, facts);
        code = sl_cli_put(r, &out);
        sl_buf_done(&out);
    }
    json_decref(facts);
    return code;
}
