/* Owns the readings of a path that has more than one: all of them are walked at once, along the
 * places of a pattern that they can be at (docs/internals/paths.md). Never in favour of a request:
 * an allow rule must meet each reading, a deny rule one, and what is too much to follow is denied.
 */
#include <stdint.h>
#include <string.h>

#include "core/num.h"
#include "core/util.h"
#include "policy/http/path.h"

#define PLACES_MAX 48 /* of a pattern, at one byte of the path */
#define WINDOW     16 /* bytes that the longest code, decoded again and again, spans, and more */
_Static_assert(3 + 2 * SL_HTTP_DECODINGS_MAX < WINDOW, "a code fits into the window");

#define CODED_SLASH 0x100 /* "%2F" as a character: nothing but itself equals it */

/* What stands before a byte of the path, as far as it matters for how that is read. */
enum before { PLAIN, SLASH, PARAMETER, KINDS };

/* Places in the pattern: those that each reading reaches (allow), or that one does (deny). */
typedef struct places {
    bool reached;
    bool full;
    uint8_t count;
    uint16_t at[PLACES_MAX];
} places;

typedef struct walk {
    const char *pattern;
    const char *path;
    bool deny;
    bool decided; /* one reading settled it: it is met (deny), or it is not (allow) */
    places ring[WINDOW][KINDS];
} walk;

/* A part of the path that is read as one: `len` bytes at `at`. */
typedef struct token {
    size_t at;
    size_t len;
    enum before before;
} token;

static int code_at(const char *s)
{
    int hi = s[0] == '%' ? sl_num_hex_digit(s[1]) : -1;
    int lo = hi >= 0 ? sl_num_hex_digit(s[2]) : -1;
    return lo < 0 ? -1 : hi * 16 + lo;
}

/* ---- the pattern ---- */

static size_t slash_length(const walk *w, size_t q)
{
    return w->pattern[q] == '/' ? 1 : w->deny && code_at(w->pattern + q) == '/' ? 3 : 0;
}

/* Two stars between slashes take whole segments. */
static bool takes_segments(const walk *w, size_t q)
{
    bool before = (q >= 1 && w->pattern[q - 1] == '/') || (q >= 3 && slash_length(w, q - 3) == 3);
    return before && w->pattern[q] == '*' && w->pattern[q + 1] == '*' && slash_length(w, q + 2) > 0;
}

/* The second of two such stars is where a segment goes on. */
static bool within_segments(const walk *w, size_t q)
{
    return q > 0 && w->pattern[q] == '*' && takes_segments(w, q - 1);
}

static bool is_deep(const walk *w, size_t q)
{
    return w->pattern[q + 1] == '*' || w->pattern[q + 1] == '\0';
}

/* Where one is as well without a byte more; `q` itself: nowhere. */
static size_t also_at(const walk *w, size_t q)
{
    const char *p = w->pattern;
    if (p[q] == '*' && !within_segments(w, q)) {
        return q + (takes_segments(w, q) ? 2 + slash_length(w, q + 2) : p[q + 1] == '*' ? 2 : 1);
    }
    return w->deny && q > 0 && p[q] == '/' && p[q - 1] == '/' ? q + 1 : q; /* merged there too */
}

static bool has(const places *s, size_t q)
{
    for (size_t i = 0; i < s->count; i++) {
        if (s->at[i] == q) {
            return true;
        }
    }
    return false;
}

static void add(const walk *w, places *s, size_t q)
{
    while (!has(s, q)) {
        if (s->count == PLACES_MAX) {
            s->full = true;
            return;
        }
        s->at[s->count++] = (uint16_t)q;
        q = also_at(w, q);
    }
}

static bool equals(const walk *w, size_t q, int c, size_t *ret_len)
{
    int code = code_at(w->pattern + q);
    *ret_len = code >= 0 ? 3 : 1;
    if (code == '/') {
        return c == CODED_SLASH || (c == '/' && w->deny);
    }
    if (code == '\\' && c == '/' && w->deny) {
        return true;
    }
    return (code >= 0 ? code : (uint8_t)w->pattern[q]) == c;
}

/* Where the character `c` leads from `q`. */
static void follow(const walk *w, places *to, size_t q, int c)
{
    size_t len;
    if (w->pattern[q] == '\0') {
        return;
    }
    if (w->pattern[q] != '*') {
        if (equals(w, q, c, &len)) {
            add(w, to, q + len);
        }
    } else if (takes_segments(w, q) || within_segments(w, q)) {
        size_t second = within_segments(w, q) ? q : q + 1;
        add(w, to, second);
        if (c == '/') {
            add(w, to, second + 1 + slash_length(w, second + 1));
        }
    } else if (is_deep(w, q) || c != '/') {
        add(w, to, q);
    }
}

