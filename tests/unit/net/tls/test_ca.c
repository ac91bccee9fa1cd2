/* The authority: what its certificates say, whom mbedTLS and OpenSSL believe, what is refused as
 * one's own CA. TLS-03, TLS-12. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <mbedtls/oid.h>
#include <mbedtls/x509_crt.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "core/util.h"
#include "net/tls/ca.h"
#include "net/tls/ca_int.h"

static const sl_addr v4 = {.family = 4, .bytes = {192, 0, 2, 1}};
static const sl_addr v6 = {.family = 6, .bytes = {0x20, 1, 0x0d, 0xb8, [15] = 7}};

/* A TLS server end that has the leaf; the caller frees it. */
static SSL *certified(sl_ca *ca, const char *name, const sl_addr *addr)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    assert_non_null(ctx);
    SSL *ssl = SSL_new(ctx);
    SSL_CTX_free(ctx);
    assert_non_null(ssl);
    assert_int_equal(sl_ca_certify(ca, ssl, name, addr), 0);
    return ssl;
}

static X509 *pem_cert(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    assert_non_null(cert);
    return cert;
}

static uint32_t mbedtls_flags(sl_ca *ca, SSL *ssl, const char *name)
{
    mbedtls_x509_crt root;
    mbedtls_x509_crt leaf;
    uint32_t flags = 0;
    unsigned char *der = NULL;
    mbedtls_x509_crt_init(&root);
    mbedtls_x509_crt_init(&leaf);
    int len = i2d_X509(SSL_get_certificate(ssl), &der);
    assert_true(len > 0);
    assert_int_equal(mbedtls_x509_crt_parse(&root, (const unsigned char *)sl_ca_pem(ca),
                                            strlen(sl_ca_pem(ca)) + 1),
                     0);
    assert_int_equal(mbedtls_x509_crt_parse_der(&leaf, der, (size_t)len), 0);
    mbedtls_x509_crt_verify(&leaf, &root, NULL, name, &flags, NULL, NULL);
    assert_int_equal(mbedtls_x509_crt_check_extended_key_usage(
                         &leaf, MBEDTLS_OID_SERVER_AUTH, MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH)),
                     0);
    mbedtls_x509_crt_free(&leaf);
    mbedtls_x509_crt_free(&root);
    OPENSSL_free(der);
    return flags;
}

/* OpenSSL, strict: RFC 5280 to the letter. */
static int openssl_verify(const char *root_pem, SSL *ssl, const char *name, const sl_addr *addr)
{
    X509 *root = pem_cert(root_pem);
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    STACK_OF(X509) *chain = NULL;
    SSL_get0_chain_certs(ssl, &chain);
    assert_int_equal(X509_STORE_add_cert(store, root), 1);
    assert_int_equal(X509_STORE_CTX_init(ctx, store, SSL_get_certificate(ssl), chain), 1);
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT);
    X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_SERVER);
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    if (addr != NULL) {
        X509_VERIFY_PARAM_set1_ip(param, addr->bytes, addr->family == 4 ? 4 : 16);
    } else {
        X509_VERIFY_PARAM_set1_host(param, name, 0);
    }
    X509_verify_cert(ctx);
    int error = X509_STORE_CTX_get_error(ctx);
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    X509_free(root);
    return error;
}

static void test_names(void **state)
{
    (void)state;
    char name[254];
    sl_ca *ca = NULL;
    assert_int_equal(sl_ca_new(&ca, NULL), 0);
    SSL *ssl = certified(ca, "api.example.test", NULL);
    assert_int_equal(openssl_verify(sl_ca_pem(ca), ssl, "api.example.test", NULL), X509_V_OK);
    assert_int_equal(openssl_verify(sl_ca_pem(ca), ssl, "b.example.test", NULL),
                     X509_V_ERR_HOSTNAME_MISMATCH);
    assert_int_equal(mbedtls_flags(ca, ssl, "api.example.test"), 0);
    assert_int_equal(mbedtls_flags(ca, ssl, "example.test"), MBEDTLS_X509_BADCERT_CN_MISMATCH);
    SSL_free(ssl);

    /* 253 bytes do not fit into a common name, but into a certificate. */
    memset(name, 'a', sizeof(name));
    for (size_t i = 60; i < sizeof(name); i += 60) {
        name[i] = '.';
    }
    name[253] = '\0';
    ssl = certified(ca, name, NULL);
    assert_int_equal(openssl_verify(sl_ca_pem(ca), ssl, name, NULL), X509_V_OK);
    assert_int_equal(mbedtls_flags(ca, ssl, name), 0);
    SSL_free(ssl);
    sl_ca_free(ca);
}

