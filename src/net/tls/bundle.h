/* The bundle that the child gets: our CA, beside what else it needs to believe. */
#ifndef SANDLOCK_NET_TLS_BUNDLE_H
#define SANDLOCK_NET_TLS_BUNDLE_H

#include <stddef.h>

#include "core/buf.h"
#include "core/err.h"

#define SL_BUNDLE_MAX       (8u << 20)
#define SL_BUNDLE_CERTS_MAX 8192 /* certificates in one bundle */

/* Appends those certificates of the PEM text that `out` does not have yet, and nothing else of it:
 * a private key or a comment beside them never gets to the child. 0, -ENOMEM, -ENOBUFS. */
int sl_bundle_add_pem(sl_buf *out, const char *pem, size_t len);

/* Appends what sl_bundle_add_pem takes of: every file of `files` that exists, the system's bundle,
 * `ca_pem`. `out` may have certificates already. */
int sl_bundle_make(const char *const *files, size_t count, const char *ca_pem, sl_buf *out,
                   sl_error *err);

/* The same for a child that meets nobody but us: `ca_pem`, behind what the user's own text has and
 * the system's bundle has not, for servers of the child's own. */
int sl_bundle_make_own(const char *pem, size_t len, const char *ca_pem, sl_buf *out, sl_error *err);

#endif
