/* What our certificates say: RFC 5280 as it is written, one name or address each, never outside the
 * authority's own term, and verified by OpenSSL as a strict client does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <openssl/err.h>

#include "core/util.h"
#include "net/tls/ca_int.h"

#define DAY_S (24 * 60 * 60)

static EVP_PKEY *ca_key;
static EVP_PKEY *leaf_key;
static X509 *ca;

static int set_up(void **state)
{
    (void)state;
    sl_cert_set_clock(0);
    ca_key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    leaf_key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    assert_non_null(ca_key);
    assert_non_null(leaf_key);
    ca = sl_cert_authority(ca_key);
    assert_non_null(ca);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    X509_free(ca);
    EVP_PKEY_free(ca_key);
    EVP_PKEY_free(leaf_key);
    sl_cert_set_clock(0);
    return 0;
}

/* X509_V_OK, or why not. */
static int verify(X509 *cert, const char *host, const char *ip, time_t when)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    assert_int_equal(X509_STORE_add_cert(store, ca), 1);
    assert_int_equal(X509_STORE_CTX_init(ctx, store, cert, NULL), 1);
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT);
    X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_SERVER);
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    X509_VERIFY_PARAM_set_time(param, when);
    if (host != NULL) {
        X509_VERIFY_PARAM_set1_host(param, host, 0);
    }
    if (ip != NULL) {
        X509_VERIFY_PARAM_set1_ip_asc(param, ip);
    }
    int r = X509_verify_cert(ctx) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(ctx);
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    return r;
}

static void test_authority(void **state)
{
    int critical;
    (void)state;
    assert_int_equal(X509_get_version(ca), X509_VERSION_3);
    assert_int_equal(X509_verify(ca, ca_key), 1);
    BASIC_CONSTRAINTS *bc = X509_get_ext_d2i(ca, NID_basic_constraints, &critical, NULL);
    assert_non_null(bc);
    assert_true(bc->ca);
    assert_true(critical);
    assert_int_equal(ASN1_INTEGER_get(bc->pathlen), 0); /* signs leaves, no other authority */
    BASIC_CONSTRAINTS_free(bc);
    assert_int_equal(X509_get_key_usage(ca), KU_KEY_CERT_SIGN | KU_CRL_SIGN);
    assert_non_null(X509_get0_subject_key_id(ca));
    X509 *other = sl_cert_authority(ca_key);
    assert_int_not_equal(X509_NAME_cmp(X509_get_subject_name(ca), X509_get_subject_name(other)), 0);
    assert_int_not_equal(
        ASN1_INTEGER_cmp(X509_get0_serialNumber(ca), X509_get0_serialNumber(other)), 0);
    X509_free(other);
    assert_int_equal(ERR_peek_error(), 0);
}

static void test_leaf_for_a_name(void **state)
{
    (void)state;
    X509 *leaf = sl_cert_leaf(ca, ca_key, leaf_key, "api.example.com", NULL);
    assert_non_null(leaf);
    time_t now = time(NULL);
    assert_int_equal(verify(leaf, "api.example.com", NULL, now), X509_V_OK);
    assert_int_equal(verify(leaf, "API.Example.Com", NULL, now), X509_V_OK);
    assert_int_equal(verify(leaf, "example.com", NULL, now), X509_V_ERR_HOSTNAME_MISMATCH);
    assert_int_equal(verify(leaf, "x.api.example.com", NULL, now), X509_V_ERR_HOSTNAME_MISMATCH);
    assert_int_equal(verify(leaf, NULL, "192.0.2.1", now), X509_V_ERR_IP_ADDRESS_MISMATCH);
    assert_int_equal(X509_get_key_usage(leaf), KU_DIGITAL_SIGNATURE);
    assert_int_equal(X509_get_extended_key_usage(leaf), XKU_SSL_SERVER);
    assert_int_equal(X509_check_ca(leaf), 0);
    const ASN1_INTEGER *serial = X509_get0_serialNumber(leaf);
    assert_int_equal(ASN1_STRING_length(serial), 16);
    assert_int_equal(ASN1_STRING_type(serial), V_ASN1_INTEGER); /* positive */
    X509_free(leaf);
}

static void test_leaf_for_an_address(void **state)
{
    static const char *const addrs[] = {"192.0.2.1", "2001:db8::1", "::1"};
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(addrs); i++) {
        sl_addr addr;
        assert_int_equal(sl_addr_parse(addrs[i], &addr), 0);
        X509 *leaf = sl_cert_leaf(ca, ca_key, leaf_key, NULL, &addr);
        assert_non_null(leaf);
        assert_int_equal(verify(leaf, NULL, addrs[i], time(NULL)), X509_V_OK);
        assert_int_equal(verify(leaf, NULL, "192.0.2.2", time(NULL)),
                         X509_V_ERR_IP_ADDRESS_MISMATCH);
        assert_int_equal(verify(leaf, addrs[i], NULL, time(NULL)), X509_V_ERR_HOSTNAME_MISMATCH);
        X509_free(leaf);
    }
}