static void test_addresses(void **state)
{
    (void)state;
    sl_ca *ca = NULL;
    assert_int_equal(sl_ca_new(&ca, NULL), 0);
    SSL *ssl = certified(ca, NULL, &v4);
    assert_int_equal(openssl_verify(sl_ca_pem(ca), ssl, NULL, &v4), X509_V_OK);
    assert_int_equal(openssl_verify(sl_ca_pem(ca), ssl, NULL, &v6), X509_V_ERR_IP_ADDRESS_MISMATCH);
    SSL_free(ssl);
    ssl = certified(ca, NULL, &v6);
    assert_int_equal(openssl_verify(sl_ca_pem(ca), ssl, NULL, &v6), X509_V_OK);
    SSL_free(ssl);
    sl_ca_free(ca);
}

/* Exactly one alternative name, the right usages, a serial of its own, a term that holds today. */
static void test_contents(void **state)
{
    (void)state;
    sl_ca *ca = NULL;
    assert_int_equal(sl_ca_new(&ca, NULL), 0);
    X509 *root = pem_cert(sl_ca_pem(ca));
    assert_int_equal(X509_check_ca(root), 1);
    assert_int_equal(X509_get_pathlen(root), 0);
    assert_int_equal(X509_get_key_usage(root), KU_KEY_CERT_SIGN | KU_CRL_SIGN);

    SSL *ssl = certified(ca, "a.test", NULL);
    SSL *other = certified(ca, "b.test", NULL);
    X509 *leaf = SSL_get_certificate(ssl);
    assert_int_equal(X509_check_ca(leaf), 0);
    assert_int_equal(X509_get_key_usage(leaf), KU_DIGITAL_SIGNATURE);
    assert_int_equal(X509_get_extended_key_usage(leaf), XKU_SSL_SERVER);
    GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    assert_int_equal(sk_GENERAL_NAME_num(names), 1);
    assert_int_equal(sk_GENERAL_NAME_value(names, 0)->type, GEN_DNS);
    GENERAL_NAMES_free(names);
    assert_int_not_equal(ASN1_INTEGER_cmp(X509_get0_serialNumber(leaf),
                                          X509_get0_serialNumber(SSL_get_certificate(other))),
                         0);
    time_t now = time(NULL);
    assert_true(X509_cmp_time(X509_get0_notBefore(leaf), &now) < 0);
    time_t later = now + 91L * 24 * 60 * 60;
    assert_true(X509_cmp_time(X509_get0_notAfter(leaf), &later) < 0);
    assert_int_equal(ASN1_TIME_compare(X509_get0_notBefore(leaf), X509_get0_notBefore(root)), 1);

    /* Another run's authority is another one. */
    sl_ca *second = NULL;
    assert_int_equal(sl_ca_new(&second, NULL), 0);
    assert_true(openssl_verify(sl_ca_pem(second), ssl, "a.test", NULL) != X509_V_OK);
    sl_ca_free(second);
    SSL_free(ssl);
    SSL_free(other);
    X509_free(root);
    sl_ca_free(ca);
}

static void test_refused_names(void **state)
{
    (void)state;
    static const char *const bad[] = {"",       "*.test",       "a.test.", "A.test",
                                      "a,b",    "a.test,DNS:b", "a..b",    "a\nb",
                                      "a/test", "[::1]",        " a.test"};
    sl_ca *ca = NULL;
    sl_addr none = {0};
    assert_int_equal(sl_ca_new(&ca, NULL), 0);
    SSL *ssl = certified(ca, "a.test", NULL);
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        assert_int_equal(sl_ca_certify(ca, ssl, bad[i], NULL), -EINVAL);
    }
    assert_int_equal(sl_ca_certify(ca, ssl, NULL, NULL), -EINVAL);
    assert_int_equal(sl_ca_certify(ca, ssl, NULL, &none), -EINVAL);
    SSL_free(ssl);
    sl_ca_free(ca);
}

/* A leaf is made once for a name while it stays in use; the cache has an end. */
static void test_cache(void **state)
{
    (void)state;
    sl_ca *ca = NULL;
    char name[32];
    assert_int_equal(sl_ca_new(&ca, NULL), 0);
    SSL *first = certified(ca, "a.test", NULL);
    SSL *ssl = certified(ca, "a.test", NULL);
    assert_ptr_equal(SSL_get_certificate(ssl), SSL_get_certificate(first));
    for (int i = 0; i < SL_CA_LEAVES_MAX - 1; i++) {
        snprintf(name, sizeof(name), "n%d.test", i);
        assert_int_equal(sl_ca_certify(ca, ssl, name, NULL), 0);
    }
    assert_int_equal(sl_ca_certify(ca, ssl, "a.test", NULL), 0);
    assert_ptr_equal(SSL_get_certificate(ssl), SSL_get_certificate(first));
    /* n0 is the least recently used now, and goes; a.test stays, then goes too. */
    for (int i = 0; i < SL_CA_LEAVES_MAX; i++) {
        snprintf(name, sizeof(name), "m%d.test", i);
        assert_int_equal(sl_ca_certify(ca, ssl, name, NULL), 0);
        assert_int_equal(openssl_verify(sl_ca_pem(ca), ssl, name, NULL), X509_V_OK);
    }
    assert_int_equal(sl_ca_certify(ca, ssl, "a.test", NULL), 0);
    assert_ptr_not_equal(SSL_get_certificate(ssl), SSL_get_certificate(first));
    assert_int_equal(sl_ca_certify(ca, ssl, NULL, &v4), 0);
    assert_int_equal(openssl_verify(sl_ca_pem(ca), ssl, NULL, &v4), X509_V_OK);
    SSL_free(ssl);
    SSL_free(first);
    sl_ca_free(ca);
}

