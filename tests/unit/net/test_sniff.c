/* The first bytes of a flow: real ClientHellos cut and fragmented, forged ones, HTTP, the rest.
 * TLS-01, TLS-03, TLS-09, TLS-10, TLS-13. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/ssl.h>

#include "core/util.h"
#include "net/sniff.h"

#define BYTES(s) (const uint8_t *)(s), sizeof(s) - 1

struct bytes {
    uint8_t data[SL_SNIFF_MAX + 4096];
    size_t len;
};

static void put(struct bytes *b, const void *data, size_t len)
{
    assert_true(b->len + len <= sizeof(b->data));
    memcpy(b->data + b->len, data, len);
    b->len += len;
}

static void put_u16(struct bytes *b, size_t value)
{
    put(b, (uint8_t[]){(uint8_t)(value >> 8), (uint8_t)value}, 2);
}

static void put_ext(struct bytes *b, unsigned type, const void *data, size_t len)
{
    put_u16(b, type);
    put_u16(b, len);
    put(b, data, len);
}

static void put_sni(struct bytes *b, const void *name, size_t len)
{
    struct bytes ext = {0};
    put_u16(&ext, len + 3);
    put(&ext, "\0", 1);
    put_u16(&ext, len);
    put(&ext, name, len);
    put_ext(b, 0, ext.data, ext.len);
}

/* A handshake message around these extensions. */
static void make_message(struct bytes *out, const struct bytes *extensions)
{
    struct bytes body = {0};
    put_u16(&body, 0x0303);
    put(&body, "0123456789abcdef0123456789abcdef", 32);
    put(&body, "\x00\x00\x02\x13\x01\x01\x00", 7);
    put_u16(&body, extensions->len);
    put(&body, extensions->data, extensions->len);
    put(out, (uint8_t[]){1, 0, (uint8_t)(body.len >> 8), (uint8_t)body.len}, 4);
    put(out, body.data, body.len);
}

static void put_records(struct bytes *out, const struct bytes *message, size_t each)
{
    for (size_t off = 0; off < message->len; off += each) {
        size_t n = SL_MIN(each, message->len - off);
        put(out, "\x16\x03\x01", 3);
        put_u16(out, n);
        put(out, message->data + off, n);
    }
}

static enum sl_sniff_kind sniff_extensions(const struct bytes *extensions, sl_client_hello *hello)
{
    struct bytes message = {0};
    struct bytes records = {0};
    make_message(&message, extensions);
    put_records(&records, &message, 16384);
    return sl_sniff(records.data, records.len, hello);
}

static enum sl_sniff_kind sniff_sni(const void *name, size_t len, sl_client_hello *hello)
{
    struct bytes extensions = {0};
    put_sni(&extensions, name, len);
    return sniff_extensions(&extensions, hello);
}

/* What OpenSSL's client sends first. */
static void real_hello(struct bytes *out)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(ctx);
    BIO *bio = BIO_new(BIO_s_mem());
    assert_non_null(bio);
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), bio);
    SSL_set_tlsext_host_name(ssl, "API.Example.test");
    SSL_set_alpn_protos(ssl, BYTES("\x02h2\x08http/1.1"));
    assert_int_equal(SSL_connect(ssl), -1);
    int n = BIO_read(bio, out->data, sizeof(out->data));
    assert_true(n > 100);
    out->len = (size_t)n;
    SSL_free(ssl);
    SSL_CTX_free(ctx);
}

static void check_real(const sl_client_hello *hello)
{
    assert_true(hello->has_sni);
    assert_false(hello->sni_is_addr);
    assert_string_equal(hello->sni, "api.example.test");
    assert_int_equal(hello->alpn_len, 12);
    assert_memory_equal(hello->alpn, "\x02h2\x08http/1.1", 12);
    assert_int_equal(hello->version_max, 0x0304);
    assert_false(hello->has_ech);
}

