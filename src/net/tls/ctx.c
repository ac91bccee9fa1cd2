/* Owns what all TLS connections share: library set-up, versions, ciphers, verification. Never
 * lowers what is written here for one connection. */
#include "net/tls/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

#include "core/util.h"
#include "net/tls/tls_int.h"

int sl_tls_init(sl_error *err)
{
    /* No configuration file: the user's openssl.cnf is for the user's programs. */
    if (OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL) != 1) {
        return sl_error_set(err, EIO, "OpenSSL cannot be initialised");
    }
    return 0;
}

static SSL_CTX *new_ctx(const SSL_METHOD *method)
{
    ERR_clear_error();
    SSL_CTX *ctx = SSL_CTX_new(method);
    if (ctx == NULL) {
        return NULL;
    }
    SSL_CTX_set_security_level(ctx, 2);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_read_ahead(ctx, 1);
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
                                      "TLS_CHACHA20_POLY1305_SHA256") != 1 ||
        SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:"
                                     "ECDHE+AES:DHE+AES:RSA+AESGCM:RSA+AES:"
                                     "!aNULL:!eNULL:!EXPORT:!3DES:!RC4:!MD5:!PSK:!SRP:!DSS") != 1 ||
        SSL_CTX_set1_groups_list(ctx, "X25519:P-256:P-384:P-521") != 1) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

/* A list of revoked certificates is used where its issuer gave one; others have none to ask. */
static int on_verify(int ok, X509_STORE_CTX *store)
{
    if (ok == 0 && X509_STORE_CTX_get_error(store) == X509_V_ERR_UNABLE_TO_GET_CRL) {
        X509_STORE_CTX_set_error(store, X509_V_OK);
        return 1;
    }
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    if (ok == 0 && ssl != NULL && sl_tls_lacks_issuer_only(store)) {
        sl_tls_note_issuer(ssl);
    }
    return ok;
}

int sl_tls_client_ctx(X509_STORE *store, SSL_CTX **ret_ctx, sl_error *err)
{
    SSL_CTX *ctx = new_ctx(TLS_client_method());
    if (ctx == NULL) {
        return sl_error_set(err, ENOMEM, "cannot set TLS up for upstreams");
    }
    SSL_CTX_set1_cert_store(ctx, store);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, on_verify);
    *ret_ctx = ctx;
    return 0;
}

static const char *const protocols[] = {"http/1.1", "http/1.0"}; /* in this order */

bool sl_tls_alpn_has(const uint8_t *list, size_t len, const char *protocol)
{
    size_t n = strlen(protocol);
    for (size_t i = 0; i < len; i += 1u + list[i]) {
        if (list[i] == n && len - i > n && memcmp(list + i + 1, protocol, n) == 0) {
            return true;
        }
    }
    return false;
}

/* RFC 7301 section 3.2: no protocol in common is fatal. HTTP/2 is not offered yet. */
static int on_alpn(SSL *ssl, const uint8_t **out, uint8_t *out_len, const uint8_t *in, unsigned len,
                   void *arg)
{
    (void)ssl;
    (void)arg;
    for (size_t i = 0; i < SL_ARRAY_LEN(protocols); i++) {
        if (sl_tls_alpn_has(in, len, protocols[i])) {
            *out = (const uint8_t *)protocols[i];
            *out_len = (uint8_t)strlen(protocols[i]);
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

int sl_tls_server_ctx(SSL_CTX **ret_ctx, sl_error *err)
{
    SSL_CTX *ctx = new_ctx(TLS_server_method());
    if (ctx == NULL) {
        return sl_error_set(err, ENOMEM, "cannot set TLS up for the child");
    }
    SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
    SSL_CTX_set_num_tickets(ctx, 1); /* good for nothing: wget waits 60 ms for one, else */
    *ret_ctx = ctx;
    return 0;
}

int sl_tls_store_add_pem(X509_STORE *store, const char *pem, size_t len, sl_error *err)
{
    ERR_clear_error();
    BIO *bio = BIO_new_mem_buf(pem, (int)len);
    STACK_OF(X509_INFO) *infos = bio != NULL ? PEM_X509_INFO_read_bio(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    int certs = 0;
    bool lists = false;
    for (int i = 0; infos != NULL && i < sk_X509_INFO_num(infos); i++) {
        X509_INFO *info = sk_X509_INFO_value(infos, i);
        if (info->x509 != NULL && X509_STORE_add_cert(store, info->x509) == 1) {
            certs++;
        }
        if (info->crl != NULL && X509_STORE_add_crl(store, info->crl) == 1) {
            lists = true;
        }
    }
    sk_X509_INFO_pop_free(infos, X509_INFO_free);
    ERR_clear_error();
    if (lists) {
        X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
    }
    if (certs == 0 && !lists) {
        return sl_error_set(err, EINVAL, "http_upstream_ca holds no usable certificate");
    }
    return 0;
}
