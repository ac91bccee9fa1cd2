/* What the gateway gets of the user's files: it is confined and opens none of them itself. */
#ifndef SANDLOCK_ENGINE_FILES_H
#define SANDLOCK_ENGINE_FILES_H

#include "core/buf.h"
#include "core/err.h"
#include "policy/policy.h"

#define SL_FILES_PEM_MAX (8u << 20) /* bytes of each text */

typedef struct sl_files {
    int audit_fd;       /* opened for appending; -1: none */
    sl_buf ca;          /* http_ca */
    sl_buf key;         /* http_key */
    sl_buf upstream_ca; /* http_upstream_ca, one after the other */
    sl_buf bundle;      /* what the caller's own variables named */
} sl_files;

void sl_files_init(sl_files *files);
/* Opens the audit log and reads what the policy names. The bundle stays empty. */
int sl_files_read(const sl_policy *policy, sl_files *files, sl_error *err);
/* Overwrites the key and frees every text. The descriptor stays. */
void sl_files_wipe(sl_files *files);
/* The same, and closes the descriptor. */
void sl_files_done(sl_files *files);

#endif
