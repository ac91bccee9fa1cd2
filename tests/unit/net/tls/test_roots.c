/* Finding roots in made-up places. */
#include <errno.h>

#include <openssl/ssl.h>

#include "core/fd.h"
#include "core/util.h"
#include "made_roots.h"

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

/* conf/ca-bundles and core/ca_bundles.inc are one table. */
static void test_table(void **state)
{
    static const char *const code[] = {
#define SL_CA_BUNDLE(path) "bundle " path,
#define SL_CA_DIR(path)    "dir " path,
#include "core/ca_bundles.inc"
#include "made_roots.h"
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
        cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