/* ---- one's own authority ---- */

static char *pem_of_key(EVP_PKEY *key, const char *password)
{
    BIO *bio = BIO_new(BIO_s_mem());
    const char *data = NULL;
    assert_int_equal(PEM_write_bio_PKCS8PrivateKey(bio, key, password ? EVP_aes_128_cbc() : NULL,
                                                   password, password ? (int)strlen(password) : 0,
                                                   NULL, NULL),
                     1);
    long len = BIO_get_mem_data(bio, (void *)&data);
    char *pem = strndup(data, (size_t)len);
    BIO_free(bio);
    return pem;
}

static char *pem_of_cert(X509 *cert)
{
    BIO *bio = BIO_new(BIO_s_mem());
    const char *data = NULL;
    assert_int_equal(PEM_write_bio_X509(bio, cert), 1);
    long len = BIO_get_mem_data(bio, (void *)&data);
    char *pem = strndup(data, (size_t)len);
    BIO_free(bio);
    return pem;
}

static int load(const char *cert, const char *key, sl_ca **ret_ca, sl_error *err)
{
    return sl_ca_load(cert, strlen(cert), key, strlen(key), ret_ca, err);
}

/* RSA, EC and Ed25519 authorities all sign leaves that are believed. */
static void test_own_kinds(void **state)
{
    (void)state;
    EVP_PKEY *keys[] = {EVP_RSA_gen(2048), EVP_EC_gen("P-384"),
                        EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")};
    for (size_t i = 0; i < SL_ARRAY_LEN(keys); i++) {
        sl_ca *ca = NULL;
        sl_error err = {0};
        X509 *cert = sl_cert_authority(keys[i]);
        assert_non_null(cert);
        sl_autofree char *cert_pem = pem_of_cert(cert);
        sl_autofree char *key_pem = pem_of_key(keys[i], NULL);
        if (load(cert_pem, key_pem, &ca, &err) < 0) {
            fail_msg("%s", err.message);
        }
        assert_string_equal(sl_ca_pem(ca), cert_pem);
        SSL *ssl = certified(ca, "a.test", NULL);
        assert_int_equal(openssl_verify(cert_pem, ssl, "a.test", NULL), X509_V_OK);
        SSL_free(ssl);
        sl_ca_free(ca);
        X509_free(cert);
        EVP_PKEY_free(keys[i]);
    }
}

/* An intermediate brings its chain: the leaf is believed by who knows only the root. */
static void test_own_intermediate(void **state)
{
    (void)state;
    EVP_PKEY *root_key = EVP_EC_gen("P-256");
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *root = sl_cert_authority(root_key);
    X509 *sub = sl_cert_authority(key);
    assert_int_equal(X509_set_issuer_name(sub, X509_get_subject_name(root)), 1);
    int at = X509_get_ext_by_NID(root, NID_basic_constraints, -1);
    X509_EXTENSION_free(X509_delete_ext(root, at)); /* pathlen 0 would forbid it */
    X509_EXTENSION *any =
        X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "critical,CA:TRUE");
    assert_int_equal(X509_add_ext(root, any, -1), 1);
    X509_EXTENSION_free(any);
    X509V3_CTX v3;
    X509V3_set_ctx(&v3, root, sub, NULL, NULL, 0);
    X509_EXTENSION *aki = X509V3_EXT_conf_nid(NULL, &v3, NID_authority_key_identifier, "keyid");
    assert_int_equal(X509_add_ext(sub, aki, -1), 1);
    X509_EXTENSION_free(aki);
    assert_true(X509_sign(root, root_key, EVP_sha256()) > 0);
    assert_true(X509_sign(sub, root_key, EVP_sha256()) > 0);
    sl_autofree char *root_pem = pem_of_cert(root);
    sl_autofree char *sub_pem = pem_of_cert(sub);
    sl_autofree char *key_pem = pem_of_key(key, NULL);
    sl_autofree char *both = NULL;
    sl_ca *ca = NULL;
    sl_error err = {0};
    assert_true(asprintf(&both, "%s%s", sub_pem, root_pem) > 0);
    if (load(both, key_pem, &ca, &err) < 0) {
        fail_msg("%s", err.message);
    }
    assert_string_equal(sl_ca_pem(ca), both);
    SSL *ssl = certified(ca, "a.test", NULL);
    assert_int_equal(openssl_verify(root_pem, ssl, "a.test", NULL), X509_V_OK);
    SSL_free(ssl);
    sl_ca_free(ca);
    X509_free(root);
    X509_free(sub);
    EVP_PKEY_free(root_key);
    EVP_PKEY_free(key);
}

