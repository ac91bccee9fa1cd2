/* What all TLS connections share: versions, no resumption, ALPN, verification with and without
 * revocation lists, and PEM text that is none. Two ends over memory, no socket. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "core/util.h"
#include "net/tls/ca_int.h"
#include "net/tls/tls.h"

#define NAME  "a.test"
#define TURNS 32

static EVP_PKEY *ca_key;
static X509 *ca;
static EVP_PKEY *leaf_key;
static X509 *leaf;
static X509_STORE *store;
static SSL_CTX *client_ctx;
static SSL_CTX *server_ctx;

static int set_up(void **state)
{
    sl_error err;
    (void)state;
    assert_int_equal(sl_tls_init(&err), 0);
    ca_key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    leaf_key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    ca = sl_cert_authority(ca_key);
    leaf = sl_cert_leaf(ca, ca_key, leaf_key, NAME, NULL);
    store = X509_STORE_new();
    assert_non_null(leaf);
    assert_int_equal(sl_tls_client_ctx(store, &client_ctx, &err), 0);
    assert_int_equal(sl_tls_server_ctx(&server_ctx, &err), 0);
    assert_int_equal(SSL_CTX_use_certificate(server_ctx, leaf), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(server_ctx, leaf_key), 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    SSL_CTX_free(client_ctx);
    SSL_CTX_free(server_ctx);
    X509_STORE_free(store);
    X509_free(ca);
    X509_free(leaf);
    EVP_PKEY_free(ca_key);
    EVP_PKEY_free(leaf_key);
    ERR_clear_error();
    return 0;
}

static int add_pem(const char *pem, size_t len)
{
    sl_error err = {0};
    int r = sl_tls_store_add_pem(store, pem, len, &err);
    assert_true((r == 0) == (err.message[0] == '\0'));
    assert_int_equal(ERR_peek_error(), 0);
    return r;
}

/* PEM text of a certificate or of a list. */
static size_t pem_of(X509 *cert, X509_CRL *list, char out[4096])
{
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(
        cert != NULL ? PEM_write_bio_X509(bio, cert) : PEM_write_bio_X509_CRL(bio, list), 1);
    int n = BIO_read(bio, out, 4096);
    BIO_free(bio);
    assert_true(n > 0);
    return (size_t)n;
}

static void trust_ca(void)
{
    char pem[4096];
    assert_int_equal(add_pem(pem, pem_of(ca, NULL, pem)), 0);
}

struct ends {
    SSL *client;
    SSL *server;
    bool done;
};

/* A handshake of a client set up by `change`, as far as it goes. */
static struct ends shake(void (*change)(SSL *client))
{
    struct ends e = {.client = SSL_new(client_ctx), .server = SSL_new(server_ctx)};
    BIO *a;
    BIO *b;
    assert_int_equal(BIO_new_bio_pair(&a, 0, &b, 0), 1);
    SSL_set_bio(e.client, a, a);
    SSL_set_bio(e.server, b, b);
    SSL_set_connect_state(e.client);
    SSL_set_accept_state(e.server);
    SSL_set1_host(e.client, NAME);
    if (change != NULL) {
        change(e.client);
    }
    int c = 0;
    int s = 0;
    for (int i = 0; i < TURNS && (c != 1 || s != 1); i++) {
        c = SSL_do_handshake(e.client);
        s = SSL_do_handshake(e.server);
    }
    e.done = c == 1 && s == 1;
    ERR_clear_error();
    return e;
}

static void end(struct ends *e)
{
    SSL_free(e->client);
    SSL_free(e->server);
}

static void only_tls12(SSL *client)
{
    SSL_set_max_proto_version(client, TLS1_2_VERSION);
}

static void only_tls11(SSL *client)
{
    SSL_set_security_level(client, 0);
    SSL_set_min_proto_version(client, TLS1_VERSION);
    SSL_set_max_proto_version(client, TLS1_1_VERSION);
}

static void test_versions(void **state)
{
    (void)state;
    trust_ca();
    struct ends e = shake(NULL);
    assert_true(e.done);
    assert_int_equal(SSL_version(e.client), TLS1_3_VERSION);
    end(&e);
    e = shake(only_tls12);
    assert_true(e.done);
    assert_int_equal(SSL_version(e.client), TLS1_2_VERSION);
    end(&e);
    e = shake(only_tls11);
    assert_false(e.done);
    end(&e);
}

static void test_not_believed(void **state)
{
    (void)state;
    struct ends e = shake(NULL); /* an empty store */
    assert_false(e.done);
    assert_int_not_equal(SSL_get_verify_result(e.client), X509_V_OK);
    end(&e);
}

static SSL_SESSION *ticket;

static void resume(SSL *client)
{
    assert_int_equal(SSL_set_session(client, ticket), 1);
}

/* A ticket comes, since some clients wait for one, and the next handshake is a whole one. */
static void test_no_resumption(void **state)
{
    (void)state;
    trust_ca();
    struct ends e = shake(NULL);
    char byte;
    assert_true(e.done);
    assert_int_equal(SSL_write(e.server, "x", 1), 1);
    assert_int_equal(SSL_read(e.client, &byte, 1), 1); /* the ticket came before it */
    ticket = SSL_get1_session(e.client);
    assert_true(SSL_SESSION_is_resumable(ticket));
    assert_int_equal(SSL_CTX_sess_number(client_ctx) + SSL_CTX_sess_number(server_ctx), 0);
    assert_int_equal(SSL_renegotiate(e.client), 0);
    ERR_clear_error();
    end(&e);
    e = shake(resume);
    assert_true(e.done);
    assert_false(SSL_session_reused(e.client));
    end(&e);
    SSL_SESSION_free(ticket);
}

