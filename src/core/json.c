/* Owns the escaping of JSON strings. Never writes a raw control byte. */
#include "core/json.h"

#include <stdbool.h>
#include <string.h>

/* Length of the UTF-8 sequence at `p`, its value in *ret; 0 when it is none (RFC 3629). */
static size_t utf8(const unsigned char *p, size_t len, uint32_t *ret)
{
    size_t n = p[0] < 0x80                   ? 1
               : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
               : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
               : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
                                             : 0;
    if (n == 0 || n > len) {
        return 0;
    }
    uint32_t c = n == 1 ? p[0] : p[0] & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
        c = c << 6 | (p[i] & 0x3f);
    }
    if ((n == 3 && (c < 0x800 || (c >= 0xd800 && c < 0xe000))) ||
        (n == 4 && (c < 0x10000 || c > 0x10ffff))) {
        return 0;
    }
    *ret = c;
    return n;
}

int sl_json_string(sl_buf *out, const char *text, size_t len)
{
    const unsigned char *p = (const unsigned char *)text;
    int r = sl_buf_append(out, "\"", 1);
    size_t i = 0;
    while (i < len && r == 0) {
        size_t plain = i;
        while (plain < len && p[plain] >= 0x20 && p[plain] < 0x7f && p[plain] != '"' &&
               p[plain] != '\\') {
            plain++;
        }
        if (plain > i) {
            r = sl_buf_append(out, p + i, plain - i);
            i = plain;
            continue;
        }
        uint32_t c = 0;
        size_t n = utf8(p + i, len - i, &c);
        if (n == 0) {
            r = sl_buf_append(out, "\\ufffd", 6);
            n = 1;
        } else if (c == '"' || c == '\\') {
            char pair[2] = {'\\', (char)c};
            r = sl_buf_append(out, pair, 2);
        } else if (c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029) {
            r = sl_buf_printf(out, "\\u%04x", c);
        } else {
            r = sl_buf_append(out, p + i, n);
        }
        i += n;
    }
    return r == 0 ? sl_buf_append(out, "\"", 1) : r;
}

static int key_of(sl_buf *out, const char *key)
{
    size_t len = out->len;
    bool first = len > 0 && sl_buf_head(out)[len - 1] == '{';
    return sl_buf_printf(out, "%s\"%s\":", first ? "" : ",", key);
}

int sl_json_member(sl_buf *out, const char *key, const char *text)
{
    int r = key_of(out, key);
    if (r < 0) {
        return r;
    }
    return text == NULL ? sl_buf_append(out, "null", 4) : sl_json_string(out, text, strlen(text));
}

int sl_json_number(sl_buf *out, const char *key, uint64_t value)
{
    int r = key_of(out, key);
    return r < 0 ? r : sl_buf_printf(out, "%llu", (unsigned long long)value);
}
