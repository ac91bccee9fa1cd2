/* Owns the words for what is wanted of a file. Never looks at one. */
#include "policy/told/file_denial.h"

#include <stdio.h>
#include <string.h>

#include "policy/text/suggest.h"

static const char *const names[SL_WANTS] = {
    [SL_WANT_READ] = "read",     [SL_WANT_LIST] = "list",   [SL_WANT_EXECUTE] = "execute",
    [SL_WANT_WATCH] = "watch",   [SL_WANT_WRITE] = "write", [SL_WANT_CREATE] = "create",
    [SL_WANT_REMOVE] = "remove", [SL_WANT_LINK] = "link",   [SL_WANT_LEASE] = "lease",
    [SL_WANT_CHANGE] = "change",
};

const char *sl_file_want_name(enum sl_file_want want)
{
    return names[want];
}

bool sl_file_want_writes(enum sl_file_want want)
{
    return want >= SL_WANT_WRITE;
}

static bool is_shown(char c)
{
    return (unsigned char)c >= 0x20 && (unsigned char)c < 0x7f;
}

/* Names may hold any byte, and a terminal is shown none that it could obey: bash, zsh and ksh know
 * the others as $'\\303\\274' (POSIX.1-2024, Dollar-Single-Quotes). */
static void quote_bytes(const char *option, const char *path, char *out, size_t size)
{
    int n = snprintf(out, size, "%s $'", option);
    for (; *path != '\0'; path++) {
        size_t at = (size_t)n;
        if (at + sizeof("\\377'") > size) {
            out[0] = '\0';
            return;
        }
        bool plain = is_shown(*path) && *path != '\'' && *path != '\\';
        n += plain ? snprintf(out + at, size - at, "%c", *path)
                   : snprintf(out + at, size - at, "\\%03o", (unsigned char)*path);
    }
    out[n] = '\'';
    out[n + 1] = '\0';
}

void sl_file_denial_suggest(const char *grant, bool writes, char *out, size_t size)
{
    const char *option = writes ? "-w" : "-r";
    const char *end = grant;
    if (strcmp(grant, "/") == 0) {
        out[0] = '\0';
        return;
    }
    while (is_shown(*end)) {
        end++;
    }
    if (*end == '\0') {
        (void)sl_suggest_option(option, grant, out, size);
    } else {
        quote_bytes(option, grant, out, size);
    }
}