static void assert_refused(const char *cert, const char *key, const char *word)
{
    sl_ca *ca = NULL;
    sl_error err = {0};
    assert_true(load(cert, key, &ca, &err) < 0);
    assert_null(ca);
    if (strstr(err.message, word) == NULL) {
        fail_msg("'%s' does not say '%s'", err.message, word);
    }
}

static void test_own_refused(void **state)
{
    (void)state;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    EVP_PKEY *stranger = EVP_EC_gen("P-256");
    EVP_PKEY *weak = EVP_RSA_gen(1024);
    X509 *cert = sl_cert_authority(key);
    X509 *weak_cert = sl_cert_authority(weak);
    X509 *leaf = sl_cert_leaf(cert, key, key, "a.test", NULL);
    X509 *expired = sl_cert_authority(key);
    X509 *future = sl_cert_authority(key);
    X509_gmtime_adj(X509_getm_notAfter(expired), -60);
    X509_gmtime_adj(X509_getm_notBefore(future), 3600);
    sl_autofree char *cert_pem = pem_of_cert(cert);
    sl_autofree char *weak_cert_pem = pem_of_cert(weak_cert);
    sl_autofree char *leaf_pem = pem_of_cert(leaf);
    sl_autofree char *expired_pem = pem_of_cert(expired);
    sl_autofree char *future_pem = pem_of_cert(future);
    sl_autofree char *key_pem = pem_of_key(key, NULL);
    sl_autofree char *weak_pem = pem_of_key(weak, NULL);
    sl_autofree char *stranger_pem = pem_of_key(stranger, NULL);
    sl_autofree char *locked_pem = pem_of_key(key, "secret");

    assert_refused(cert_pem, locked_pem, "encrypted");
    assert_refused(cert_pem, stranger_pem, "do not belong together");
    assert_refused(leaf_pem, key_pem, "not one of a CA");
    assert_refused(expired_pem, key_pem, "expired");
    assert_refused(future_pem, key_pem, "not valid yet");
    assert_refused(weak_cert_pem, weak_pem, "too short");
    assert_refused(cert_pem, cert_pem, "no private key");
    assert_refused(key_pem, key_pem, "no certificate");
    assert_refused("", "", "no certificate");
    X509_free(cert);
    X509_free(weak_cert);
    X509_free(leaf);
    X509_free(expired);
    X509_free(future);
    EVP_PKEY_free(key);
    EVP_PKEY_free(weak);
    EVP_PKEY_free(stranger);
}

/* ---- a handshake ---- */

static void test_handshake(void **state)
{
    (void)state;
    sl_ca *ca = NULL;
    assert_int_equal(sl_ca_new(&ca, NULL), 0);
    SSL *server = certified(ca, "a.test", NULL);
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    X509 *root = pem_cert(sl_ca_pem(ca));
    X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), root);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL *client = SSL_new(ctx);
    BIO *one = NULL;
    BIO *two = NULL;
    assert_int_equal(BIO_new_bio_pair(&one, 0, &two, 0), 1);
    SSL_set_bio(server, one, one);
    SSL_set_bio(client, two, two);
    SSL_set1_host(client, "a.test");
    SSL_set_accept_state(server);
    SSL_set_connect_state(client);
    for (int i = 0; i < 10 && !(SSL_is_init_finished(client) && SSL_is_init_finished(server));
         i++) {
        SSL_do_handshake(client);
        SSL_do_handshake(server);
    }
    assert_true(SSL_is_init_finished(client));
    assert_int_equal(SSL_get_verify_result(client), X509_V_OK);
    SSL_free(client);
    SSL_free(server);
    X509_free(root);
    SSL_CTX_free(ctx);
    sl_ca_free(ca);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),       cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_contents),    cmocka_unit_test(test_refused_names),
        cmocka_unit_test(test_cache),       cmocka_unit_test(test_own_kinds),
        cmocka_unit_test(test_own_refused), cmocka_unit_test(test_own_intermediate),
        cmocka_unit_test(test_handshake),
    };
    sl_ca_free(NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
