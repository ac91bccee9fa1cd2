/* Owns the normal form of a path, what is sent for it, and the matching of path patterns. Never
 * decides for a reading: a path that has several says so (docs/internals/paths.md). */
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

/* A path while it is taken apart. What is written down of it ends in '/', but for a last segment.
 */
struct forms {
    char *normal;
    size_t normal_len;
    char *sent; /* NULL: nobody asks */
    size_t sent_len;
    bool unclear; /* the dots are gone, and servers differ in what they took with them */
};

/* One byte, or what stands for one: unreserved codes decoded, the others in upper case. Returns how
 * much of it was read, or -EINVAL. */
static int normalise_byte(const char *s, size_t len, struct utf8 *utf8, struct forms *f)
{
    static const char digits[] = "0123456789ABCDEF";
    uint8_t c = (uint8_t)s[0];
    int hi = c == '%' && len > 2 ? sl_num_hex_digit(s[1]) : -1;
    int lo = hi >= 0 ? sl_num_hex_digit(s[2]) : -1;
    if (lo < 0) {
        f->unclear |= c == '%'; /* alone: itself, or an error, or a byte made of what follows */
        f->normal[f->normal_len++] = (char)c;
        return c <= 0x20 || c >= 0x7f || c == '#' || c == '\\' || c == '?' || utf8->need > 0
                   ? -EINVAL
                   : 1;
    }
    c = (uint8_t)(hi * 16 + lo);
    if (is_control(c) || utf8_next(utf8, c) < 0) {
        return -EINVAL;
    }
    if (is_unreserved(c)) {
        f->normal[f->normal_len++] = (char)c;
    } else {
        f->normal[f->normal_len++] = '%';
        f->normal[f->normal_len++] = digits[c >> 4];
        f->normal[f->normal_len++] = digits[c & 15];
    }
    return 3;
}

static void send_bytes(struct forms *f, const char *s, size_t len)
{
    if (f->sent != NULL) {
        memcpy(f->sent + f->sent_len, s, len);
    }
    f->sent_len += len;
}

static size_t segment_start(const char *path, size_t len)
{
    while (path[len - 1] != '/') {
        len--;
    }
    return len;
}

/* RFC 3986 section 5.2.4: the segment before goes. Who merges slashes first, or decodes them, takes
 * another one. */
static void step_up(struct forms *f)
{
    if (f->normal_len == 1) {
        return;
    }
    size_t start = segment_start(f->normal, f->normal_len - 1);
    f->normal[f->normal_len - 1] = '\0';
    f->unclear |= f->normal_len - 1 == start || sl_http_path_is_odd(f->normal + start);
    f->normal_len = start;
    if (f->sent != NULL) {
        f->sent_len = segment_start(f->sent, f->sent_len - 1);
    }
}

static int take_segment(struct forms *f, const char *s, size_t len, bool last)
{
    struct utf8 utf8 = {0};
    size_t start = f->normal_len;
    for (size_t i = 0; i < len;) {
        int n = normalise_byte(s + i, len - i, &utf8, f);
        if (n < 0) {
            return n;
        }
        i += (size_t)n;
    }
    if (utf8.need > 0) {
        return -EINVAL;
    }
    const char *word = f->normal + start;
    size_t n = f->normal_len - start;
    bool up = n == 2 && word[0] == '.' && word[1] == '.';
    if (up || (n == 1 && word[0] == '.')) {
        f->normal_len = start;
        if (up) {
            step_up(f);
        }
        return 0;
    }
    send_bytes(f, s, len);
    if (!last) {
        f->normal[f->normal_len++] = '/';
        send_bytes(f, "/", 1);
    }
    return 0;
}

int sl_http_path_normalise(const char *path, size_t len, sl_http_path *ret)
{
    if (len == 0 || len > SL_HTTP_PATH_MAX || path[0] != '/') {
        return -EINVAL;
    }
    struct forms f = {.normal = ret->normal, .normal_len = 1, .sent = ret->sent};
    f.normal[0] = '/';
    send_bytes(&f, "/", 1);
    for (size_t at = 1; at <= len;) {
        const char *slash = at < len ? memchr(path + at, '/', len - at) : NULL;
        size_t n = slash != NULL ? (size_t)(slash - (path + at)) : len - at;
        int r = take_segment(&f, path + at, n, slash == NULL);
        if (r < 0) {
            return r;
        }
        at += n + 1;
    }
    f.normal[f.normal_len] = '\0';
    if (f.sent != NULL) {
        f.sent[f.sent_len] = '\0';
    }
    ret->unclear = f.unclear || sl_http_path_is_unclear(f.normal);
    return (int)f.normal_len;
}

/* ---- patterns ---- */

#define CODED_SLASH 0x100 /* as written "%2F" is no slash: no character but itself equals it */

/* One character of a normal form: a byte, or the byte behind a percent code, for "/%40org" must not
 * pass beside a rule for "/@org". */
static int next_char(const char **p)
{
    const char *s = *p;
    if (s[0] == '%' && sl_num_hex_digit(s[1]) >= 0 && sl_num_hex_digit(s[2]) >= 0) {
        int c = sl_num_hex_digit(s[1]) * 16 + sl_num_hex_digit(s[2]);
        *p = s + 3;
        return c == '/' ? CODED_SLASH : c;
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
static bool stretch(struct retry *r, bool deep)
{
    if (r->pattern == NULL || *r->path == '\0' || (!deep && *r->path == '/')) {
        return false;
    }
    if (!r->directories) {
        (void)next_char(&r->path);
        return true;
    }
    const char *slash = strchr(r->path, '/');
    if (slash == NULL) {
        return false;
    }
    r->path = slash + 1;
    return true;
}

/* Notes the star at `*p` and steps behind it. */
static void take_star(const char **p, const char *start, const char *path, struct retry *shallow,
                      struct retry *deep)
{
    const char *s = *p;
    bool two = s[1] == '*';
    s += two ? 2 : 1;
    if (!two && *s != '\0') {
        *shallow = (struct retry){.pattern = s, .path = path};
    } else {
        bool directories = two && *p > start && (*p)[-1] == '/' && *s == '/';
        s += directories ? 1 : 0;
        *deep = (struct retry){.pattern = s, .path = path, .directories = directories};
        *shallow = (struct retry){0}; /* the segments before are settled */
    }
    *p = s;
}

/* Leftmost matching with one retry for each kind of star: the slashes between two deep stars are
 * literal, so an earlier single star can never help a later segment. */
bool sl_http_path_match(const char *pattern, const char *path)
{
    const char *p = pattern;
    const char *t = path;
    struct retry shallow = {0};
    struct retry deep = {0};
    for (;;) {
        if (*p == '*') {
            take_star(&p, pattern, t, &shallow, &deep);
            continue;
        }
        if (*p == '\0' && *t == '\0') {
            return true;
        }
        if (*p != '\0' && *t != '\0') {
            const char *p_next = p;
            const char *t_next = t;
            if (next_char(&p_next) == next_char(&t_next)) {
                p = p_next;
                t = t_next;
                continue;
            }
        }
        if (stretch(&shallow, false)) {
            p = shallow.pattern;
            t = shallow.path;
        } else if (stretch(&deep, true)) {
            shallow = (struct retry){0};
            p = deep.pattern;
            t = deep.path;
        } else {
            return false;
        }
    }
}
