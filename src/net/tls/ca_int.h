/* Making certificates: what only ca.c calls, and its test. */
#ifndef SANDLOCK_NET_TLS_CA_INT_H
#define SANDLOCK_NET_TLS_CA_INT_H

#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdint.h>
#include <time.h>

#include "core/addr.h"

/* A self-signed CA for `key`. NULL when OpenSSL refuses or memory is short. */
X509 *sl_cert_authority(EVP_PKEY *key);

/* sl_ca_set_clock, and the time by it. */
void sl_cert_set_clock(int64_t seconds);
time_t sl_cert_now(void);

/* A server certificate for exactly one name or address, for `leaf_key`, signed by the CA. */
X509 *sl_cert_leaf(X509 *ca, EVP_PKEY *ca_key, EVP_PKEY *leaf_key, const char *name,
                   const sl_addr *addr);

#endif
