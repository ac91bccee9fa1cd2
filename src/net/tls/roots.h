/* Which authorities are believed: the system's roots for upstreams, and the bundle that the child
 * gets (system roots, what the user had set, and our CA). The places are conf/ca-bundles. */
#ifndef SANDLOCK_NET_TLS_ROOTS_H
#define SANDLOCK_NET_TLS_ROOTS_H

#include <openssl/x509.h>
#include <stddef.h>

#include "core/buf.h"
#include "core/err.h"

#define SL_ROOTS_BUNDLE_MAX (8u << 20)
#define SL_ROOTS_CERTS_MAX  8192 /* certificates in one bundle */

/* A store with the system's roots: hashed directory where there is one, else the bundle file; but
 * what SSL_CERT_FILE and SSL_CERT_DIR of our own environment name instead of them, if it is there.
 * -ENOENT: no roots at all. Caller frees with X509_STORE_free. Called when the first TLS flow
 * comes.
 */
int sl_roots_store(X509_STORE **ret_store, sl_error *err);

/* Appends those certificates of the PEM text that `out` does not have yet, and nothing else of it:
 * a private key or a comment beside them never gets to the child. 0, -ENOMEM, -ENOBUFS. */
int sl_roots_add_pem(sl_buf *out, const char *pem, size_t len);

/* Appends what sl_roots_add_pem takes of: every file of `files` that exists, the system's bundle,
 * `ca_pem`. `out` may have certificates already. */
int sl_roots_bundle(const char *const *files, size_t count, const char *ca_pem, sl_buf *out,
                    sl_error *err);

#endif
