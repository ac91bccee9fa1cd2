/* Owns the judgement of a flow's first bytes. Reads only what it was given, keeps nothing, and
 * calls a flow TLS only when the whole ClientHello is there and well formed. */
#include "net/sniff.h"

#include <string.h>

#include "core/addr.h"
#include "net/hostname_int.h"

#define RECORD_HEADER    5
#define RECORD_HANDSHAKE 22
#define RECORD_MAX       16384 /* RFC 8446 section 5.1 */
#define MESSAGE_HEADER   4
#define MESSAGE_HELLO    1
#define MESSAGE_MAX      16384 /* far more than any client sends, post-quantum shares included */
#define EXTENSIONS_MAX   64
#define METHOD_MAX       32
#define EXT_SERVER_NAME  0
#define EXT_ALPN         16
#define EXT_VERSIONS     43
#define EXT_ECH          0xfe0d /* RFC 9849 */
#define EXT_ESNI         0xffce /* its drafts before 2020 */

/* A view of bytes; reading past its end makes it bad, and stays so. */
struct view {
    const uint8_t *data;
    size_t len;
    bool bad;
};

static unsigned view_uint(struct view *v, size_t bytes)
{
    unsigned value = 0;
    if (v->bad || v->len < bytes) {
        v->bad = true;
        return 0;
    }
    for (size_t i = 0; i < bytes; i++) {
        value = value << 8 | v->data[i];
    }
    v->data += bytes;
    v->len -= bytes;
    return value;
}

/* A vector with `prefix` bytes of length before it, at least `min` and at most `max` long. */
static struct view view_vector(struct view *v, size_t prefix, size_t min, size_t max)
{
    struct view inner = {.len = view_uint(v, prefix)};
    if (v->bad || inner.len > v->len || inner.len < min || inner.len > max) {
        v->bad = true;
        return (struct view){.bad = true};
    }
    inner.data = v->data;
    v->data += inner.len;
    v->len -= inner.len;
    return inner;
}

/* An address written where a name belongs: "192.0.2.1", "2001:db8::1". */
static bool is_address(struct view text, char out[SL_HOSTNAME_MAX])
{
    char copy[46]; /* INET6_ADDRSTRLEN */
    sl_addr addr;
    if (text.len == 0 || text.len >= sizeof(copy)) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '\0' || strchr("0123456789abcdefABCDEF.:", text.data[i]) == NULL) {
            return false;
        }
        copy[i] = (char)text.data[i];
    }
    copy[text.len] = '\0';
    if (sl_addr_parse(copy, &addr) < 0) {
        return false;
    }
    memcpy(out, copy, text.len + 1);
    return true;
}

/* RFC 6066 section 3: a list that may hold one name of each type, and one type exists. A trailing
 * dot, a NUL, any byte that no host name has: the flow may not pass. */
static bool read_server_name(struct view ext, sl_client_hello *hello)
{
    struct view list = view_vector(&ext, 2, 1, UINT16_MAX);
    unsigned type = view_uint(&list, 1);
    struct view name = view_vector(&list, 2, 1, UINT16_MAX);
    if (ext.bad || ext.len != 0 || list.bad || list.len != 0 || name.bad || type != 0) {
        return false;
    }
    hello->has_sni = true;
    hello->sni_is_addr = is_address(name, hello->sni);
    return hello->sni_is_addr || sl_hostname_copy(name.data, name.len, hello->sni) == 0;
}

/* RFC 7301 section 3.1. */
static bool read_alpn(struct view ext, sl_client_hello *hello)
{
    struct view list = view_vector(&ext, 2, 2, SL_SNIFF_ALPN_MAX);
    if (ext.bad || ext.len != 0) {
        return false;
    }
    memcpy(hello->alpn, list.data, list.len);
    hello->alpn_len = list.len;
    while (list.len > 0 && !list.bad) {
        view_vector(&list, 1, 1, UINT8_MAX);
    }
    return !list.bad;
}

