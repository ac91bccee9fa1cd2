/* Owns the one normal form of a path and the matching of path patterns. Never lets two readings of
 * a path through: what servers are known to decode differently is refused, but for an encoded slash
 * that changes nothing else, where both readings are judged (docs/internals/paths.md). */
#include "policy/http/path.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "core/num.h"
#include "policy/http/rule.h"

static bool is_unreserved(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

static bool is_control(uint8_t c)
{
    return c < 0x20 || c == 0x7f;
}

/* The strict decoder of RFC 3629 section 4: `need` more bytes are wanted, the next in [lo, hi]. */
struct utf8 {
    int need;
    uint8_t lo;
    uint8_t hi;
};

static int utf8_next(struct utf8 *u, uint8_t c)
{
    if (u->need > 0) {
        if (c < u->lo || c > u->hi) {
            return -EINVAL;
        }
        u->need--;
        u->lo = 0x80;
        u->hi = 0xbf;
        return 0;
    }
    if (c < 0x80) {
        return 0;
    }
    if (c < 0xc2 || c > 0xf4) {
        return -EINVAL;
    }
    u->need = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
    u->lo = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    u->hi = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    return 0;
}

/* Percent codes: unreserved ones decoded, the others in upper case. Returns the length or -EINVAL.
 */
static int normalise_codes(const char *path, size_t len, char *out)
{
    static const char digits[] = "0123456789ABCDEF";
    struct utf8 utf8 = {0};
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = (uint8_t)path[i];
        if (c != '%') {
            if (c <= 0x20 || c >= 0x7f || c == '#' || c == '\\' || c == '?' || utf8.need > 0) {
                return -EINVAL;
            }
            out[n++] = (char)c;
            continue;
        }
        int hi = i + 2 < len ? sl_num_hex_digit(path[i + 1]) : -1;
        int lo = i + 2 < len ? sl_num_hex_digit(path[i + 2]) : -1;
        if (hi < 0 || lo < 0) {
            return -EINVAL;
        }
        c = (uint8_t)(hi * 16 + lo);
        i += 2;
        if (is_control(c) || c == '\\' || c == '%' || utf8_next(&utf8, c) < 0) {
            return -EINVAL;
        }
        if (is_unreserved(c)) {
            out[n++] = (char)c;
        } else {
            out[n++] = '%';
            out[n++] = digits[c >> 4];
            out[n++] = digits[c & 15];
        }
    }
    return utf8.need > 0 ? -EINVAL : (int)n;
}

/* Length of the slash that stands at `s`, 0 if there is none. */
static size_t slash_at(const char *s, enum sl_http_reading reading)
{
    if (s[0] == '/') {
        return 1;
    }
    return reading == SL_HTTP_DECODED && strncmp(s, "%2F", 3) == 0 ? 3 : 0;
}

static size_t segment_length(const char *p, const char *end)
{
    const char *slash = memchr(p, '/', (size_t)(end - p));
    return (size_t)((slash == NULL ? end : slash) - p);
}

/* "..;x" and ".;x": some servers strip path parameters before they look at dot segments. */
static bool is_hidden_dots(const char *segment, size_t len)
{
    size_t dots = 0;
    while (dots < len && segment[dots] == '.') {
        dots++;
    }
    bool parameter = len > dots && (segment[dots] == ';' ||
                                    (len >= dots + 3 && memcmp(segment + dots, "%3B", 3) == 0));
    return (dots == 1 || dots == 2) && parameter;
}

static bool is_dots(const char *segment, size_t len)
{
    return (len == 1 && segment[0] == '.') || (len == 2 && segment[0] == '.' && segment[1] == '.');
}

/* A server that decodes slashes may do it before or behind the removing of dots and the merging of
 * slashes. All come to the same where neither is to be done. `path` ends in NUL. */
static bool slashes_are_plain(const char *path)
{
    bool coded = false; /* the slash before the segment */
    const char *p = path + 1;
    if (strstr(path, "%2F") == NULL) {
        return true;
    }
    for (;;) {
        size_t len = 0;
        while (p[len] != '\0' && slash_at(p + len, SL_HTTP_DECODED) == 0) {
            len++;
        }
        size_t slash = p[len] == '\0' ? 0 : slash_at(p + len, SL_HTTP_DECODED);
        if (is_dots(p, len) || is_hidden_dots(p, len) || (len == 0 && (coded || slash == 3))) {
            return false;
        }
        if (slash == 0) {
            return true;
        }
        coded = slash == 3;
        p += len + slash;
    }
}

/* RFC 3986 section 5.2.4 on `path` in place, empty segments dropped. Returns the length or
 * -EINVAL.*/
