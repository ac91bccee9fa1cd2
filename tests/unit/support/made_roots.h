/* Certificates, and places for them: what the tests of roots and bundles begin with. */
#ifndef SANDLOCK_TEST_ROOTS_H
#define SANDLOCK_TEST_ROOTS_H

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>

#include "net/tls/ca_int.h"
#include "net/tls/roots_int.h"

#define CERTS 20

struct fixture {
    char dir[64];
    EVP_PKEY *key;
    X509 *certs[CERTS];
    char *pem[CERTS];
    char bundle[128];
    char hashed[128];
    const char *bundles[3];
    const char *dirs[3];
    sl_roots_places places;
};

static inline void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static inline char *pem_of(X509 *cert)
{
    BIO *bio = BIO_new(BIO_s_mem());
    const char *data = NULL;
    assert_int_equal(PEM_write_bio_X509(bio, cert), 1);
    long len = BIO_get_mem_data(bio, (void *)&data);
    char *pem = strndup(data, (size_t)len);
    BIO_free(bio);
    return pem;
}

static inline void write_hashed(const struct fixture *f, size_t count)
{
    char path[256];
    assert_int_equal(mkdir(f->hashed, 0700), 0);
    for (size_t i = 0; i < count; i++) {
        snprintf(path, sizeof(path), "%s/%08lx.0", f->hashed, X509_subject_name_hash(f->certs[i]));
        write_file(path, f->pem[i]);
    }
}

static inline int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    snprintf(f->dir, sizeof(f->dir), "/tmp/sandlock-test-roots-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->key = EVP_EC_gen("P-256");
    for (size_t i = 0; i < CERTS; i++) {
        f->certs[i] = sl_cert_authority(f->key);
        assert_non_null(f->certs[i]);
        f->pem[i] = pem_of(f->certs[i]);
    }
    snprintf(f->bundle, sizeof(f->bundle), "%s/bundle.pem", f->dir);
    snprintf(f->hashed, sizeof(f->hashed), "%s/hashed", f->dir);
    f->bundles[0] = "/nonexistent/bundle.pem";
    f->bundles[1] = f->bundle;
    f->dirs[0] = "/nonexistent/dir";
    f->dirs[1] = f->hashed;
    f->places = (sl_roots_places){.bundles = f->bundles, .dirs = f->dirs};
    *state = f;
    return 0;
}

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(nftw(f->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
    for (size_t i = 0; i < CERTS; i++) {
        X509_free(f->certs[i]);
        free(f->pem[i]);
    }
    EVP_PKEY_free(f->key);
    free(f);
    return 0;
}

/* Which of the fixture's certificates a store believes. */
static inline bool believes(X509_STORE *store, X509 *cert)
{
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    assert_int_equal(X509_STORE_CTX_init(ctx, store, cert, NULL), 1);
    bool ok = X509_verify_cert(ctx) == 1;
    X509_STORE_CTX_free(ctx);
    return ok;
}

#endif