static void test_real_and_every_cut(void **state)
{
    (void)state;
    struct bytes real = {0};
    sl_client_hello hello;
    real_hello(&real);
    for (size_t len = 0; len < real.len; len++) {
        uint8_t *copy = malloc(len + 1);
        assert_non_null(copy);
        memcpy(copy, real.data, len);
        assert_int_equal(sl_sniff(copy, len, &hello), SL_SNIFF_MORE);
        free(copy);
    }
    assert_int_equal(sl_sniff(real.data, real.len, &hello), SL_SNIFF_TLS);
    check_real(&hello);
    /* What the client sends next is not our business. */
    put(&real, "\x14\x03\x03\x00\x01\x01", 6);
    assert_int_equal(sl_sniff(real.data, real.len, NULL), SL_SNIFF_TLS);
}

/* TLS-13: one byte a record is legal, and is read the same. */
static void test_fragments(void **state)
{
    (void)state;
    struct bytes real = {0};
    real_hello(&real);
    struct bytes message = {0};
    put(&message, real.data + 5, real.len - 5);
    for (size_t each = 1; each < 12; each++) {
        struct bytes records = {0};
        sl_client_hello hello;
        put_records(&records, &message, each);
        for (size_t len = 0; len < records.len; len++) {
            assert_int_equal(sl_sniff(records.data, len, &hello), SL_SNIFF_MORE);
        }
        assert_int_equal(sl_sniff(records.data, records.len, &hello), SL_SNIFF_TLS);
        check_real(&hello);
    }
}

static void test_sni(void **state)
{
    (void)state;
    sl_client_hello hello;
    char label[300];
    memset(label, 'a', sizeof(label));
    assert_int_equal(sniff_sni(BYTES("a_b.X-1.test"), &hello), SL_SNIFF_TLS);
    assert_string_equal(hello.sni, "a_b.x-1.test");
    assert_int_equal(sniff_sni(label, 63, &hello), SL_SNIFF_TLS);

    /* TLS-03: the name is named as what is wrong */
    assert_int_equal(sniff_sni(BYTES("granted.test\0.evil.test"), &hello), SL_SNIFF_BAD);
    assert_true(hello.has_sni);
    assert_string_equal(hello.sni, "");
    assert_int_equal(sniff_sni(BYTES("granted.test."), &hello), SL_SNIFF_BAD);
    assert_int_equal(sniff_sni(BYTES("granted\x01.test"), &hello), SL_SNIFF_BAD);
    assert_int_equal(sniff_sni(BYTES("granted.test\n"), &hello), SL_SNIFF_BAD);
    assert_int_equal(sniff_sni(BYTES("*.test"), &hello), SL_SNIFF_BAD);
    assert_int_equal(sniff_sni(BYTES("a..test"), &hello), SL_SNIFF_BAD);
    assert_int_equal(sniff_sni(BYTES(".test"), &hello), SL_SNIFF_BAD);
    assert_int_equal(sniff_sni(BYTES("granted.test:443"), &hello), SL_SNIFF_BAD);
    assert_int_equal(sniff_sni(BYTES("\xc3\xa9.test"), &hello), SL_SNIFF_BAD);
    assert_int_equal(sniff_sni(BYTES(""), &hello), SL_SNIFF_BAD);
    assert_int_equal(sniff_sni(label, 64, &hello), SL_SNIFF_BAD);
    for (size_t i = 50; i < sizeof(label); i += 50) {
        label[i] = '.';
    }
    assert_int_equal(sniff_sni(label, 253, &hello), SL_SNIFF_TLS);
    assert_int_equal(sniff_sni(label, 254, &hello), SL_SNIFF_BAD);
    assert_int_equal(sniff_sni(label, 300, &hello), SL_SNIFF_BAD);
}

/* TLS-01 */
static void test_sni_address_or_none(void **state)
{
    (void)state;
    sl_client_hello hello;
    assert_int_equal(sniff_sni(BYTES("192.0.2.1"), &hello), SL_SNIFF_TLS);
    assert_true(hello.sni_is_addr);
    assert_string_equal(hello.sni, "192.0.2.1");
    assert_int_equal(sniff_sni(BYTES("2001:db8::1"), &hello), SL_SNIFF_TLS);
    assert_true(hello.sni_is_addr);
    assert_int_equal(sniff_sni(BYTES("2001:db8::1%lo"), &hello), SL_SNIFF_BAD);

    struct bytes none = {0};
    assert_int_equal(sniff_extensions(&none, &hello), SL_SNIFF_TLS);
    assert_false(hello.has_sni);
    assert_int_equal(hello.version_max, 0x0303);
}