/* The subject takes 64 bytes (RFC 5280 appendix A); the name that counts takes them all. */
static void test_long_names(void **state)
{
    (void)state;
    for (size_t len = 60; len <= 253; len += len < 70 ? 1 : 61) {
        char name[254];
        char common[80];
        for (size_t i = 0; i < len; i++) {
            name[i] = i % 50 == 49 && i + 1 < len ? '.' : 'x';
        }
        name[len] = '\0';
        X509 *leaf = sl_cert_leaf(ca, ca_key, leaf_key, name, NULL);
        assert_non_null(leaf);
        assert_int_equal(verify(leaf, name, NULL, time(NULL)), X509_V_OK);
        int n = X509_NAME_get_text_by_NID(X509_get_subject_name(leaf), NID_commonName, common,
                                          sizeof(common));
        assert_int_equal(n, len <= 64 ? (int)len : -1);
        X509_free(leaf);
    }
}

static void test_terms(void **state)
{
    (void)state;
    X509 *leaf = sl_cert_leaf(ca, ca_key, leaf_key, "a.test", NULL);
    time_t now = time(NULL);
    assert_int_equal(verify(leaf, "a.test", NULL, now - DAY_S + 60), X509_V_OK);
    assert_int_equal(verify(leaf, "a.test", NULL, now + 30 * DAY_S - 60), X509_V_OK);
    assert_int_equal(verify(leaf, "a.test", NULL, now - DAY_S - 60), X509_V_ERR_CERT_NOT_YET_VALID);
    assert_int_equal(verify(leaf, "a.test", NULL, now + 30 * DAY_S + 60),
                     X509_V_ERR_CERT_HAS_EXPIRED);
    X509_free(leaf);
}

/* An authority that ends sooner, or began later, than a leaf would: its term is the leaf's. */
static void test_terms_within_the_authority(void **state)
{
    time_t now = time(NULL);
    (void)state;
    X509_time_adj(X509_getm_notBefore(ca), -60, &now);
    X509_time_adj(X509_getm_notAfter(ca), 3600, &now);
    assert_true(X509_sign(ca, ca_key, EVP_sha256()) > 0);
    X509 *leaf = sl_cert_leaf(ca, ca_key, leaf_key, "a.test", NULL);
    assert_int_equal(ASN1_TIME_compare(X509_get0_notBefore(leaf), X509_get0_notBefore(ca)), 0);
    assert_int_equal(ASN1_TIME_compare(X509_get0_notAfter(leaf), X509_get0_notAfter(ca)), 0);
    assert_int_equal(verify(leaf, "a.test", NULL, now), X509_V_OK);
    X509_free(leaf);
}

/* Where the command lives in another time, so do its certificates. */
static void test_clock(void **state)
{
    (void)state;
    sl_cert_set_clock(-3650LL * DAY_S);
    time_t then = sl_cert_now();
    assert_true(then < time(NULL) - 3649LL * DAY_S);
    X509_free(ca);
    ca = sl_cert_authority(ca_key);
    X509 *leaf = sl_cert_leaf(ca, ca_key, leaf_key, "a.test", NULL);
    assert_int_equal(verify(leaf, "a.test", NULL, then), X509_V_OK);
    assert_int_equal(verify(leaf, "a.test", NULL, time(NULL)), X509_V_ERR_CERT_HAS_EXPIRED);
    X509_free(leaf);
}

/* An authority of the user's own: other keys, and one without an identifier. */
static void test_own_authorities(void **state)
{
    static const char *const kinds[] = {"ED25519", "ED448"};
    (void)state;
    for (size_t i = 0; i <= SL_ARRAY_LEN(kinds); i++) {
        EVP_PKEY_free(ca_key);
        X509_free(ca);
        ca_key = i < SL_ARRAY_LEN(kinds) ? EVP_PKEY_Q_keygen(NULL, NULL, kinds[i])
                                         : EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
        assert_non_null(ca_key);
        ca = sl_cert_authority(ca_key);
        assert_non_null(ca);
        X509 *leaf = sl_cert_leaf(ca, ca_key, leaf_key, "a.test", NULL);
        assert_int_equal(verify(leaf, "a.test", NULL, time(NULL)), X509_V_OK);
        X509_free(leaf);
    }
    int at = X509_get_ext_by_NID(ca, NID_subject_key_identifier, -1);
    X509_EXTENSION_free(X509_delete_ext(ca, at));
    assert_true(X509_sign(ca, ca_key, EVP_sha256()) > 0);
    X509 *leaf = sl_cert_leaf(ca, ca_key, leaf_key, "a.test", NULL);
    assert_non_null(X509_get0_authority_key_id(leaf)); /* made from the key */
    X509_free(leaf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_authority, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_leaf_for_a_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_leaf_for_an_address, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_long_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_terms, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_terms_within_the_authority, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_clock, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_own_authorities, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