static const uint8_t *offered;
static unsigned offered_len;

static void offer(SSL *client)
{
    assert_int_equal(SSL_set_alpn_protos(client, offered, offered_len), 0);
}

static const char *expected = "http/1.1";

static bool alpn(const char *wire, size_t len)
{
    const uint8_t *chosen = NULL;
    unsigned n = 0;
    offered = (const uint8_t *)wire;
    offered_len = (unsigned)len;
    struct ends e = shake(offer);
    SSL_get0_alpn_selected(e.client, &chosen, &n);
    bool known = e.done && n == 8 && memcmp(chosen, expected, 8) == 0;
    assert_true(!e.done || known); /* no protocol in common is fatal */
    end(&e);
    return known;
}

#define WIRE(s) (s), sizeof(s) - 1

static void test_alpn(void **state)
{
    (void)state;
    trust_ca();
    assert_true(alpn(WIRE("\x08http/1.1")));
    assert_true(alpn(WIRE("\x02h2\x08http/1.1")));
    assert_true(alpn(WIRE("\x08http/1.0\x08http/1.1\x02h2")));
    assert_false(alpn(WIRE("\x02h2")));
    assert_false(alpn(WIRE("\x08http/1.2")));
    assert_false(alpn(WIRE("\x08HTTP/1.1")));
    assert_false(alpn(WIRE("\x09http/1.1x")));
    assert_false(alpn(WIRE("\x0b\x08http/1.1xx"))); /* inside another name */
    expected = "http/1.0";
    assert_true(alpn(WIRE("\x08http/1.0")));
    assert_true(alpn(WIRE("\x02h2\x08http/1.0")));
    expected = "http/1.1";
}

/* ---- PEM ---- */

static void test_pem(void **state)
{
    char pem[8192];
    (void)state;
    size_t n = pem_of(ca, NULL, pem);
    assert_int_equal(add_pem(pem, n), 0);
    assert_int_equal(add_pem(pem, n), 0); /* known already */
    for (size_t len = 0; len + 2 < n; len += 7) {
        X509_STORE_free(store);
        store = X509_STORE_new();
        assert_int_equal(add_pem(pem, len), -EINVAL); /* cut */
    }
    static const char *const bad[] = {
        "",
        "no PEM\n",
        "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        assert_int_equal(add_pem(bad[i], strlen(bad[i])), -EINVAL);
    }
    snprintf(pem + n, sizeof(pem) - n, "# a comment behind it\n");
    assert_int_equal(add_pem(pem, strlen(pem)), 0);
}

/* ---- revocation ---- */

static X509_CRL *list_of(X509 *issuer, EVP_PKEY *key, X509 *revoked)
{
    time_t now = time(NULL);
    X509_CRL *list = X509_CRL_new();
    ASN1_TIME *from = ASN1_TIME_adj(NULL, now, 0, -60);
    ASN1_TIME *until = ASN1_TIME_adj(NULL, now, 1, 0);
    assert_int_equal(X509_CRL_set_version(list, X509_CRL_VERSION_2), 1);
    assert_int_equal(X509_CRL_set_issuer_name(list, X509_get_subject_name(issuer)), 1);
    assert_int_equal(X509_CRL_set1_lastUpdate(list, from), 1);
    assert_int_equal(X509_CRL_set1_nextUpdate(list, until), 1);
    if (revoked != NULL) {
        X509_REVOKED *entry = X509_REVOKED_new();
        assert_int_equal(X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(revoked)), 1);
        assert_int_equal(X509_REVOKED_set_revocationDate(entry, from), 1);
        assert_int_equal(X509_CRL_add0_revoked(list, entry), 1);
    }
    X509_CRL_sort(list);
    assert_true(X509_CRL_sign(list, key, EVP_sha256()) > 0);
    ASN1_TIME_free(from);
    ASN1_TIME_free(until);
    return list;
}

static void add_list(X509 *issuer, EVP_PKEY *key, X509 *revoked)
{
    char pem[4096];
    X509_CRL *list = list_of(issuer, key, revoked);
    assert_int_equal(add_pem(pem, pem_of(NULL, list, pem)), 0);
    X509_CRL_free(list);
}

static void test_revoked(void **state)
{
    (void)state;
    trust_ca();
    add_list(ca, ca_key, NULL);
    struct ends e = shake(NULL); /* a list that does not name it */
    assert_true(e.done);
    end(&e);
    X509_STORE_free(store);
    SSL_CTX_free(client_ctx);
    store = X509_STORE_new();
    assert_int_equal(sl_tls_client_ctx(store, &client_ctx, NULL), 0);
    trust_ca();
    add_list(ca, ca_key, leaf);
    e = shake(NULL);
    assert_false(e.done);
    assert_int_equal(SSL_get_verify_result(e.client), X509_V_ERR_CERT_REVOKED);
    end(&e);
}

/* A list of another issuer says nothing about ours, which has none. */
static void test_list_of_others(void **state)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    X509 *other = sl_cert_authority(key);
    (void)state;
    trust_ca();
    add_list(other, key, NULL);
    struct ends e = shake(NULL);
    assert_true(e.done);
    end(&e);
    X509_free(other);
    EVP_PKEY_free(key);
}

/* A list that somebody else signed in our issuer's name proves nothing: better no connection. */
static void test_forged_list(void **state)
{
    (void)state;
    trust_ca();
    add_list(ca, leaf_key, NULL);
    struct ends e = shake(NULL);
    assert_false(e.done);
    end(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_versions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_not_believed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_resumption, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_alpn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_pem, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_revoked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_list_of_others, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_forged_list, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
