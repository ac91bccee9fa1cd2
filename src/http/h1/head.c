/* Owns the raw-byte check of HTTP/1 heads. Never repairs anything: a form that is not exactly the
 * grammar's is refused. */
#include "http/h1/head.h"

#include <string.h>
#include <strings.h>

#include "http/field.h"

/* Bits of a byte's classes. */
enum { TCHAR = 1, TARGET = 2, VALUE = 4 };

static uint8_t classes[256];

static void build_classes(void)
{
    for (unsigned c = 0; c < 256; c++) {
        bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        uint8_t k = 0;
        if (alnum || (c != 0 && c < 128 && strchr("!#$%&'*+-.^_`|~", (int)c) != NULL)) {
            k |= TCHAR;
        }
        if (c > 0x20 && c < 0x7f && c != '#' && c != '\\') {
            k |= TARGET;
        }
        if (c == '\t' || (c >= 0x20 && c != 0x7f)) {
            k |= VALUE; /* obs-text as well: RFC 9110 section 5.5 */
        }
        classes[c] = k;
    }
}

static bool is(uint8_t c, uint8_t class)
{
    if (classes['a'] == 0) {
        build_classes();
    }
    return (classes[c] & class) != 0;
}

bool sl_head_is_tchar(uint8_t c)
{
    return is(c, TCHAR);
}

static enum sl_head_result refuse(const char **ret_why, enum sl_head_result result, const char *why)
{
    *ret_why = why;
    return result;
}

/* "HTTP/1.1" or "HTTP/1.0", and nothing else behind it. */
static enum sl_head_result check_version(const uint8_t *p, size_t n, bool *ret_one_one)
{
    if (n != 8 || memcmp(p, "HTTP/", 5) != 0 || p[6] != '.' || p[5] < '0' || p[5] > '9' ||
        p[7] < '0' || p[7] > '9') {
        return SL_HEAD_BAD;
    }
    if (p[5] != '1' || p[7] > '1') {
        return SL_HEAD_VERSION;
    }
    *ret_one_one = p[7] == '1';
    return SL_HEAD_OK;
}

/* method SP target SP version, each separated by exactly one space. */
static enum sl_head_result check_request_line(const uint8_t *p, size_t n, bool *ret_one_one,
                                              const char **ret_why)
{
    size_t i = 0;
    while (i < n && is(p[i], TCHAR)) {
        i++;
    }
    if (i == 0 || i > 32 || i >= n || p[i] != ' ') {
        return refuse(ret_why, SL_HEAD_BAD, "malformed method");
    }
    size_t target = ++i;
    while (i < n && is(p[i], TARGET)) {
        i++;
    }
    if (i == target || i >= n || p[i] != ' ') {
        return refuse(ret_why, SL_HEAD_BAD, "malformed request target");
    }
    enum sl_head_result r = check_version(p + i + 1, n - i - 1, ret_one_one);
    return r == SL_HEAD_OK ? r : refuse(ret_why, r, "unknown HTTP version (RFC 9112 section 2.3)");
}

/* One finished line of `n` bytes without its CRLF. */
static enum sl_head_result line_done(sl_head_scan *s, const uint8_t *line, size_t n, bool response)
{
    bool one_one;
    if (s->lines == 0 && n == 0) {
        return refuse(&s->why, SL_HEAD_BAD, "empty start line");
    }
    if (s->lines == 0 && !response && n > SL_HEAD_TARGET_MAX) {
        return refuse(&s->why, SL_HEAD_TARGET, "request target too long");
    }
    if (n > SL_HEAD_LINE_MAX) {
        return refuse(&s->why, SL_HEAD_LARGE, "a line of more than 32 KiB");
    }
    if (s->lines == 0 && !response) { /* what is no HTTP is known by its first line */
        enum sl_head_result r = check_request_line(line, n, &one_one, &s->why);
        if (r != SL_HEAD_OK) {
            return r;
        }
    }
    s->lines++;
    if (s->lines > SL_HEAD_FIELDS_MAX + 1 && n > 0) {
        return refuse(&s->why, SL_HEAD_LARGE, "more than 1024 fields");
    }
    return SL_HEAD_OK;
}

