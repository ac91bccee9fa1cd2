/* Between a ClientHello and the first request: the upstream first, then a leaf for the name; and
 * what a client hears of an upstream that failed. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/err.h>

#include "http/gateway_int.h"
#include "net/tls/tls.h"
#include "rig.h"

#define TURNS 256

static rig r;
static SSL_CTX *ctx;
static SSL *ssl;
static int fd = -1;

static int make_trust(sl_gateway *gw)
{
    sl_error err;
    return gw->ca != NULL ? 0 : sl_trust_make(gw, NULL, 0, NULL, 0, &err);
}

static int set_up(void **state)
{
    (void)state;
    rig_init(&r);
    rig_keep_log(&r);
    r.gw.trust = make_trust;
    r.port = 443;
    ctx = SSL_CTX_new(TLS_client_method());
    return ctx == NULL ? -1 : 0;
}

static void hang_up(void)
{
    SSL_free(ssl);
    ssl = NULL;
    if (fd >= 0) {
        close(fd);
    }
    fd = -1;
}

static int tear_down(void **state)
{
    (void)state;
    hang_up();
    SSL_CTX_free(ctx);
    SSL_CTX_free(r.gw.server_ctx);
    rig_done(&r);
    sl_ca_free(r.gw.ca);
    return 0;
}

/* A client that believes the run's authority, unless `trusting` is false. */
static void call(const char *name, const char *alpn, bool trusting)
{
    hang_up();
    rig_flow(&r);
    fd = r.client;
    r.client = -1; /* TLS reads it, not the rig */
    ssl = SSL_new(ctx);
    SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
    SSL_set_tlsext_host_name(ssl, name);
    SSL_set1_host(ssl, name);
    if (alpn != NULL) {
        assert_int_equal(SSL_set_alpn_protos(ssl, (const uint8_t *)alpn, (unsigned)strlen(alpn)),
                         0);
    }
    if (trusting) {
        sl_error err;
        const char *pem;
        assert_int_equal(make_trust(&r.gw), 0);
        pem = sl_ca_pem(r.gw.ca);
        X509_STORE *store = X509_STORE_new();
        assert_int_equal(sl_tls_store_add_pem(store, pem, strlen(pem), &err), 0);
        SSL_set1_verify_cert_store(ssl, store);
        X509_STORE_free(store);
    }
    SSL_set_fd(ssl, fd);
}

/* 1: done, 0: nothing moves any more, -1: failed. */
static int shake(void)
{
    for (int i = 0; i < TURNS; i++) {
        ERR_clear_error();
        int n = SSL_connect(ssl);
        int e = SSL_get_error(ssl, n);
        if (n == 1 || (e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE)) {
            return n == 1 ? 1 : -1;
        }
        (void)rig_turn(&r);
    }
    return 0;
}

/* Says a request and reads what comes. */
static void ask(const char *text, char *ret, size_t size)
{
    size_t len = 0;
    assert_int_equal(SSL_write(ssl, text, (int)strlen(text)), (int)strlen(text));
    for (int i = 0; i < TURNS && len < size - 1; i++) {
        (void)rig_turn(&r);
        int n = SSL_read(ssl, ret + len, (int)(size - 1 - len));
        len += n > 0 ? (size_t)n : 0;
    }
    ret[len] = '\0';
}

static void expect_log(const char *part)
{
    rig_settle(&r);
    char *text = rig_log(&r);
    if (strstr(text, part) == NULL) {
        fail_msg("no %s in '%s'", part, text);
    }
    free(text);
}

#define REQUEST "GET /a HTTP/1.1\r\nHost: " RIG_NAME "\r\n\r\n"

static void the_upstream_comes_first(void **state)
{
    (void)state;
    r.hold = true;
    call(RIG_NAME, NULL, true);
    assert_int_equal(shake(), 0); /* no word of ours before the upstream is there */
    assert_non_null(r.cb);
    r.hold = false;
    assert_int_equal(shake(), 1);
    assert_int_equal(r.opened, 1);
}

