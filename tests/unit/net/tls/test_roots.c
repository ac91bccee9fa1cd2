/* Finding roots in made-up places, and the child's bundle: certificates once, and nothing else. */
#include <errno.h>
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
#include <openssl/ssl.h>

#include "core/fd.h"
#include "core/strv.h"
#include "core/util.h"
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

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static char *pem_of(X509 *cert)
{
    BIO *bio = BIO_new(BIO_s_mem());
    const char *data = NULL;
    assert_int_equal(PEM_write_bio_X509(bio, cert), 1);
    long len = BIO_get_mem_data(bio, (void *)&data);
    char *pem = strndup(data, (size_t)len);
    BIO_free(bio);
    return pem;
}

static void write_hashed(const struct fixture *f, size_t count)
{
    char path[256];
    assert_int_equal(mkdir(f->hashed, 0700), 0);
    for (size_t i = 0; i < count; i++) {
        snprintf(path, sizeof(path), "%s/%08lx.0", f->hashed, X509_subject_name_hash(f->certs[i]));
        write_file(path, f->pem[i]);
    }
}

static int setup(void **state)
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

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static int teardown(void **state)
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
static bool believes(X509_STORE *store, X509 *cert)
{
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    assert_int_equal(X509_STORE_CTX_init(ctx, store, cert, NULL), 1);
    bool ok = X509_verify_cert(ctx) == 1;
    X509_STORE_CTX_free(ctx);
    return ok;
}

static X509_STORE *store_of(const struct fixture *f)
{
    X509_STORE *store = NULL;
    sl_error err = {0};
    if (sl_roots_store_from(&f->places, &store, &err) < 0) {
        fail_msg("%s", err.message);
    }
    return store;
}

static void test_nothing(void **state)
{
    struct fixture *f = *state;
    X509_STORE *store = NULL;
    sl_error err = {0};
    assert_int_equal(sl_roots_store_from(&f->places, &store, &err), -ENOENT);
    assert_null(store);
    assert_non_null(strstr(err.message, "ca-certificates"));
    write_file(f->bundle, "not a certificate\n");
    assert_int_equal(sl_roots_store_from(&f->places, &store, &err), -ENOENT);
}

static void test_store_bundle(void **state)
{
    struct fixture *f = *state;
    char text[4096];
    snprintf(text, sizeof(text), "%s%s", f->pem[0], f->pem[1]);
    write_file(f->bundle, text);
    X509_STORE *store = store_of(f);
    assert_true(believes(store, f->certs[0]));
    assert_true(believes(store, f->certs[1]));
    assert_false(believes(store, f->certs[2]));
    X509_STORE_free(store);
}

/* A directory with enough hashed names is taken before the bundle; one with few only without it. */
static void test_store_hashed(void **state)
{
    struct fixture *f = *state;
    write_hashed(f, CERTS - 1);
    write_file(f->bundle, f->pem[CERTS - 1]);
    X509_STORE *store = store_of(f);
    assert_true(believes(store, f->certs[0]));
    assert_false(believes(store, f->certs[CERTS - 1]));
    X509_STORE_free(store);
}

static void test_store_few_hashed(void **state)
{
    struct fixture *f = *state;
    write_hashed(f, 2);
    write_file(f->bundle, f->pem[3]);
    X509_STORE *store = store_of(f);
    assert_false(believes(store, f->certs[0]));
    assert_true(believes(store, f->certs[3]));
    X509_STORE_free(store);
    assert_int_equal(unlink(f->bundle), 0);
    store = store_of(f);
    assert_true(believes(store, f->certs[0]));
    X509_STORE_free(store);
}

static void test_store_environment(void **state)
{
    struct fixture *f = *state;
    char file[128];
    char dirs[300];
    snprintf(file, sizeof(file), "%s/own.pem", f->dir);
    write_file(f->bundle, f->pem[0]);
    f->places.env_file = file;
    X509_STORE *store = store_of(f); /* it names nothing: the system's count */
    assert_true(believes(store, f->certs[0]));
    X509_STORE_free(store);
    write_file(file, f->pem[1]);
    store = store_of(f);
    assert_false(believes(store, f->certs[0]));
    assert_true(believes(store, f->certs[1]));
    X509_STORE_free(store);
    f->places.env_file = "";
    write_hashed(f, 3);
    snprintf(dirs, sizeof(dirs), "/nonexistent:%s", f->hashed);
    f->places.env_dir = dirs;
    store = store_of(f);
    assert_false(believes(store, f->certs[4]));
    assert_true(believes(store, f->certs[2]));
    X509_STORE_free(store);
}

