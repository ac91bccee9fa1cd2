/* Owns the TLS filter: one SSL over the next filter, ciphertext queued here until the socket takes
 * it. Never reads a file, never decides whom to believe beyond what its caller said. */
#include "net/tls/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/util.h"
#include "net/tls/tls_int.h"

#define PLAIN_MAX      (64u << 10) /* plaintext taken by one send */
#define RECORD_MAX     (16u << 10) /* RFC 8446 section 5.1 */
#define KEY_UPDATE_MAX 64          /* without application data between them */

typedef struct tls_filter {
    sl_filter filter;
    SSL *ssl;
    sl_buf out; /* ciphertext */
    int broken; /* negative errno that ended it */
    bool client;
    bool cut;
    bool ended; /* close_notify came */
    bool shut;
    bool fin;     /* the next one's shutdown waits for the queue */
    bool starved; /* what is held is less than a record: only the socket can help */
    bool asked;
    bool heard; /* data of the peer's came */
    bool shown;
    bool issuer; /* nothing but the issuer is wrong with the peer's certificate */
    bool nothing_common;
    int alert; /* the last that came, or -1 */
    unsigned key_updates;
    char why[160];
} tls_filter;

/* ---- the bytes below: a BIO over the next filter ---- */

static int bio_read(BIO *bio, char *data, size_t cap, size_t *ret_n)
{
    tls_filter *t = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    *ret_n = 0;
    if (t->broken != 0) {
        return 0; /* or a flood of messages without data would be read for as long as it lasts */
    }
    ssize_t n = sl_filter_recv(t->filter.next, data, cap);
    if (n > 0) {
        *ret_n = (size_t)n;
        return 1;
    }
    if (n == -EAGAIN) {
        BIO_set_retry_read(bio);
    } else if (n < 0) {
        t->broken = (int)n;
    } else {
        t->cut = true;
        BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
    }
    return 0;
}

static int bio_write(BIO *bio, const char *data, size_t len, size_t *ret_n)
{
    tls_filter *t = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    int r = sl_buf_append(&t->out, data, len);
    if (r < 0) {
        t->broken = r;
        return 0;
    }
    *ret_n = len;
    return 1;
}

static long bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
    (void)num;
    (void)ptr;
    if (cmd == BIO_CTRL_EOF) {
        return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
    }
    return cmd == BIO_CTRL_FLUSH ? 1 : 0;
}

static BIO_METHOD *bio_method(void)
{
    static BIO_METHOD *method;
    if (method == NULL) {
        method = BIO_meth_new(BIO_TYPE_SOURCE_SINK | BIO_get_new_index(), "sl_filter");
        if (method != NULL) {
            BIO_meth_set_read_ex(method, bio_read);
            BIO_meth_set_write_ex(method, bio_write);
            BIO_meth_set_ctrl(method, bio_ctrl);
        }
    }
    return method;
}

/* ---- the filter ---- */

static void note_failure(tls_filter *t)
{
    long verify = SSL_get_verify_result(t->ssl);
    unsigned long code = ERR_peek_last_error();
    t->nothing_common = t->nothing_common || sl_tls_finds_nothing_common(code);
    if (t->client && verify != X509_V_OK) {
        snprintf(t->why, sizeof(t->why), "%s", X509_verify_cert_error_string(verify));
    } else if (t->alert > 0) {
        snprintf(t->why, sizeof(t->why), "the %s's alert: '%s'", t->client ? "server" : "client",
                 sl_tls_alert_words(t->alert));
    } else if (code != 0) {
        const char *reason = ERR_reason_error_string(code);
        snprintf(t->why, sizeof(t->why), "%s", reason != NULL ? reason : "TLS failed");
    }
}

/* What SSL_get_error says, as errno. */
static ssize_t tls_result(tls_filter *t, int ret)
{
    int code = SSL_get_error(t->ssl, ret);
    switch (code) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return -EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        t->ended = true;
        return 0;
    default:
        break;
    }
    note_failure(t);
    ERR_clear_error();
    if (t->broken == 0) {
        t->broken = t->cut ? -ECONNRESET : -EPROTO;
    }
    return t->broken;
}