/* What the pattern writes just as the path does is read alike there. Does it? */
static bool follow_alike(const walk *w, places *to, size_t q, const token *t)
{
    size_t len = t->len;
    bool alike = t->len > 1 ? strncmp(w->pattern + q, w->path + t->at, t->len) == 0
                            : w->pattern[q] != '*' && equals(w, q, (uint8_t)w->path[t->at], &len);
    if (alike) {
        add(w, to, q + len);
    }
    return alike;
}

/* Is this place of the pattern within a parameter that it writes out? */
static bool in_parameter(const walk *w, size_t q)
{
    while (q > 0 && w->pattern[q - 1] != '/' && w->pattern[q - 1] != '*') {
        q--;
        if (w->pattern[q] == ';' || code_at(w->pattern + q) == ';') {
            return true;
        }
    }
    return false;
}

static bool behind_slash(const walk *w, size_t q)
{
    int code = q >= 3 ? code_at(w->pattern + q - 3) : -1;
    return (q >= 1 && w->pattern[q - 1] == '/') || code == '/' || code == '\\';
}

/* ---- the path ---- */

static places *places_at(walk *w, size_t at, enum before before)
{
    return &w->ring[at % WINDOW][before];
}

/* One reading more reaches a byte of the path. */
static void arrive(walk *w, size_t at, enum before before, const places *with)
{
    places *s = places_at(w, at, before);
    if (!s->reached) {
        *s = *with;
        s->reached = true;
        return;
    }
    if (w->deny) {
        for (size_t i = 0; i < with->count; i++) {
            add(w, s, with->at[i]);
        }
        s->full |= with->full;
        return;
    }
    uint8_t kept = 0;
    for (size_t i = 0; i < s->count; i++) {
        if (has(with, s->at[i])) {
            s->at[kept++] = s->at[i];
        }
    }
    s->count = kept;
}

/* The token is the character `c`. */
static void read_as(walk *w, const token *t, int c)
{
    const places *from = places_at(w, t->at, t->before);
    places to = {0};
    for (size_t i = 0; i < from->count; i++) {
        follow(w, &to, from->at[i], c);
        if (t->len > 1) {
            (void)follow_alike(w, &to, from->at[i], t);
        }
    }
    arrive(w, t->at + t->len, c == '/' ? SLASH : PLAIN, &to);
}

/* The token is nothing: a slash that is merged, a part of a parameter. */
static void read_past(walk *w, const token *t, enum before before)
{
    const places *from = places_at(w, t->at, t->before);
    places to = {0};
    for (size_t i = 0; i < from->count; i++) {
        size_t q = from->at[i];
        bool within = before == PARAMETER && t->before == PARAMETER && in_parameter(w, q);
        bool alike = within || (before == SLASH ? behind_slash(w, q) : t->before != PARAMETER);
        alike = alike && follow_alike(w, &to, q, t);
        if (!within || !alike) { /* there it is gone from both */
            add(w, &to, q);
        }
    }
    arrive(w, t->at + t->len, before, &to);
}

/* The path ends before the token. */
static void read_as_end(walk *w, const token *t)
{
    const places *from = places_at(w, t->at, t->before);
    bool met = false;
    for (size_t i = 0; i < from->count && !met; i++) {
        size_t q = from->at[i];
        met = w->pattern[q] == '\0' || strncmp(w->pattern + q, w->path + t->at, t->len) == 0;
    }
    w->decided |= met == w->deny;
}

static void read_slash(walk *w, const token *t)
{
    read_as(w, t, '/');
    if (t->before == SLASH) {
        read_past(w, t, SLASH);
    }
}

static void read_character(walk *w, const token *t, int c)
{
    if (t->before == PARAMETER) {
        read_past(w, t, PARAMETER);
    } else {
        read_as(w, t, c);
    }
}

/* One code, or one byte, in each way there is. */
static void read_token(walk *w, const token *t, int c, bool coded)
{
    if (c == '/' && !coded) {
        read_slash(w, t);
        return;
    }
    read_character(w, t, c == '/' ? CODED_SLASH : c);
    if (c == '/' || (c == '\\' && coded)) {
        read_slash(w, t);
    } else if (c == ';' && t->before != PARAMETER) {
        read_past(w, t, PARAMETER);
    } else if (coded && (c == '?' || c == '#' || c == '\0')) {
        read_as_end(w, t);
    }
}

/* All that the path may be at this byte, behind what stands before it. A code of '%' may begin the
 * code that a second decoding finds. */
static void read_on(walk *w, size_t at, enum before before)
{
    const char *s = w->path + at;
    token t = {.at = at, .len = 1, .before = before};
    int c = code_at(s);
    if (c < 0) {
        read_token(w, &t, (uint8_t)s[0], false);
        return;
    }
    t.len = 3;
    read_token(w, &t, c, true);
    for (int i = 0; i < SL_HTTP_DECODINGS_MAX && c == '%'; i++) {
        int hi = sl_num_hex_digit(s[t.len]);
        int lo = hi >= 0 ? sl_num_hex_digit(s[t.len + 1]) : -1;
        if (lo < 0) {
            return;
        }
        c = hi * 16 + lo;
        t.len += 2;
        read_token(w, &t, c, true);
    }
}

