/* Owns the meaning of HTTP/1 heads: llhttp reads, and its answer is compared with what the raw
 * check allows. Never forwards and never judges. */
#include "http/h1/parse.h"

#include <errno.h>
#include <llhttp.h>
#include <string.h>
#include <strings.h>

#include "core/num.h"

typedef struct parsing {
    sl_h1_head *head;
    const char *end; /* where the last piece ended: pieces of one thing must touch */
    bool in_value;
    bool complete;
    bool failed;
    bool close;
    bool keep;
    bool unsaid; /* the length was not told to the parser */
    unsigned lengths;
    unsigned encodings;
    unsigned flags; /* llhttp's at the end of the head; an empty body clears them */
} parsing;

/* ---- llhttp's calls ---- */

static int on_target(llhttp_t *p, const char *at, size_t len)
{
    parsing *s = p->data;
    if (s->head->target != NULL && s->end != at) {
        s->failed = true;
    }
    s->head->target = s->head->target == NULL ? at : s->head->target;
    s->head->target_len += len;
    s->end = at + len;
    return 0;
}

static int on_reason(llhttp_t *p, const char *at, size_t len)
{
    parsing *s = p->data;
    s->head->reason = s->head->reason == NULL ? at : s->head->reason;
    s->head->reason_len += len;
    return 0;
}

static int on_name(llhttp_t *p, const char *at, size_t len)
{
    parsing *s = p->data;
    sl_h1_head *h = s->head;
    if (h->count > 0 && !s->in_value && s->end == at && h->fields[h->count - 1].value == NULL) {
        h->fields[h->count - 1].name_len += (uint32_t)len; /* the rest of the same name */
    } else {
        if (h->count == SL_HEAD_FIELDS_MAX) {
            s->failed = true;
            return -1;
        }
        h->fields[h->count++] = (sl_http_field){.name = at, .name_len = (uint32_t)len};
    }
    s->in_value = false;
    s->end = at + len;
    return 0;
}

static int on_value(llhttp_t *p, const char *at, size_t len)
{
    parsing *s = p->data;
    sl_h1_head *h = s->head;
    if (h->count == 0) {
        s->failed = true;
        return -1;
    }
    sl_http_field *f = &h->fields[h->count - 1];
    if (f->value == NULL) {
        f->value = at;
    } else if (s->end != at) {
        s->failed = true;
    }
    f->value_len += (uint32_t)len;
    s->in_value = true;
    s->end = at + len;
    return 0;
}

static int on_complete(llhttp_t *p)
{
    parsing *s = p->data;
    s->complete = true;
    s->flags = p->flags;
    return 0;
}

static const llhttp_settings_t *settings(void)
{
    static llhttp_settings_t s;
    if (s.on_headers_complete == NULL) {
        llhttp_settings_init(&s);
        s.on_url = on_target;
        s.on_status = on_reason;
        s.on_header_field = on_name;
        s.on_header_value = on_value;
        s.on_headers_complete = on_complete;
    }
    return &s;
}

/* ---- meaning ---- */

static void trim(sl_http_field *f)
{
    if (f->value == NULL) {
        f->value = "";
    }
    while (f->value_len > 0 && (f->value[0] == ' ' || f->value[0] == '\t')) {
        f->value++;
        f->value_len--;
    }
    while (f->value_len > 0 &&
           (f->value[f->value_len - 1] == ' ' || f->value[f->value_len - 1] == '\t')) {
        f->value_len--;
    }
}

typedef struct option {
    const char *text;
    size_t len;
} option;

static bool same_option(const char *item, size_t len, void *arg)
{
    const option *o = arg;
    return len == o->len && strncasecmp(item, o->text, len) == 0;
}

bool sl_h1_connection_has(const sl_h1_head *head, const char *text, size_t len)
{
    option o = {text, len};
    for (size_t i = 0; i < head->count; i++) {
        if (head->fields[i].id == SL_HTTP_FIELD_CONNECTION &&
            sl_http_field_any(&head->fields[i], same_option, &o)) {
            return true;
        }
    }
    return false;
}

static bool note_option(const char *item, size_t len, void *arg)
{
    parsing *s = arg;
    if (len == 5 && strncasecmp(item, "close", 5) == 0) {
        s->close = true;
    } else if (len == 10 && strncasecmp(item, "keep-alive", 10) == 0) {
        s->keep = true;
    } else if (len == 7 && strncasecmp(item, "upgrade", 7) == 0) {
        s->head->upgrade = true;
    } else {
        s->head->nominates = true;
    }
    return false;
}

static bool starts(const sl_http_field *f, const char *text)
{
    size_t n = strlen(text);
    return f->value_len >= n && strncasecmp(f->value, text, n) == 0;
}

