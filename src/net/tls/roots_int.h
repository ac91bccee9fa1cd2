/* The places of root certificates as values, so that tests can have their own. */
#ifndef SANDLOCK_NET_TLS_ROOTS_INT_H
#define SANDLOCK_NET_TLS_ROOTS_INT_H

#include "net/tls/roots.h"

/* NULL-terminated lists, in the order in which they are tried. */
typedef struct sl_roots_places {
    const char *const *bundles;
    const char *const *dirs;
    const char *env_file; /* the values of SSL_CERT_FILE and SSL_CERT_DIR, or NULL */
    const char *env_dir;
} sl_roots_places;

/* The tables of core/ca_bundles.inc and the environment. */
sl_roots_places sl_roots_system(void);

int sl_roots_store_from(const sl_roots_places *places, X509_STORE **ret_store, sl_error *err);
int sl_roots_bundle_from(const sl_roots_places *places, const char *const *files, size_t count,
                         const char *ca_pem, sl_buf *out, sl_error *err);

#endif
