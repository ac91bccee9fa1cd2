/* Owns the words for what goes wrong in a handshake. It decides nothing: what is believed is
 * decided before it is asked. */
#include <openssl/err.h>
#include <openssl/sslerr.h>
#include <openssl/x509v3.h>

#include "core/util.h"
#include "net/tls/tls.h"
#include "net/tls/tls_int.h"

const char *sl_tls_alert_words(int alert)
{
    static const struct {
        int alert;
        const char *words;
    } table[] = {
        {0, "close notify"},
        {10, "unexpected message"},
        {20, "bad record mac"},
        {22, "record overflow"},
        {40, "handshake failure"},
        {41, "no certificate"},
        {42, "bad certificate"},
        {43, "unsupported certificate"},
        {44, "certificate revoked"},
        {45, "certificate expired"},
        {46, "certificate unknown"},
        {47, "illegal parameter"},
        {48, "unknown ca"},
        {49, "access denied"},
        {50, "decode error"},
        {51, "decrypt error"},
        {70, "protocol version"},
        {71, "insufficient security"},
        {80, "internal error"},
        {86, "inappropriate fallback"},
        {90, "user canceled"},
        {109, "missing extension"},
        {110, "unsupported extension"},
        {112, "unrecognized name"},
        {113, "bad certificate status response"},
        {115, "unknown psk identity"},
        {116, "certificate required"},
        {120, "no application protocol"},
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(table); i++) {
        if (table[i].alert == alert) {
            return table[i].words;
        }
    }
    return "an unknown alert";
}

static bool is_about_issuer(int error)
{
    switch (error) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_UNTRUSTED:
        return true;
    default:
        return false;
    }
}

/* The issuer is what OpenSSL looks at first: name and term, which it would look at next, are asked
 * here. */
bool sl_tls_lacks_issuer_only(X509_STORE_CTX *store)
{
    const X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(store);
    X509 *leaf = X509_STORE_CTX_get0_cert(store);
    if (leaf == NULL || !is_about_issuer(X509_STORE_CTX_get_error(store))) {
        return false;
    }
    const char *host = X509_VERIFY_PARAM_get0_host((X509_VERIFY_PARAM *)param, 0);
    char *address = host != NULL ? NULL : X509_VERIFY_PARAM_get1_ip_asc((X509_VERIFY_PARAM *)param);
    bool named = host != NULL ? X509_check_host(leaf, host, 0,
                                                X509_VERIFY_PARAM_get_hostflags(param), NULL) == 1
                              : address == NULL || X509_check_ip_asc(leaf, address, 0) == 1;
    OPENSSL_free(address);
    return named && X509_cmp_current_time(X509_get0_notBefore(leaf)) < 0 &&
           X509_cmp_current_time(X509_get0_notAfter(leaf)) > 0;
}

bool sl_tls_finds_nothing_common(unsigned long code)
{
    if (ERR_GET_LIB(code) != ERR_LIB_SSL) {
        return false;
    }
    switch (ERR_GET_REASON(code)) {
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SHARED_GROUPS:
    case SSL_R_NO_SUITABLE_KEY_SHARE:
    case SSL_R_NO_SUITABLE_GROUPS:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
    case SSL_R_NO_PROTOCOLS_AVAILABLE:
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_WRONG_SSL_VERSION:
    case SSL_R_DH_KEY_TOO_SMALL:
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
    case SSL_R_TLSV1_ALERT_INSUFFICIENT_SECURITY:
        return true;
    default:
        return false;
    }
}