static void note_field(parsing *s, sl_http_field *f)
{
    sl_h1_head *h = s->head;
    f->id = sl_http_field_identify(f->name, f->name_len);
    switch (f->id) {
    case SL_HTTP_FIELD_CONTENT_LENGTH:
        s->lengths++;
        h->has_length = true;
        s->failed |= sl_num_parse(f->value, f->value_len, UINT64_MAX, &h->length) < 0;
        break;
    case SL_HTTP_FIELD_TRANSFER_ENCODING:
        s->encodings++;
        h->chunked = true;
        break;
    case SL_HTTP_FIELD_CONNECTION:
        sl_http_field_any(f, note_option, s);
        break;
    case SL_HTTP_FIELD_AUTH:
        h->binding_auth |= starts(f, "NTLM") || starts(f, "Negotiate");
        break;
    default:
        break;
    }
}

/* The parser and our own reading must agree on what frames the message. */
static bool agrees(const parsing *s)
{
    const sl_h1_head *h = s->head;
    return !s->failed && s->lengths <= 1 && s->encodings <= 1 &&
           ((s->flags & F_CHUNKED) != 0) == h->chunked &&
           ((s->flags & F_CONTENT_LENGTH) != 0) == (h->has_length && !s->unsaid);
}

static void start_parsing(llhttp_t *p, parsing *s, sl_h1_head *h, bool response)
{
    memset(h, 0, offsetof(sl_h1_head, fields));
    h->chunked = h->has_length = h->upgrade = h->nominates = h->binding_auth = false;
    h->length = 0;
    h->response = response;
    *s = (parsing){.head = h};
    llhttp_init(p, response ? HTTP_RESPONSE : HTTP_REQUEST, settings());
    p->data = s;
}

#define LENGTH_NAME     "content-length"
#define LENGTH_NAME_LEN (sizeof(LENGTH_NAME) - 1)

/* A response that says its length again: the check found that all are the same. The parser, which
 * takes one, reads the head without them. */
static llhttp_errno_t parse_without_lengths(llhttp_t *p, const char *data, size_t len, parsing *s)
{
    llhttp_errno_t e = HPE_OK;
    const char *end = data + len;
    for (const char *line = data; line < end && e == HPE_OK && !s->complete;) {
        const char *lf = memchr(line, '\n', (size_t)(end - line));
        size_t n = lf != NULL ? (size_t)(lf - line) + 1 : (size_t)(end - line);
        const char *v = line + LENGTH_NAME_LEN + 1;
        if (n > LENGTH_NAME_LEN && line[LENGTH_NAME_LEN] == ':' &&
            strncasecmp(line, LENGTH_NAME, LENGTH_NAME_LEN) == 0) {
            v += strspn(v, " \t");
            uint64_t said = 0;
            s->failed |= sl_num_parse(v, strspn(v, "0123456789"), UINT64_MAX, &said) < 0 ||
                         (s->unsaid && said != s->head->length);
            s->head->has_length = true;
            s->head->length = said;
            s->unsaid = true;
        } else {
            e = llhttp_execute(p, line, n);
        }
        line += n;
    }
    return e;
}

int sl_h1_parse(const uint8_t *data, size_t len, bool response, sl_h1_head *ret)
{
    sl_h1_head *h = ret;
    parsing s;
    llhttp_t p;
    start_parsing(&p, &s, h, response);
    llhttp_errno_t e = llhttp_execute(&p, (const char *)data, len);
    if (response && (e == HPE_UNEXPECTED_CONTENT_LENGTH || e == HPE_INVALID_CONTENT_LENGTH)) {
        start_parsing(&p, &s, h, response);
        e = parse_without_lengths(&p, (const char *)data, len, &s);
    }
    if ((e != HPE_OK && e != HPE_PAUSED_UPGRADE) || !s.complete || s.failed || p.http_major != 1) {
        return -EBADMSG;
    }
    h->one_one = p.http_minor == 1;
    if (response) {
        h->status = p.status_code;
    } else {
        h->method = llhttp_method_name((llhttp_method_t)p.method);
        if (h->target == NULL) {
            return -EBADMSG;
        }
    }
    for (size_t i = 0; i < h->count; i++) {
        trim(&h->fields[i]);
        note_field(&s, &h->fields[i]);
    }
    h->keep_alive = !s.close && (h->one_one || s.keep); /* close wins, RFC 9112 section 9.3 */
    h->upgrade = h->upgrade && sl_h1_find(h, SL_HTTP_FIELD_UPGRADE) != NULL;
    return agrees(&s) ? 0 : -EBADMSG;
}

const sl_http_field *sl_h1_find(const sl_h1_head *head, enum sl_http_field_id id)
{
    for (size_t i = 0; i < head->count; i++) {
        if (head->fields[i].id == id) {
            return &head->fields[i];
        }
    }
    return NULL;
}