static void test_sni_lists(void **state)
{
    (void)state;
    struct bytes e = {0};
    put_ext(&e, 0,
            BYTES("\x00\x08\x00\x00\x01"
                  "a\x00\x00\x01"
                  "b"));
    assert_int_equal(sniff_extensions(&e, NULL), SL_SNIFF_BAD); /* two names */
    e.len = 0;
    put_ext(&e, 0,
            BYTES("\x00\x04\x01\x00\x01"
                  "a"));
    assert_int_equal(sniff_extensions(&e, NULL), SL_SNIFF_BAD); /* another type */
    e.len = 0;
    put_ext(&e, 0,
            BYTES("\x00\x04\x00\x00\x01"
                  "az"));
    assert_int_equal(sniff_extensions(&e, NULL), SL_SNIFF_BAD); /* bytes behind */
    e.len = 0;
    put_ext(&e, 0, BYTES(""));
    assert_int_equal(sniff_extensions(&e, NULL), SL_SNIFF_BAD);
    e.len = 0;
    put_sni(&e, BYTES("a.test"));
    put_sni(&e, BYTES("b.test"));
    sl_client_hello hello;
    assert_int_equal(sniff_extensions(&e, &hello), SL_SNIFF_BAD); /* twice */
    assert_false(hello.has_sni);
}

static void test_other_extensions(void **state)
{
    (void)state;
    struct bytes e = {0};
    sl_client_hello hello;
    put_ext(&e, 0x0a0a, BYTES("")); /* GREASE */
    put_sni(&e, BYTES("a.test"));
    put_ext(&e, 43, BYTES("\x08\x7a\x7a\x03\x03\x03\x04\x03\x02"));
    put_ext(&e, 0xfe0d, BYTES("\x00\x00\x01\x00\x01"));
    put_ext(&e, 0xdada, BYTES("\x00"));
    assert_int_equal(sniff_extensions(&e, &hello), SL_SNIFF_TLS);
    assert_true(hello.has_ech); /* TLS-09 */
    assert_int_equal(hello.version_max, 0x0304);
    assert_string_equal(hello.sni, "a.test");

    e.len = 0;
    put_ext(&e, 0xffce, BYTES("x"));
    assert_int_equal(sniff_extensions(&e, &hello), SL_SNIFF_TLS);
    assert_true(hello.has_ech);

    static const struct {
        unsigned type;
        const char *data;
        size_t len;
    } bad[] = {
        {16, "\x00\x00", 2},
        {16, "\x00\x02\x00\x00", 4},
        {16, "\x00\x02\x05h", 4},
        {16, "\x00\x03\x02h2z", 6},
        {43, "\x00", 1},
        {43, "\x03\x03\x04\x03", 4},
        {43, "\x02\x03\x04\x00", 4},
        {43, "\x04\x03\x04", 3},
        {43, "", 0},
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        e.len = 0;
        put_ext(&e, bad[i].type, bad[i].data, bad[i].len);
        assert_int_equal(sniff_extensions(&e, &hello), SL_SNIFF_BAD);
    }
    e.len = 0;
    for (unsigned i = 0; i < 65; i++) {
        put_ext(&e, 0x1000 + i, "", 0);
    }
    assert_int_equal(sniff_extensions(&e, &hello), SL_SNIFF_BAD);
}

