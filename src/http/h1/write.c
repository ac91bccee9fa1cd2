/* Owns the serialising of HTTP/1 heads and trailers. Never writes a byte that the raw check did not
 * accept, and never a field that belongs to the other connection. */
#include "http/h1/write.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static int put(sl_buf *out, const char *text, size_t len)
{
    return sl_buf_append(out, text, len);
}

static int put_field(sl_buf *out, const sl_http_field *f)
{
    size_t n = (size_t)f->name_len + f->value_len + 4;
    char *to = (char *)sl_buf_reserve(out, n);
    if (to == NULL) {
        return -errno;
    }
    memcpy(to, f->name, f->name_len);
    to += f->name_len;
    *to++ = ':';
    *to++ = ' ';
    memcpy(to, f->value, f->value_len);
    memcpy(to + f->value_len, "\r\n", 2);
    sl_buf_commit(out, n);
    return 0;
}

/* Fields that go from end to end (RFC 9110 section 7.6.1). */
static bool passes(const sl_h1_head *head, const sl_http_field *f)
{
    bool named = f->id == SL_HTTP_FIELD_OTHER && head->nominates &&
                 sl_h1_connection_has(head, f->name, f->name_len);
    return sl_http_field_passes(f->id) && !named;
}

static int put_fields(sl_buf *out, const sl_h1_head *head)
{
    int r = 0;
    for (size_t i = 0; i < head->count && r == 0; i++) {
        if (passes(head, &head->fields[i])) {
            r = put_field(out, &head->fields[i]);
        }
    }
    return r;
}

static int put_framing(sl_buf *out, const sl_h1_head *head, const sl_h1_framing *framing)
{
    int r = 0;
    if (framing->upgrade) {
        const sl_http_field *f = sl_h1_find(head, SL_HTTP_FIELD_UPGRADE);
        r = put(out, "Connection: Upgrade\r\n", 21);
        r = r == 0 && f != NULL ? put_field(out, f) : r;
    } else if (framing->close) {
        r = put(out, "Connection: close\r\n", 19);
    } else if (framing->keep_alive) {
        r = put(out, "Connection: keep-alive\r\n", 24);
    }
    if (r == 0 && framing->chunked) {
        r = put(out, "Transfer-Encoding: chunked\r\n", 28);
    } else if (r == 0 && framing->has_length) {
        char line[48];
        int n = snprintf(line, sizeof(line), "Content-Length: %llu\r\n",
                         (unsigned long long)framing->length);
        r = put(out, line, (size_t)n);
    }
    return r == 0 ? put(out, "\r\n", 2) : r;
}

int sl_h1_write_request(sl_buf *out, const sl_h1_head *head, const char *authority,
                        const char *path, const char *query, const sl_h1_framing *framing)
{
    int r = put(out, head->method, strlen(head->method));
    r = r == 0 ? put(out, " ", 1) : r;
    r = r == 0 ? put(out, path, strlen(path)) : r;
    if (r == 0 && query != NULL) {
        r = put(out, "?", 1);
        r = r == 0 ? put(out, query, strlen(query)) : r;
    }
    r = r == 0 ? put(out, " HTTP/1.1\r\nHost: ", 17) : r;
    r = r == 0 ? put(out, authority, strlen(authority)) : r;
    r = r == 0 ? put(out, "\r\n", 2) : r;
    r = r == 0 ? put_fields(out, head) : r;
    return r == 0 ? put_framing(out, head, framing) : r;
}

int sl_h1_write_response(sl_buf *out, const sl_h1_head *head, const sl_h1_framing *framing)
{
    char line[16];
    int n = snprintf(line, sizeof(line), "HTTP/1.1 %03u ", head->status % 1000);
    int r = put(out, line, (size_t)n);
    r = r == 0 ? put(out, head->reason, head->reason_len) : r;
    r = r == 0 ? put(out, "\r\n", 2) : r;
    r = r == 0 ? put_fields(out, head) : r;
    return r == 0 ? put_framing(out, head, framing) : r;
}

int sl_h1_write_trailers(sl_buf *out, const sl_buf *lines)
{
    const char *p = (const char *)sl_buf_head(lines);
    size_t left = lines->len;
    int r = put(out, "0\r\n", 3);
    while (left > 0 && r == 0) {
        const char *cr = memchr(p, '\r', left);
        if (cr == NULL) {
            return -EBADMSG;
        }
        size_t name = 0;
        while (p + name < cr && sl_head_is_tchar((uint8_t)p[name])) {
            name++;
        }
        if (name == 0 || p[name] != ':') {
            return -EBADMSG;
        }
        size_t line = (size_t)(cr - p) + 2;
        if (sl_http_field_in_trailer(p, name)) {
            r = put(out, p, line);
        }
        p += line;
        left -= line;
    }
    return r == 0 ? put(out, "\r\n", 2) : r;
}