static int remove_dots(char *path, size_t len)
{
    const char *end = path + len;
    const char *p = path + 1;
    size_t n = 1; /* the path so far ends in '/' */
    while (p < end) {
        size_t segment = segment_length(p, end);
        bool last = p + segment == end;
        if (is_hidden_dots(p, segment)) {
            return -EINVAL;
        }
        if (segment == 2 && p[0] == '.' && p[1] == '.') {
            if (n > 1) {
                n--;
                while (path[n - 1] != '/') {
                    n--;
                }
            }
        } else if (segment > 0 && !(segment == 1 && p[0] == '.')) {
            memmove(path + n, p, segment);
            n += segment;
            if (!last) {
                path[n++] = '/';
            }
        }
        p += segment + 1;
    }
    return (int)n;
}

int sl_http_path_normalise(const char *path, size_t len, char *out)
{
    if (len == 0 || len > SL_HTTP_PATH_MAX || path[0] != '/') {
        return -EINVAL;
    }
    int n = normalise_codes(path, len, out);
    if (n >= 0) {
        out[n] = '\0';
        n = slashes_are_plain(out) ? remove_dots(out, (size_t)n) : -EINVAL;
    }
    if (n >= 0) {
        out[n] = '\0';
    }
    return n;
}

/* ---- patterns ---- */

#define CODED_SLASH 0x100 /* as written "%2F" is no slash: no character but itself equals it */

/* One character of a normal form: a byte, or the byte behind a percent code, for "/%40org" must not
 * pass beside a rule for "/@org". */
static int next_char(const char **p, enum sl_http_reading reading)
{
    const char *s = *p;
    if (s[0] == '%' && sl_num_hex_digit(s[1]) >= 0 && sl_num_hex_digit(s[2]) >= 0) {
        int c = sl_num_hex_digit(s[1]) * 16 + sl_num_hex_digit(s[2]);
        *p = s + 3;
        return c == '/' && reading == SL_HTTP_WRITTEN ? CODED_SLASH : c;
    }
    *p = s + 1;
    return (uint8_t)s[0];
}

/* Where to go on when what followed a star did not fit. */
struct retry {
    const char *pattern; /* behind the star; NULL: none */
    const char *path;    /* what the star has taken ends here */
    bool directories;    /* the star of a slash, two stars, a slash: takes whole segments */
};

/* Lets the star take one character more. False when it may not. */
static bool stretch(struct retry *r, bool deep, enum sl_http_reading reading)
{
    if (r->pattern == NULL || *r->path == '\0' || (!deep && slash_at(r->path, reading) > 0)) {
        return false;
    }
    if (!r->directories) {
        (void)next_char(&r->path, reading);
        return true;
    }
    const char *slash = r->path;
    while (*slash != '\0' && slash_at(slash, reading) == 0) {
        slash++;
    }
    if (*slash == '\0') {
        return false;
    }
    r->path = slash + slash_at(slash, reading);
    return true;
}

static bool slash_before(const char *p, const char *start, enum sl_http_reading reading)
{
    return (p > start && p[-1] == '/') || (p - start >= 3 && slash_at(p - 3, reading) == 3);
}

/* Notes the star at `*p` and steps behind it. */
static void take_star(const char **p, const char *start, enum sl_http_reading reading,
                      const char *path, struct retry *shallow, struct retry *deep)
{
    const char *s = *p;
    bool two = s[1] == '*';
    s += two ? 2 : 1;
    if (!two && *s != '\0') {
        *shallow = (struct retry){.pattern = s, .path = path};
    } else {
        bool directories = two && slash_before(*p, start, reading) && slash_at(s, reading) > 0;
        s += directories ? slash_at(s, reading) : 0;
        *deep = (struct retry){.pattern = s, .path = path, .directories = directories};
        *shallow = (struct retry){0}; /* the segments before are settled */
    }
    *p = s;
}

/* Leftmost matching with one retry for each kind of star: the slashes between two deep stars are
 * literal, so an earlier single star can never help a later segment. */
bool sl_http_path_match(const char *pattern, const char *path, enum sl_http_reading reading)
{
    const char *p = pattern;
    const char *t = path;
    struct retry shallow = {0};
    struct retry deep = {0};
    for (;;) {
        if (*p == '*') {
            take_star(&p, pattern, reading, t, &shallow, &deep);
            continue;
        }
        if (*p == '\0' && *t == '\0') {
            return true;
        }
        if (*p != '\0' && *t != '\0') {
            const char *p_next = p;
            const char *t_next = t;
            if (next_char(&p_next, reading) == next_char(&t_next, reading)) {
                p = p_next;
                t = t_next;
                continue;
            }
        }
        if (stretch(&shallow, false, reading)) {
            p = shallow.pattern;
            t = shallow.path;
        } else if (stretch(&deep, true, reading)) {
            shallow = (struct retry){0};
            p = deep.pattern;
            t = deep.path;
        } else {
            return false;
        }
    }
}
