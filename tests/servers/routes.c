/* Owns: what each path answers. Never: sleeps; an answer that is to be late waits for
 * /release/NAME.
 *
 *   /bytes/N /1k /100k      N octets        /chunked/N        N chunks
 *   /trailers               chunked, with a trailer field     /close   ended by closing
 *   /status/N               that status     /redirect?to=URL  302
 *   /held/NAME /held-body/NAME              waits before the head / after the first chunk
 *   /step/NAME              SSE, three events, each but the first waits for a release
 *   /release/NAME           lets one waiter go on
 *   /sse/N                  N events at once                  /early   103, then 200
 *   /reset /truncate        RST / close in the middle of the body
 *   /ws /ws200              WebSocket echo / 200 to an upgrade
 *   /v1/chat/completions /v1/messages /v1/models              mock of two well-known APIs
 *   anything else           files below --root, else an echo of the request as JSON */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server.h"

static const char *status_text(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 201:
        return "Created";
    case 204:
        return "No Content";
    case 302:
        return "Found";
    case 304:
        return "Not Modified";
    case 404:
        return "Not Found";
    case 500:
        return "Internal Server Error";
    default:
        return "Status";
    }
}

bool answer(conn *c, const request *r, int status, const char *type, const char *extra,
            const void *body, size_t len)
{
    bytes out;
    bytes_init(&out, len + 4096);
    bool bodiless = status == 204 || status == 304;
    bytes_format(&out, "HTTP/1.1 %d %s\r\nServer: test\r\n", status, status_text(status));
    if (!bodiless) {
        bytes_format(&out, "Content-Type: %s\r\nContent-Length: %zu\r\n", type, len);
    }
    bytes_format(&out, "%s%s\r\n", extra ? extra : "",
                 r->keep_alive ? "" : "Connection: close\r\n");
    if (!bodiless && strcmp(r->method, "HEAD") != 0) {
        bytes_add(&out, body, len);
    }
    int rc = conn_write(c, out.data, out.len);
    bytes_done(&out);
    return rc == 0 && r->keep_alive;
}

int chunk(conn *c, const void *data, size_t len)
{
    bytes out;
    bytes_init(&out, len + 64);
    bytes_format(&out, "%zx\r\n", len);
    bytes_add(&out, data, len);
    bytes_text(&out, "\r\n");
    int rc = conn_write(c, out.data, out.len);
    bytes_done(&out);
    return rc;
}

static bool route_bytes(conn *c, const request *r, uint64_t len)
{
    char head[256];
    char piece[65536];
    snprintf(head, sizeof(head),
             "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: "
             "%llu\r\n%s\r\n",
             (unsigned long long)len, r->keep_alive ? "" : "Connection: close\r\n");
    for (size_t i = 0; i < sizeof(piece); i++) {
        piece[i] =
            (char)('a' + (int)(i % 26)); /* 65536 is no multiple of 26: restarts each piece */
    }
    if (len <= sizeof(piece)) {
        bytes out;
        bytes_init(&out, sizeof(piece) + sizeof(head));
        bytes_text(&out, head);
        bytes_add(&out, piece, strcmp(r->method, "HEAD") == 0 ? 0 : (size_t)len);
        conn_write(c, out.data, out.len);
        bytes_done(&out);
        return !c->broken && r->keep_alive;
    }
    conn_text(c, head);
    while (len > 0 && !c->broken && strcmp(r->method, "HEAD") != 0) {
        size_t n = len < sizeof(piece) ? (size_t)len : sizeof(piece);
        conn_write(c, piece, n);
        len -= n;
    }
    return !c->broken && r->keep_alive;
}

static bool route_echo(conn *c, const request *r)
{
    bytes out;
    bytes_init(&out, SERVER_BODY_MAX * 2);
    bytes_text(&out, "{\"method\":");
    bytes_json_string(&out, r->method, strlen(r->method));
    bytes_text(&out, ",\"target\":");
    bytes_json_string(&out, r->target, strlen(r->target));
    bytes_format(&out, ",\"tls\":%s,\"headers\":{", c->tls ? "true" : "false");
    for (size_t i = 0; i < r->header_count; i++) {
        bytes_text(&out, i ? "," : "");
        bytes_json_string(&out, r->headers[i].name, strlen(r->headers[i].name));
        bytes_text(&out, ":");
        bytes_json_string(&out, r->headers[i].value, strlen(r->headers[i].value));
    }
    bytes_text(&out, "},\"body\":");
    bytes_json_string(&out, r->body.data, r->body.len);
    bytes_format(&out, ",\"body_len\":%llu}\n", (unsigned long long)r->body_len);
    bool on = answer(c, r, 200, "application/json", NULL, out.data, out.len);
    bytes_done(&out);
    return on;
}

#define CHUNKED_HEAD(type)                                                                         \
    "HTTP/1.1 200 OK\r\nContent-Type: " type "\r\nTransfer-Encoding: chunked\r\n"