static bool ends_at(const walk *w, const places *s)
{
    for (size_t i = 0; i < s->count; i++) {
        if (w->pattern[s->at[i]] == '\0') {
            return true;
        }
    }
    return false;
}

/* Are all readings of the path (allow), or is one of them (deny), what the pattern names? */
static bool walk_all(const char *pattern, const char *path, bool deny)
{
    walk w = {.pattern = pattern, .path = path, .deny = deny};
    places start = {0};
    size_t at = 0;
    if (strlen(pattern) > UINT16_MAX) {
        return deny;
    }
    add(&w, &start, 0);
    arrive(&w, 0, PLAIN, &start);
    for (; path[at] != '\0'; at++) {
        for (unsigned k = 0; k < KINDS && !w.decided; k++) {
            places *s = places_at(&w, at, (enum before)k);
            w.decided = s->reached && (deny ? s->full : s->count == 0);
            if (s->reached && !w.decided) {
                read_on(&w, at, (enum before)k);
            }
            *s = (places){0};
        }
        if (w.decided) {
            return deny;
        }
    }
    for (unsigned k = 0; k < KINDS; k++) {
        const places *s = places_at(&w, at, (enum before)k);
        if (s->reached && (ends_at(&w, s) || (deny && s->full)) == deny) {
            return deny;
        }
    }
    return !deny;
}

/* Behind "//" stands a host, to those who take the target for a reference of RFC 3986 section 4.2:
 * where it ends, NULL when there is none. */
static const char *behind_host(const char *path)
{
    return path[0] == '/' && path[1] == '/' ? path + 2 + strcspn(path + 2, "/") : NULL;
}

/* The pattern without the host, if that is the same; else the pattern. */
static const char *without_host(const char *pattern, const char *path, const char *end)
{
    const walk w = {.pattern = pattern};
    size_t q = 0;
    for (const char *p = path; p < end; p++) {
        size_t len;
        int code = code_at(p);
        int c = code < 0 ? (uint8_t)*p : code == '/' ? CODED_SLASH : code;
        if (pattern[q] == '*' || !equals(&w, q, c, &len)) {
            return pattern;
        }
        q += len;
        p += code < 0 ? 0 : 2;
    }
    return pattern[q] == '/' ? pattern + q : pattern[q] == '\0' ? "/" : pattern;
}

bool sl_http_path_reads(const char *pattern, const char *path, bool deny)
{
    bool met = walk_all(pattern, path, deny);
    const char *rest = behind_host(path);
    if (rest == NULL || met == deny) {
        return met;
    }
    return walk_all(without_host(pattern, path, rest), *rest == '\0' ? "/" : rest, deny);
}

bool sl_http_path_is_odd(const char *path)
{
    for (const char *p = strpbrk(path, "%;"); p != NULL; p = strpbrk(p + 1, "%;")) {
        int c = code_at(p);
        if (c < 0 || c == '%' || c == '/' || c == '\\' || c == ';' || c == '?' || c == '#') {
            return true;
        }
    }
    return strstr(path, "//") != NULL;
}

/* Bytes that begin UTF-8 which is not the shortest, or never valid: a second decoding may make a
 * dot or a slash of them that the first one's check could not see. */
static bool is_overlong(int c)
{
    return c < 0x20 || c == 0x7f || c == 0xc0 || c == 0xc1 || c == 0xe0 || c == 0xf0 || c > 0xf4;
}

/* A code that is decoded more often than is followed, or one that only a second decoding puts
 * together. */
static bool codes_are_deep(const char *path)
{
    for (const char *p = strchr(path, '%'); p != NULL; p = strchr(p + 1, '%')) {
        int c = code_at(p);
        const char *s = p + 3;
        if (c < 0) {
            return true;
        }
        for (int i = 0; c == '%'; i++, s += 2) {
            bool hi = sl_num_hex_digit(s[0]) >= 0;
            bool lo = hi && sl_num_hex_digit(s[1]) >= 0;
            bool joins = code_at(s) == '%' || (hi && code_at(s + 1) == '%');
            if (joins || s[0] == 'u' || s[0] == 'U' || (lo && i == SL_HTTP_DECODINGS_MAX)) {
                return true;
            }
            if (!lo) {
                break;
            }
            c = sl_num_hex_digit(s[0]) * 16 + sl_num_hex_digit(s[1]);
            if (is_overlong(c)) {
                return true;
            }
        }
    }
    return false;
}

bool sl_http_path_is_unclear(const char *path)
{
    static const char *const dots[] = {"/**/..", "/**/../**", "/**/.", "/**/./**"};
    if (!sl_http_path_is_odd(path)) {
        return false;
    }
    if (codes_are_deep(path)) {
        return true;
    }
    if (strchr(path, '.') == NULL && strstr(path, "%25") == NULL) {
        return false;
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(dots); i++) {
        if (walk_all(dots[i], path, true)) {
            return true;
        }
    }
    return false;
}
