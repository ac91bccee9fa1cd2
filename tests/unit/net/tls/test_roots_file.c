/* Roots of a file, decoded when a chain asks: who is believed is who OpenSSL's own lookup believes.
 */
#include <openssl/ssl.h>

#include "core/util.h"
#include "made_roots.h"
#include "net/tls/roots_file.h"

static X509 *issued_by(const struct fixture *f, size_t n, EVP_PKEY *key)
{
    X509 *leaf = sl_cert_leaf(f->certs[n], f->key, key, "a.test", NULL);
    assert_non_null(leaf);
    return leaf;
}

static size_t decoded(X509_STORE *store)
{
    return (size_t)sk_X509_OBJECT_num(X509_STORE_get0_objects(store));
}

static void test_lookup(void **state)
{
    struct fixture *f = *state;
    char text[16384];
    size_t used = 0;
    for (size_t i = 0; i < 5; i++) {
        used += (size_t)snprintf(text + used, sizeof(text) - used, "# one\n%s", f->pem[i]);
    }
    write_file(f->bundle, text);
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *known = issued_by(f, 3, key);
    X509 *unknown = issued_by(f, 7, key);
    X509_STORE *store = X509_STORE_new();
    assert_true(sl_roots_file_add(store, f->bundle));
    assert_int_equal(decoded(store), 0);
    assert_false(believes(store, unknown));
    assert_int_equal(decoded(store), 0);
    for (int i = 0; i < 2; i++) {
        assert_true(believes(store, known));
        assert_int_equal(decoded(store), 1);
    }
    X509_STORE_free(store);
    X509_free(known);
    X509_free(unknown);
    EVP_PKEY_free(key);
}

/* Two roots of one name and different keys, as when one is renewed: both are candidates. */
static void test_same_name(void **state)
{
    struct fixture *f = *state;
    char text[8192];
    EVP_PKEY *other = EVP_EC_gen("P-256");
    X509 *twin = X509_dup(f->certs[0]);
    assert_int_equal(X509_set_pubkey(twin, other), 1);
    assert_true(X509_sign(twin, other, EVP_sha256()) > 0);
    char *pem = pem_of(twin);
    snprintf(text, sizeof(text), "%s%s", pem, f->pem[0]);
    write_file(f->bundle, text);
    X509_STORE *store = X509_STORE_new();
    assert_true(sl_roots_file_add(store, f->bundle));
    X509_STORE *whole = X509_STORE_new();
    X509_LOOKUP *lookup = X509_STORE_add_lookup(whole, X509_LOOKUP_file());
    assert_int_equal(X509_load_cert_file(lookup, f->bundle, X509_FILETYPE_PEM), 2);
    X509 *leaf = issued_by(f, 0, other);
    assert_int_equal(believes(store, leaf), believes(whole, leaf));
    assert_int_equal(decoded(store), 2);
    X509_STORE_free(store);
    X509_STORE_free(whole);
    X509_free(leaf);
    X509_free(twin);
    EVP_PKEY_free(other);
    free(pem);
}

/* What cannot be read is left out, wherever it is cut. */
static void test_broken(void **state)
{
    struct fixture *f = *state;
    char text[8192];
    size_t len = strlen(f->pem[0]);
    for (size_t cut = 30; cut + 28 < len; cut += 61) {
        snprintf(text, sizeof(text), "%.*s\n-----END CERTIFICATE-----\n%s", (int)cut, f->pem[0],
                 f->pem[1]);
        write_file(f->bundle, text);
        X509_STORE *store = X509_STORE_new();
        assert_true(sl_roots_file_add(store, f->bundle));
        assert_true(believes(store, f->certs[1]));
        assert_false(believes(store, f->certs[0]));
        X509_STORE_free(store);
    }
    X509_STORE *store = X509_STORE_new();
    write_file(f->bundle, "nothing\n");
    assert_false(sl_roots_file_add(store, f->bundle));
    assert_false(sl_roots_file_add(store, "/nonexistent"));
    write_file(f->bundle, f->pem[0]);
    assert_true(sl_roots_file_add(store, f->bundle));
    assert_false(sl_roots_file_add(store, f->bundle)); /* one a store */
    X509_STORE_free(store);
}

/* With trust settings beside it (openssl-x509(1)) a certificate is read by OpenSSL itself. */
static void test_trusted_form(void **state)
{
    struct fixture *f = *state;
    BIO *bio = BIO_new(BIO_s_mem());
    char *data = NULL;
    assert_int_equal(PEM_write_bio_X509_AUX(bio, f->certs[0]), 1);
    long len = BIO_get_mem_data(bio, &data);
    char *text = strndup(data, (size_t)len);
    write_file(f->bundle, text);
    X509_STORE *store = X509_STORE_new();
    assert_non_null(strstr(text, "BEGIN TRUSTED CERTIFICATE"));
    assert_true(sl_roots_file_add(store, f->bundle));
    assert_true(believes(store, f->certs[0]));
    X509_STORE_free(store);
    BIO_free(bio);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lookup, setup, teardown),
        cmocka_unit_test_setup_teardown(test_same_name, setup, teardown),
        cmocka_unit_test_setup_teardown(test_broken, setup, teardown),
        cmocka_unit_test_setup_teardown(test_trusted_form, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