/* RFC 8446 section 4.2.1. Values of the form 0x?a?a are GREASE (RFC 8701). */
static bool read_versions(struct view ext, sl_client_hello *hello)
{
    struct view list = view_vector(&ext, 1, 2, UINT8_MAX);
    if (ext.bad || ext.len != 0 || list.len % 2 != 0) {
        return false;
    }
    hello->version_max = 0;
    while (list.len > 0) {
        unsigned version = view_uint(&list, 2);
        bool grease = (version & 0x0f0f) == 0x0a0a && version >> 8 == (version & 0xff);
        if (!grease && version > hello->version_max) {
            hello->version_max = (uint16_t)version;
        }
    }
    return true;
}

static bool read_extension(unsigned type, struct view ext, sl_client_hello *hello)
{
    switch (type) {
    case EXT_SERVER_NAME:
        return read_server_name(ext, hello);
    case EXT_ALPN:
        return read_alpn(ext, hello);
    case EXT_VERSIONS:
        return read_versions(ext, hello);
    case EXT_ECH:
    case EXT_ESNI:
        hello->has_ech = true;
        return true;
    default:
        return true;
    }
}

/* No extension may come twice (RFC 8446 section 4.2): else we and the server could read different
 * ones. */
static bool read_extensions(struct view list, sl_client_hello *hello)
{
    uint16_t seen[EXTENSIONS_MAX];
    size_t count = 0;
    while (list.len > 0) {
        unsigned type = view_uint(&list, 2);
        struct view ext = view_vector(&list, 2, 0, UINT16_MAX);
        if (list.bad || count == EXTENSIONS_MAX) {
            return false;
        }
        for (size_t i = 0; i < count; i++) {
            if (seen[i] == type) {
                return false;
            }
        }
        seen[count++] = (uint16_t)type;
        if (!read_extension(type, ext, hello)) {
            return false;
        }
    }
    return true;
}

/* The body of a ClientHello, RFC 8446 section 4.1.2 and RFC 5246 section 7.4.1.2. */
static bool read_hello(struct view v, sl_client_hello *hello)
{
    hello->version_max = (uint16_t)view_uint(&v, 2);
    for (int i = 0; i < 8; i++) {
        view_uint(&v, 4); /* random */
    }
    view_vector(&v, 1, 0, 32); /* session id */
    struct view ciphers = view_vector(&v, 2, 2, UINT16_MAX);
    view_vector(&v, 1, 1, UINT8_MAX); /* compression methods */
    if (v.bad || ciphers.len % 2 != 0 || hello->version_max >> 8 != 3) {
        return false;
    }
    if (v.len == 0) {
        return true; /* TLS 1.2 without extensions */
    }
    struct view extensions = view_vector(&v, 2, 0, UINT16_MAX);
    return !v.bad && v.len == 0 && read_extensions(extensions, hello);
}

/* Where the records end and what they hold; one walk without copying, so that asking again for each
 * byte that comes stays cheap. */
struct walk {
    size_t message_len; /* header and body; 0 while unknown */
    size_t have;        /* handshake bytes seen */
    uint8_t header[MESSAGE_HEADER];
};

/* Takes the fragment that a record starts at `data` gives, of which `len` bytes are here. False:
 * that cannot be a ClientHello. */
static bool walk_fragment(struct walk *w, const uint8_t *data, size_t len, size_t whole)
{
    for (size_t i = 0; i < len && w->have + i < MESSAGE_HEADER; i++) {
        w->header[w->have + i] = data[i];
    }
    w->have += len;
    if (w->have > 0 && w->header[0] != MESSAGE_HELLO) {
        return false;
    }
    if (w->have >= MESSAGE_HEADER && w->message_len == 0) {
        w->message_len = MESSAGE_HEADER +
                         ((size_t)w->header[1] << 16 | (size_t)w->header[2] << 8 | w->header[3]);
    }
    /* Nothing may follow the ClientHello in its last record. */
    size_t end = w->have - len + whole;
    return w->message_len <= MESSAGE_MAX && (w->message_len == 0 || end <= w->message_len);
}

