/* Owns: reading one HTTP/1 request, keeping its raw bytes. Never: repairs anything; what it does
 * not understand is logged as malformed with the bytes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server.h"

static char *next_line(char **at)
{
    char *line = *at;
    char *end = strstr(line, "\r\n");
    if (!end) {
        return NULL;
    }
    *end = '\0';
    *at = end + 2;
    return line;
}

static size_t parse_headers(char **at, struct header *headers)
{
    size_t count = 0;
    for (char *line = next_line(at); line && *line && count < SERVER_HEADERS_MAX;
         line = next_line(at)) {
        char *colon = strchr(line, ':');
        if (!colon) {
            continue;
        }
        *colon++ = '\0';
        headers[count].name = line;
        headers[count].value = colon + strspn(colon, " \t");
        count++;
    }
    return count;
}

/* Reads up to and including an empty line into `text`; the length, 0: end, -1: too long. */
static int read_block(conn *c, char *text, size_t room)
{
    size_t len = 0;
    while (len < room - 1) {
        int byte = conn_getc(c);
        if (byte < 0) {
            return len == 0 ? 0 : -1;
        }
        text[len++] = (char)byte;
        if ((len == 2 && memcmp(text, "\r\n", 2) == 0) ||
            (len >= 4 && memcmp(text + len - 4, "\r\n\r\n", 4) == 0)) {
            text[len] = '\0';
            return (int)len;
        }
    }
    return -1;
}

const char *request_header(const request *r, const char *name)
{
    for (size_t i = 0; i < r->header_count; i++) {
        if (strcasecmp(r->headers[i].name, name) == 0) {
            return r->headers[i].value;
        }
    }
    return NULL;
}

static int read_exactly(conn *c, request *r, uint64_t len)
{
    char piece[16384];
    while (len > 0) {
        size_t n = conn_read(c, piece, len < sizeof(piece) ? (size_t)len : sizeof(piece));
        if (n == 0) {
            return -1;
        }
        bytes_add(&r->body, piece, n);
        r->body_len += n;
        len -= n;
    }
    return 0;
}

static int read_chunked(conn *c, request *r)
{
    for (;;) {
        char line[1024];
        size_t len = 0;
        for (int byte = conn_getc(c); byte != '\n'; byte = conn_getc(c)) {
            if (byte < 0 || len == sizeof(line) - 1) {
                return -1;
            }
            line[len++] = (char)byte;
        }
        line[len] = '\0';
        char *end;
        errno = 0;
        uint64_t size = strtoull(line, &end, 16);
        if (errno || end == line) {
            return -1;
        }
        if (size == 0) {
            break;
        }
        char crlf[2];
        if (read_exactly(c, r, size) || (crlf[0] = (char)conn_getc(c)) != '\r' ||
            (crlf[1] = (char)conn_getc(c)) != '\n') {
            return -1;
        }
    }
    if (read_block(c, r->trailer_text, sizeof(r->trailer_text)) <= 0) {
        return -1;
    }
    char *at = r->trailer_text;
    r->trailer_count = parse_headers(&at, r->trailers);
    return 0;
}

static int read_body(conn *c, request *r)
{
    const char *expect = request_header(r, "expect");
    const char *coding = request_header(r, "transfer-encoding");
    const char *length = request_header(r, "content-length");
    if (expect && strcasecmp(expect, "100-continue") == 0 &&
        strncmp(r->target, "/noexpect", 9) != 0) {
        conn_text(c, "HTTP/1.1 100 Continue\r\n\r\n");
    }
    if (coding) {
        return read_chunked(c, r);
    }
    return length ? read_exactly(c, r, strtoull(length, NULL, 10)) : 0;
}

int request_read(conn *c, request *r)
{
    bytes_clear(&c->raw);
    request_clear(r);
    int len = read_block(c, r->head, sizeof(r->head));
    if (len <= 0) {
        return len;
    }
    r->head_len = (size_t)len;
    char *at = r->head;
    char *line = next_line(&at);
    r->method = line;
    char *space = line ? strchr(line, ' ') : NULL;
    char *last = line ? strrchr(line, ' ') : NULL;
    if (!space || last == space) {
        return -1;
    }
    *space = '\0';
    *last = '\0';
    r->target = space + 1;
    r->version = last + 1;
    r->header_count = parse_headers(&at, r->headers);
    const char *connection = request_header(r, "connection");
    r->keep_alive =
        strcmp(r->version, "HTTP/1.1") == 0 && !(connection && strcasestr(connection, "close"));
    return read_body(c, r) ? -1 : 1;
}

void request_clear(request *r)
{
    r->method = r->target = r->version = NULL;
    r->header_count = 0;
    r->trailer_count = 0;
    r->body_len = 0;
    bytes_clear(&r->body);
}