static size_t count_certs(const sl_buf *b)
{
    size_t count = 0;
    BIO *bio = BIO_new_mem_buf(sl_buf_head(b), (int)b->len);
    X509 *cert;
    while ((cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        X509_free(cert);
        count++;
    }
    BIO_free(bio);
    return count;
}

static bool contains(const sl_buf *b, const char *text)
{
    return b->len > 0 && memmem(sl_buf_head(b), b->len, text, strlen(text)) != NULL;
}

static void test_bundle(void **state)
{
    struct fixture *f = *state;
    char own[128];
    char text[8192];
    char *key = NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PrivateKey(bio, f->key, NULL, NULL, 0, NULL, NULL), 1);
    long len = BIO_get_mem_data(bio, (void *)&key);
    snprintf(own, sizeof(own), "%s/own.pem", f->dir);
    snprintf(text, sizeof(text), "Mine: %s%.*s%s", f->pem[0], (int)len, key, f->pem[1]);
    write_file(own, text);
    snprintf(text, sizeof(text), "# roots\n%s\n\n%s", f->pem[1], f->pem[2]);
    write_file(f->bundle, text);
    const char *files[] = {own, "/nonexistent/x.pem", own, f->bundle};
    sl_buf out;
    sl_buf_init(&out, SL_ROOTS_BUNDLE_MAX);
    assert_int_equal(sl_roots_bundle_from(&f->places, files, 4, f->pem[9], &out, NULL), 0);
    assert_int_equal(count_certs(&out), 4); /* own: 0, 1; system: 2; ours: 9 */
    assert_true(contains(&out, f->pem[9]));
    assert_true(contains(&out, f->pem[1]));
    assert_false(contains(&out, "PRIVATE"));
    assert_false(contains(&out, "Mine"));
    /* Once more adds nothing, line ends or not. */
    size_t before = out.len;
    for (size_t i = 0, n = 0; f->pem[2][i] != '\0'; i++) {
        if (f->pem[2][i] == '\n') {
            text[n++] = '\r';
        }
        text[n++] = f->pem[2][i];
        text[n] = '\0';
    }
    assert_int_equal(sl_roots_add_pem(&out, text, strlen(text)), 0);
    assert_int_equal(out.len, before);
    sl_buf_done(&out);
    BIO_free(bio);
}

static void test_bundle_without_file(void **state)
{
    struct fixture *f = *state;
    sl_buf out;
    write_hashed(f, 3);
    sl_buf_init(&out, SL_ROOTS_BUNDLE_MAX);
    assert_int_equal(sl_roots_bundle_from(&f->places, NULL, 0, f->pem[9], &out, NULL), 0);
    assert_int_equal(count_certs(&out), 4);
    sl_buf_done(&out);
}

static void test_bundle_limits(void **state)
{
    struct fixture *f = *state;
    sl_error err = {0};
    sl_buf out;
    write_file(f->bundle, f->pem[0]);
    sl_buf_init(&out, strlen(f->pem[0]) + 100);
    assert_int_equal(sl_roots_bundle_from(&f->places, NULL, 0, f->pem[9], &out, &err), -ENOBUFS);
    assert_int_equal(count_certs(&out), 1);
    sl_buf_done(&out);

    static const char *const bad[] = {
        "-----BEGIN CERTIFICATE-----\nA<B\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nAAAA\n",
        "-----END CERTIFICATE-----\n",
        "",
    };
    sl_buf_init(&out, SL_ROOTS_BUNDLE_MAX);
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        assert_int_equal(sl_roots_add_pem(&out, bad[i], strlen(bad[i])), 0);
        assert_int_equal(out.len, 0);
    }
    sl_buf_done(&out);
}

/* conf/ca-bundles and core/ca_bundles.inc are one table. */
static void test_table(void **state)
{
    static const char *const code[] = {
#define SL_CA_BUNDLE(path) "bundle " path,
#define SL_CA_DIR(path)    "dir " path,
#include "core/ca_bundles.inc"
    };
    (void)state;
    sl_autofree char *text = NULL;
    size_t len = 0;
    size_t n = 0;
    assert_int_equal(sl_fd_read_file(SANDLOCK_CONF "/ca-bundles", 65536, &text, &len), 0);
    for (char *line = text; line != NULL && *line != '\0';) {
        char *end = strchr(line, '\n');
        if (end != NULL) {
            *end++ = '\0';
        }
        if (*line != '#' && *line != '\0') {
            assert_true(n < SL_ARRAY_LEN(code));
            assert_string_equal(line, code[n]);
            n++;
        }
        line = end;
    }
    assert_int_equal(n, SL_ARRAY_LEN(code));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_store_bundle, setup, teardown),
        cmocka_unit_test_setup_teardown(test_store_hashed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_store_few_hashed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_store_environment, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bundle, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bundle_without_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bundle_limits, setup, teardown),
        cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
