/* The certificate authority of a run. Its key never leaves ca.c; others ask for a leaf. */
#ifndef SANDLOCK_NET_TLS_CA_H
#define SANDLOCK_NET_TLS_CA_H

#include <openssl/ssl.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/err.h"

#define SL_CA_LEAVES_MAX 512 /* cached; the least recently used makes room */

typedef struct sl_ca sl_ca;

/* What the clock of those who will verify is ahead of ours, for the whole process: certificates are
 * made for their time. Before anything else here. */
void sl_ca_set_clock(int64_t ahead_s);

/* An ephemeral P-256 CA, valid from two days ago for a year: a run may be long, the key dies with
 * the process anyway. */
int sl_ca_new(sl_ca **ret_ca, sl_error *err);
/* One's own, PEM text; certificates behind the first are sent along as its chain. Refuses a
 * certificate that is not a CA, has run out, or does not belong to the key, and an encrypted key.
 */
int sl_ca_load(const char *cert_pem, size_t cert_len, const char *key_pem, size_t key_len,
               sl_ca **ret_ca, sl_error *err);
void sl_ca_free(sl_ca *ca);

/* The public certificate (and its chain, if one was given) as PEM; owned by the CA. */
const char *sl_ca_pem(const sl_ca *ca);

/* Gives `ssl` (server side, before the handshake) a leaf with exactly one subjectAltName: dNSName
 * `name` (lower case) if `addr` is NULL, else that iPAddress. 0, -EINVAL for an impossible name,
 * -ENOMEM, -EIO when OpenSSL refuses. */
int sl_ca_certify(sl_ca *ca, SSL *ssl, const char *name, const sl_addr *addr);

#endif
