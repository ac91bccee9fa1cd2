/* Owns the words for what is wanted of a file. Never looks at one. */
#include "policy/file_denial.h"

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

void sl_file_denial_suggest(const char *grant, bool writes, char *out, size_t size)
{
    if (strcmp(grant, "/") == 0) {
        out[0] = '\0';
        return;
    }
    (void)sl_suggest_option(writes ? "-w" : "-r", grant, out, size);
}
