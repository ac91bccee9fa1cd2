/* Owns: one accepted connection, clear or TLS, and the raw bytes received on it. Never: looks at
 * what the bytes mean. */
#include <errno.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/pk.h>
#include <mbedtls/ssl_cache.h>
#include <mbedtls/ssl_ticket.h>
#include <mbedtls/x509_crt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server.h"

static struct {
    mbedtls_ssl_config config;
    mbedtls_x509_crt cert;
    mbedtls_pk_context key;
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context random;
    mbedtls_ssl_ticket_context ticket;
    const char *alpn[8];
    int suites[2];
    bool reset_after_hello;
} tls;

static __thread conn *handshaking; /* the SNI callback has no context of its connection */

static int on_sni(void *arg, mbedtls_ssl_context *ssl, const unsigned char *name, size_t len)
{
    (void)arg;
    (void)ssl;
    if (handshaking) {
        size_t n = len < sizeof(handshaking->sni) - 1 ? len : sizeof(handshaking->sni) - 1;
        memcpy(handshaking->sni, name, n);
        handshaking->sni[n] = '\0';
    }
    return tls.reset_after_hello ? -1 : 0;
}

int tls_setup(const struct options *options)
{
    mbedtls_ssl_config_init(&tls.config);
    mbedtls_x509_crt_init(&tls.cert);
    mbedtls_pk_init(&tls.key);
    mbedtls_entropy_init(&tls.entropy);
    mbedtls_ctr_drbg_init(&tls.random);
    mbedtls_ssl_ticket_init(&tls.ticket);
    tls.reset_after_hello = options->reset_after_hello;
    if (!options->cert) {
        return 0;
    }
    int rc = mbedtls_ctr_drbg_seed(&tls.random, mbedtls_entropy_func, &tls.entropy, NULL, 0);
    rc = rc ? rc : mbedtls_x509_crt_parse_file(&tls.cert, options->cert);
    rc = rc ? rc : mbedtls_pk_parse_keyfile(&tls.key, options->key, NULL);
    rc = rc ? rc
            : mbedtls_ssl_config_defaults(&tls.config, MBEDTLS_SSL_IS_SERVER,
                                          MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
    rc = rc ? rc : mbedtls_ssl_conf_own_cert(&tls.config, &tls.cert, &tls.key);
    rc = rc ? rc
            : mbedtls_ssl_ticket_setup(&tls.ticket, mbedtls_ctr_drbg_random, &tls.random,
                                       MBEDTLS_CIPHER_AES_256_GCM, 86400);
    if (rc) {
        char text[128];
        mbedtls_strerror(rc, text, sizeof(text));
        fprintf(stderr, "api_server: TLS set-up with '%s': %s\n", options->cert, text);
        return -1;
    }
    mbedtls_ssl_conf_rng(&tls.config, mbedtls_ctr_drbg_random, &tls.random);
    mbedtls_ssl_conf_session_tickets_cb(&tls.config, mbedtls_ssl_ticket_write,
                                        mbedtls_ssl_ticket_parse, &tls.ticket);
    mbedtls_ssl_conf_min_version(&tls.config, MBEDTLS_SSL_MAJOR_VERSION_3, options->tls_min);
    mbedtls_ssl_conf_max_version(&tls.config, MBEDTLS_SSL_MAJOR_VERSION_3, options->tls_max);
    mbedtls_ssl_conf_sni(&tls.config, on_sni, NULL);
    if (options->alpn[0]) {
        memcpy(tls.alpn, options->alpn, sizeof(tls.alpn));
        mbedtls_ssl_conf_alpn_protocols(&tls.config, tls.alpn);
    }
    if (options->ciphers) {
        tls.suites[0] = mbedtls_ssl_get_ciphersuite_id(options->ciphers);
        mbedtls_ssl_conf_ciphersuites(&tls.config, tls.suites);
    }
    return 0;
}

static int bio_send(void *arg, const unsigned char *data, size_t len)
{
    ssize_t n = send(*(int *)arg, data, len, MSG_NOSIGNAL);
    return n < 0 ? MBEDTLS_ERR_SSL_INTERNAL_ERROR : (int)n;
}

static int bio_recv(void *arg, unsigned char *data, size_t len)
{
    ssize_t n = recv(*(int *)arg, data, len, 0);
    return n < 0 ? MBEDTLS_ERR_SSL_INTERNAL_ERROR : (int)n;
}

int conn_start(conn *c)
{
    unsigned char first = 0;
    bytes_init(&c->raw, SERVER_RAW_MAX);
    if (recv(c->fd, &first, 1, MSG_PEEK) != 1) {
        return -1;
    }
    c->tls = first == 0x16 && tls.cert.version != 0;
    if (!c->tls) {
        return 0;
    }
    mbedtls_ssl_init(&c->ssl);
    if (mbedtls_ssl_setup(&c->ssl, &tls.config)) {
        return -1;
    }
    mbedtls_ssl_set_bio(&c->ssl, &c->fd, bio_send, bio_recv, NULL);
    handshaking = c;
    int rc;
    do {
        rc = mbedtls_ssl_handshake(&c->ssl);
    } while (rc == MBEDTLS_ERR_SSL_WANT_READ || rc == MBEDTLS_ERR_SSL_WANT_WRITE);
    handshaking = NULL;
    if (rc) {
        char text[128];
        mbedtls_strerror(rc, text, sizeof(text));
        log_connection(c, "handshake_failed", text);
        return -1;
    }
    c->handshaken = true;
    log_connection(c, "handshake", mbedtls_ssl_get_version(&c->ssl));
    return 0;
}

void conn_stop(conn *c)
{
    if (c->tls) {
        if (c->handshaken && !c->broken) {
            mbedtls_ssl_close_notify(&c->ssl);
        }
        mbedtls_ssl_free(&c->ssl);
    }
    if (c->fd >= 0) {
        close(c->fd);
        c->fd = -1;
    }
    bytes_done(&c->raw);
}

static bool conn_fill(conn *c)
{
    ssize_t n;
    if (c->broken) {
        return false;
    }
    do {
        n = c->tls ? mbedtls_ssl_read(&c->ssl, c->in, sizeof(c->in))
                   : recv(c->fd, c->in, sizeof(c->in), 0);
    } while (c->tls && (n == MBEDTLS_ERR_SSL_WANT_READ || n == MBEDTLS_ERR_SSL_WANT_WRITE));
    if (n <= 0) {
        if (n < 0 && !(c->tls && n == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY)) {
            c->broken = true;
        }
        return false;
    }
    c->in_start = 0;
    c->in_end = (size_t)n;
    return true;
}

int conn_getc(conn *c)
{
    if (c->in_start == c->in_end && !conn_fill(c)) {
        return -1;
    }
    unsigned char byte = c->in[c->in_start++];
    bytes_add(&c->raw, &byte, 1);
    return byte;
}

size_t conn_read(conn *c, void *data, size_t len)
{
    if (c->in_start == c->in_end && !conn_fill(c)) {
        return 0;
    }
    size_t n = c->in_end - c->in_start < len ? c->in_end - c->in_start : len;
    memcpy(data, c->in + c->in_start, n);
    c->in_start += n;
    bytes_add(&c->raw, data, n);
    return n;
}

int conn_write(conn *c, const void *data, size_t len)
{
    const unsigned char *p = data;
    while (len > 0 && !c->broken) {
        ssize_t n = c->tls ? mbedtls_ssl_write(&c->ssl, p, len) : send(c->fd, p, len, MSG_NOSIGNAL);
        if (c->tls && (n == MBEDTLS_ERR_SSL_WANT_READ || n == MBEDTLS_ERR_SSL_WANT_WRITE)) {
            continue;
        }
        if (n <= 0) {
            c->broken = true;
            break;
        }
        p += n;
        len -= (size_t)n;
    }
    return c->broken ? -1 : 0;
}

int conn_text(conn *c, const char *text)
{
    return conn_write(c, text, strlen(text));
}

void conn_reset(conn *c)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    c->broken = true;
}
