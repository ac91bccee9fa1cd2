/* Which authorities upstreams are verified with: the system's. The places are conf/ca-bundles. */
#ifndef SANDLOCK_NET_TLS_ROOTS_H
#define SANDLOCK_NET_TLS_ROOTS_H

#include <openssl/x509.h>

#include "core/err.h"

/* A store with the system's roots: hashed directory where there is one, else the bundle file; but
 * what SSL_CERT_FILE and SSL_CERT_DIR of our own environment name instead of them, if it is there.
 * -ENOENT: no roots at all. Caller frees with X509_STORE_free. Called when the first TLS flow
 * comes.
 */
int sl_roots_store(X509_STORE **ret_store, sl_error *err);

#endif
