/* TLS as a filter (OpenSSL), client side towards upstreams and server side towards the child.
 *
 * TLS 1.2 and 1.3, no renegotiation, no compression, no early data, no resumption (the child gets a
 * ticket that opens nothing). Knows no policy: which name is believed and which certificate is
 * shown is the caller's choice. */
#ifndef SANDLOCK_NET_TLS_TLS_H
#define SANDLOCK_NET_TLS_TLS_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/err.h"
#include "net/conn.h"
#include "net/tls/ca.h"

#define SL_TLS_QUEUE_MAX (160u << 10) /* ciphertext that waits for the socket */

/* OpenSSL, without configuration files. Before anything else of this header, or of ca.h. */
int sl_tls_init(sl_error *err);

/* The context for upstreams; takes a reference on `store`. Caller frees with SSL_CTX_free. */
int sl_tls_client_ctx(X509_STORE *store, SSL_CTX **ret_ctx, sl_error *err);
int sl_tls_server_ctx(SSL_CTX **ret_ctx, sl_error *err);

/* Adds the certificates and revocation lists of PEM text to a store. With a list in it, leaves are
 * checked against the list of their issuer where there is one. 0, -EINVAL (nothing usable). */
int sl_tls_store_add_pem(X509_STORE *store, const char *pem, size_t len, sl_error *err);

/* Puts TLS on top of `c`; sl_conn_connect then does the handshake.
 * Client: verifies the peer as `name`, or as `addr` when name is NULL. `alpn`: protocols in wire
 * form, or none. Server: shows a leaf of `ca` for the name or address; ALPN answers "http/1.1", or
 * "http/1.0" to who knows no other. */
int sl_tls_push_client(sl_conn *c, SSL_CTX *ctx, const char *name, const sl_addr *addr,
                       const uint8_t *alpn, size_t alpn_len);
int sl_tls_push_server(sl_conn *c, SSL_CTX *ctx, sl_ca *ca, const char *name, const sl_addr *addr);

/* Is the protocol in this list, in wire form (RFC 7301 section 3.1)? */
bool sl_tls_alpn_has(const uint8_t *list, size_t len, const char *protocol);

/* Why a handshake failed: true when the peer's certificate was not believed. `ret_why` gets one
 * sentence (constant text, or OpenSSL's own), never NULL. */
bool sl_tls_untrusted(const sl_conn *c, const char **ret_why);

/* What went wrong with a peer, as far as it can be told. */
typedef struct sl_tls_trouble {
    const char *why;     /* one sentence, never NULL */
    int alert;           /* the last that came, RFC 8446 section 6; -1: none */
    bool untrusted;      /* its certificate was not believed... */
    bool unknown_issuer; /* ... and nothing is wrong with it but that nobody knows its issuer */
    bool asked;          /* it asked for a certificate of ours */
    bool shown;          /* a certificate of ours was sent */
    bool nothing_common; /* no version, cipher or group that both accept */
    bool heard;          /* data of its came */
    bool cut;            /* it ended the connection without a word */
} sl_tls_trouble;
/* Reads what the peer said before the connection broke: its last alert. For a connection that has
 * failed; what else it said is lost. */
void sl_tls_last_words(sl_conn *c);
void sl_tls_trouble_of(const sl_conn *c, sl_tls_trouble *ret);
/* "unknown ca": an alert in the words of the RFC. */
const char *sl_tls_alert_words(int alert);
/* True when the peer ended without close_notify: what came may be cut short. */
bool sl_tls_cut(const sl_conn *c);
/* Ends like a broken connection: no close_notify will be sent. */
void sl_tls_break(sl_conn *c);

#endif