static void test_bad_records(void **state)
{
    (void)state;
    struct bytes extensions = {0};
    struct bytes message = {0};
    struct bytes r = {0};
    put_sni(&extensions, BYTES("a.test"));
    make_message(&message, &extensions);

    put_records(&r, &message, 10);
    r.data[15] = 23; /* another type between the fragments */
    assert_int_equal(sl_sniff(r.data, r.len, NULL), SL_SNIFF_BAD);

    r.len = 0;
    put(&r, "\x16\x03\x01\x00\x00", 5); /* an empty fragment */
    assert_int_equal(sl_sniff(r.data, r.len, NULL), SL_SNIFF_BAD);

    r.len = 0;
    put(&r, "\x16\x03\x01\x40\x01", 5); /* longer than a record may be */
    assert_int_equal(sl_sniff(r.data, r.len, NULL), SL_SNIFF_BAD);

    r.len = 0;
    put(&r, "\x16\x03\x01\x00\x04\x02\x00\x00\x00", 9); /* a ServerHello */
    assert_int_equal(sl_sniff(r.data, r.len, NULL), SL_SNIFF_BAD);

    r.len = 0;
    put(&r, "\x16\x03\x01\x00\x04\x01\x00\x40\x00", 9); /* 16 KiB and the header */
    assert_int_equal(sl_sniff(r.data, r.len, NULL), SL_SNIFF_BAD);

    r.len = 0;
    put(&message, "x", 1); /* a second message in the last record */
    put_records(&r, &message, 16384);
    assert_int_equal(sl_sniff(r.data, r.len, NULL), SL_SNIFF_BAD);

    /* A message that never ends. */
    r.len = 0;
    put(&r, "\x16\x03\x01\x00\x04\x01\x00\x3f\xf0", 9);
    while (r.len < SL_SNIFF_MAX) {
        assert_int_equal(sl_sniff(r.data, r.len, NULL), SL_SNIFF_MORE);
        put(&r, "\x16\x03\x01\x00\x01z", 6);
    }
    assert_int_equal(sl_sniff(r.data, r.len, NULL), SL_SNIFF_BAD);
}

static void test_not_tls(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        enum sl_sniff_kind want;
    } cases[] = {
        {"", SL_SNIFF_MORE},
        {"G", SL_SNIFF_MORE},
        {"GET ", SL_SNIFF_HTTP1},
        {"get /", SL_SNIFF_HTTP1},
        {"VERSION-CONTROL /x", SL_SNIFF_HTTP1},
        {"PRI", SL_SNIFF_MORE},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r", SL_SNIFF_MORE},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", SL_SNIFF_HTTP2},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x01", SL_SNIFF_HTTP2},
        {"PRI /x", SL_SNIFF_HTTP1},
        {"SSH-2.0-OpenSSH_9.2p1 Debian\r\n", SL_SNIFF_OTHER},
        {" GET /", SL_SNIFF_OTHER},
        {"\r\nGET /", SL_SNIFF_OTHER},
        {"GE\x01T /", SL_SNIFF_OTHER},
        {"*1\r\n$4\r\nPING\r\n", SL_SNIFF_OTHER},
        {"\x80\x2e\x01\x03\x01", SL_SNIFF_OTHER}, /* an SSLv2 hello */
        {"\x16\x02", SL_SNIFF_OTHER},
        {"\x16", SL_SNIFF_MORE},
        {"\x16\x03", SL_SNIFF_MORE},
        {"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF", SL_SNIFF_MORE},
        {"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF /", SL_SNIFF_HTTP1},
        {"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG", SL_SNIFF_OTHER},
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        enum sl_sniff_kind kind =
            sl_sniff((const uint8_t *)cases[i].bytes, strlen(cases[i].bytes), NULL);
        if (kind != cases[i].want) {
            fail_msg("case %zu: %d", i, (int)kind);
        }
    }
    assert_int_equal(sl_sniff(BYTES("G\0ET /"), NULL), SL_SNIFF_OTHER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_real_and_every_cut),
        cmocka_unit_test(test_fragments),
        cmocka_unit_test(test_sni),
        cmocka_unit_test(test_sni_address_or_none),
        cmocka_unit_test(test_sni_lists),
        cmocka_unit_test(test_other_extensions),
        cmocka_unit_test(test_bad_records),
        cmocka_unit_test(test_not_tls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