static enum sl_head_result too_long(sl_head_scan *s, size_t len, bool response)
{
    if (s->lines == 0 && !response && len > SL_HEAD_TARGET_MAX) {
        return refuse(&s->why, SL_HEAD_TARGET, "request target too long");
    }
    if (len - s->line_start > SL_HEAD_LINE_MAX || len >= SL_HEAD_MAX) {
        return refuse(&s->why, SL_HEAD_LARGE,
                      "head of more than 64 KiB, or a line of more than 32");
    }
    return SL_HEAD_MORE;
}

/* What stands between line ends: nothing that a parser may take for one. */
static bool bytes_clean(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!is(p[i], VALUE)) {
            return false;
        }
    }
    return true;
}

enum sl_head_result sl_head_scan_next(sl_head_scan *s, const uint8_t *data, size_t len,
                                      bool response, size_t *ret_len)
{
    size_t limit = len < SL_HEAD_MAX ? len : SL_HEAD_MAX;
    while (s->pos < limit) {
        const uint8_t *at = data + s->pos;
        const uint8_t *lf = memchr(at, '\n', limit - s->pos);
        size_t stop = lf != NULL ? (size_t)(lf - data) : limit;
        size_t clean_end = stop;
        /* The CR may be the last byte we have: leave it for the next call. */
        if (stop > s->line_start && data[stop - 1] == '\r') {
            clean_end = stop - 1;
        } else if (lf != NULL) {
            return refuse(&s->why, SL_HEAD_BAD, "line end without CR (RFC 9112 section 2.2)");
        }
        if (clean_end > s->pos && !bytes_clean(at, clean_end - s->pos)) {
            return refuse(&s->why, SL_HEAD_BAD, "control byte in the head (RFC 9110 section 5.5)");
        }
        if (lf == NULL) {
            s->pos = clean_end;
            break;
        }
        size_t line = clean_end - s->line_start;
        enum sl_head_result r = line_done(s, data + s->line_start, line, response);
        if (r != SL_HEAD_OK) {
            return r;
        }
        s->pos = stop + 1;
        s->line_start = s->pos;
        if (line == 0) {
            *ret_len = s->pos;
            return SL_HEAD_OK;
        }
    }
    return too_long(s, len, response);
}

/* ---- a complete head ---- */

typedef struct fields {
    unsigned hosts;
    unsigned lengths;
    const uint8_t *length; /* the first of them */
    size_t length_len;
    unsigned encodings;
    unsigned expects;
} fields;

static bool name_is(const uint8_t *p, size_t n, const char *name)
{
    return n == strlen(name) && strncasecmp((const char *)p, name, n) == 0;
}

/* One number, which nobody reads in another way. */
static const char *check_number(const uint8_t *v, size_t n)
{
    if (n == 0 || n > 18) {
        return "Content-Length out of range (RFC 9112 section 6.3)";
    }
    for (size_t i = 0; i < n; i++) {
        if (v[i] < '0' || v[i] > '9') {
            return "Content-Length is not a number (RFC 9112 section 6.3)";
        }
    }
    return NULL;
}

/* Of a response the same number may be said again, in this field or in another: some server behind
 * a server did. RFC 9112 section 6.3 has it be one. */
static const char *check_length(const uint8_t *v, size_t n, bool response, fields *seen)
{
    const uint8_t *end = v + n;
    for (;;) {
        const uint8_t *comma = response ? memchr(v, ',', (size_t)(end - v)) : NULL;
        const uint8_t *stop = comma != NULL ? comma : end;
        size_t len = (size_t)(stop - v);
        while (comma != NULL && len > 0 && (v[len - 1] == ' ' || v[len - 1] == '\t')) {
            len--;
        }
        const char *why = check_number(v, len);
        if (why != NULL) {
            return why;
        }
        if (seen->lengths++ == 0) {
            seen->length = v;
            seen->length_len = len;
        } else if (!response || len != seen->length_len || memcmp(v, seen->length, len) != 0) {
            return response ? "Content-Lengths that differ (RFC 9112 section 6.3)"
                            : "more than one Content-Length (RFC 9112 section 6.3)";
        }
        if (comma == NULL) {
            return NULL;
        }
        v = comma + 1;
        while (v < end && (*v == ' ' || *v == '\t')) {
            v++;
        }
    }
}