static int tls_flush(sl_filter *f)
{
    tls_filter *t = (tls_filter *)f;
    while (t->out.len > 0) {
        struct iovec iov = {.iov_base = sl_buf_head(&t->out), .iov_len = t->out.len};
        ssize_t n = sl_filter_send(f->next, &iov, 1);
        if (n < 0) {
            if (n != -EAGAIN) {
                t->broken = (int)n;
            }
            return (int)n;
        }
        sl_buf_consume(&t->out, (size_t)n);
    }
    sl_buf_release_if_empty(&t->out);
    if (t->fin) {
        t->fin = false;
        return sl_filter_shutdown(f->next);
    }
    return sl_filter_flush(f->next);
}

static int tls_connect(sl_filter *f)
{
    tls_filter *t = (tls_filter *)f;
    if (SSL_is_init_finished(t->ssl)) {
        return 0;
    }
    if (t->broken != 0) {
        return t->broken;
    }
    ERR_clear_error();
    int r = SSL_do_handshake(t->ssl);
    int result = r == 1 ? 0 : (int)tls_result(t, r);
    if (r != 1 && result == 0) {
        result = -ECONNRESET;
    }
    int flushed = tls_flush(f); /* an alert goes out too */
    return result == 0 && flushed < 0 && flushed != -EAGAIN ? flushed : result;
}

static ssize_t tls_recv(sl_filter *f, void *data, size_t cap)
{
    tls_filter *t = (tls_filter *)f;
    if (t->ended) {
        return 0;
    }
    if (t->broken != 0) {
        return t->broken;
    }
    size_t total = 0;
    ssize_t result = -EAGAIN;
    while (total < cap) {
        size_t n = 0;
        ERR_clear_error();
        int r = SSL_read_ex(t->ssl, (char *)data + total, cap - total, &n);
        t->starved = r != 1;
        if (r != 1) {
            result = tls_result(t, r);
            break;
        }
        total += n;
        t->key_updates = 0;
        t->heard = true;
    }
    if (t->out.len > 0) {
        (void)tls_flush(f); /* a KeyUpdate answer or an alert */
    }
    return total > 0 ? (ssize_t)total : result;
}

static ssize_t encrypt(tls_filter *t, const void *data, size_t len)
{
    size_t n = 0;
    ERR_clear_error();
    int r = SSL_write_ex(t->ssl, data, len, &n);
    return r == 1 ? (ssize_t)n : tls_result(t, r);
}

/* Small pieces share a record: head and first body bytes, a chunk and its frame. */
static ssize_t encrypt_joined(tls_filter *t, const struct iovec *iov, int count)
{
    uint8_t joined[RECORD_MAX];
    size_t held = 0;
    size_t total = 0;
    for (int i = 0; i < count && total < PLAIN_MAX; i++) {
        const uint8_t *p = iov[i].iov_base;
        size_t left = iov[i].iov_len;
        while (left > 0 && total < PLAIN_MAX) {
            size_t n = SL_MIN(left, sizeof(joined) - held);
            memcpy(joined + held, p, n);
            held += n;
            p += n;
            left -= n;
            total += n;
            if (held == sizeof(joined)) {
                ssize_t r = encrypt(t, joined, held);
                if (r < 0) {
                    return r;
                }
                held = 0;
            }
        }
    }
    ssize_t last = held > 0 ? encrypt(t, joined, held) : 0;
    return last < 0 ? last : (ssize_t)total;
}

static ssize_t encrypt_iov(tls_filter *t, const struct iovec *iov, int count)
{
    if (count > 1) {
        return encrypt_joined(t, iov, count);
    }
    const uint8_t *p = iov->iov_base;
    size_t len = SL_MIN(iov->iov_len, PLAIN_MAX);
    size_t total = 0;
    while (total < len) {
        ssize_t n = encrypt(t, p + total, len - total);
        if (n < 0) {
            return n;
        }
        total += (size_t)n;
    }
    return (ssize_t)total;
}

