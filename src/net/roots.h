/* Which authorities are believed: the system's roots for upstreams, and the bundle that the child
 * gets (system roots, what the user had set, and our CA). */
#ifndef SANDLOCK_NET_ROOTS_H
#define SANDLOCK_NET_ROOTS_H

#include <openssl/x509.h>
#include <stddef.h>

#include "core/buf.h"
#include "core/err.h"

#define SL_ROOTS_BUNDLE_MAX (8u << 20)

/* A store with the system's roots (hashed directory where there is one, else the bundle file;
 * SSL_CERT_FILE and SSL_CERT_DIR of our own environment come first) and the PEM files in `extra`.
 * Caller frees with X509_STORE_free. Called when the first TLS flow comes. */
int sl_roots_store(const char *const *extra, size_t extra_count, X509_STORE **ret_store,
                   sl_error *err);

/* Appends PEM text: every distinct file of `files` that exists, the system bundle if none of them
 * was it, then `ca_pem`. */
int sl_roots_bundle(const char *const *files, size_t count, const char *ca_pem, sl_buf *out,
                    sl_error *err);

#endif
