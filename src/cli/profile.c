/* Owns `sandlock profile`: list, show, delete. It removes nothing but a file of the user's own
 * profile directory, by a name without a slash. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/help.h"
#include "cli/json.h"
#include "cli/mains.h"
#include "cli/profiles.h"
#include "cli/say.h"
#include "core/strv.h"
#include "core/text.h"
#include "core/util.h"
#include "policy/text/suggest.h"

#define SUMMARY_MAX 120
#define SUFFIX      ".toml"

struct row {
    const char *name;
    const char *path; /* NULL: shipped */
    bool hides;       /* a shipped one of the same name */
    char summary[SUMMARY_MAX];
};

/* The comment in the first line says what a profile is for. */
static void summarise(const char *text, char out[SUMMARY_MAX])
{
    out[0] = '\0';
    if (text[0] == '#') {
        text += 1 + strspn(text + 1, "# ");
        snprintf(out, SUMMARY_MAX, "%.*s", (int)strcspn(text, "\r\n"), text);
        sl_printable(out);
    }
}

/* ---- list ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names of the user's own, sorted. No directory: none. */
static int own_names(const char *path, sl_strv *ret_names, sl_error *err)
{
    DIR *dir = path == NULL ? NULL : opendir(path);
    if (dir == NULL) {
        return path == NULL || errno == ENOENT || errno == ENOTDIR
                   ? 0
                   : sl_error_set(err, errno, "cannot list '%s': %s", path, strerror(errno));
    }
    int r = 0;
    for (struct dirent *entry; r == 0 && (entry = readdir(dir)) != NULL;) {
        size_t n = strlen(entry->d_name);
        size_t end = strlen(SUFFIX);
        if (n <= end || strcmp(entry->d_name + n - end, SUFFIX) != 0) {
            continue;
        }
        entry->d_name[n - end] = '\0';
        if (sl_cli_profile_check_name(entry->d_name, NULL) < 0) {
            continue;
        }
        if (ret_names->count >= SL_PROFILES_MAX) {
            r = sl_error_set(err, E2BIG, "more than %d profiles in '%s'", SL_PROFILES_MAX, path);
        } else if (sl_strv_add(ret_names, entry->d_name) < 0) {
            r = sl_error_set(err, ENOMEM, "not enough memory");
        }
    }
    closedir(dir);
    if (r == 0 && ret_names->count > 1) {
        qsort(ret_names->items, ret_names->count, sizeof(char *), by_name);
    }
    return r;
}

static int text_row(sl_buf *out, const struct row *row)
{
    const char *whose = row->path == NULL ? "shipped" : row->hides ? "own, hides shipped" : "own";
    return sl_buf_printf(out, "%-16s %-18s %s\n", row->name, whose, row->summary);
}

static int json_row(json_t *rows, const struct row *row)
{
    return json_array_append_new(rows, json_pack("{s:s, s:s, s:s?, s:b, s:s}", "name", row->name,
                                                 "source", row->path == NULL ? "shipped" : "own",
                                                 "path", row->path, "hides_shipped", row->hides,
                                                 "summary", row->summary));
}

static int put_row(sl_buf *out, json_t *rows, const struct row *row)
{
    if (rows == NULL) {
        return text_row(out, row);
    }
    return json_row(rows, row) < 0 ? -ENOMEM : 0;
}

static int put_own(sl_buf *out, json_t *rows, const char *dir, const char *name)
{
    sl_autofree char *text = NULL;
    sl_autofree char *path = NULL;
    size_t len = 0;
    struct row row = {.name = name, .hides = sl_cli_shipped_profile(name) != NULL};
    sl_error err;
    if (sl_cli_profile_read(name, &text, &len, &path, &err) < 0 || path == NULL) {
        if (asprintf(&path, "%s/%s" SUFFIX, dir, name) < 0) {
            path = NULL;
            return -ENOMEM;
        }
        snprintf(row.summary, sizeof(row.summary), "(cannot be read)");
    } else {
        summarise(text, row.summary);
    }
    row.path = path;
    return put_row(out, rows, &row);
}

static int put_shipped(sl_buf *out, json_t *rows, const sl_strv *own)
{
    int r = 0;
    size_t count;
    const sl_cli_shipped *shipped = sl_cli_shipped_profiles(&count);
    for (size_t i = 0; r == 0 && i < count; i++) {
        struct row row = {.name = shipped[i].name};
        if (!sl_strv_has(own, shipped[i].name)) {
            summarise(shipped[i].text, row.summary);
            r = put_row(out, rows, &row);
        }
    }
    return r;
}