static const char *check_field(const uint8_t *line, size_t n, bool response, fields *seen)
{
    size_t colon = 0;
    while (colon < n && is(line[colon], TCHAR)) {
        colon++;
    }
    if (colon == 0) {
        return "field line without a name (RFC 9112 section 5.1)"; /* obs-fold and an indented first
                                                                      line too */
    }
    if (colon == n || line[colon] != ':') {
        return "field name without a colon behind it (RFC 9112 section 5.1)";
    }
    /* From an upstream it is dropped: servers at fault must not be out of reach. */
    if (!response && sl_http_field_is_lookalike((const char *)line, colon)) {
        return "field name that others read as another's";
    }
    const uint8_t *v = line + colon + 1;
    const uint8_t *end = line + n;
    while (v < end && (*v == ' ' || *v == '\t')) {
        v++;
    }
    while (end > v && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }
    size_t len = (size_t)(end - v);
    if (name_is(line, colon, "host")) {
        seen->hosts++;
        return len == 0 ? "empty Host" : NULL;
    }
    if (name_is(line, colon, "content-length")) {
        return check_length(v, len, response, seen);
    }
    if (name_is(line, colon, "transfer-encoding")) {
        seen->encodings++;
        return name_is(v, len, "chunked")
                   ? NULL
                   : "Transfer-Encoding other than chunked (RFC 9112 section 7)";
    }
    return NULL;
}

static const char *check_fields(const uint8_t *head, size_t len, size_t start, bool response,
                                fields *seen)
{
    size_t at = start;
    while (at < len) {
        const uint8_t *cr = memchr(head + at, '\r', len - at);
        if (cr == NULL || cr + 1 >= head + len || cr[1] != '\n') {
            return "line end without CRLF (RFC 9112 section 2.2)";
        }
        size_t n = (size_t)(cr - (head + at));
        if (n == 0) {
            break;
        }
        const char *why = check_field(head + at, n, response, seen);
        if (why != NULL) {
            return why;
        }
        at += n + 2;
    }
    if (seen->encodings > 1) {
        return "more than one Transfer-Encoding (RFC 9112 section 6.1)";
    }
    if (seen->lengths > 0 && seen->encodings > 0) {
        return "Content-Length and Transfer-Encoding together (RFC 9112 section 6.1)";
    }
    return NULL;
}

enum sl_head_result sl_head_check_request(const uint8_t *head, size_t len, const char **ret_why)
{
    const uint8_t *cr = memchr(head, '\r', len);
    bool one_one = false;
    if (cr == NULL) {
        return refuse(ret_why, SL_HEAD_BAD, "no line end");
    }
    size_t line = (size_t)(cr - head);
    enum sl_head_result r = check_request_line(head, line, &one_one, ret_why);
    if (r != SL_HEAD_OK) {
        return r;
    }
    fields seen = {0};
    const char *why = check_fields(head, len, line + 2, false, &seen);
    if (why == NULL && seen.hosts != 1) {
        why = seen.hosts == 0 ? "no Host" : "more than one Host";
    }
    if (why == NULL && seen.encodings > 0 && !one_one) {
        why = "Transfer-Encoding in HTTP/1.0 (RFC 9112 section 6.1)";
    }
    return why == NULL ? SL_HEAD_OK : refuse(ret_why, SL_HEAD_BAD, why);
}

enum sl_head_result sl_head_check_response(const uint8_t *head, size_t len, const char **ret_why)
{
    const uint8_t *cr = memchr(head, '\r', len);
    bool one_one = false;
    if (cr == NULL || cr - head < 12) {
        return refuse(ret_why, SL_HEAD_BAD, "malformed status line (RFC 9112 section 4)");
    }
    size_t line = (size_t)(cr - head);
    enum sl_head_result r = check_version(head, 8, &one_one);
    if (r != SL_HEAD_OK) {
        return refuse(ret_why, r, "unknown HTTP version (RFC 9112 section 2.3)");
    }
    const uint8_t *p = head + 8;
    if (p[0] != ' ' || p[1] < '1' || p[1] > '9' || p[2] < '0' || p[2] > '9' || p[3] < '0' ||
        p[3] > '9' || (line > 12 && p[4] != ' ')) {
        return refuse(ret_why, SL_HEAD_BAD, "malformed status line (RFC 9112 section 4)");
    }
    fields seen = {0};
    const char *why = check_fields(head, len, line + 2, true, &seen);
    if (why == NULL && seen.encodings > 0 && !one_one) {
        why = "Transfer-Encoding in HTTP/1.0 (RFC 9112 section 6.1)";
    }
    return why == NULL ? SL_HEAD_OK : refuse(ret_why, SL_HEAD_BAD, why);
}
