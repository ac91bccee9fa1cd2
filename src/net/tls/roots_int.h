/* The places of root certificates as values, so that tests can have their own. */
#ifndef SANDLOCK_NET_TLS_ROOTS_INT_H
#define SANDLOCK_NET_TLS_ROOTS_INT_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"
#include "net/tls/roots.h"

#define SL_ROOTS_HASHED_MAX 8192 /* entries of a directory that are looked at */

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
/* "5ed36f99.0", as openssl-rehash(1) names them; ".r0" are revocation lists. */
bool sl_roots_is_hashed(const char *name);

int sl_bundle_make_from(const sl_roots_places *places, const char *const *files, size_t count,
                        const char *ca_pem, sl_buf *out, sl_error *err);
int sl_bundle_make_own_from(const sl_roots_places *places, const char *pem, size_t len,
                            const char *ca_pem, sl_buf *out, sl_error *err);

#endif