static ssize_t tls_send(sl_filter *f, const struct iovec *iov, int count)
{
    tls_filter *t = (tls_filter *)f;
    if (t->broken != 0) {
        return t->broken == -EPROTO ? -EPIPE : t->broken;
    }
    if (t->out.len > 0) {
        int r = tls_flush(f);
        if (r < 0) {
            return r;
        }
    }
    ssize_t n = encrypt_iov(t, iov, count);
    if (n == -EAGAIN) {
        n = -EPROTO; /* the queue takes all that is given; waiting would be for ever */
        t->broken = -EPROTO;
    }
    int r = tls_flush(f);
    return n > 0 && r < 0 && r != -EAGAIN ? r : n;
}

static bool tls_pending(const sl_filter *f)
{
    const tls_filter *t = (const tls_filter *)f;
    return t->broken == 0 && !t->ended &&
           ((!t->starved && SSL_has_pending(t->ssl) == 1) || sl_filter_pending(f->next));
}

static bool tls_quiet(const sl_filter *f)
{
    const tls_filter *t = (const tls_filter *)f;
    return t->broken == 0 && !t->ended && SSL_has_pending(t->ssl) == 0;
}

static int tls_shutdown(sl_filter *f)
{
    tls_filter *t = (tls_filter *)f;
    if (!t->shut && t->broken == 0 && SSL_is_init_finished(t->ssl)) {
        ERR_clear_error();
        (void)SSL_shutdown(t->ssl);
        ERR_clear_error();
    }
    t->shut = t->fin = true; /* the flush that empties the queue sends the end behind it */
    return tls_flush(f);
}

static void tls_destroy(sl_filter *f)
{
    tls_filter *t = (tls_filter *)f;
    if (!t->shut && t->broken == 0 && SSL_is_init_finished(t->ssl)) {
        ERR_clear_error();
        (void)SSL_shutdown(t->ssl); /* close_notify, if the socket takes it at once */
        (void)tls_flush(f);
    }
    SSL_free(t->ssl);
    ERR_clear_error();
    sl_buf_done(&t->out);
    free(t);
}

static const sl_filter_ops tls_ops = {
    .name = "tls",
    .connect = tls_connect,
    .recv = tls_recv,
    .send = tls_send,
    .flush = tls_flush,
    .pending = tls_pending,
    .quiet = tls_quiet,
    .shutdown = tls_shutdown,
    .destroy = tls_destroy,
};

static void on_handshake_message(tls_filter *t, bool out, uint8_t type)
{
    /* A KeyUpdate flood costs us key derivations and answers (TLS-13): it ends the connection. */
    if (!out && type == SSL3_MT_KEY_UPDATE && ++t->key_updates > KEY_UPDATE_MAX) {
        t->broken = -EPROTO;
    }
    t->asked = t->asked || (!out && type == SSL3_MT_CERTIFICATE_REQUEST);
    t->shown = t->shown || (out && type == SSL3_MT_CERTIFICATE);
}

static void on_message(int out, int version, int type, const void *data, size_t len, SSL *ssl,
                       void *arg)
{
    tls_filter *t = arg;
    const uint8_t *bytes = data;
    (void)version;
    (void)ssl;
    if (type == SSL3_RT_HANDSHAKE && len > 0) {
        on_handshake_message(t, out != 0, bytes[0]);
    } else if (type == SSL3_RT_ALERT && out == 0 && len > 1) {
        t->alert = bytes[1];
    }
}

void sl_tls_note_issuer(SSL *ssl)
{
    tls_filter *t = SSL_get_app_data(ssl);
    if (t != NULL) {
        t->issuer = true;
    }
}

static int push(sl_conn *c, SSL_CTX *ctx, bool client, tls_filter **ret_filter)
{
    tls_filter *t = calloc(1, sizeof(*t));
    if (t == NULL) {
        return -ENOMEM;
    }
    t->filter.ops = &tls_ops;
    t->client = client;
    t->alert = -1;
    sl_buf_init(&t->out, SL_TLS_QUEUE_MAX);
    snprintf(t->why, sizeof(t->why), "TLS failed");
    ERR_clear_error();
    t->ssl = SSL_new(ctx);
    BIO *bio = bio_method() != NULL ? BIO_new(bio_method()) : NULL;
    if (t->ssl == NULL || bio == NULL) {
        SSL_free(t->ssl);
        BIO_free(bio);
        free(t);
        return -ENOMEM;
    }
    BIO_set_data(bio, t);
    BIO_set_init(bio, 1);
    SSL_set_bio(t->ssl, bio, bio);
    SSL_set_app_data(t->ssl, t);
    SSL_set_msg_callback(t->ssl, on_message);
    SSL_set_msg_callback_arg(t->ssl, t);
    sl_conn_push(c, &t->filter);
    *ret_filter = t;
    return 0;
}

