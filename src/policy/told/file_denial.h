/* A file that the grants refuse: what was wanted of it, and which flag would allow that. Pure. */
#ifndef SANDLOCK_POLICY_TOLD_FILE_DENIAL_H
#define SANDLOCK_POLICY_TOLD_FILE_DENIAL_H

#include <stdbool.h>
#include <stddef.h>

enum sl_file_want {
    SL_WANT_READ,
    SL_WANT_LIST, /* the names in a directory */
    SL_WANT_EXECUTE,
    SL_WANT_WATCH,
    SL_WANT_WRITE,
    SL_WANT_CREATE, /* an entry of a directory */
    SL_WANT_REMOVE,
    SL_WANT_LINK,   /* an entry, to another directory */
    SL_WANT_LEASE,  /* fcntl(2), F_SETLEASE */
    SL_WANT_CHANGE, /* mode, owner, times, attributes */
    SL_WANTS,       /* how many there are */
};

typedef struct sl_file_denial {
    enum sl_file_want want;
    const char *path;  /* absolute, resolved: what was refused */
    const char *grant; /* what a flag would have to name: itself, or the directory it is in */
    bool asked;        /* by access(2), which does nothing: programs ask, to choose what works */
    bool by_rule;      /* a deny rule says so, which no flag overrules */
} sl_file_denial;

/* "read" */
const char *sl_file_want_name(enum sl_file_want want);
/* Whether a grant for reading would not do. */
bool sl_file_want_writes(enum sl_file_want want);

/* Writes `-r 'PATH'` or `-w 'PATH'`, printable whatever is in the path; "" for the root directory,
 * of which nobody is told to grant all, and for what does not fit. `size` is at least 8. */
void sl_file_denial_suggest(const char *grant, bool writes, char *out, size_t size);

#endif