static bool route_chunked(conn *c, const request *r, unsigned count, const char *trailer)
{
    conn_text(c, CHUNKED_HEAD("text/plain"));
    conn_text(c, trailer ? "Trailer: X-Check\r\n\r\n" : "\r\n");
    for (unsigned i = 0; i < count; i++) {
        char text[64];
        int len = snprintf(text, sizeof(text), "chunk %u\n", i);
        chunk(c, text, (size_t)len);
    }
    conn_text(c, "0\r\n");
    conn_text(c, trailer ? trailer : "");
    return conn_text(c, "\r\n") == 0 && r->keep_alive;
}

/* Three events; with a name each but the first waits to be released. */
static bool route_sse(conn *c, const request *r, unsigned count, const char *name)
{
    conn_text(c, CHUNKED_HEAD("text/event-stream") "Cache-Control: no-cache\r\n\r\n");
    for (unsigned i = 0; i < count; i++) {
        char text[64];
        if (name && i > 0) {
            hold_wait(name);
        }
        int len = snprintf(text, sizeof(text), "data: event %u\n\n", i);
        chunk(c, text, (size_t)len);
    }
    return conn_text(c, "0\r\n\r\n") == 0 && r->keep_alive;
}

static bool route_held(conn *c, const request *r, const char *name, bool head_first)
{
    if (!head_first) {
        hold_wait(name);
        return answer(c, r, 200, "text/plain", NULL, "held\n", 5);
    }
    conn_text(c, CHUNKED_HEAD("text/plain") "\r\n");
    chunk(c, "first\n", 6);
    hold_wait(name);
    chunk(c, "second\n", 7);
    return conn_text(c, "0\r\n\r\n") == 0 && r->keep_alive;
}

static bool route_broken(conn *c, const char *path)
{
    conn_text(c, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1000\r\n\r\npart");
    if (strcmp(path, "/reset") == 0) {
        conn_reset(c);
    }
    return false;
}

static bool after(const char *path, const char *prefix, const char **ret_rest)
{
    size_t len = strlen(prefix);
    *ret_rest = path + len;
    return strncmp(path, prefix, len) == 0;
}

static bool route_timed(conn *c, const request *r, const char *path, bool *ret_on)
{
    const char *rest;
    if (after(path, "/held/", &rest)) {
        *ret_on = route_held(c, r, rest, false);
    } else if (after(path, "/held-body/", &rest)) {
        *ret_on = route_held(c, r, rest, true);
    } else if (after(path, "/step/", &rest)) {
        *ret_on = route_sse(c, r, 3, rest);
    } else if (after(path, "/release/", &rest)) {
        hold_release(rest);
        *ret_on = answer(c, r, 200, "text/plain", NULL, "released\n", 9);
    } else if (after(path, "/sse/", &rest)) {
        *ret_on = route_sse(c, r, (unsigned)strtoul(rest, NULL, 10), NULL);
    } else {
        return false;
    }
    return true;
}

static bool route_odd(conn *c, request *r, const char *path, const char *query, bool *ret_on)
{
    char extra[1024];
    if (strcmp(path, "/ws") == 0) {
        *ret_on = route_websocket(c, r);
    } else if (strcmp(path, "/ws200") == 0) {
        *ret_on = answer(c, r, 200, "text/plain", NULL, "no upgrade\n", 11);
    } else if (strcmp(path, "/reset") == 0 || strcmp(path, "/truncate") == 0) {
        *ret_on = route_broken(c, path);
    } else if (strcmp(path, "/close") == 0) {
        conn_text(c, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end\n");
        *ret_on = false;
    } else if (strcmp(path, "/early") == 0) {
        conn_text(c, "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n");
        *ret_on = answer(c, r, 200, "text/plain", NULL, "late\n", 5);
    } else if (strcmp(path, "/redirect") == 0) {
        snprintf(extra, sizeof(extra), "Location: %s\r\n",
                 strncmp(query, "to=", 3) == 0 ? query + 3 : "/1k");
        *ret_on = answer(c, r, 302, "text/plain", extra, "moved\n", 6);
    } else {
        return false;
    }
    return true;
}

bool route(conn *c, request *r, const struct options *options)
{
    char path[2048];
    const char *rest;
    snprintf(path, sizeof(path), "%s", r->target);
    char *mark = strchr(path, '?');
    const char *query = mark ? mark + 1 : "";
    if (mark) {
        *mark = '\0';
    }
    bool on;
    if (after(path, "/bytes/", &rest)) {
        return route_bytes(c, r, strtoull(rest, NULL, 10));
    }
    if (strcmp(path, "/1k") == 0) {
        return route_bytes(c, r, 1024);
    }
    if (strcmp(path, "/100k") == 0) {
        return route_bytes(c, r, 100 << 10);
    }
    if (after(path, "/chunked/", &rest)) {
        return route_chunked(c, r, (unsigned)strtoul(rest, NULL, 10), NULL);
    }
    if (strcmp(path, "/trailers") == 0) {
        return route_chunked(c, r, 2, "X-Check: passed\r\n");
    }
    if (after(path, "/status/", &rest)) {
        return answer(c, r, (int)strtol(rest, NULL, 10), "text/plain", NULL, "status\n", 7);
    }
    if (route_timed(c, r, path, &on) || route_odd(c, r, path, query, &on)) {
        return on;
    }
    if (strncmp(path, "/v1/", 4) == 0) {
        return route_completion(c, r);
    }
    return options->root ? route_file(c, r, options->root) : route_echo(c, r);
}
