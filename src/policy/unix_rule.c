/* Owns the grammar of rules that name Unix sockets, and what their stars stand for. Never looks at
 * the file system. */
#include "policy/unix_rule.h"

#include <limits.h>
#include <string.h>

#define SHOWN_MAX 160

bool sl_unix_rule_is(const char *text)
{
    return strncmp(text, SL_UNIX_RULE_SCHEME, strlen(SL_UNIX_RULE_SCHEME)) == 0;
}

/* Every segment has a name of its own: "//", "." and ".." would be other spellings of a path that
 * is compared as it stands. */
static bool is_plain(const char *path)
{
    for (const char *at = path; *at != '\0';) {
        size_t n = strcspn(++at, "/");
        if (n == 0 || (n == 1 && at[0] == '.') || (n == 2 && at[0] == '.' && at[1] == '.')) {
            return false;
        }
        at += n;
    }
    return true;
}

static bool has_control(const char *path)
{
    for (; *path != '\0'; path++) {
        if ((unsigned char)*path < 0x20 || *path == 0x7f) {
            return true;
        }
    }
    return false;
}

const char *sl_unix_rule_path(const char *text, sl_error *err)
{
    const char *path = text + strlen(SL_UNIX_RULE_SCHEME);
    const char *wrong = NULL;
    if (strnlen(path, PATH_MAX) == PATH_MAX) {
        wrong = "the path is too long";
    } else if (path[0] != '/' || path[1] == '\0') {
        wrong = "expected the absolute path of a socket behind 'unix:'";
    } else if (!is_plain(path)) {
        wrong = "expected a path without '//', '.', '..' or a '/' at its end";
    } else if (has_control(path)) {
        wrong = "a path with control characters cannot be a rule";
    }
    if (wrong != NULL) {
        sl_error_usage(err, "net rule '%.*s': %s", SHOWN_MAX, text, wrong);
        return NULL;
    }
    return path;
}

/* One star at a time: where the rest does not fit, the last star takes one byte more, up to the end
 * of its segment. */
bool sl_unix_rule_has(const char *rule, const char *path)
{
    const char *star = NULL;
    const char *taken = NULL;
    while (*path != '\0') {
        if (*rule == '*') {
            star = ++rule;
            taken = path;
        } else if (*rule == *path) {
            rule++;
            path++;
        } else if (star != NULL && *taken != '/') {
            rule = star;
            path = ++taken;
        } else {
            return false;
        }
    }
    while (*rule == '*') {
        rule++;
    }
    return *rule == '\0';
}
