/* What the files of this room alone share. */
#ifndef SANDLOCK_NET_TLS_TLS_INT_H
#define SANDLOCK_NET_TLS_TLS_INT_H

#include <openssl/ssl.h>
#include <stdbool.h>

/* trouble.c */
/* True when the certificate under verification would be believed if its issuer were known. */
bool sl_tls_lacks_issuer_only(X509_STORE_CTX *store);
/* True for the failure of a handshake that found nothing both sides accept (an ERR_ code). */
bool sl_tls_finds_nothing_common(unsigned long code);

/* tls.c: the filter of this connection is told that its peer's issuer alone is unknown. */
void sl_tls_note_issuer(SSL *ssl);

#endif