static void the_leaf_is_for_the_name_and_requests_are_judged(void **state)
{
    (void)state;
    char text[2048];
    call(RIG_NAME, "\x02h2\x08http/1.1", true);
    assert_int_equal(shake(), 1); /* verified, as RIG_NAME */
    const uint8_t *alpn;
    unsigned len;
    SSL_get0_alpn_selected(ssl, &alpn, &len);
    assert_int_equal(len, 8);
    assert_memory_equal(alpn, "http/1.1", 8);
    ask(REQUEST, text, sizeof(text));
    assert_memory_equal(sl_buf_head(&r.to_upstream), "GET /a HTTP/1.1\r\n", 17);
    const char *ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    rig_upstream_says(&r, ok, strlen(ok));
    ask("GET /deny HTTP/1.1\r\nHost: " RIG_NAME "\r\n\r\n", text, sizeof(text));
    assert_memory_equal(text, ok, strlen(ok));
    assert_memory_equal(text + strlen(ok), "HTTP/1.1 403 ", 13);
    assert_int_equal(r.opened, 1); /* the one opened before the handshake served */
}

static void a_failed_upstream_is_told_inside(void **state)
{
    (void)state;
    char text[2048];
    r.refuse = "tls_verify";
    call(RIG_NAME, NULL, true);
    assert_int_equal(shake(), 1);
    ask(REQUEST, text, sizeof(text));
    assert_memory_equal(text, "HTTP/1.1 502 ", 13);
    assert_non_null(strstr(text, "\"reason\":\"tls_verify\""));
    r.refuse = NULL;
    expect_log("\"sandlock.verdict\":\"deny\"");
}

static void a_client_that_does_not_believe_us_is_logged(void **state)
{
    (void)state;
    call(RIG_NAME, NULL, false);
    assert_int_equal(shake(), -1);
    expect_log("\"sandlock.kind\":\"tls\"");
}

/* Neither needs an upstream to fail. */
static void a_hopeless_hello_opens_nothing(void **state)
{
    (void)state;
    call(RIG_NAME, "\x02h2", true);
    assert_int_equal(shake(), -1);
    assert_int_equal(r.opened, 0);
    expect_log("\"sandlock.reason\":\"tls_handshake\"");
    SSL_CTX_set_security_level(ctx, 0);
    SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(ctx, TLS1_1_VERSION);
    call(RIG_NAME, NULL, true);
    assert_int_equal(shake(), -1);
    assert_int_equal(r.opened, 0);
    expect_log("\"sandlock.reason\":\"tls_handshake\"");
}

static void half_a_handshake_has_its_time(void **state)
{
    (void)state;
    call(RIG_NAME, NULL, true);
    (void)SSL_connect(ssl); /* the hello, and nothing behind it */
    rig_settle(&r);
    assert_int_equal(r.opened, 1);
    sl_flow_expire_all(&r.gw, uv_now(&r.loop) + SL_TIMEOUT_SHAKE_MS - 1000);
    assert_int_equal(r.gw.flow_count, 1);
    sl_flow_expire_all(&r.gw, uv_now(&r.loop) + SL_TIMEOUT_SHAKE_MS);
    assert_int_equal(r.gw.flow_count, 0);
    expect_log("\"sandlock.reason\":\"timeout\"");
}

static void without_an_authority_it_ends(void **state)
{
    (void)state;
    r.gw.trust = NULL;
    call(RIG_NAME, NULL, false);
    assert_int_equal(shake(), -1);
    assert_int_equal(r.opened, 0);
    assert_int_equal(r.gw.flow_count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_upstream_comes_first),
        TEST(the_leaf_is_for_the_name_and_requests_are_judged),
        TEST(a_failed_upstream_is_told_inside),
        TEST(a_client_that_does_not_believe_us_is_logged),
        TEST(a_hopeless_hello_opens_nothing),
        TEST(half_a_handshake_has_its_time),
        TEST(without_an_authority_it_ends),
    };
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