/* Walks the records; with `out`, copies what they hold. */
static enum sl_sniff_kind walk_records(const uint8_t *data, size_t len, struct walk *w,
                                       uint8_t *out)
{
    size_t off = 0;
    while (w->message_len == 0 || w->have < w->message_len) {
        static const uint8_t start[2] = {RECORD_HANDSHAKE, 3};
        size_t left = len - off;
        if (left < RECORD_HEADER) {
            size_t n = left < sizeof(start) ? left : sizeof(start);
            bool fits = left == 0 || memcmp(data + off, start, n) == 0;
            return fits && len < SL_SNIFF_MAX ? SL_SNIFF_MORE : SL_SNIFF_BAD;
        }
        size_t whole = (size_t)data[off + 3] << 8 | data[off + 4];
        if (memcmp(data + off, start, sizeof(start)) != 0 || whole == 0 || whole > RECORD_MAX) {
            return SL_SNIFF_BAD;
        }
        off += RECORD_HEADER;
        size_t here = whole < len - off ? whole : len - off;
        if (!walk_fragment(w, data + off, here, whole)) {
            return SL_SNIFF_BAD;
        }
        if (out != NULL) {
            memcpy(out + w->have - here, data + off, here);
        }
        off += here;
        if (here < whole) {
            return len < SL_SNIFF_MAX ? SL_SNIFF_MORE : SL_SNIFF_BAD;
        }
    }
    return SL_SNIFF_TLS;
}

static enum sl_sniff_kind sniff_tls(const uint8_t *data, size_t len, sl_client_hello *ret_hello)
{
    struct walk w = {0};
    enum sl_sniff_kind kind = walk_records(data, len, &w, NULL);
    if (kind != SL_SNIFF_TLS) {
        return kind;
    }
    uint8_t message[MESSAGE_MAX];
    sl_client_hello hello = {0};
    w = (struct walk){0};
    walk_records(data, len, &w, message);
    struct view body = {.data = message + MESSAGE_HEADER, .len = w.message_len - MESSAGE_HEADER};
    bool ok = read_hello(body, &hello);
    if (!ok) { /* a name that is there, and no host name */
        hello = (sl_client_hello){.has_sni = hello.has_sni && hello.sni[0] == '\0'};
    }
    if (ret_hello != NULL) {
        *ret_hello = hello;
    }
    return ok ? SL_SNIFF_TLS : SL_SNIFF_BAD;
}

/* Methods are letters, '-' and '_' wherever one has been registered. A wider net would take
 * "SSH-2.0-OpenSSH_9 ..." for one. */
static bool is_method_char(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '_';
}

static enum sl_sniff_kind sniff_http(const uint8_t *data, size_t len)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    size_t n = len < sizeof(preface) - 1 ? len : sizeof(preface) - 1;
    if (memcmp(data, preface, n) == 0) {
        return n == sizeof(preface) - 1 ? SL_SNIFF_HTTP2 : SL_SNIFF_MORE;
    }
    for (size_t i = 0; i < len && i <= METHOD_MAX; i++) {
        if (data[i] == ' ') {
            return i > 0 ? SL_SNIFF_HTTP1 : SL_SNIFF_OTHER;
        }
        if (!is_method_char(data[i])) {
            return SL_SNIFF_OTHER;
        }
    }
    return len <= METHOD_MAX ? SL_SNIFF_MORE : SL_SNIFF_OTHER;
}

enum sl_sniff_kind sl_sniff(const uint8_t *data, size_t len, sl_client_hello *ret_hello)
{
    if (len == 0) {
        return SL_SNIFF_MORE;
    }
    /* A first byte of 22 is a TLS handshake; what is not version 3.x behind it is nothing we know.
     */
    if (data[0] == RECORD_HANDSHAKE) {
        return len >= 2 && data[1] != 3 ? SL_SNIFF_OTHER : sniff_tls(data, len, ret_hello);
    }
    return sniff_http(data, len);
}
