/* The roots of one file, for a store: indexed by their subjects, and decoded when a chain asks. */
#ifndef SANDLOCK_NET_TLS_ROOTS_FILE_H
#define SANDLOCK_NET_TLS_ROOTS_FILE_H

#include <openssl/x509.h>
#include <stdbool.h>

#define SL_ROOTS_FILE_MAX (8u << 20)

/* Makes the store find the certificates of this file of PEM text. False when it has none, or when
 * another file of the kind is there already. */
bool sl_roots_file_add(X509_STORE *store, const char *path);

#endif