int sl_tls_push_client(sl_conn *c, SSL_CTX *ctx, const char *name, const sl_addr *addr,
                       const uint8_t *alpn, size_t alpn_len)
{
    tls_filter *t;
    int r = push(c, ctx, true, &t);
    if (r < 0) {
        return r;
    }
    X509_VERIFY_PARAM *param = SSL_get0_param(t->ssl);
    int ok;
    if (name != NULL) {
        /* RFC 9525: the subjectAltName alone names a server, and a wildcard is a whole label. */
        X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                                   X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
        ok = X509_VERIFY_PARAM_set1_host(param, name, strlen(name)) == 1 &&
             SSL_set_tlsext_host_name(t->ssl, name) == 1;
    } else {
        ok = X509_VERIFY_PARAM_set1_ip(param, addr->bytes, addr->family == 4 ? 4 : 16) == 1;
    }
    if (ok && alpn_len > 0) {
        ok = SSL_set_alpn_protos(t->ssl, alpn, (unsigned)alpn_len) == 0;
    }
    SSL_set_connect_state(t->ssl);
    return ok ? 0 : -ENOMEM;
}

int sl_tls_push_server(sl_conn *c, SSL_CTX *ctx, sl_ca *ca, const char *name, const sl_addr *addr)
{
    tls_filter *t;
    int r = push(c, ctx, false, &t);
    if (r < 0) {
        return r;
    }
    SSL_set_accept_state(t->ssl);
    return sl_ca_certify(ca, t->ssl, name, name != NULL ? NULL : addr);
}

static tls_filter *top_tls(const sl_conn *c)
{
    sl_filter *f = sl_conn_top(c);
    return f != NULL && f->ops == &tls_ops ? (tls_filter *)f : NULL;
}

bool sl_tls_untrusted(const sl_conn *c, const char **ret_why)
{
    const tls_filter *t = top_tls(c);
    *ret_why = t != NULL ? t->why : "no TLS";
    return t != NULL && SSL_get_verify_result(t->ssl) != X509_V_OK;
}

void sl_tls_last_words(sl_conn *c)
{
    tls_filter *t = top_tls(c);
    uint8_t byte;
    size_t n = 0;
    if (t != NULL && t->broken != 0 && t->alert <= 0) {
        int broken = t->broken;
        t->broken = 0; /* a reset keeps what came before it: tcp(7) reads that first */
        ERR_clear_error();
        (void)SSL_read_ex(t->ssl, &byte, sizeof(byte), &n);
        ERR_clear_error();
        t->broken = broken;
    }
}

void sl_tls_trouble_of(const sl_conn *c, sl_tls_trouble *ret)
{
    const tls_filter *t = top_tls(c);
    *ret = (sl_tls_trouble){.alert = -1};
    ret->untrusted = sl_tls_untrusted(c, &ret->why);
    if (t != NULL) {
        ret->alert = t->alert;
        ret->unknown_issuer = ret->untrusted && t->issuer;
        ret->asked = t->asked;
        ret->shown = t->shown;
        ret->nothing_common = t->nothing_common;
        bool reset = t->broken == -ECONNRESET || t->broken == -EPIPE;
        ret->heard = t->heard;
        ret->cut = t->alert <= 0 && (t->cut || t->ended || reset);
    }
}

bool sl_tls_cut(const sl_conn *c)
{
    const tls_filter *t = top_tls(c);
    return t != NULL && t->cut && !t->ended;
}

void sl_tls_break(sl_conn *c)
{
    tls_filter *t = top_tls(c);
    if (t != NULL && t->broken == 0) {
        t->broken = -ECONNABORTED;
    }
}
