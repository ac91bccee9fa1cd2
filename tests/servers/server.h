/* The test API server: what its files share. Test code: it must be readable, not fast. */
#ifndef TEST_SERVER_H
#define TEST_SERVER_H

#include <mbedtls/ssl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SERVER_HEAD_MAX    (64u << 10)
#define SERVER_BODY_MAX    (8u << 20)   /* kept of one request body; the rest is counted only */
#define SERVER_RAW_MAX     (512u << 10) /* raw bytes kept for the witness log */
#define SERVER_HEADERS_MAX 256
#define SERVER_CONNS_MAX   4096
#define SERVER_HOLDS_MAX   256
#define SERVER_LISTEN_MAX  8

/* A growing byte string with a maximum; what does not fit is counted and dropped. */
typedef struct bytes {
    unsigned char *data;
    size_t len;
    size_t cap;
    size_t max;
    size_t dropped;
} bytes;

void bytes_init(bytes *b, size_t max);
void bytes_done(bytes *b);
void bytes_clear(bytes *b);
void bytes_add(bytes *b, const void *data, size_t len);
void bytes_text(bytes *b, const char *text);
void bytes_format(bytes *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void bytes_json_string(bytes *b, const void *data, size_t len); /* with quotes; bytes as latin-1 */
void bytes_json_base64(bytes *b, const void *data, size_t len); /* with quotes */

struct options {
    const char *listen[SERVER_LISTEN_MAX]; /* ADDR:PORT */
    size_t listen_count;
    const char *cert;
    const char *key;
    const char *root; /* directory of static files, or NULL */
    const char *log;
    int log_fd;
    int ready_fd;
    int tls_min; /* MBEDTLS_SSL_MINOR_VERSION_* */
    int tls_max;
    const char *alpn[8];
    const char *ciphers; /* one mbedTLS name, or NULL */
    bool plain_only;
    bool tls_only;
    bool reset_on_accept;
    bool reset_after_hello;
};

/* One accepted connection: first byte 0x16 means TLS, anything else is clear text. */
typedef struct conn {
    int fd;
    uint64_t id;
    unsigned requests;
    bool tls;
    bool handshaken;
    bool broken;
    mbedtls_ssl_context ssl;
    char sni[256];
    unsigned char in[16384];
    size_t in_start;
    size_t in_end;
    bytes raw; /* received since the last request */
} conn;

int tls_setup(const struct options *options);
int conn_start(conn *c); /* sniffs, does the handshake */
void conn_stop(conn *c);
int conn_getc(conn *c); /* -1: end or error */
size_t conn_read(conn *c, void *data, size_t len);
int conn_write(conn *c, const void *data, size_t len);
int conn_text(conn *c, const char *text);
void conn_reset(conn *c); /* RST */

struct header {
    char *name;
    char *value;
};

typedef struct request {
    char head[SERVER_HEAD_MAX];
    size_t head_len;
    char *method;
    char *target;
    char *version;
    struct header headers[SERVER_HEADERS_MAX];
    size_t header_count;
    struct header trailers[SERVER_HEADERS_MAX];
    size_t trailer_count;
    char trailer_text[SERVER_HEAD_MAX];
    bytes body;
    uint64_t body_len;
    bool keep_alive;
} request;

/* 1: a request; 0: the peer is done; -1: not understood. */
int request_read(conn *c, request *r);
const char *request_header(const request *r, const char *name);
void request_clear(request *r);

/* Answers; false: the connection ends. */
bool route(conn *c, request *r, const struct options *options);
bool route_websocket(conn *c, request *r);
bool route_completion(conn *c, const request *r);
bool route_file(conn *c, const request *r, const char *root);

/* Answer helpers shared by the routes. */
bool answer(conn *c, const request *r, int status, const char *type, const char *extra,
            const void *body, size_t len);
int chunk(conn *c, const void *data, size_t len);

/* Named semaphores: a held answer waits until another request releases it. */
void hold_wait(const char *name);
void hold_release(const char *name);

void log_open(const struct options *options);
void log_connection(const conn *c, const char *event, const char *detail);
void log_request(const conn *c, const request *r);

#endif
