/* Owns `sandlock check`: what this kernel can do, as text and as JSON. It only tells; the tries are
 * the sandbox room's. */
#include <errno.h>
#include <string.h>

#include "cli/json.h"
#include "cli/mains.h"
#include "cli/say.h"
#include "cli/simple.h"
#include "core/util.h"
#include "sandbox/probe.h"

/* Who holds here what depends on it. */
static const char *held_by(const sl_probe_result *row)
{
    return row->works ? "kernel" : row->made_up ? "supervisor" : "not";
}

static const char *verdict(const sl_probe_result *row)
{
    return row->works      ? "works"
           : row->made_up  ? "supervisor"
           : row->required ? "MISSING"
                           : "missing";
}

static int print_rows(const sl_probe_result *rows, size_t count, sl_buf *out)
{
    int width = 0;
    for (size_t i = 0; i < count; i++) {
        width = SL_MAX(width, (int)strlen(rows[i].detail));
    }
    int r = sl_buf_printf(out, "%-15s %-10s %-6s %-*s  %s\n", "FEATURE", "HERE", "SINCE", width,
                          "DETAIL", "LOST WITHOUT IT");
    for (size_t i = 0; r == 0 && i < count; i++) {
        const sl_probe_result *row = &rows[i];
        r = sl_buf_printf(out, "%-15s %-10s %-6s %-*s  %s\n", row->name, verdict(row), row->since,
                          width, row->detail, row->lost);
    }
    return r;
}

static int print_protections(const sl_probe_protection rows[SL_HOLDS_COUNT], sl_buf *out)
{
    int width = 0;
    for (size_t i = 0; i < SL_HOLDS_COUNT; i++) {
        width = SL_MAX(width, (int)strlen(rows[i].detail));
    }
    int r = sl_buf_printf(out, "\n%-17s %-11s %-6s %-*s  %s\n", "PROTECTION", "HELD BY", "SINCE",
                          width, "HOW", "FROM");
    for (size_t i = 0; r == 0 && i < SL_HOLDS_COUNT; i++) {
        const sl_probe_protection *row = &rows[i];
        r = sl_buf_printf(out, "%-17s %-11s %-6s %-*s  %s\n", row->name, row->held, row->since,
                          width, row->detail, row->keeps);
    }
    return r < 0 ? r : sl_buf_append_str(out, "\n");
}

static int print_summary(const sl_probe_result *rows, size_t count, size_t missing, sl_buf *out)
{
    if (missing == 0) {
        return sl_buf_append_str(out, "sandlock run works here\n");
    }
    int r = sl_buf_append_str(out, "sandlock run refuses here, for want of:");
    for (size_t i = 0; r == 0 && i < count; i++) {
        if (rows[i].required && !rows[i].works) {
            r = sl_buf_printf(out, " %s", rows[i].name);
        }
    }
    return r < 0 ? r : sl_buf_append_str(out, "\n");
}

/* NULL: no memory. */
static json_t *json_protections(const sl_probe_protection rows[SL_HOLDS_COUNT])
{
    json_t *list = json_array();
    for (size_t i = 0; list != NULL && i < SL_HOLDS_COUNT; i++) {
        const sl_probe_protection *row = &rows[i];
        json_t *one = json_pack("{s:s, s:s, s:s, s:s, s:s}", "name", row->name, "held", row->held,
                                "since", row->since, "keeps", row->keeps, "detail", row->detail);
        if (json_array_append_new(list, one) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static int print_json(const sl_probe_result *rows, size_t count, size_t missing,
                      const sl_probe_protection protections[SL_HOLDS_COUNT], sl_buf *out)
{
    json_t *features = json_array();
    int r = features == NULL ? -1 : 0;
    for (size_t i = 0; r == 0 && i < count; i++) {
        const sl_probe_result *row = &rows[i];
        r = json_array_append_new(
            features, json_pack("{s:s, s:b, s:s, s:b, s:s, s:s, s:s}", "name", row->name, "works",
                                row->works, "held", held_by(row), "required", row->required,
                                "since", row->since, "lost", row->lost, "detail", row->detail));
    }
    if (r < 0) {
        json_decref(features);
        return -ENOMEM;
    }
    json_t *all = json_pack("{s:s, s:b, s:i, s:o, s:o}", "version", SANDLOCK_VERSION, "runs",
                            missing == 0, "landlock_abi", sl_probe_landlock_abi(), "features",
                            features, "protections", json_protections(protections));
    r = sl_cli_put_json(out, all);
    json_decref(all);
    return r;
}

int sl_cli_check_main(int argc, char **argv)
{
    bool json = false;
    int code = 0;
    sl_error err;
    int r = sl_cli_simple_options(argc, argv, &json, &code, &err);
    if (r != 0) {
        return r < 0 ? sl_cli_fail(&err) : code;
    }
    sl_probe_result rows[SL_PROBE_MAX];
    size_t count = sl_probe_all(rows);
    size_t missing = 0;
    sl_probe_protection protections[SL_HOLDS_COUNT];
    sl_probe_protections(protections);
    for (size_t i = 0; i < count; i++) {
        missing += rows[i].required && !rows[i].works;
    }
    sl_buf out;
    sl_buf_init(&out, SL_CLI_OUTPUT_MAX);
    if (json) {
        r = print_json(rows, count, missing, protections, &out);
    } else {
        r = print_rows(rows, count, &out);
        r = r < 0 ? r : print_protections(protections, &out);
        r = r < 0 ? r : print_summary(rows, count, missing, &out);
    }
    code = sl_cli_put(r, &out);
    sl_buf_done(&out);
    return code == 0 && missing > 0 ? 1 : code;
}
