/* Owns the search for a profile and the reading of its file. What it says the policy room
 * understands. */
#include "cli/profiles.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "core/fd.h"
#include "core/util.h"
#include "policy/text/profile.h"
#include "policy/text/suggest.h"

#define SHOWN_MAX    160
#define NAME_LEN_MAX 64
#define SUFFIX       ".toml"

char *sl_cli_profile_dir(void)
{
    const char *config = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");
    char *dir = NULL;
    int n = -1;
    if (config != NULL && config[0] == '/') { /* a relative one is not to be used: XDG 0.8 */
        n = asprintf(&dir, "%s/sandlock/profiles", config);
    } else if (home != NULL && home[0] == '/') {
        n = asprintf(&dir, "%s/.config/sandlock/profiles", home);
    }
    return n < 0 ? NULL : dir;
}

int sl_cli_profile_check_name(const char *name, sl_error *err)
{
    size_t n = 0;
    while (isalnum((unsigned char)name[n]) || (name[n] != '\0' && strchr("._-", name[n]))) {
        n++;
    }
    if (n == 0 || n > NAME_LEN_MAX || name[n] != '\0' || name[0] == '.' || name[0] == '-') {
        return sl_error_usage(err,
                              "'%.*s' is not the name of a profile: expected 1 to %d letters, "
                              "digits, '.', '_' or '-'",
                              SHOWN_MAX, name, NAME_LEN_MAX);
    }
    return 0;
}

static int unknown(const char *name, const char *dir, sl_error *err)
{
    const char *near = NULL;
    size_t least = SIZE_MAX;
    size_t count;
    const sl_cli_shipped *shipped = sl_cli_shipped_profiles(&count);
    for (size_t i = 0; i < count; i++) {
        size_t distance = sl_suggest_distance(name, shipped[i].name);
        if (distance < least) {
            least = distance;
            near = shipped[i].name;
        }
    }
    if (near != NULL && sl_suggest_near(least, strlen(name))) {
        return sl_error_usage(err, "there is no profile '%s'; did you mean '%s'?", name, near);
    }
    return sl_error_usage(err,
                          "there is no profile '%s' in '%s' and none of that name was shipped "
                          "(see 'sandlock profile list')",
                          name, dir == NULL ? "~/.config/sandlock/profiles" : dir);
}

static int read_file(const char *path, char **ret_text, size_t *ret_len, sl_error *err)
{
    struct stat st;
    int r = stat(path, &st) < 0 ? -errno : 0;
    if (r == 0 && !S_ISREG(st.st_mode)) {
        /* A pipe whose writer is gone reads as an empty profile, which would restrict nothing. */
        return sl_error_set(err, EINVAL, "cannot read profile '%s': it is no regular file", path);
    }
    r = r < 0 ? r : sl_fd_read_file(path, SL_PROFILE_LEN_MAX, ret_text, ret_len);
    if (r == -EFBIG) {
        return sl_error_usage(err, "cannot read profile '%s': longer than %u bytes", path,
                              SL_PROFILE_LEN_MAX);
    }
    return r < 0 ? sl_error_set(err, -r, "cannot read profile '%s': %s", path, strerror(-r)) : 0;
}

int sl_cli_profile_read(const char *name, char **ret_text, size_t *ret_len, char **ret_path,
                        sl_error *err)
{
    sl_autofree char *dir = sl_cli_profile_dir();
    sl_autofree char *path = NULL;
    int r = sl_cli_profile_check_name(name, err);
    if (r < 0) {
        return r;
    }
    if (dir != NULL && asprintf(&path, "%s/%s" SUFFIX, dir, name) < 0) {
        path = NULL;
        return sl_error_set(err, ENOMEM, "not enough memory");
    }
    r = path == NULL ? -ENOENT : read_file(path, ret_text, ret_len, err);
    if (r == 0) {
        *ret_path = sl_steal(&path);
        return 0;
    }
    if (r != -ENOENT && r != -ENOTDIR) {
        return r;
    }
    const sl_cli_shipped *shipped = sl_cli_shipped_profile(name);
    if (shipped == NULL) {
        return unknown(name, dir, err);
    }
    *ret_text = strdup(shipped->text);
    *ret_len = shipped->len;
    *ret_path = NULL;
    return *ret_text == NULL ? sl_error_set(err, ENOMEM, "not enough memory") : 0;
}

int sl_cli_profile_load(const char *word, sl_policy *policy, sl_error *err)
{
    sl_autofree char *text = NULL;
    sl_autofree char *path = NULL;
    size_t len = 0;
    size_t n = strlen(word);
    size_t end = strlen(SUFFIX);
    bool is_file = strchr(word, '/') != NULL || (n > end && strcmp(word + n - end, SUFFIX) == 0);
    int r = is_file ? read_file(word, &text, &len, err)
                    : sl_cli_profile_read(word, &text, &len, &path, err);
    return r < 0 ? r : sl_profile_apply(text, len, path != NULL ? path : word, policy, err);
}
