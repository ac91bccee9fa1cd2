/* Which paths a policy grants, as plain data: built once by who makes the rules. */
#ifndef SANDLOCK_SUPERVISOR_FSVIEW_H
#define SANDLOCK_SUPERVISOR_FSVIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "core/strv.h"
#include "core/util.h"

/* A file as an object, whatever it is called by now. */
typedef struct sl_fsview_file {
    dev_t dev;
    ino_t ino;
} sl_fsview_file;

/* A standard stream that is a file: opened again by its name as it was opened before. */
typedef struct sl_fsview_stream {
    sl_fsview_file file;
    unsigned rights; /* SL_LANDLOCK_LOOK, SL_LANDLOCK_FILL */
} sl_fsview_stream;

#define SL_FSVIEW_STREAMS 3

/* What was granted, resolved once at the start: later changes of the tree do not move it. */
typedef struct sl_fsview {
    sl_strv writable; /* absolute, symlinks resolved */
    sl_strv readable; /* the same of what may be read, the writable and each carved piece included;
                         what may be listed only is not */
    sl_strv listed;   /* directories whose names, and all below them, may be listed */
    sl_strv devices;  /* nodes that may be read, written and commanded */
    sl_strv denied;   /* the same of what is carved out */
    size_t ruled; /* so many of them, the first, by a rule; what follows the default view hides */
    bool root_listed;        /* isolate_pids: "/" may be listed, though no rule says so */
    bool proc_read;          /* isolate_pids: the tree's own processes may be read in /proc */
    sl_strv notes;           /* lines worth telling the user: grants not given and why */
    sl_strv socket_rules;    /* of unix: rules, symlinks resolved before the first star */
    sl_fsview_file *sockets; /* sockets that are write grants themselves; owned */
    size_t socket_count;
    sl_fsview_stream streams[SL_FSVIEW_STREAMS];
    size_t stream_count;
} sl_fsview;

void sl_fsview_free(sl_fsview *view);
SL_DEFINE_AUTO(sl_fsview, sl_fsview_free);

/* True if `path` (absolute, resolved) is a write grant or below one. */
bool sl_fsview_writable(const sl_fsview *view, const char *path);

/* Remembers a socket that is a write grant itself. 0 or -ENOMEM. */
int sl_fsview_add_socket(sl_fsview *view, const struct stat *st);
/* Remembers a standard stream that is a file. 0, or -ENOBUFS: there are no more than three. */
int sl_fsview_add_stream(sl_fsview *view, const struct stat *st, unsigned rights);
/* What the streams that are this file let be done with it; 0: it is none. */
unsigned sl_fsview_stream_rights(const sl_fsview *view, const struct stat *st);
/* True if this Unix socket is named by the policy: the very file, or its path (absolute, resolved)
 * by a rule. A directory above it names nothing, and what is denied nobody names. */
bool sl_fsview_names_socket(const sl_fsview *view, const struct stat *st, const char *path);
/* True if `path` (absolute, resolved) may be read, by a rule for it or for something above. */
bool sl_fsview_readable(const sl_fsview *view, const char *path);

/* What the grants let be done with an object that has this path (absolute, resolved): R_OK, W_OK,
 * X_OK as in access(2). Whoever owns it, and its mode, may have another opinion. */
unsigned sl_fsview_modes(const sl_fsview *view, const char *path, const struct stat *st);

/* True if a file system of this type is mounted where a write grant reaches some of it, or when
 * that cannot be told. */
bool sl_fsview_writes_type(const sl_fsview *view, const char *type);

/* True if `path` (absolute) is denied or below what is. */
bool sl_fsview_denied(const sl_fsview *view, const char *path);
/* The same by a rule alone, not because the default view hides it. */
bool sl_fsview_denied_by_rule(const sl_fsview *view, const char *path);

/* True if `path` is `top` or below it; both absolute and without trailing slash ("/" is all). */
bool sl_fsview_is_below(const char *path, const char *top);

#endif