static int list(bool json, sl_error *err)
{
    sl_autofree char *dir = sl_cli_profile_dir();
    sl_strv own = {0};
    sl_buf out;
    int r = own_names(dir, &own, err);
    if (r < 0) {
        sl_strv_done(&own);
        return r;
    }
    sl_buf_init(&out, SL_CLI_OUTPUT_MAX);
    json_t *rows = json ? json_array() : NULL;
    r = json ? 0 : sl_buf_printf(&out, "%-16s %-18s %s\n", "NAME", "WHOSE", "WHAT FOR");
    for (size_t i = 0; r == 0 && i < own.count; i++) {
        r = put_own(&out, rows, dir, own.items[i]);
    }
    r = r < 0 ? r : put_shipped(&out, rows, &own);
    if (r == 0 && json) {
        r = sl_cli_put_json(&out, rows);
    }
    json_decref(rows);
    sl_strv_done(&own);
    int code = sl_cli_put(r, &out);
    sl_buf_done(&out);
    return code;
}

/* ---- show, delete ---- */

static int show(const char *name, sl_error *err)
{
    sl_autofree char *text = NULL;
    sl_autofree char *path = NULL;
    size_t len = 0;
    int r = sl_cli_profile_read(name, &text, &len, &path, err);
    if (r < 0) {
        return r;
    }
    sl_buf out;
    sl_buf_init(&out, SL_CLI_OUTPUT_MAX + 1);
    int code = sl_cli_put(sl_buf_append(&out, text, len), &out);
    sl_buf_done(&out);
    return code;
}

static int delete_own(const char *name, sl_error *err)
{
    sl_autofree char *dir = sl_cli_profile_dir();
    sl_autofree char *file = NULL;
    int r = sl_cli_profile_check_name(name, err);
    if (r < 0) {
        return r;
    }
    if (asprintf(&file, "%s" SUFFIX, name) < 0) {
        file = NULL;
        return sl_error_set(err, ENOMEM, "not enough memory");
    }
    sl_autoclose int at = dir == NULL ? -1 : open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (at >= 0 && unlinkat(at, file, 0) == 0) {
        return 0;
    }
    int error = at < 0 && dir == NULL ? ENOENT : errno;
    if (error != ENOENT && error != ENOTDIR) {
        return sl_error_set(err, error, "cannot delete '%s/%s': %s", dir, file, strerror(error));
    }
    if (sl_cli_shipped_profile(name) != NULL) {
        return sl_error_usage(err,
                              "profile '%s' came with sandlock and cannot be deleted; one of your "
                              "own of that name would take its place",
                              name);
    }
    return sl_error_usage(err, "you have no profile '%s' to delete (see 'sandlock profile list')",
                          name);
}

/* ---- the words ---- */

static const char *const actions[] = {"list", "show", "delete"};

static int unknown_action(const char *word, sl_error *err)
{
    for (size_t i = 0; i < SL_ARRAY_LEN(actions); i++) {
        if (sl_suggest_near(sl_suggest_distance(word, actions[i]), strlen(word))) {
            return sl_error_usage(err, "unknown word '%s' after 'profile'; did you mean '%s'?",
                                  word, actions[i]);
        }
    }
    return sl_error_usage(err, "unknown word '%s' after 'profile'; expected list, show or delete",
                          word);
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static int act_list(int argc, char **argv, sl_error *err)
{
    bool json = false;
    for (int i = 2; i < argc; i++) {
        if (is_help(argv[i])) {
            return sl_cli_help_print("profile");
        }
        if (strcmp(argv[i], "--json") != 0) {
            return sl_error_usage(err,
                                  "unexpected word '%s' after 'profile list'; expected '--json' or "
                                  "'--help'",
                                  argv[i]);
        }
        json = true;
    }
    return list(json, err);
}

/* Returns the exit code, or a negative errno with `err`. */
static int act(int argc, char **argv, sl_error *err)
{
    const char *action = argv[1];
    if (is_help(action)) {
        return sl_cli_help_print("profile");
    }
    if (strcmp(action, "list") == 0) {
        return act_list(argc, argv, err);
    }
    bool is_show = strcmp(action, "show") == 0;
    if (!is_show && strcmp(action, "delete") != 0) {
        return unknown_action(action, err);
    }
    if (argc > 2 && is_help(argv[2])) {
        return sl_cli_help_print("profile");
    }
    if (argc != 3) {
        return sl_error_usage(err, "expected one name, as in 'sandlock profile %s NAME'", action);
    }
    return is_show ? show(argv[2], err) : delete_own(argv[2], err);
}

int sl_cli_profile_main(int argc, char **argv)
{
    sl_error err;
    if (argc < 2) {
        sl_error_usage(&err, "expected list, show or delete after 'profile' (see 'sandlock help "
                             "profile')");
        return sl_cli_fail(&err);
    }
    int r = act(argc, argv, &err);
    return r < 0 ? sl_cli_fail(&err) : r;
}
