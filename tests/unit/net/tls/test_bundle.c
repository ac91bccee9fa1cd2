/* The child's bundle: certificates once, and nothing else; and which, where it meets nobody but us.
 */
#include <errno.h>

#include "core/util.h"
#include "made_roots.h"
#include "net/tls/bundle.h"

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
    sl_buf_init(&out, SL_BUNDLE_MAX);
    assert_int_equal(sl_bundle_make_from(&f->places, files, 4, f->pem[9], &out, NULL), 0);
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
    assert_int_equal(sl_bundle_add_pem(&out, text, strlen(text)), 0);
    assert_int_equal(out.len, before);
    sl_buf_done(&out);
    BIO_free(bio);
}

static void test_bundle_without_file(void **state)
{
    struct fixture *f = *state;
    sl_buf out;
    write_hashed(f, 3);
    sl_buf_init(&out, SL_BUNDLE_MAX);
    assert_int_equal(sl_bundle_make_from(&f->places, NULL, 0, f->pem[9], &out, NULL), 0);
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
    assert_int_equal(sl_bundle_make_from(&f->places, NULL, 0, f->pem[9], &out, &err), -ENOBUFS);
    assert_int_equal(count_certs(&out), 1);
    sl_buf_done(&out);

    static const char *const bad[] = {
        "-----BEGIN CERTIFICATE-----\nA<B\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nAAAA\n",
        "-----END CERTIFICATE-----\n",
        "",
    };
    sl_buf_init(&out, SL_BUNDLE_MAX);
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        assert_int_equal(sl_bundle_add_pem(&out, bad[i], strlen(bad[i])), 0);
        assert_int_equal(out.len, 0);
    }
    sl_buf_done(&out);
}

/* What the user added to the system's stays; what the system has does not come along. */
static void test_own(void **state)
{
    struct fixture *f = *state;
    char text[8192];
    sl_buf out;
    snprintf(text, sizeof(text), "%s%s", f->pem[1], f->pem[2]);
    write_file(f->bundle, text);
    snprintf(text, sizeof(text), "%s# added\n%s%s%s", f->pem[1], f->pem[5], f->pem[2], f->pem[5]);
    sl_buf_init(&out, SL_BUNDLE_MAX);
    assert_int_equal(sl_bundle_make_own_from(&f->places, text, strlen(text), f->pem[9], &out, NULL),
                     0);
    assert_int_equal(count_certs(&out), 2);
    assert_true(contains(&out, f->pem[5]));
    assert_true(contains(&out, f->pem[9]));
    sl_buf_done(&out);
}

/* Without a word of the user's, or of the system's. */
static void test_own_alone(void **state)
{
    struct fixture *f = *state;
    sl_error err = {0};
    sl_buf out;
    sl_buf_init(&out, SL_BUNDLE_MAX);
    assert_int_equal(sl_bundle_make_own_from(&f->places, NULL, 0, f->pem[9], &out, NULL), 0);
    assert_int_equal(count_certs(&out), 1);
    sl_buf_consume(&out, out.len);
    assert_int_equal(
        sl_bundle_make_own_from(&f->places, f->pem[3], strlen(f->pem[3]), f->pem[9], &out, NULL),
        0);
    assert_int_equal(count_certs(&out), 2);
    sl_buf_done(&out);
    sl_buf_init(&out, 10);
    assert_int_equal(sl_bundle_make_own_from(&f->places, NULL, 0, f->pem[9], &out, &err), -ENOBUFS);
    sl_buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bundle, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bundle_without_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bundle_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_own, setup, teardown),
        cmocka_unit_test_setup_teardown(test_own_alone, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
