/* Owns: the witness log, one JSON object a line, written with one write each. Never: leaves out
 * bytes that were received (raw is complete up to SERVER_RAW_MAX, `raw_dropped` says the rest). */
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "server.h"

static int log_fd = -1;
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;

void log_open(const struct options *options)
{
    log_fd = options->log_fd;
    if (options->log) {
        log_fd = open(options->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    }
}

static void log_line(bytes *line)
{
    bytes_text(line, "\n");
    pthread_mutex_lock(&log_lock);
    for (size_t done = 0; log_fd >= 0 && done < line->len;) {
        ssize_t n = write(log_fd, line->data + done, line->len - done);
        if (n <= 0) {
            break;
        }
        done += (size_t)n;
    }
    pthread_mutex_unlock(&log_lock);
    bytes_done(line);
}

static void add_connection(bytes *line, const conn *c)
{
    bytes_format(line, "\"conn\":%llu", (unsigned long long)c->id);
    if (c->tls && c->handshaken) {
        const char *alpn = mbedtls_ssl_get_alpn_protocol(&c->ssl);
        bytes_format(line, ",\"tls\":\"%s\",\"cipher\":\"%s\"", mbedtls_ssl_get_version(&c->ssl),
                     mbedtls_ssl_get_ciphersuite(&c->ssl));
        if (alpn) {
            bytes_format(line, ",\"alpn\":\"%s\"", alpn);
        }
    }
    if (c->tls) {
        bytes_text(line, ",\"sni\":");
        bytes_json_string(line, c->sni, strlen(c->sni));
    }
}

void log_connection(const conn *c, const char *event, const char *detail)
{
    bytes line;
    bytes_init(&line, SERVER_RAW_MAX * 2);
    bytes_format(&line, "{\"event\":\"%s\",", event);
    add_connection(&line, c);
    if (detail) {
        bytes_text(&line, ",\"detail\":");
        bytes_json_string(&line, detail, strlen(detail));
    }
    if (strcmp(event, "close") == 0 || strcmp(event, "malformed") == 0) {
        bytes_text(&line, ",\"raw\":");
        bytes_json_base64(&line, c->raw.data, c->raw.len);
    }
    bytes_text(&line, "}");
    log_line(&line);
}

static void add_headers(bytes *line, const char *name, const struct header *headers, size_t count)
{
    bytes_format(line, ",\"%s\":[", name);
    for (size_t i = 0; i < count; i++) {
        bytes_text(line, i ? ",[" : "[");
        bytes_json_string(line, headers[i].name, strlen(headers[i].name));
        bytes_text(line, ",");
        bytes_json_string(line, headers[i].value, strlen(headers[i].value));
        bytes_text(line, "]");
    }
    bytes_text(line, "]");
}

void log_request(const conn *c, const request *r)
{
    bytes line;
    bytes_init(&line, (SERVER_RAW_MAX + SERVER_BODY_MAX) * 2);
    bytes_text(&line, "{\"event\":\"request\",");
    add_connection(&line, c);
    bytes_format(&line, ",\"n\":%u,\"method\":", c->requests);
    bytes_json_string(&line, r->method, strlen(r->method));
    bytes_text(&line, ",\"target\":");
    bytes_json_string(&line, r->target, strlen(r->target));
    bytes_text(&line, ",\"version\":");
    bytes_json_string(&line, r->version, strlen(r->version));
    add_headers(&line, "headers", r->headers, r->header_count);
    add_headers(&line, "trailers", r->trailers, r->trailer_count);
    bytes_format(&line,
                 ",\"body_len\":%llu,\"raw_dropped\":%zu,\"raw\":", (unsigned long long)r->body_len,
                 c->raw.dropped);
    bytes_json_base64(&line, c->raw.data, c->raw.len);
    bytes_text(&line, "}");
    log_line(&line);
}
